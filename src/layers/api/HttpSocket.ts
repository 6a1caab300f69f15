import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import { saneRequestId } from "../../domain/basics/Ids.ts"
import { monotonicMs } from "../../services/running/MonotonicTime.ts"
import { HttpSocket, ListenFailed } from "../../services/api/HttpSocket.ts"
import { isServedBy } from "../../services/api/Routes.ts"
import { Ids } from "../../services/running/Ids.ts"
import { InFlight, type InFlightShape } from "../../services/running/InFlight.ts"
import { Lifecycle, type LifecycleShape } from "../../services/running/Lifecycle.ts"
import { Settings, type SettingsShape } from "../../services/running/Settings.ts"
import { WorkerSeat } from "../../services/running/Workers.ts"
import { AcceptQueue } from "./AcceptQueue.ts"
import { corsOf } from "./Cors.ts"
import { Exchange } from "./Exchange.ts"
import { type Health, healthReplies } from "./Health.ts"
import { HttpListener } from "./HttpListener.ts"
import {
  HeadersTooLarge,
  type HttpError,
  MalformedHttp,
  MethodNotAllowed,
  RequestTimeout,
  Starting
} from "./HttpErrors.ts"
import { doorFor } from "./Door.ts"
import { writeRaw } from "./Reply.ts"
import { findTarget, routeOf } from "./RouteFinder.ts"

/** Cookies and tokens of proxies are far below it; a client that sends more is told so. */
const maxHeadersBytes = 64 * 1024
const headersMillis = 15_000

// Not `NodeHttpServer.layer`: that one listens before it has a handler, loses the handler before it stops listening,
// and waits for open connections without a limit.
export const layer: Layer.Layer<HttpSocket | HttpListener, ListenFailed, Ids | InFlight | Lifecycle | Settings> =
  Layer.scopedContext(
    Effect.gen(function* () {
      const { http } = yield* Settings
      const lifecycle = yield* Lifecycle
      const inFlight = yield* InFlight
      const ids = yield* Ids
      const clock = yield* Effect.clock
      const freshId = () => ids.uuidV7(clock.unsafeCurrentTimeMillis())
      const cors = corsOf(http.corsOrigins)
      const seat = yield* WorkerSeat
      let serve: ((exchange: Exchange) => void) | null = null

      /** The head of a request has arrived: makes its exchange and hands it on, once. */
      const receive = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
        const exchange = new Exchange({
          request,
          response,
          requestId: saneRequestId(request.headers["x-request-id"]) ?? freshId(),
          target: findTarget(request.url ?? "/"),
          startedMs: monotonicMs(clock),
          isFirst: queue.asked(request.socket),
          cors: cors(request)
        })
        if (!hasOneHost(request)) {
          request.resume()
          return exchange.fail(new MalformedHttp())
        }
        if (request.method === "OPTIONS" && request.url === "*") return exchange.answerOptions(serverAllow)
        if (exchange.target !== null && exchange.target.path.bySocket) return answerHealth(exchange, health())
        if (seat?.givesUpConnection() === true) response.shouldKeepAlive = false
        if (serve !== null) return serve(exchange)
        request.resume()
        return exchange.fail(new Starting())
      }

      const health = (): Health => healthOf(lifecycle, inFlight)

      const refuse = (socket: Duplex, error: HttpError) => {
        const requestId = freshId()
        writeRaw(socket, doorFor(null, {}).failure(error, requestId), requestId)
      }

      const server = listenerOf(http, receive, refuse)
      const queue = new AcceptQueue(server)
      seat?.countsConnections(() => queue.open)
      const listensLater = seat?.listens === "when_attached"
      yield* Effect.addFinalizer(() => closed(server))
      const address = yield* listensLater ? Effect.succeed(null) : listen(server, http)
      return Context.make(HttpSocket, { url: urlOf(address, http) }).pipe(
        Context.add(HttpListener, {
          attach: (application) => {
            serve = application
            // Until here the other workers served; what fails now ends this one as any failure of its own does.
            if (listensLater) server.listen({ host: http.host, port: http.port, backlog })
          },
          accepted: () => queue.accepted,
          queueTaken: queue.taken,
          // The listener alone: `http.Server.close` would destroy idle connections too, whose next request deserves an answer.
          stopListening: Effect.sync(() => {
            if (server.listening) Net.Server.prototype.close.call(server)
          }),
          closeConnections: Effect.sync(() => server.closeAllConnections())
        })
      )
    })
  )

const healthOf = (lifecycle: LifecycleShape, inFlight: InFlightShape): Health => ({
  phase: lifecycle.phase(),
  stopping: lifecycle.stopping(),
  inFlight: inFlight.count()
})

/** A probe's connection stays open while the service drains: it could not connect again to see the end. */
const answerHealth = (exchange: Exchange, health: Health) => {
  const { request, target } = exchange
  if (request.method === "OPTIONS" && target !== null) return exchange.answerOptions(target.path.allow)
  const route = routeOf(target, request.method, request.url ?? "/")
  if (route._tag === "Left") return exchange.fail(route.left)
  if (isServedBy(route.right, "socket")) exchange.answer(healthReplies[route.right](health))
}

/** What the service as a whole answers to `OPTIONS *`, and to a tunnel. */
const serverAllow = "GET, HEAD, POST, OPTIONS"

/** RFC 9112, 3.2: a request of HTTP/1.1 has exactly one, and no request has two. */
const hasOneHost = ({ httpVersion, rawHeaders }: Http.IncomingMessage): boolean => {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name !== undefined && name.length === 4 && name.toLowerCase() === "host") count++
  }
  return count === 1 || (count === 0 && httpVersion === "1.0")
}

/** A server that hands on every request, and everything on a connection that is none. */
const listenerOf = (
  http: SettingsShape["http"],
  receive: (request: Http.IncomingMessage, response: Http.ServerResponse) => void,
  refuse: (socket: Duplex, error: HttpError) => void
): Http.Server => {
  const server = Http.createServer({
    // Refused by `receive`, with the envelope.
    requireHostHeader: false,
    keepAliveTimeout: Duration.toMillis(http.keepAliveTimeout),
    headersTimeout: headersMillis,
    maxHeaderSize: maxHeadersBytes,
    // The body has its own limit with an answer of its own; this one is behind it, for requests that nobody reads.
    requestTimeout: Math.max(headersMillis, Duration.toMillis(http.bodyTimeout) * 2)
  })
  server.on("request", receive)
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy()
    else refuse(socket, errorOf(error.code))
  })
  // Without these two, node answers an expectation that it does not know by an empty 417, and CONNECT not at all.
  server.on("checkExpectation", receive)
  server.on("connect", (_, socket) => {
    // It is nobody's any more: node has taken its own listeners off, and an error that nobody hears ends the process.
    socket.on("error", () => socket.destroy())
    refuse(socket, new MethodNotAllowed({ allow: serverAllow }))
  })
  return server
}

const errorOf = (code: string | undefined): HttpError =>
  code === "ERR_HTTP_REQUEST_TIMEOUT"
    ? new RequestTimeout()
    : code === "HPE_HEADER_OVERFLOW"
      ? new HeadersTooLarge({ limitBytes: maxHeadersBytes })
      : new MalformedHttp()

const backlog = 1024

const listen = (server: Http.Server, { host, port }: SettingsShape["http"]) =>
  Effect.async<ReturnType<Http.Server["address"]>, ListenFailed>((resume) => {
    const onError = (cause: NodeJS.ErrnoException) =>
      resume(Effect.fail(new ListenFailed({ host, port, code: cause.code ?? cause.message })))
    server.once("error", onError)
    server.listen({ host, port, backlog }, () => {
      server.off("error", onError)
      resume(Effect.succeed(server.address()))
    })
  }).pipe(Effect.uninterruptible)

const closed = (server: Http.Server) =>
  Effect.sync(() => {
    if (server.listening) server.close()
    server.closeAllConnections()
  })

const urlOf = (address: ReturnType<Http.Server["address"]>, { host, port }: SettingsShape["http"]): string => {
  const taken = address !== null && typeof address === "object" ? address.port : port
  return `http://${host.includes(":") ? `[${host}]` : host}:${taken}`
}
