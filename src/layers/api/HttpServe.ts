import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import type { Tracing } from "../../services/observing/Tracing.ts"
import { Interrupted, type Router } from "../../services/routing/Router.ts"
import type { Ids } from "../../services/running/Ids.ts"
import { InFlight } from "../../services/running/InFlight.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { Settings } from "../../services/running/Settings.ts"
import { DrainTimeout, ShutdownReport } from "../../services/running/ShutdownReport.ts"
import { Admission } from "./Admission.ts"
import * as Dispatch from "./Dispatch.ts"
import { drain } from "./Drain.ts"
import type { Exchange } from "./Exchange.ts"
import { HttpListener } from "./HttpListener.ts"
import { Overloaded } from "./HttpErrors.ts"
import { LoopTurns } from "./LoopTurns.ts"
import * as Observation from "./Observation.ts"
import { pathOf } from "./RouteFinder.ts"
import * as Serving from "./Serving.ts"

/** Behind the deadline, for the last bytes of an answer. */
const flushGraceMs = 2000

/** Attaches the application to the socket; its release is the drain. */
export const layer: Layer.Layer<
  never,
  never,
  HttpListener | Ids | InFlight | Lifecycle | ModelCatalog | Router | Settings | ShutdownReport | Telemetry | Tracing
> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { http, shutdown } = yield* Settings
    const listener = yield* HttpListener
    const inFlight = yield* InFlight
    const lifecycle = yield* Lifecycle
    const report = yield* ShutdownReport
    const telemetry = yield* Telemetry
    const clock = yield* Effect.clock
    const serving = yield* Serving.make
    const observe = yield* Observation.make(serving)
    const dispatch = yield* Dispatch.make(serving)

    const admission = new Admission(performance.now(), Duration.toMillis(http.overloadDelay))
    const turns = new LoopTurns(
      (nowMillis, turnMillis) => admission.turned(nowMillis, turnMillis),
      () => inFlight.count() > 0
    )
    // What the limit counts.
    yield* telemetry.gauge("conduit_requests_active", "Requests in flight", () => inFlight.count())
    const open = new Set<Exchange>()
    let isDraining = false
    /** Requests that come while the last connections are accepted: to serve them at once would hold those up. */
    let waiting: Array<Exchange> | null = null

    // Whoever is being answered when the shutdown begins learns from the answer that this connection ends.
    lifecycle.onStopping(() => open.forEach(({ response }) => (response.shouldKeepAlive = false)))

    const refuse = (exchange: Exchange, error: Interrupted | Overloaded) => {
      telemetry.requestRefused(exchange.request.method ?? "GET", 503)
      exchange.fail(error)
    }

    /** From here until its response is closed and its work has ended, the exchange is in flight. */
    const begin = (exchange: Exchange) => {
      const { request, requestId, response } = exchange
      exchange.inFlight = inFlight.begin({
        id: requestId,
        route: `${request.method ?? "GET"} ${pathOf(request.url ?? "/").slice(0, 100)}`,
        startedAtMillis: clock.unsafeCurrentTimeMillis(),
        interrupt: () => exchange.interrupt()
      })
      open.add(exchange)
      onClosed(exchange, () => {
        open.delete(exchange)
        exchange.closed()
      })
      if (lifecycle.stopping()) response.shouldKeepAlive = false
    }

    const serve = (exchange: Exchange) => {
      if (waiting !== null) {
        waiting.push(exchange)
        return
      }
      if (exchange.target === null || exchange.target.path.counted) {
        // Who has just been accepted could not know: only what comes on connections that were in use is refused.
        if (isDraining && !exchange.isFirst) {
          report.requests.rejected++
          return refuse(exchange, new Interrupted())
        }
        const count = inFlight.count()
        if (count >= http.maxInFlight) return refuse(exchange, tooMany)
        if (!admission.admits(performance.now(), count)) return refuse(exchange, tooLate)
        turns.run()
        begin(exchange)
        observe(exchange)
      }
      dispatch(exchange)
    }

    /** The deadline is the client's too: an answer that it has not read some time after it is cut, and no longer in flight. */
    const expireMs = Duration.toMillis(http.requestTimeout) + flushGraceMs
    const sweep = Effect.sync(() => {
      const now = clock.unsafeCurrentTimeNanos()
      // In the order in which they began.
      for (const exchange of open) {
        if (Number(now - exchange.startedNanos) / 1e6 < expireMs) break
        exchange.expire()
      }
    })
    yield* Effect.forkScoped(Effect.repeat(sweep, Schedule.spaced("1 second")))

    /** Readiness says 503 since the signal; a balancer that has not seen it yet is still served. */
    const settle = Effect.suspend(() => {
      const limit = shutdown.settle
      if (!Duration.greaterThan(limit, Duration.zero)) return Effect.void
      const onTimeout = () => new DrainTimeout({ limitMs: Duration.toMillis(limit), requests: [] })
      return report.phase(
        "settle",
        { limit, grace: Duration.millis(100), onTimeout },
        Effect.raceFirst(Effect.sleep(limit), report.forced)
      )
    })

    const listenerClosed = Effect.acquireUseRelease(
      Effect.sync(() => (waiting = [])),
      () => Effect.raceFirst(listener.queueTaken, report.forced),
      (last: ReadonlyArray<Exchange>) =>
        Effect.sync(() => {
          waiting = null
          // Who has left meanwhile would never be heard to leave.
          for (const exchange of last) if (!exchange.request.socket.destroyed) serve(exchange)
        })
    ).pipe(
      Effect.zipRight(listener.stopListening),
      Effect.zipRight(
        Effect.sync(() => {
          isDraining = true
        })
      )
    )

    const drained = Effect.suspend(() => {
      const limitMs = Duration.toMillis(shutdown.drainTimeout)
      return report.phase(
        "drain",
        {
          limit: Duration.millis(Math.max(0, limitMs - Duration.toMillis(shutdown.settle))),
          onTimeout: () => new DrainTimeout({ limitMs, requests: [] })
        },
        Effect.zipRight(listenerClosed, drain({ listener, inFlight, report, shutdown }))
      )
    })

    yield* Effect.acquireRelease(
      Effect.sync(() => listener.attach(serve)),
      () => Effect.zipRight(settle, drained)
    )
  })
)

const tooMany = new Overloaded({ detail: "too many requests at once" })
const tooLate = new Overloaded({ detail: "more is asked than can be answered in time" })

/**
 * Calls `closed` once, when the response is closed or its connection is: a response that waits behind another one of
 * the same connection has no socket yet, and is told nothing when that closes.
 */
const onClosed = ({ request: { socket }, response }: Exchange, closed: () => void) => {
  if (response.socket !== null) {
    response.once("close", closed)
    return
  }
  const once = () => {
    response.off("close", once)
    socket.off("close", once)
    closed()
  }
  response.on("close", once)
  // As many requests as the client pipelines, which node bounds by what it buffers.
  socket.setMaxListeners(0).on("close", once)
}
