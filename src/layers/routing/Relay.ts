import type { Clock } from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { withMembers } from "../../domain/basics/JsonText.ts"
import type { FaultReason } from "../../domain/routing/Fault.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { ChatStream, ProviderError } from "../../services/models/LanguageModels.ts"
import type { StreamSink } from "../../services/routing/Router.ts"
import type { Accounting } from "./Accounting.ts"
import type { Attempts } from "./Attempts.ts"
import { monotonicMs } from "./MonotonicTime.ts"
import type { Deadlines } from "./Deadlines.ts"
import * as Failures from "./Failures.ts"
import type { Settlement } from "./Settlement.ts"
import { aborted, answered, failed, type RoutedRequest } from "./RoutedRequest.ts"

interface Parts {
  readonly accounting: Accounting
  readonly attempts: Pick<Attempts, "remainingMs">
  readonly deadlines: Deadlines
  readonly settlement: Pick<Settlement, "settle">
  readonly clock: Clock
}

/** From the answering model to the client, until the deadline. The sink hears of every end, and every end is an outcome. */
export const make =
  ({ accounting, attempts, clock, deadlines, settlement }: Parts) =>
  (routed: RoutedRequest, source: ChatStream, model: Model, sink: StreamSink): Effect.Effect<void> => {
    const firstTokenMs = routed.callMs(monotonicMs(clock))
    const account = () => accounting.of(model, routed.request, source.said(), source.requestId)
    routed.told(() => ({ ...account(), said: source.said(), firstTokenMs }))
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
        settlement.settle(
          routed,
          reason === "timeout" && !clientReads ? aborted("client_slow") : failed(reason, error)
        ),
        () => sink.fail(Failures.brokenOff(routed, error, reason === "timeout"))
      )

    return deadlines
      .within(attempts.remainingMs(routed), () => "timeout" as const, Effect.either(pump))
      .pipe(
        Effect.matchEffect({
          onFailure: (reason) => broken(reason, null),
          onSuccess: Either.match({
            onLeft: (error) => broken(error.reason, error),
            onRight: () => Effect.zipRight(settlement.settle(routed, answered(source.status)), sink.end)
          })
        })
      )
  }

const withCost = (chunk: string, usd: number | null): string =>
  withMembers(chunk, new Map([["conduit", JSON.stringify({ cost_usd: usd })]]))
