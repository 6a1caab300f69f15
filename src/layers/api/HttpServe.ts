import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { type KeyAdministration, Keys } from "../../services/api/Keys.ts"
import type { ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import type { Tracing } from "../../services/observing/Tracing.ts"
import type { Metering } from "../../services/routing/Metering.ts"
import type { Router } from "../../services/routing/Router.ts"
import type { Ids } from "../../services/running/Ids.ts"
import { InFlight } from "../../services/running/InFlight.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { Settings } from "../../services/running/Settings.ts"
import { DrainTimeout, ShutdownReport } from "../../services/running/ShutdownReport.ts"
import { Admission } from "./Admission.ts"
import { identityOf } from "./Auth.ts"
import * as Dispatch from "./Dispatch.ts"
import { drain, type DrainDependencies, drainTimeout } from "./Drain.ts"
import { HttpListener, type HttpListenerShape } from "./HttpListener.ts"
import { Intake } from "./Intake.ts"
import * as Observation from "./Observation.ts"
import * as Serving from "./Serving.ts"

/** Behind the deadline, for the last bytes of an answer. */
const flushGraceMs = 2000

/** Attaches the application to the socket; its release is the drain. */
export const layer: Layer.Layer<
  never,
  never,
  | HttpListener
  | Ids
  | InFlight
  | KeyAdministration
  | Keys
  | Lifecycle
  | Metering
  | ModelCatalog
  | Router
  | Settings
  | ShutdownReport
  | Telemetry
  | Tracing
> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { http, shutdown } = yield* Settings
    const keys = yield* Keys
    const listener = yield* HttpListener
    const inFlight = yield* InFlight
    const lifecycle = yield* Lifecycle
    const report = yield* ShutdownReport
    const telemetry = yield* Telemetry
    const clock = yield* Effect.clock
    const serving = yield* Serving.make
    const observe = yield* Observation.make(serving)
    const dispatch = yield* Dispatch.make(serving)

    const intake = new Intake({
      clock,
      inFlight,
      admission: new Admission(Duration.toMillis(http.overloadDelay)),
      maxInFlight: http.maxInFlight,
      isStopping: lifecycle.stopping,
      accepted: listener.accepted,
      dispatch,
      observe,
      flowOf: (exchange) => (keys.isOpen() ? null : (identityOf(keys, exchange).holder?.owner ?? null)),
      onRefused: (exchange, reason) => {
        if (reason === "draining") report.requests.rejected++
        telemetry.requestRefused(exchange.request.method ?? "GET", reason)
      }
    })
    lifecycle.onStopping(() => intake.endConnections())
    // What the limit counts.
    yield* telemetry.gauge("conduit_requests_active", "Requests in flight", () => inFlight.count())

    /** The deadline is the client's too: an answer that it has not read some time after it is cut, and no longer in flight. */
    const expireMs = Duration.toMillis(http.requestTimeout) + flushGraceMs
    yield* Effect.forkScoped(
      Effect.repeat(
        Effect.sync(() => intake.expire(expireMs)),
        Schedule.spaced("1 second")
      )
    )

    const dependencies: DrainDependencies = { listener, inFlight, report, shutdown }
    yield* Effect.acquireRelease(
      Effect.sync(() => listener.attach((exchange) => intake.take(exchange))),
      () => Effect.zipRight(settled(dependencies), drained(dependencies, intake))
    )
  })
)

/** Readiness says 503 since the signal; a balancer that has not seen it yet is still served. */
const settled = ({ report, shutdown: { settle: limit } }: DrainDependencies) => {
  if (!Duration.greaterThan(limit, Duration.zero)) return Effect.void
  const onTimeout = () => new DrainTimeout({ limitMs: Duration.toMillis(limit), requests: [] })
  return report.phase(
    "settle",
    { limit, grace: Duration.millis(100), onTimeout },
    Effect.raceFirst(Effect.sleep(limit), report.forced)
  )
}

const drained = (dependencies: DrainDependencies, intake: Intake) =>
  Effect.flatMap(Effect.clock, (clock) => {
    const { listener, report, shutdown } = dependencies
    const limitMs = Duration.toMillis(shutdown.drainTimeout) - Duration.toMillis(shutdown.settle)
    let cut: DrainTimeout | undefined
    return report.phase(
      "drain",
      {
        limit: Duration.millis(Math.max(0, limitMs)),
        onTimeout: () => cut ?? drainTimeout(dependencies, clock.unsafeCurrentTimeMillis())
      },
      Effect.flatMap(Effect.timed(listenerClosed(listener, intake, report.forced)), ([used]) =>
        drain(dependencies, used, (timeout) => (cut = timeout))
      )
    )
  })

/** Takes the last connections before it refuses any. */
const listenerClosed = (listener: HttpListenerShape, intake: Intake, forced: Effect.Effect<void>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => intake.hold()),
    () => Effect.raceFirst(listener.queueTaken, forced),
    () => Effect.sync(() => intake.release())
  ).pipe(Effect.zipRight(listener.stopListening), Effect.zipRight(Effect.sync(() => intake.drain())))
