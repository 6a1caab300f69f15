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

/** What is in flight, as the report names it. */
export const drainTimeout = ({ inFlight, shutdown }: DrainDependencies, nowMillis: number): DrainTimeout =>
  new DrainTimeout({
    limitMs: Duration.toMillis(shutdown.drainTimeout),
    requests: inFlight.list().map(({ id, model, route, startedAtMillis }) => ({
      id,
      route,
      model,
      ageMs: nowMillis - startedAtMillis
    }))
  })

/**
 * Waits for what is in flight after the listener is closed, interrupts what is left when the time is up, and closes every
 * connection. The settling before it and the closing of the listener (`used`) have used part of the same limit.
 */
export const drain = (
  dependencies: DrainDependencies,
  used: Duration.Duration,
  /** Told what is cut, before it is: some of it has ended when the phase's own limit comes meanwhile. */
  onCut: (timeout: DrainTimeout) => void
): Effect.Effect<void, DrainTimeout> =>
  Effect.gen(function* () {
    const { inFlight, listener, report, shutdown } = dependencies
    const limitMs = Duration.toMillis(shutdown.drainTimeout)
    const startedAt = yield* Clock.currentTimeMillis
    const count = inFlight.count()
    yield* Effect.logInfo(`Phase 1/3: Draining ${count} requests`)
    const usedMs = Duration.toMillis(shutdown.settle) + Duration.toMillis(used)
    const forAnswersMs = Math.min(interruptAtMostMillis, interruptShare * limitMs)
    const drained = yield* inFlight.awaitEmpty.pipe(
      Effect.raceFirst(report.forced),
      Effect.timeoutOption(Duration.millis(Math.max(0, limitMs - usedMs - forAnswersMs)))
    )
    const left = inFlight.list()
    if (Option.isSome(drained) && left.length === 0) {
      const seconds = ((yield* Clock.currentTimeMillis) - startedAt) / 1000
      yield* Effect.logInfo(`All ${count} requests drained in ${seconds.toFixed(1)}s`)
      return yield* listener.closeConnections
    }
    const timeout = drainTimeout(dependencies, yield* Clock.currentTimeMillis)
    onCut(timeout)
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
