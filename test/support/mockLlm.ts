import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { JournalState } from "../../src/programs/mockLlm/Journal.ts"
import { defaultScript, type MockScript } from "../../src/programs/mockLlm/MockScript.ts"
import { make, type MockLlmUnavailable } from "../../src/programs/mockLlm/Server.ts"

export interface RunningMockLlm {
  /** With `/v1`. */
  readonly baseUrl: string
  readonly openGate: (name: string) => void
  /** Completes when so many requests wait at the gate; fails the test after ten seconds. */
  readonly waiting: (count: number, gate: string) => Effect.Effect<void>
  readonly requests: () => JournalState
  /** Completes when the counters are as wanted; fails the test after ten seconds. */
  readonly until: (wanted: (state: JournalState) => boolean) => Effect.Effect<JournalState>
}

/** `conduit mock-llm` inside the test's process, on a free port, until the scope closes. */
export const startMockLlm = (
  options: { readonly script?: MockScript; readonly apiKey?: Redacted.Redacted } = {}
): Effect.Effect<RunningMockLlm, MockLlmUnavailable, Scope.Scope> =>
  Effect.map(
    make({
      host: "127.0.0.1",
      port: 0,
      seed: "test",
      script: options.script ?? defaultScript,
      apiKey: Option.fromNullable(options.apiKey)
    }),
    ({ baseUrl, gates, journal }) => {
      const until: RunningMockLlm["until"] = (wanted) =>
        Effect.gen(function* () {
          for (let i = 0; i < 1000; i++) {
            const state = journal.state()
            if (wanted(state)) return state
            yield* Effect.sleep(10)
          }
          return yield* Effect.dieMessage(`the mock did not get there: ${JSON.stringify(journal.state())}`)
        })
      return {
        baseUrl,
        openGate: gates.open,
        waiting: (count, gate) =>
          gates
            .awaitWaiting(gate, count)
            .pipe(
              Effect.timeoutFail({ duration: "10 seconds", onTimeout: () => new Error(`nobody waits at ${gate}`) }),
              Effect.orDie
            ),
        requests: journal.state,
        until
      }
    }
  )
