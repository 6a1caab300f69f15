import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { withMembers } from "../../domain/basics/JsonText.ts"
import type { FaultReason } from "../../domain/routing/Fault.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { ChatStream, ProviderError } from "../../services/models/LanguageModels.ts"
import type { StreamSink } from "../../services/routing/Router.ts"
import type { Accounting } from "./Accounting.ts"
import type { Attempts } from "./Attempts.ts"
import type { Deadlines } from "./Deadlines.ts"
import * as Failures from "./Failures.ts"
import type { Learning } from "./Settlement.ts"
import * as Trial from "./Trial.ts"

interface Parts {
  readonly accounting: Accounting
  readonly attempts: Pick<Attempts, "remainingMs">
  readonly deadlines: Deadlines
  readonly learning: Pick<Learning, "settle">
  readonly nowMs: () => number
}

/** From the answering model to the client, until the deadline. The sink hears of every end, and every end is an outcome. */
export const make =
  ({ accounting, attempts, deadlines, learning, nowMs }: Parts) =>
  (trial: Trial.Trial, source: ChatStream, model: Model, sink: StreamSink): Effect.Effect<void> => {
    const firstTokenMs = trial.current === null ? null : nowMs() - trial.current.startedMs
    const account = () => accounting.of(model, trial.request, source.said(), source.requestId)
    trial.facts = () => ({ ...account(), said: source.said(), firstTokenMs })
    let clientReads = true
    const send = Effect.fnUntraced(function* (payloads: ReadonlyArray<string>) {
      clientReads = false
      yield* sink.events(payloads)
      clientReads = true
    })

    const pump = Effect.gen(function* () {
      while (true) {
        const payloads = yield* source.next
        if (payloads.length === 0) break
        yield* send(payloads)
        if (source.isFinished()) sink.finishing()
      }
      const counts = source.usageChunk()
      if (counts !== null) yield* send([withCost(counts, account().costUsd)])
    })

    const broken = (reason: FaultReason, error: ProviderError | null) =>
      Effect.flatMap(
        learning.settle(
          trial,
          reason === "timeout" && !clientReads ? Trial.aborted("client_slow") : Trial.failed(reason, error)
        ),
        () => sink.fail(Failures.brokenOff(trial, error, reason === "timeout"))
      )

    return deadlines
      .within(attempts.remainingMs(trial), () => "timeout" as const, Effect.either(pump))
      .pipe(
        Effect.matchEffect({
          onFailure: (reason) => broken(reason, null),
          onSuccess: Either.match({
            onLeft: (error) => broken(error.reason, error),
            onRight: () => Effect.zipRight(learning.settle(trial, Trial.answered(source.status)), sink.end)
          })
        })
      )
  }

const withCost = (chunk: string, usd: number | null): string =>
  withMembers(chunk, new Map([["conduit", JSON.stringify({ cost_usd: usd })]]))
