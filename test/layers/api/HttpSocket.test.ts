import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Net from "node:net"
import * as HttpSocketLayer from "../../../src/layers/api/HttpSocket.ts"
import * as IdsCrypto from "../../../src/layers/running/IdsCrypto.ts"
import * as InFlight from "../../../src/layers/running/InFlight.ts"
import { HttpSocket } from "../../../src/services/api/HttpSocket.ts"
import { Lifecycle } from "../../../src/services/running/Lifecycle.ts"
import { defaults, Settings } from "../../../src/services/running/Settings.ts"
import { request } from "../../support/conduit.ts"
import { lifecycleWith } from "../../support/lifecycle.ts"

const TestSettings = Layer.succeed(Settings, { ...defaults, http: { ...defaults.http, port: 0 } })

const Socket = HttpSocketLayer.layer.pipe(
  Layer.provide(InFlight.layer),
  Layer.provide(IdsCrypto.layerWith({ seed: "test" })),
  Layer.provideMerge(lifecycleWith({ shutdownTimeout: "5 seconds" })),
  Layer.provide(TestSettings)
)

const ask = (url: string, method = "GET", headers: Record<string, string> = {}) =>
  Effect.promise(() => request(url, { method, headers }))

/** Writes that and reads until the server closes. */
const rawly = (url: string, text: string) =>
  Effect.promise(
    () =>
      new Promise<string>((resolve, reject) => {
        const { hostname, port } = new URL(url)
        const socket = Net.connect(Number(port), hostname, () => socket.write(text))
        let answer = ""
        socket.on("data", (chunk) => (answer += String(chunk)))
        socket.on("close", () => resolve(answer))
        socket.on("error", reject)
      })
  )

describe("HttpSocket", () => {
  it.scopedLive("answers 503 with the envelope to everything but liveness until an application is attached", () =>
    Effect.gen(function* () {
      const { url } = yield* HttpSocket
      for (const path of ["/health", "/health/startup", "/health/ready"]) {
        assert.strictEqual((yield* ask(url + path)).status, 503, path)
      }
      assert.strictEqual((yield* ask(`${url}/health/live`)).status, 200)
      const refused = yield* ask(`${url}/v1/models`, "GET", { "x-request-id": "my-own" })
      assert.strictEqual(refused.status, 503)
      assert.deepInclude(refused.json.error, { code: "starting", request_id: "my-own" })
      assert.isAbove(Number(refused.headers["retry-after"]), 0)
    }).pipe(Effect.provide(Socket))
  )

  it.scopedLive("says that it is healthy and ready once it runs, and not from the moment it stops", () =>
    Effect.gen(function* () {
      const { url } = yield* HttpSocket
      const lifecycle = yield* Lifecycle
      const running = yield* Effect.fork(lifecycle.run(Layer.empty))
      yield* lifecycle.ready
      const healthy = yield* ask(`${url}/health`)
      assert.strictEqual(healthy.status, 200)
      assert.strictEqual(healthy.json.status, "healthy")
      assert.match(healthy.json.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/)
      assert.isNotEmpty(healthy.headers["x-request-id"])
      const ready = yield* ask(`${url}/health/ready`)
      assert.deepInclude(ready.json, { phase: "running", in_flight: 0, reasons: [] })
      yield* lifecycle.shutdown
      yield* Fiber.join(running)
      assert.strictEqual((yield* ask(`${url}/health`)).json.status, "unhealthy")
      assert.strictEqual((yield* ask(`${url}/health/ready`)).status, 503)
      assert.strictEqual((yield* ask(`${url}/health/live`)).status, 200)
    }).pipe(Effect.provide(Socket))
  )

  it.scopedLive("answers HEAD, OPTIONS and wrong methods on the health paths as on any other", () =>
    Effect.gen(function* () {
      const { url } = yield* HttpSocket
      const head = yield* ask(`${url}/health/live`, "HEAD")
      assert.deepStrictEqual([head.status, head.text], [200, ""])
      const options = yield* ask(`${url}/health`, "OPTIONS")
      assert.deepStrictEqual([options.status, options.headers.allow], [204, "GET, HEAD, OPTIONS"])
      const wrong = yield* ask(`${url}/health`, "DELETE")
      assert.strictEqual(wrong.status, 405)
      assert.strictEqual(wrong.headers.allow, "GET, HEAD, OPTIONS")
      assert.strictEqual(wrong.json.error.code, "method_not_allowed")
    }).pipe(Effect.provide(Socket))
  )

  it.scopedLive.each([
    ["no host", "GET /health/live HTTP/1.1\r\n\r\n", "400", "malformed_http"],
    ["two hosts", "GET /health/live HTTP/1.1\r\nhost: x\r\nHost: y\r\n\r\n", "400", "malformed_http"],
    ["no version", "GET /health/live\r\n\r\n", "400", "malformed_http"],
    ["no HTTP", "HELLO\r\n\r\n", "400", "malformed_http"],
    [
      "too large a head",
      `GET /health/live HTTP/1.1\r\nhost: x\r\nx: ${"a".repeat(100_000)}\r\n\r\n`,
      "431",
      "headers_too_large"
    ],
    ["a tunnel", "CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n", "405", "method_not_allowed"]
  ] as const)("answers %s with the envelope and a request id", ([, text, status, code]) =>
    Effect.gen(function* () {
      const { url } = yield* HttpSocket
      const answer = yield* rawly(url, text)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
      const id = /x-request-id: (\S+)/i.exec(answer)?.[1]
      assert.isDefined(id)
      assert.include(answer, `"code":"${code}"`)
      assert.include(answer, `"request_id":"${id}"`)
    }).pipe(Effect.provide(Socket))
  )

  it.scopedLive("answers a request whose expectation it does not know as if it had none", () =>
    Effect.gen(function* () {
      const { url } = yield* HttpSocket
      const text = "GET /health/live HTTP/1.1\r\nhost: x\r\nexpect: miracles\r\nconnection: close\r\n\r\n"
      assert.match(yield* rawly(url, text), /^HTTP\/1.1 200 /)
    }).pipe(Effect.provide(Socket))
  )

  it.scopedLive("reads 32 KB of headers", () =>
    Effect.gen(function* () {
      const { url } = yield* HttpSocket
      const headers = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`x-filler-${i}`, "a".repeat(1024)]))
      assert.strictEqual((yield* ask(`${url}/health/live`, "GET", headers)).status, 200)
    }).pipe(Effect.provide(Socket))
  )

  it.scopedLive("answers OPTIONS * for the service as a whole", () =>
    Effect.gen(function* () {
      const { url } = yield* HttpSocket
      const answer = yield* rawly(url, "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
      assert.match(answer, /^HTTP\/1.1 204 /)
      assert.match(answer, /allow: GET, HEAD, POST, OPTIONS\r\n/i)
    }).pipe(Effect.provide(Socket))
  )

  it.scopedLive("keeps an idle connection as long as the setting says, and says so", () =>
    Effect.gen(function* () {
      const { url } = yield* HttpSocket
      const answer = yield* Effect.async<string>((resume) => {
        const { hostname, port } = new URL(url)
        const socket = Net.connect(Number(port), hostname, () =>
          socket.write("GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        )
        socket.once("data", (data) => resume(Effect.succeed(String(data))))
      })
      assert.match(answer, /\r\nkeep-alive: timeout=620\r\n/i)
    }).pipe(Effect.provide(Socket))
  )
})
