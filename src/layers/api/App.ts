import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type * as Http from "node:http"
import { Ids } from "../../services/running/Ids.ts"
import type { InFlightRequest } from "../../services/running/InFlight.ts"
import { ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Interrupted, Router } from "../../services/routing/Router.ts"
import { Settings } from "../../services/running/Settings.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { Tracing } from "../../services/observing/Tracing.ts"
import { authenticator } from "./Auth.ts"
import * as Docs from "./Docs.ts"
import { type AnyError, toPublic } from "./ErrorTable.ts"
import type { Exchange } from "./Exchange.ts"
import * as Handlers from "./Handlers.ts"
import { InternalError } from "./HttpErrors.ts"
import { indexPage } from "./IndexPage.ts"
import { discardLimits, failure, send, text, type Reply } from "./Reply.ts"
import { inFlightOf, requestIdOf } from "./RequestContext.ts"
import { endBroken } from "./SseSink.ts"
import { allowed, finder, matched, type Found, type Route } from "./Routes.ts"
import { endSpan, spanName } from "./RequestSpan.ts"

/**
 * The HTTP API, for `NodeHttpServer.makeHandler`. Each request is answered on the node response itself, so what is
 * returned to the platform is inert. Whatever happens, there is an answer: the interruption by the shutdown and defects
 * have theirs, and a client that has left is only counted.
 */
export const app: Effect.Effect<
  HttpApp.Default<never, never>,
  never,
  Router | Settings | ModelCatalog | Telemetry | Tracing | Ids
> = Effect.gen(function* () {
  const settings = yield* Settings
  const isDebug = settings.log.level === "DEBUG"
  const telemetry = yield* Telemetry
  const tracing = yield* Tracing
  const ids = yield* Ids
  const clock = yield* Effect.clock
  const v1 = Handlers.make({
    router: yield* Router,
    tracing,
    settings,
    catalog: yield* ModelCatalog,
    ids,
    startedAtSeconds: Math.floor((yield* Clock.currentTimeMillis) / 1000)
  })
  const docs = yield* Docs.make
  const authenticate = authenticator(settings.http.apiKeyHashes, "API")
  const authenticateScraper = authenticator(settings.http.metricsKeyHashes, "metrics")

  const find = finder([
    { pattern: "/v1/chat/completions", open: false, post: v1.chat },
    { pattern: "/v1/complete", open: false, post: v1.completeSimply },
    { pattern: "/v1/route", open: false, post: v1.route },
    { pattern: "/v1/outcomes", open: false, post: v1.outcomes },
    { pattern: "/v1/feedback", open: false, post: v1.feedback },
    { pattern: "/v1/decisions", open: false, get: v1.decisions },
    { pattern: "/v1/decisions/{id}", open: false, get: v1.decision },
    { pattern: "/v1/stats", open: false, get: v1.stats },
    { pattern: "/v1/models", open: false, get: v1.models },
    { pattern: "/v1/models/{id}", open: false, get: v1.model },
    {
      pattern: "/metrics",
      open: true,
      get: ({ request }) =>
        Effect.map(authenticateScraper(request), () =>
          text("text/plain; version=0.0.4; charset=utf-8", telemetry.render())
        )
    },
    { pattern: "/openapi.json", open: true, get: () => docs.openApi },
    { pattern: "/docs", open: true, get: () => docs.page },
    { pattern: "/", open: true, get: () => Effect.succeed(text("text/html; charset=utf-8", indexPage)) }
  ])

  const answer = (exchange: Omit<Exchange, "caller" | "id">, found: Found | null) =>
    Effect.gen(function* () {
      const { request } = exchange
      if (request.method === "OPTIONS" && found !== null) return optionsReply(found.route)
      const { handler, id, route } = yield* matched(found, request.method)
      const caller = route.open ? { owner: null } : yield* authenticate(request)
      return yield* handler({ ...exchange, caller, id })
    })

  return Effect.withFiberRuntime<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>(
    (fiber) => {
      const platformRequest = Context.unsafeGet(fiber.currentContext, HttpServerRequest.HttpServerRequest)
      const request = NodeHttpServerRequest.toIncomingMessage(platformRequest)
      const response = NodeHttpServerRequest.toServerResponse(platformRequest)
      const inFlight = inFlightOf(request)
      inFlight?.servedBy(fiber)
      const requestId = requestIdOf(request, ids)
      const found = find(request.url ?? "/")
      const pattern = found?.route.pattern ?? "unknown"
      const isCounted = pattern !== "/metrics"
      const startedNanos = clock.unsafeCurrentTimeNanos()
      if (isCounted) telemetry.requestStarted()
      const begun = isCounted ? tracing.begin(spanName(request, found), request.headers) : null
      let broken: string | null = null
      const onBroken = (error: AnyError) => {
        broken = toPublic(error).code
      }

      const finish = (reply: Reply | null) => {
        const status = reply?.status ?? response.statusCode
        const seconds = Number(clock.unsafeCurrentTimeNanos() - startedNanos) / 1e9
        const { method = "GET" } = request
        if (isCounted) telemetry.requestEnded(pattern, method, status, seconds)
        if (begun !== null) endSpan(begun, request, { found, requestId, status, error: reply?.error ?? broken })
        const written = reply === null || status === clientLeftStatus ? closed(response) : sent(reply)
        if (!isDebug) return written
        const line = { route: pattern, method, status, latency_ms: Math.round(seconds * 1e6) / 1e3 }
        return Effect.zipRight(Effect.logDebug("request", line), written)
      }
      const sent = (reply: Reply) => {
        const headers = { ...reply.headers, "x-request-id": requestId }
        return Effect.zipRight(send(request, response, { ...reply, headers }, discardLimits), closed(response))
      }

      return Effect.zipRight(
        begun === null ? loggedAs(requestId) : Effect.zipRight(loggedAs(requestId), tracedAs(begun.span)),
        Effect.interruptible(answer({ request, response, requestId, inFlight, onBroken }, found))
      ).pipe(
        Effect.catchAllCause((cause) => afterFailure(cause, { response, requestId, inFlight, onBroken })),
        Effect.flatMap(finish),
        Effect.uninterruptible
      )
    }
  )
})

/** On each line that this request causes. The fiber is its own, so there is nothing to restore: a third of `annotateLogs`. */
const loggedAs = (requestId: string) =>
  FiberRef.update(FiberRef.currentLogAnnotations, HashMap.set<string, unknown>("request_id", requestId))

/** The span under which this request is worked on, and whose trace its lines name. */
const tracedAs = (span: Tracer.AnySpan) =>
  FiberRef.update(FiberRef.currentContext, Context.add(Tracer.ParentSpan, span))

const inert = HttpServerResponse.empty()

/** The platform writes nothing to a response that has ended; one that is still open here is cut, never left hanging. */
const closed = (response: Http.ServerResponse) =>
  Effect.sync(() => {
    if (!response.writableEnded) response.end()
    return inert
  })

const optionsReply = (route: Route): Reply => ({ status: 204, headers: { allow: allowed(route) }, body: "" })

/** As nginx has it; only metrics see it. */
const clientLeftStatus = 499
const clientLeft: Reply = { status: clientLeftStatus, headers: {}, body: "", error: "client_left" }

const afterFailure = (
  cause: Cause.Cause<AnyError>,
  {
    inFlight,
    onBroken,
    requestId,
    response
  }: {
    readonly response: Http.ServerResponse
    readonly requestId: string
    readonly inFlight: InFlightRequest | undefined
    readonly onBroken: (error: AnyError) => void
  }
): Effect.Effect<Reply | null> => {
  const answered = (error: AnyError): Reply | null => {
    if (!response.headersSent) return failure(error, requestId)
    onBroken(error)
    endBroken(response, error, requestId)
    return null
  }
  const failed = Cause.failureOption(cause)
  if (Option.isSome(failed)) return Effect.sync(() => answered(failed.value))
  if (Cause.isInterruptedOnly(cause)) {
    const hasLeft = response.destroyed && inFlight?.interrupted !== true
    return Effect.sync(() => (hasLeft ? clientLeft : answered(new Interrupted())))
  }
  return Effect.map(Effect.logError("request failed", cause), () => answered(new InternalError()))
}
