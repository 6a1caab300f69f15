import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import * as Net from "node:net"
import { HttpSocket, ListenFailed } from "../services/HttpSocket.ts"
import { InFlight } from "../services/InFlight.ts"
import { Lifecycle } from "../services/Lifecycle.ts"
import { Settings } from "../services/Settings.ts"
import { healthOf, type HealthAnswer } from "./httpSocket/health.ts"

/** Longer than a load balancer keeps its idle connections, so that it is the one who closes them. */
const keepAliveMillis = 65_000
const headersMillis = 15_000
const retryAfterSeconds = 5

// Not `NodeHttpServer.layer`: that one listens before it has a handler, loses the handler before it stops listening,
// and waits for open connections without a limit.
export const layer: Layer.Layer<HttpSocket, ListenFailed, InFlight | Lifecycle | Settings> = Layer.scoped(
  HttpSocket,
  Effect.gen(function* () {
    const { http } = yield* Settings
    const lifecycle = yield* Lifecycle
    const inFlight = yield* InFlight

    let handler: ((request: Http.IncomingMessage, response: Http.ServerResponse) => void) | undefined

    const server = Http.createServer({
      keepAliveTimeout: keepAliveMillis,
      headersTimeout: headersMillis,
      // The body has its own limit with an answer of its own; this one is behind it, for requests that nobody reads.
      requestTimeout: Math.max(headersMillis, Duration.toMillis(http.bodyTimeout) * 2)
    })

    server.on("request", (request, response) => {
      const health = healthOf(request, {
        phase: lifecycle.phase(),
        stopping: lifecycle.stopping(),
        inFlight: inFlight.count()
      })
      // A probe's connection stays open while the service drains: it could not connect again to see the end.
      if (health !== undefined) answer(request, response, health, false)
      else if (handler !== undefined) handler(request, response)
      else {
        request.resume()
        answer(request, response, starting, true)
      }
    })

    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      if (error.code === "ECONNRESET" || !socket.writable) {
        socket.destroy()
        return
      }
      const isSlow = error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      const body = isSlow
        ? envelope("the request did not arrive in time", "request_timeout")
        : envelope("this is not a well-formed HTTP request", "malformed_http")
      socket.end(
        `HTTP/1.1 ${isSlow ? "408 Request Timeout" : "400 Bad Request"}\r\nconnection: close\r\n` +
          `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
      )
    })

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

const envelope = (message: string, code: string) =>
  JSON.stringify({ error: { message, type: "server_error", code, param: null, request_id: null } })

const starting: HealthAnswer = {
  status: 503,
  body: envelope("the service is starting, try again in a moment", "starting")
}

const answer = (
  request: Http.IncomingMessage,
  response: Http.ServerResponse,
  { body, status }: HealthAnswer,
  isLast: boolean
) => {
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    ...(status === 503 ? { "retry-after": String(retryAfterSeconds) } : {}),
    ...(isLast ? { connection: "close" } : {})
  })
  response.end(request.method === "HEAD" ? undefined : body)
}
