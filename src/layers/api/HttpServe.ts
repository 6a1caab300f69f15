import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Http from "node:http"
import { HttpSocket } from "../../services/api/HttpSocket.ts"
import { Ids } from "../../services/running/Ids.ts"
import { InFlight } from "../../services/running/InFlight.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import type { ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Interrupted, type Router } from "../../services/routing/Router.ts"
import { Settings } from "../../services/running/Settings.ts"
import { DrainTimeout, ShutdownReport } from "../../services/running/ShutdownReport.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import type { Tracing } from "../../services/observing/Tracing.ts"
import { app } from "./App.ts"
import { Overloaded } from "./HttpErrors.ts"
import { refuse } from "./Refusal.ts"
import { attach, requestIdOf } from "./RequestContext.ts"

/** Of the drain's limit, what is kept for interrupted requests to answer for themselves. */
const interruptShare = 0.1
const interruptAtMostMillis = 1_000

/** Attaches the application to the socket; its release is the drain. */
export const layer: Layer.Layer<
  never,
  never,
  HttpSocket | Ids | InFlight | Lifecycle | ModelCatalog | Router | Settings | ShutdownReport | Telemetry | Tracing
> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const settings = yield* Settings
    const socket = yield* HttpSocket
    const inFlight = yield* InFlight
    const lifecycle = yield* Lifecycle
    const report = yield* ShutdownReport
    const ids = yield* Ids
    const telemetry = yield* Telemetry
    const clock = yield* Effect.clock

    const serve = yield* Effect.flatMap(app, NodeHttpServer.makeHandler).pipe(
      // A span for each request costs more than routing it.
      Effect.locally(HttpMiddleware.currentTracerDisabledWhen, () => true)
    )
    const openResponses = new Set<Http.ServerResponse>()
    let isDraining = false

    // Whoever is being answered when the shutdown begins learns from the answer that this connection ends.
    lifecycle.onStopping(() => openResponses.forEach((response) => (response.shouldKeepAlive = false)))

    const handle = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
      if (isUncounted(request)) return serve(request, response)
      const refuseWith = (error: Interrupted | Overloaded) => {
        telemetry.requestRefused(request.method ?? "GET", 503)
        refuse(request, response, error, ids)
      }
      if (isDraining) {
        report.requests.rejected++
        return refuseWith(new Interrupted())
      }
      if (inFlight.count() >= settings.http.maxInFlight) return refuseWith(new Overloaded())
      const startedAtMillis = clock.unsafeCurrentTimeMillis()
      const begun = inFlight.begin({ id: requestIdOf(request, ids), route: routeOf(request), startedAtMillis })
      attach(request, begun)
      openResponses.add(response)
      response.once("close", () => {
        openResponses.delete(response)
        begun.closed()
      })
      if (lifecycle.stopping()) response.shouldKeepAlive = false
      serve(request, response)
    }

    const drainTimeout = settings.shutdown.drainTimeout
    const limitMs = Duration.toMillis(drainTimeout)

    const drain = Effect.gen(function* () {
      const startedAt = yield* Clock.currentTimeMillis
      yield* socket.stopListening
      const count = inFlight.count()
      yield* Effect.logInfo(`Phase 1/3: Draining ${count} requests`)
      const settleMs = Duration.toMillis(settings.shutdown.settle)
      const forAnswersMs = Math.min(interruptAtMostMillis, interruptShare * limitMs)
      const drained = yield* inFlight.awaitEmpty.pipe(
        Effect.raceFirst(report.forced),
        Effect.timeoutOption(Duration.millis(Math.max(0, limitMs - settleMs - forAnswersMs)))
      )
      const left = inFlight.list()
      if (Option.isSome(drained) && left.length === 0) {
        const seconds = ((yield* Clock.currentTimeMillis) - startedAt) / 1000
        yield* Effect.logInfo(`All ${count} requests drained in ${seconds.toFixed(1)}s`)
        return yield* socket.closeConnections
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
      yield* socket.closeConnections
      return yield* timeout
    })

    yield* Effect.acquireRelease(
      Effect.sync(() => socket.attach(handle)),
      () =>
        Effect.gen(function* () {
          // Readiness says 503 since the signal; a balancer that has not seen it yet is still served.
          if (Duration.greaterThan(settings.shutdown.settle, Duration.zero)) {
            lifecycle.enter("settle")
            const limit = settings.shutdown.settle
            const onTimeout = () => new DrainTimeout({ limitMs: Duration.toMillis(limit), requests: [] })
            yield* report.phase(
              "settle",
              { limit, grace: Duration.millis(100), onTimeout },
              Effect.raceFirst(Effect.sleep(settings.shutdown.settle), report.forced)
            )
          }
          isDraining = true
          lifecycle.enter("drain")
          const limit = Duration.subtract(drainTimeout, settings.shutdown.settle).pipe((left) =>
            Duration.greaterThan(left, Duration.zero) ? left : Duration.zero
          )
          const onTimeout = () => new DrainTimeout({ limitMs, requests: [] })
          yield* report.phase("drain", { limit, onTimeout }, drain)
        })
    )
  })
)

const pathOf = (request: Http.IncomingMessage): string => (request.url ?? "/").split("?", 1)[0] ?? "/"

/** Metrics are for watching the service, not for what it serves. */
const isUncounted = (request: Http.IncomingMessage): boolean => pathOf(request) === "/metrics"

const routeOf = (request: Http.IncomingMessage): string => `${request.method ?? "GET"} ${pathOf(request).slice(0, 100)}`
