import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import { saneRequestId } from "../../domain/basics/Ids.ts"
import { HttpSocket, ListenFailed } from "../../services/api/HttpSocket.ts"
import { Ids } from "../../services/running/Ids.ts"
import { InFlight } from "../../services/running/InFlight.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { Settings } from "../../services/running/Settings.ts"
import { healthOf, type HealthAnswer, type Refused } from "./Health.ts"

/** Longer than a load balancer keeps its idle connections, so that it is the one who closes them. */
const keepAliveMillis = 65_000
const headersMillis = 15_000
const retryAfterSeconds = 5

// Not `NodeHttpServer.layer`: that one listens before it has a handler, loses the handler before it stops listening,
// and waits for open connections without a limit.
export const layer: Layer.Layer<HttpSocket, ListenFailed, Ids | InFlight | Lifecycle | Settings> = Layer.scoped(
  HttpSocket,
  Effect.gen(function* () {
    const { http } = yield* Settings
    const lifecycle = yield* Lifecycle
    const inFlight = yield* InFlight
    const ids = yield* Ids
    const clock = yield* Effect.clock

    /** For what has no response object. */
    const endRaw = (socket: Duplex, status: string, refused: Refused, headers = "") => {
      const requestId = ids.uuidV7(clock.unsafeCurrentTimeMillis())
      const body = envelope(refused, requestId)
      socket.end(
        `HTTP/1.1 ${status}\r\nconnection: close\r\n${headers}x-request-id: ${requestId}\r\n` +
          `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
      )
    }

    let handler: ((request: Http.IncomingMessage, response: Http.ServerResponse) => void) | undefined

    const server = Http.createServer({
      // Refused below, with the envelope.
      requireHostHeader: false,
      keepAliveTimeout: keepAliveMillis,
      headersTimeout: headersMillis,
      // The body has its own limit with an answer of its own; this one is behind it, for requests that nobody reads.
      requestTimeout: Math.max(headersMillis, Duration.toMillis(http.bodyTimeout) * 2)
    })

    server.on("request", (request, response) => {
      const requestId = () =>
        saneRequestId(request.headers["x-request-id"]) ?? ids.uuidV7(clock.unsafeCurrentTimeMillis())
      const health = healthOf(request, {
        phase: lifecycle.phase(),
        stopping: lifecycle.stopping(),
        inFlight: inFlight.count()
      })
      if (request.headers.host === undefined && request.httpVersion === "1.1") {
        request.resume()
        return answer(request, response, requestId(), { status: 400, refused: malformed }, { connection: "close" })
      }
      // A probe's connection stays open while the service drains: it could not connect again to see the end.
      if (health !== undefined) answer(request, response, requestId(), health, {})
      else if (handler !== undefined) handler(request, response)
      else {
        request.resume()
        answer(request, response, requestId(), starting, { connection: "close" })
      }
    })

    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      if (error.code === "ECONNRESET" || !socket.writable) {
        socket.destroy()
        return
      }
      const isSlow = error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      endRaw(socket, isSlow ? "408 Request Timeout" : "400 Bad Request", isSlow ? tooSlow : malformed)
    })
    // Without these two, node answers an expectation that it does not know by an empty 417, and CONNECT not at all.
    server.on("checkExpectation", (request, response) => server.emit("request", request, response))
    server.on("connect", (_, socket) =>
      endRaw(socket, "405 Method Not Allowed", noTunnel, "allow: GET, HEAD, POST, OPTIONS\r\n")
    )

    yield* Effect.acquireRelease(
      Effect.async<void, ListenFailed>((resume) => {
        const onError = (cause: NodeJS.ErrnoException) =>
          resume(Effect.fail(new ListenFailed({ host: http.host, port: http.port, code: cause.code ?? cause.message })))
        server.once("error", onError)
        server.listen({ host: http.host, port: http.port, backlog: 1024 }, () => {
          server.off("error", onError)
          resume(Effect.void)
        })
      }),
      () =>
        Effect.sync(() => {
          if (server.listening) server.close()
          server.closeAllConnections()
        })
    )

    const address = server.address()
    const port = address !== null && typeof address === "object" ? address.port : http.port
    const host = http.host.includes(":") ? `[${http.host}]` : http.host

    return HttpSocket.of({
      url: `http://${host}:${port}`,
      attach: (next) => {
        handler = next
      },
      // The listener alone: `http.Server.close` would destroy idle connections too, whose next request deserves an answer.
      stopListening: Effect.sync(() => {
        if (server.listening) Net.Server.prototype.close.call(server)
      }),
      closeConnections: Effect.sync(() => server.closeAllConnections())
    })
  })
)

const envelope = ({ code, message }: Refused, requestId: string) =>
  JSON.stringify({
    error: {
      message,
      type: code === starting.refused.code ? "server_error" : "invalid_request_error",
      code,
      param: null,
      request_id: requestId
    }
  })

const starting = {
  status: 503,
  refused: { code: "starting", message: "the service is starting, try again in a moment" }
}

const malformed: Refused = { code: "malformed_http", message: "this is not a well-formed HTTP request" }
const tooSlow: Refused = { code: "request_timeout", message: "the request did not arrive in time" }
const noTunnel: Refused = { code: "method_not_allowed", message: "this is not a proxy" }

const answer = (
  request: Http.IncomingMessage,
  response: Http.ServerResponse,
  requestId: string,
  { allow, body, refused, status }: HealthAnswer,
  more: Http.OutgoingHttpHeaders
) => {
  const text = refused === undefined ? (body ?? "") : envelope(refused, requestId)
  response.writeHead(status, {
    "x-request-id": requestId,
    "cache-control": "no-store",
    ...(text === "" ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
    ...(allow === undefined ? {} : { allow }),
    ...(status === 503 ? { "retry-after": String(retryAfterSeconds) } : {}),
    ...more
  })
  response.end(request.method === "HEAD" ? undefined : text)
}
