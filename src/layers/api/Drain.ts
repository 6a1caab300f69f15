import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { InFlightShape } from "../../services/running/InFlight.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { DrainTimeout, type ShutdownReportShape } from "../../services/running/ShutdownReport.ts"
import type { HttpListenerShape } from "./HttpListener.ts"

/** Of the drain's limit, what is kept for interrupted requests to answer for themselves. */
const interruptShare = 0.1
const interruptAtMostMillis = 1_000

export interface DrainDependencies {
  readonly listener: HttpListenerShape
  readonly inFlight: InFlightShape
  readonly report: ShutdownReportShape
  readonly shutdown: SettingsShape["shutdown"]
}

/**
 * Waits for what is in flight after the listener is closed, interrupts what is left when the time is up, and closes every
 * connection. The settling before it has used part of the same limit.
 */
export const drain = ({ inFlight, listener, report, shutdown }: DrainDependencies): Effect.Effect<void, DrainTimeout> =>
  Effect.gen(function* () {
    const limitMs = Duration.toMillis(shutdown.drainTimeout)
    const startedAt = yield* Clock.currentTimeMillis
    const count = inFlight.count()
    yield* Effect.logInfo(`Phase 1/3: Draining ${count} requests`)
    const settleMs = Duration.toMillis(shutdown.settle)
    const forAnswersMs = Math.min(interruptAtMostMillis, interruptShare * limitMs)
    const drained = yield* inFlight.awaitEmpty.pipe(
      Effect.raceFirst(report.forced),
      Effect.timeoutOption(Duration.millis(Math.max(0, limitMs - settleMs - forAnswersMs)))
    )
    const left = inFlight.list()
    if (Option.isSome(drained) && left.length === 0) {
      const seconds = ((yield* Clock.currentTimeMillis) - startedAt) / 1000
      yield* Effect.logInfo(`All ${count} requests drained in ${seconds.toFixed(1)}s`)
      return yield* listener.closeConnections
    }
    const now = yield* Clock.currentTimeMillis
    const timeout = new DrainTimeout({
      limitMs,
      requests: left.map(({ id, model, route, startedAtMillis }) => ({
        id,
        route,
        model,
        ageMs: now - startedAtMillis
      }))
    })
    yield* Effect.logWarning(
      Option.isNone(drained)
        ? `Timeout waiting for requests, ${left.length} still in flight`
        : `Second signal: ${left.length} requests are cut`
    )
    yield* inFlight.interruptAll
    yield* Effect.timeoutOption(inFlight.awaitEmpty, Duration.millis(0.8 * forAnswersMs))
    yield* listener.closeConnections
    return yield* timeout
  })
