import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Http from "node:http"
import * as Net from "node:net"
import { AllModelsFailed, Interrupted, type RouterShape } from "../../../src/services/routing/Router.ts"
import { request } from "../../support/conduit.ts"
import { effectfulSink } from "../../support/effectful.ts"
import { serveApi, type ServedApi } from "../../support/httpApi.ts"
import { answer, answerHead, recordingRouter } from "../../support/recordingRouter.ts"
import { startedAnswers } from "../../support/startedAnswers.ts"

const chat = { messages: [{ role: "user", content: "hi" }], stream: true }
const streaming = (stream: RouterShape["stream"]) => recordingRouter({ stream })

/** As the router does: interruption is told to the sink. */
const heldStream =
  (begun: Deferred.Deferred<void>, gone: Deferred.Deferred<void>): RouterShape["stream"] =>
  (_request, _body, _caller, open) =>
    Effect.suspend(() => {
      const sink = effectfulSink(open(answerHead()))
      return sink.events(['{"n":1}']).pipe(
        Effect.zipRight(Deferred.succeed(begun, undefined)),
        Effect.zipRight(Effect.never),
        Effect.onInterrupt(() => Effect.zipRight(sink.fail(new Interrupted()), Deferred.succeed(gone, undefined)))
      )
    })

describe("streams", () => {
  it.live("frames each payload as an event and ends with [DONE]", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const answered = yield* api.post("/v1/chat/completions", chat, { "x-request-id": "mine" })
      assert.strictEqual(answered.status, 200)
      assert.strictEqual(answered.body, 'data: {"n":1}\n\ndata: {"n":2}\n\ndata: [DONE]\n\n')
      const { headers } = answered
      assert.strictEqual(headers["content-type"], "text/event-stream; charset=utf-8")
      assert.strictEqual(headers["cache-control"], "no-cache")
      assert.strictEqual(headers["x-accel-buffering"], "no")
      assert.strictEqual(headers["x-conduit-model"], "small")
      assert.strictEqual(headers["x-conduit-cost-usd"], undefined)
      assert.strictEqual(headers["x-request-id"], "mine")
      assert.strictEqual(api.begun[0]?.model, "small")
    }).pipe(Effect.scoped)
  )

  it.live("writes what came together as one chunk", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const body = JSON.stringify(chat)
      const raw = yield* Effect.async<string>((resume) => {
        let text = ""
        const socket = Net.connect(api.port, "127.0.0.1", () =>
          socket.write(
            `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
          )
        )
        socket.on("data", (data) => (text += String(data)))
        socket.on("end", () => resume(Effect.succeed(text)))
        socket.on("error", (error) => resume(Effect.die(error)))
      })
      assert.include(raw, '\r\ndata: {"n":1}\n\ndata: {"n":2}\n\n\r\n')
    }).pipe(Effect.scoped)
  )

  it.live("keeps a payload of several lines in one event", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(
        streaming((_r, _b, _c, open) =>
          Effect.suspend(() => {
            const sink = effectfulSink(open(answerHead()))
            return Effect.zipRight(sink.events(["{\n}"]), sink.end)
          })
        )
      )
      const answered = yield* api.post("/v1/chat/completions", chat)
      assert.strictEqual(answered.body, "data: {\ndata: }\n\ndata: [DONE]\n\n")
    }).pipe(Effect.scoped)
  )

  it.live("ends a broken stream with the error's envelope, no [DONE], and a broken connection", () =>
    Effect.gen(function* () {
      const error = new AllModelsFailed({ decisionId: "d", timedOut: false, retryAfterSeconds: null, attempts: [] })
      const api = yield* serveApi(
        streaming((_r, _b, _c, open) =>
          Effect.suspend(() => {
            const sink = effectfulSink(open(answerHead()))
            return Effect.zipRight(sink.events(['{"n":1}']), sink.fail(error))
          })
        )
      )
      const answered = yield* api.post("/v1/chat/completions", chat)
      const [first, second] = answered.body.split("\n\n")
      assert.strictEqual(first, 'data: {"n":1}')
      assert.match(second ?? "", /^data: \{"error":\{.*"code":"all_models_failed".*\nevent: error$/)
      assert.isFalse(answered.complete)
      assert.notInclude(answered.body, "[DONE]")
    }).pipe(Effect.scoped)
  )

  it.live("ends a stream with an error event when a bug breaks it", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(
        streaming((_r, _b, _c, open) =>
          Effect.suspend(() =>
            Effect.zipRight(effectfulSink(open(answerHead())).events(['{"n":1}']), Effect.die("bug"))
          )
        )
      )
      const answered = yield* api.post("/v1/chat/completions", chat)
      assert.match(answered.body, /data: .*"code":"internal_error".*\nevent: error\n\n/)
      assert.notInclude(answered.body, "[DONE]")
    }).pipe(Effect.scoped)
  )

  const raw = (port: number, version: string) =>
    Effect.async<{ readonly text: string; readonly end: string }>((resume) => {
      const body = JSON.stringify(chat)
      let text = ""
      const socket = Net.connect(port, "127.0.0.1", () =>
        socket.write(
          `POST /v1/chat/completions HTTP/${version}\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
        )
      )
      socket.on("data", (data) => (text += String(data)))
      socket.on("end", () => resume(Effect.succeed({ text, end: "FIN" })))
      socket.on("error", (error: NodeJS.ErrnoException) =>
        resume(Effect.succeed({ text, end: error.code ?? error.message }))
      )
    })

  it.live("resets the connection of an HTTP/1.0 peer, to which its end would be the answer's", () =>
    Effect.gen(function* () {
      const error = new AllModelsFailed({ decisionId: "d", timedOut: false, retryAfterSeconds: null, attempts: [] })
      const api = yield* serveApi(
        streaming((_r, _b, _c, open) =>
          Effect.suspend(() => {
            const sink = effectfulSink(open(answerHead()))
            return Effect.zipRight(sink.events(['{"n":1}']), sink.fail(error))
          })
        )
      )
      const old = yield* raw(api.port, "1.0")
      assert.strictEqual(old.end, "ECONNRESET")
      assert.include(old.text, "event: error")
      const present = yield* raw(api.port, "1.1")
      assert.strictEqual(present.end, "FIN")
      assert.isFalse(present.text.endsWith("0\r\n\r\n"))
    }).pipe(Effect.scoped)
  )

  it.live("shows a sign of life, a comment without a blank line, until the last finish reason", () =>
    Effect.gen(function* () {
      const finishing = yield* Deferred.make<void>()
      const over = yield* Deferred.make<void>()
      const api = yield* serveApi(
        streaming((request, _b, _c, open) =>
          Effect.gen(function* () {
            const plain = open({ ...answerHead(), model: null })
            const sink = effectfulSink(plain)
            plain.alive()
            yield* sink.events(['{"n":1}'])
            if (request.text === "goes on") return yield* Effect.zipRight(Deferred.await(over), sink.end)
            yield* Deferred.await(finishing)
            yield* sink.events(['{"n":2}'])
            plain.finishing()
            yield* Deferred.await(over)
            yield* sink.end
          })
        ),
        { streamKeepAlive: Duration.millis(20) }
      )
      const streamed = (content: string, seen: (text: string) => void) =>
        Effect.promise(() =>
          request(`http://127.0.0.1:${api.port}/v1/chat/completions`, {
            body: { ...chat, messages: [{ role: "user", content }] },
            seen
          })
        )
      const signs = (text: string) => text.split(": keep-alive\n").length - 1
      const asking = yield* Effect.fork(
        streamed("finishes", (text) => {
          if (signs(text) >= 3) Deferred.unsafeDone(finishing, Effect.void)
        })
      )
      // Five signs of life of another stream, whose timers began later: as many would have come in this one.
      yield* Deferred.await(finishing)
      yield* streamed("goes on", (text) => {
        if (signs(text) >= 6) Deferred.unsafeDone(over, Effect.void)
      })
      const { complete, headers, text } = yield* Fiber.join(asking)
      assert.match(text, /^: keep-alive\ndata: \{"n":1\}\n\n(: keep-alive\n)+data: \{"n":2\}\n\ndata: \[DONE\]\n\n$/)
      assert.isTrue(complete)
      assert.strictEqual(headers["x-conduit-model"], undefined)
    }).pipe(Effect.scoped)
  )

  it.live("cuts an answer that its client has not read some time after the deadline", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(
        streaming((_r, _b, _c, open) =>
          Effect.suspend(() => {
            const sink = effectfulSink(open(answerHead()))
            return Effect.zipRight(Effect.fork(sink.events([JSON.stringify("x".repeat(30_000_000))])), sink.end)
          })
        ),
        { requestTimeout: Duration.millis(100) }
      )
      const body = JSON.stringify(chat)
      const socket = Net.connect(api.port, "127.0.0.1", () =>
        socket.write(
          `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
        )
      )
      socket.pause()
      yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => api.begun.length > 0 })
      yield* Effect.repeat(Effect.sleep("50 millis"), { until: () => api.inFlight.count() === 0 })
      socket.destroy()
    }).pipe(Effect.scoped)
  )

  it.live("waits for a client that reads slowly", () =>
    Effect.gen(function* () {
      let written = 0
      const total = 200
      const finished = yield* Deferred.make<void>()
      const answers = yield* startedAnswers
      const payload = JSON.stringify({ text: "x".repeat(100_000) })
      const api = yield* serveApi(
        streaming((_r, _b, _c, open) =>
          Effect.suspend(() => {
            const sink = effectfulSink(open(answerHead()))
            return Effect.loop(0, {
              while: (i) => i < total,
              step: (i) => i + 1,
              body: () => Effect.tap(sink.events([payload]), () => Effect.sync(() => written++)),
              discard: true
            }).pipe(Effect.zipRight(sink.end), Effect.zipRight(Deferred.succeed(finished, undefined)))
          })
        )
      )
      const response = yield* Effect.async<Http.IncomingMessage>((resume) => {
        const headers = { "content-type": "application/json" }
        const request = Http.request({ port: api.port, method: "POST", path: "/v1/chat/completions", headers }, (r) =>
          resume(Effect.succeed(r))
        )
        request.end(JSON.stringify(chat))
      })
      // Nobody reads: once the answer is told to wait, nothing more of it is made.
      yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => answers.some((one) => one.writableNeedDrain) })
      assert.isBelow(written, total)
      let bytes = 0
      response.on("data", (chunk: Buffer) => (bytes += chunk.length))
      yield* Effect.async<void>((resume) => void response.on("end", () => resume(Effect.void)))
      yield* Deferred.await(finished)
      assert.strictEqual(bytes, total * (payload.length + 8) + "data: [DONE]\n\n".length)
    }).pipe(Effect.scoped)
  )

  it.live("interrupts the router when the client leaves, even one that does not read", () =>
    Effect.gen(function* () {
      const gone = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const api = yield* serveApi(streaming(heldStream(begun, gone)))
      const asking = yield* Effect.fork(api.post("/v1/chat/completions", chat))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(asking)
      yield* Deferred.await(gone)
      yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => api.ended.length > 0 })
      assert.deepStrictEqual(api.ended, [{ route: "/v1/chat/completions", method: "POST", status: 499 }])
    }).pipe(Effect.scoped)
  )

  it.live("tells the client of a held stream that the service stops, without [DONE]", () =>
    Effect.gen(function* () {
      const gone = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const api = yield* serveApi(streaming(heldStream(begun, gone)))
      const asking = yield* Effect.fork(api.post("/v1/chat/completions", chat))
      yield* Deferred.await(begun)
      yield* api.inFlight.interruptAll
      const answered = yield* Fiber.join(asking)
      assert.match(answered.body, /data: .*"code":"shutting_down".*\nevent: error\n\n/)
      assert.notInclude(answered.body, "[DONE]")
    }).pipe(Effect.scoped)
  )
})

describe("a held JSON request", () => {
  const held = (begun: Deferred.Deferred<void>) =>
    recordingRouter({ complete: () => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never) })

  it.live("gets 503 with Retry-After and Connection: close when the shutdown interrupts it", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const api = yield* serveApi(held(begun))
      const asking = yield* Effect.fork(api.post("/v1/chat/completions", { ...chat, stream: false }))
      yield* Deferred.await(begun)
      yield* api.inFlight.interruptAll
      const answered = yield* Fiber.join(asking)
      assert.strictEqual(answered.status, 503)
      assert.strictEqual(JSON.parse(answered.body).error.code, "shutting_down")
      assert.strictEqual(answered.headers["retry-after"], "1")
      assert.strictEqual(answered.headers["connection"], "close")
    }).pipe(Effect.scoped)
  )

  it.live("is over at once when its client leaves", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const api = yield* serveApi(held(begun))
      const asking = yield* Effect.fork(api.post("/v1/chat/completions", { ...chat, stream: false }))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(asking)
      yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => api.ended.length > 0 })
      assert.strictEqual(api.ended[0]?.status, 499)
    }).pipe(Effect.scoped)
  )

  it.live("does not outlive a client that leaves without reading a large answer", () =>
    Effect.gen(function* () {
      const large = JSON.stringify({ model: "small", text: "x".repeat(20_000_000) })
      const router = recordingRouter()
      const api = yield* serveApi({
        ...router,
        complete: (...args) => Effect.map(router.complete(...args), (a) => ({ ...a, text: large }))
      })
      const text = JSON.stringify({ ...chat, stream: false })
      yield* Effect.async<void>((resume) => {
        const socket = Net.connect(api.port, "127.0.0.1", () => {
          socket.write(
            `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`
          )
          socket.once("readable", () => {
            socket.destroy()
            resume(Effect.void)
          })
        })
      })
      assert.lengthOf(api.begun, 1)
      yield* api.inFlight.awaitEmpty
    }).pipe(Effect.scoped)
  )

  const pipelined = (api: ServedApi, path: string) =>
    Effect.async<Net.Socket>((resume) => {
      const text = JSON.stringify({ ...chat, stream: false })
      const first = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`
      const another = `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`
      const socket = Net.connect(api.port, "127.0.0.1", () => {
        socket.write(first + another.repeat(19))
        resume(Effect.succeed(socket))
      })
    })

  it.live("leaves nothing in flight behind it when a client that pipelines leaves", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const api = yield* serveApi(held(begun))
      const socket = yield* pipelined(api, "/nope")
      yield* Deferred.await(begun)
      yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => api.begun.length === 20 })
      assert.strictEqual(api.inFlight.count(), 20)
      socket.destroy()
      yield* api.inFlight.awaitEmpty
    }).pipe(Effect.scoped)
  )

  it.live("leaves nothing in flight behind it when more waits for that client than a socket buffers", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const complete = () =>
        Deferred.succeed(begun, undefined).pipe(Effect.zipRight(Deferred.await(goOn)), Effect.as(answer()))
      const api = yield* serveApi(recordingRouter({ complete }))
      const socket = yield* pipelined(api, "/openapi.json")
      yield* Deferred.await(begun)
      yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => api.begun.length > 1 })
      // Node reads no further while so much waits, so that the service cannot see the client leave.
      socket.destroy()
      yield* Deferred.succeed(goOn, undefined)
      yield* api.inFlight.awaitEmpty
    }).pipe(Effect.scoped)
  )

  it.live("keeps nothing of the requests that were pipelined before it, once they are answered", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const another = "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
      let text = ""
      const socket = Net.connect(api.port, "127.0.0.1", () => socket.write(another.repeat(20)))
      socket.on("data", (data) => (text += String(data)))
      yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => text.split("HTTP/1.1 200").length === 21 })
      yield* api.inFlight.awaitEmpty
      socket.destroy()
    }).pipe(Effect.scoped)
  )
})
