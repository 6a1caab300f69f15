import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { MockScript } from "../../src/programs/mockLlm/MockScript.ts"
import { type RunningMockLlm, startMockLlm } from "./mockLlm.ts"

/** The mock upstream for tests whose other parts are processes. */
export interface Upstream {
  readonly url: string
  readonly openGate: (name: string) => void
  readonly waiting: (gate: string, count: number) => Promise<void>
  readonly requests: RunningMockLlm["requests"]
  readonly close: () => Promise<void>
}

export const startUpstream = async (script?: MockScript): Promise<Upstream> => {
  const scope = await Effect.runPromise(Scope.make())
  const mock = await Effect.runPromise(Scope.extend(startMockLlm(script === undefined ? {} : { script }), scope))
  return {
    url: mock.baseUrl,
    openGate: mock.openGate,
    waiting: (gate, count) => Effect.runPromise(mock.waiting(count, gate)),
    requests: mock.requests,
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
