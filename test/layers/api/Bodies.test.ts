import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Zlib from "node:zlib"
import { serveApi, type ServedApi } from "../../support/httpApi.ts"
import { recordingRouter } from "../../support/recordingRouter.ts"
import { unnamed } from "../../support/apiKeys.ts"

const user = { role: "user", content: "What is 17 * 23?" }
const chat = (over: Record<string, unknown> = {}) => ({ model: "auto", messages: [user], ...over })
const errorOf = (body: string) => JSON.parse(body).error

/** Sends as much of 50 MB as the server takes, and reports the answer or how the connection broke. */
const upload = (api: ServedApi, headers: Record<string, string | number>) =>
  Effect.async<{ readonly status: number; readonly body: string; readonly error: string | null }>((resume) => {
    const block = Buffer.alloc(1024 * 1024, 0x20)
    const request = Http.request(
      { port: api.port, method: "POST", path: "/v1/chat/completions", headers },
      (response) => {
        let body = ""
        response.on("data", (chunk: Buffer) => (body += chunk.toString()))
        response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, body, error: null })))
      }
    )
    request.on("error", (error) => resume(Effect.succeed({ status: 0, body: "", error: error.message })))
    let left = 50
    const more = () => {
      while (left > 0) {
        left--
        if (!request.write(block)) {
          request.once("drain", more)
          return
        }
      }
      request.end()
    }
    more()
    return Effect.sync(() => request.destroy())
  })

describe("bodies", () => {
  const refused: ReadonlyArray<readonly [what: string, body: string | Buffer, status: number, code: string]> = [
    ["malformed JSON", "{", 400, "malformed_body"],
    ["an empty body", "", 400, "malformed_body"],
    ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22]), 400, "malformed_body"],
    ["10,000 levels of arrays", "[".repeat(10_000) + "]".repeat(10_000), 400, "malformed_body"],
    [
      "10,000 levels inside a message",
      `{"messages":${'[{"a":'.repeat(5000)}1${"}]".repeat(5000)}}`,
      400,
      "malformed_body"
    ],
    ["129 levels", "[".repeat(129) + "]".repeat(129), 400, "malformed_body"],
    [
      "129 levels after a string that ends with a backslash",
      `["\\\\", ${"[".repeat(128)}"x"${"]".repeat(129)}`,
      400,
      "malformed_body"
    ],
    ["an array instead of an object", "[]", 400, "invalid_request"],
    ["null", "null", 400, "invalid_request"]
  ]
  for (const [what, body, status, code] of refused) {
    it.live(`answers ${status} to ${what}, and nothing reaches the router`, () =>
      Effect.gen(function* () {
        const router = recordingRouter()
        const api = yield* serveApi(router)
        const answered = yield* api.post("/v1/chat/completions", body)
        assert.strictEqual(answered.status, status)
        assert.strictEqual(errorOf(answered.body).code, code)
        assert.strictEqual(errorOf(answered.body).request_id, answered.headers["x-request-id"])
        assert.strictEqual(router.asked.length, 0)
        assert.strictEqual((yield* api.post("/v1/chat/completions", chat())).status, 200)
      }).pipe(Effect.scoped)
    )
  }

  it.live("takes brackets and escaped quotes inside of strings for text", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      // What follows the escaped quote is still text; what follows the backslash at an end is not.
      const content = `"${"[{".repeat(500)}\\"\\\\" "`
      const answered = yield* api.post("/v1/chat/completions", chat({ messages: [{ role: "user", content }] }))
      assert.strictEqual(answered.status, 200)
      assert.strictEqual(router.asked[0]?.request.text, content)
    }).pipe(Effect.scoped)
  )

  const types: ReadonlyArray<readonly [string | null, number]> = [
    ["application/json; charset=utf-8", 200],
    ["Application/JSON", 200],
    ["text/plain", 415],
    ["application/jsonp", 415],
    ["application/x-www-form-urlencoded", 415],
    [null, 415]
  ]
  for (const [type, status] of types) {
    it.live(`answers ${status} to content type ${type}`, () =>
      Effect.gen(function* () {
        const api = yield* serveApi(recordingRouter())
        const headers = type === null ? {} : { "content-type": type }
        const body = JSON.stringify(chat())
        assert.strictEqual((yield* api.ask("POST", "/v1/chat/completions", { headers, body })).status, status)
      }).pipe(Effect.scoped)
    )
  }

  const codings: ReadonlyArray<readonly [coding: string, encode: (text: string) => Buffer]> = [
    ["gzip", Zlib.gzipSync],
    ["x-gzip", Zlib.gzipSync],
    ["deflate", Zlib.deflateSync],
    ["br", Zlib.brotliCompressSync],
    ["identity", Buffer.from]
  ]
  for (const [coding, encode] of codings) {
    it.live(`reads a body that came as ${coding}`, () =>
      Effect.gen(function* () {
        const router = recordingRouter()
        const api = yield* serveApi(router)
        const content = "a prompt that is long enough to be compressed ".repeat(100)
        const body = encode(JSON.stringify(chat({ messages: [{ role: "user", content }] })))
        const answered = yield* api.post("/v1/chat/completions", body, { "content-encoding": coding })
        assert.strictEqual(answered.status, 200, answered.body)
        assert.strictEqual(router.asked[0]?.request.text, content)
        if (coding === "identity") return
        for (const bad of [body.subarray(0, body.length - 5), Buffer.from("not compressed at all")]) {
          const refused = yield* api.post("/v1/feedback", bad, { "content-encoding": coding })
          assert.deepStrictEqual([refused.status, errorOf(refused.body).code], [400, "malformed_body"])
        }
        const bomb = yield* api.post("/v1/chat/completions", encode(" ".repeat(40 * 1024 * 1024)), {
          "content-encoding": coding
        })
        assert.deepStrictEqual([bomb.status, errorOf(bomb.body).code], [413, "body_too_large"])
        assert.lengthOf(router.asked, 1)
      }).pipe(Effect.scoped)
    )
  }

  it.live("refuses a coding that it does not know, and says which it does", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      for (const coding of ["compress", "gzip, br", "toString"]) {
        const answered = yield* api.post("/v1/chat/completions", chat(), { "content-encoding": coding })
        assert.deepStrictEqual([answered.status, errorOf(answered.body).code], [415, "unsupported_coding"])
        assert.match(String(answered.headers["accept-encoding"]), /^gzip, deflate, br(, zstd)?$/)
      }
    }).pipe(Effect.scoped)
  )

  it.live("takes a byte order mark for nothing", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      assert.strictEqual((yield* api.post("/v1/chat/completions", `\uFEFF${JSON.stringify(chat())}`)).status, 200)
    }).pipe(Effect.scoped)
  )

  for (const [what, text] of [
    ["as it is", '{"conduit":{"__proto__":{"task":"harmless"}}}'],
    ["with escapes", '{"messages":[{"role":"user","content":"x","\\u005f_pr\\u006fto__":{"name":"harmless"}}]}'],
    ["at the top", '{"__proto__":{"kind":"score"}}'],
    ["as null", '{"x":[{"__proto__":null}]}']
  ] as const) {
    it.live(`refuses a key that names an object's prototype, ${what}`, () =>
      Effect.gen(function* () {
        const router = recordingRouter()
        const api = yield* serveApi(router)
        for (const path of ["/v1/chat/completions", "/v1/complete", "/v1/route", "/v1/outcomes", "/v1/feedback"]) {
          const answered = yield* api.post(path, text)
          assert.deepStrictEqual([answered.status, errorOf(answered.body).code], [400, "malformed_body"], path)
          assert.include(errorOf(answered.body).message, "__proto__")
        }
        assert.lengthOf(router.asked, 0)
        assert.lengthOf(api.logged, 0)
      }).pipe(Effect.scoped)
    )
  }

  it.live("takes such a name for text where it is text", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const content = 'What does "__proto__" mean in JavaScript?'
      assert.strictEqual(
        (yield* api.post("/v1/chat/completions", chat({ messages: [{ ...user, content }] }))).status,
        200
      )
      assert.strictEqual(router.asked[0]?.request.text, content)
    }).pipe(Effect.scoped)
  )

  it.live("answers 413 to more JSON values than can be checked without holding others up", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const body = `{"messages":[],"x":[${"1,".repeat(250_000)}1]}`
      const answered = yield* api.post("/v1/chat/completions", body)
      assert.deepStrictEqual([answered.status, errorOf(answered.body).code], [413, "body_too_large"])
      assert.include(errorOf(answered.body).message, "JSON values")
    }).pipe(Effect.scoped)
  )

  it.live("answers 503 to what all bodies together have no room for, and reads on once there is room again", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router, { maxBodyBytes: 100_000, maxBodiesBytes: 150_000 })
      const content = "x".repeat(90_000)
      const body = JSON.stringify(chat({ messages: [{ role: "user", content }] }))
      const goOn = yield* Deferred.make<void>()
      const isHalfSent = yield* Deferred.make<void>()
      const held = yield* Effect.fork(
        Effect.async<number>((resume) => {
          const headers = { "content-type": "application/json", "content-length": body.length }
          const request = Http.request(
            { port: api.port, method: "POST", path: "/v1/chat/completions", headers },
            (response) => resume(Effect.succeed(response.statusCode ?? 0))
          )
          request.write(body.slice(0, 80_000), () => Deferred.unsafeDone(isHalfSent, Effect.void))
          void Effect.runPromise(Deferred.await(goOn)).then(() => request.end(body.slice(80_000)))
        })
      )
      yield* Deferred.await(isHalfSent)
      const refused = yield* Effect.repeat(api.post("/v1/chat/completions", body), {
        until: ({ status }) => status !== 200
      })
      assert.deepStrictEqual([refused.status, errorOf(refused.body).code], [503, "overloaded"])
      assert.match(String(refused.headers["retry-after"]), /^[1-9]/)
      yield* Deferred.succeed(goOn, undefined)
      assert.strictEqual(yield* Fiber.join(held), 200)
      assert.strictEqual((yield* api.post("/v1/chat/completions", body)).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("answers 413 to 50 MB, announced or chunked, before and without a reset", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      for (let i = 0; i < 3; i++) {
        for (const headers of [{ "content-length": 50 * 1024 * 1024 }, { "transfer-encoding": "chunked" }]) {
          const answered = yield* upload(api, { "content-type": "application/json", ...headers })
          assert.strictEqual(answered.error, null)
          assert.strictEqual(answered.status, 413)
          assert.strictEqual(errorOf(answered.body).code, "body_too_large")
        }
      }
      assert.strictEqual(router.asked.length, 0)
      assert.strictEqual((yield* api.post("/v1/chat/completions", chat())).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("gives a large body to a wrong path or without a key its own answer, not a reset", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter(), { apiKeys: unnamed("00".repeat(32)) })
      const answered = yield* upload(api, { "content-type": "application/json", "transfer-encoding": "chunked" })
      assert.deepStrictEqual([answered.error, answered.status], [null, 401])
    }).pipe(Effect.scoped)
  )

  it.live("reads a body of one-byte chunks", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const body = JSON.stringify(chat())
      const raw = yield* Effect.async<string>((resume) => {
        const socket = Net.connect(api.port, "127.0.0.1")
        let text = ""
        socket.on("data", (data) => (text += data.toString()))
        socket.on("close", () => resume(Effect.succeed(text)))
        socket.write(
          "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for (const byte of body) socket.write(`1\r\n${byte}\r\n`)
        socket.write("0\r\n\r\n")
      })
      assert.match(raw, /^HTTP\/1.1 200 /)
      assert.strictEqual(router.asked[0]?.request.text, user.content)
    }).pipe(Effect.scoped)
  )

  it.live("ends a body that comes a byte at a time by the limit, with 408", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router, { bodyTimeout: Duration.millis(300) })
      const raw = yield* Effect.async<string>((resume) => {
        const socket = Net.connect(api.port, "127.0.0.1")
        let text = ""
        socket.on("data", (data) => (text += data.toString()))
        socket.on("error", () => {})
        socket.write(
          "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n"
        )
        // The body would take half a day.
        const timer = setInterval(() => socket.write(" "), 50)
        socket.on("close", () => {
          clearInterval(timer)
          resume(Effect.succeed(text))
        })
      })
      assert.match(raw, /^HTTP\/1.1 408 /)
      assert.match(raw, /"code":"body_timeout"/)
      assert.strictEqual(router.asked.length, 0)
    }).pipe(Effect.scoped)
  )
})
