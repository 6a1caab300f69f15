import * as Http from "node:http"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { effectfulModels } from "../../support/effectful.ts"
import { httpModels, modelOf } from "../../support/httpModels.ts"
import { chatBody, chunksFrom, languageModelsContract, readAll } from "../../support/languageModelsContract.ts"
import { startMockLlm } from "../../support/mockLlm.ts"
import { startedAnswers } from "../../support/startedAnswers.ts"

const model = modelOf("small", "small-8b")
const limits = { timeoutMs: 5000 }

languageModelsContract(
  "LanguageModelsHttp",
  Layer.unwrapScoped(Effect.map(startMockLlm(), ({ baseUrl }) => httpModels(baseUrl))),
  model
)

/** A server that answers every request with this; its base URL. */
const answering = (answer: (response: Http.ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = Http.createServer((request, response) => {
        request.resume()
        request.once("end", () => answer(response))
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  ).pipe(
    Effect.map((server) => {
      const address = server.address()
      return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/v1`
    })
  )

/** Something else that both ends do meanwhile. */
const roundTrip = (url: string) => Effect.promise(() => fetch(url).then((answer) => answer.arrayBuffer()))

const completing = (baseUrl: string, body = chatBody(), timeoutMs = 5000) =>
  Effect.flatMap(effectfulModels, (models) => models.complete(model, body, { timeoutMs })).pipe(
    Effect.provide(httpModels(baseUrl))
  )

const streaming = (baseUrl: string, timeoutMs = 5000) =>
  Effect.flatMap(effectfulModels, (models) => models.stream(model, chatBody(), { timeoutMs })).pipe(
    Effect.flatMap(readAll),
    Effect.scoped,
    Effect.provide(httpModels(baseUrl))
  )

describe("LanguageModelsHttp", () => {
  it.live("sends the caller's body untouched but for model, conduit and stream_options", () =>
    Effect.gen(function* () {
      const mock = yield* startMockLlm({ apiKey: Redacted.make("the-key") })
      const sent = chatBody({ temperature: 0.25, vendor: { deep: [1, null] } })
      const body = { ...sent, conduit: { task: "math" } }
      yield* Effect.gen(function* () {
        const models = yield* effectfulModels
        yield* models.complete(model, body, limits)
        const stream = yield* models.stream(model, { ...body, stream_options: { vendor_option: 1 } }, limits)
        yield* readAll(stream)
      }).pipe(Effect.scoped, Effect.provide(httpModels(mock.baseUrl, "the-key")))

      const [whole, streamed] = mock.requests().last
      assert.deepStrictEqual(whole?.body, { ...sent, model: "small-8b" })
      assert.deepStrictEqual(streamed?.body, {
        ...sent,
        model: "small-8b",
        stream: true,
        stream_options: { vendor_option: 1, include_usage: true }
      })
      assert.isTrue(whole?.authorized)
    }).pipe(Effect.scoped)
  )

  it.live("aborts the call at the provider when it is interrupted, streamed or not, and when a stream is closed", () =>
    Effect.gen(function* () {
      const mock = yield* startMockLlm()
      yield* Effect.gen(function* () {
        const models = yield* effectfulModels
        const body = chatBody({ mock: { gate: "held" } })
        const whole = yield* Effect.fork(models.complete(model, body, limits))
        const streamed = yield* Effect.fork(Effect.scoped(models.stream(model, body, limits)))
        yield* mock.waiting(2, "held")
        yield* Fiber.interruptAll([whole, streamed])
        yield* mock.until(({ aborted, inFlight }) => aborted === 2 && inFlight === 0)

        const scope = yield* Scope.make()
        const after = chatBody({ mock: { gate: "later", gate_after: 2 } })
        const stream = yield* Scope.extend(models.stream(model, after, limits), scope)
        yield* stream.next
        yield* mock.waiting(1, "later")
        yield* Scope.close(scope, Exit.void)
        yield* mock.until(({ aborted, inFlight }) => aborted === 3 && inFlight === 0)
      }).pipe(Effect.provide(httpModels(mock.baseUrl)))
    }).pipe(Effect.scoped)
  )

  it.live("reads no further while nobody asks for events, and everything when somebody does", () =>
    Effect.gen(function* () {
      const mock = yield* startMockLlm()
      const tokens = 100_000
      yield* Effect.gen(function* () {
        const models = yield* effectfulModels
        const stream = yield* models.stream(model, chatBody({ mock: { tokens } }), { timeoutMs: 60_000 })
        const first = yield* stream.next
        // Nothing moves although everything else does: a hundred round trips to the same mock in a row.
        let written = -1
        for (let still = 0; still < 100;) {
          yield* roundTrip(`${mock.baseUrl}/models`)
          still = written === mock.requests().events ? still + 1 : 0
          written = mock.requests().events
        }
        assert.isBelow(written, tokens)
        const rest = yield* readAll(stream)
        const chunks = chunksFrom([...first, ...rest])
        assert.strictEqual(chunks.filter((c) => c.choices[0]?.delta.content).length, tokens)
        assert.strictEqual(stream.said().usage?.["completion_tokens"], tokens)
      }).pipe(Effect.scoped, Effect.provide(httpModels(mock.baseUrl)))
    }).pipe(Effect.scoped)
  )

  it.live("limits the time between two events", () =>
    Effect.gen(function* () {
      const mock = yield* startMockLlm()
      yield* Effect.gen(function* () {
        const models = yield* effectfulModels
        const body = chatBody({ mock: { text: "one two", gate: "held", gate_after: 2 } })
        const stream = yield* models.stream(model, body, { timeoutMs: 300 })
        assert.strictEqual((yield* stream.next).length, 2)
        assert.strictEqual((yield* Effect.flip(stream.next)).reason, "timeout")
      }).pipe(Effect.scoped, Effect.provide(httpModels(mock.baseUrl)))
    }).pipe(Effect.scoped)
  )

  it.live("reuses the connection of a stream that was read to its end", () =>
    Effect.gen(function* () {
      const ports = new Set<number | undefined>()
      const url = yield* answering((response) => {
        if (response.req.method === "GET") {
          response.end()
          return
        }
        ports.add(response.socket?.remotePort)
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.write('data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
        setTimeout(() => response.end(), 5)
      })
      yield* Effect.gen(function* () {
        const models = yield* effectfulModels
        const answers = yield* startedAnswers
        for (let i = 0; i < 10; i++) {
          yield* models.stream(model, chatBody(), limits).pipe(Effect.flatMap(readAll), Effect.scoped)
          yield* Effect.repeat(Effect.sleep("2 millis"), {
            until: () => answers.every(({ writableFinished }) => writableFinished)
          })
          // What was sent before these has arrived when they are answered.
          for (let turn = 0; turn < 5; turn++) yield* roundTrip(url)
        }
      }).pipe(Effect.scoped, Effect.provide(httpModels(url)))
      assert.strictEqual(ports.size, 1)
    }).pipe(Effect.scoped)
  )

  it.live("says unauthorized for a wrong key, without the key", () =>
    Effect.gen(function* () {
      const url = yield* answering((response) => {
        response.writeHead(401, { "content-type": "application/json" })
        response.end('{"error":{"message":"Incorrect API key provided: wrong-key"}}')
      })
      const error = yield* Effect.flip(
        Effect.flatMap(effectfulModels, (models) => models.complete(model, chatBody(), limits)).pipe(
          Effect.provide(httpModels(url, "wrong-key"))
        )
      )
      assert.strictEqual(error.reason, "unauthorized")
      assert.notInclude(JSON.stringify(error), "wrong-key")
    }).pipe(Effect.scoped)
  )

  it.live("says connection when nobody listens", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(answering(() => undefined))
      const error = yield* Effect.flip(completing(url))
      assert.strictEqual(error.reason, "connection")
      assert.strictEqual(error.status, null)
      assert.strictEqual((yield* Effect.flip(streaming(url))).reason, "connection")
    })
  )

  const statuses: ReadonlyArray<readonly [number, string]> = [
    [302, "server_error"],
    [402, "payment"],
    [403, "forbidden"],
    [404, "not_found"],
    [408, "timeout"],
    [409, "conflict"],
    [413, "rejected"],
    [415, "rejected"],
    [422, "rejected"],
    [503, "server_error"]
  ]
  it.live("names the reason by the status, with the provider's message cut to 500 characters", () =>
    Effect.gen(function* () {
      for (const [status, reason] of statuses) {
        const url = yield* answering((response) => {
          response.writeHead(status, { "content-type": "application/json" })
          response.end(JSON.stringify({ error: { message: `line one\nline two ${"x".repeat(1000)}` } }))
        })
        for (const error of [yield* Effect.flip(completing(url)), yield* Effect.flip(streaming(url))]) {
          assert.deepStrictEqual([error.status, error.reason], [status, reason])
          assert.isAtMost(error.detail.length, 500)
          if (reason !== "unauthorized") assert.isTrue(error.detail.startsWith("line one line two x"))
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("reads Retry-After as a date, and says nothing about one that makes no sense", () =>
    Effect.gen(function* () {
      const inAMinute = yield* answering((response) => {
        response.writeHead(429, { "retry-after": new Date(Date.now() + 60_000).toUTCString() })
        response.end("<html>slow down</html>")
      })
      const limited = yield* Effect.flip(completing(inAMinute))
      assert.isAtLeast(limited.retryAfterSeconds ?? 0, 58)
      assert.isAtMost(limited.retryAfterSeconds ?? 0, 60)
      const nonsense = yield* answering((response) => {
        response.writeHead(429, { "retry-after": "soon" })
        response.end()
      })
      assert.strictEqual((yield* Effect.flip(completing(nonsense))).retryAfterSeconds, null)
      const finer = yield* answering((response) => {
        response.writeHead(503, { "retry-after": "1", "retry-after-ms": "250" })
        response.end()
      })
      assert.strictEqual((yield* Effect.flip(completing(finer))).retryAfterSeconds, 0.25)
      assert.strictEqual((yield* Effect.flip(streaming(finer))).retryAfterSeconds, 0.25)
    }).pipe(Effect.scoped)
  )

  it.live("does not wait for the end of an error's body when its status is known", () =>
    Effect.gen(function* () {
      const endless = yield* answering((response) => {
        response.writeHead(503, { "content-type": "application/json" })
        response.write('{"error":{"message":"busy')
      })
      for (const error of [yield* Effect.flip(completing(endless)), yield* Effect.flip(streaming(endless))]) {
        assert.deepInclude(error, { reason: "server_error", status: 503 })
      }
    }).pipe(Effect.scoped)
  )

  it.live("says why an error answer that never ends failed, at the limit", () =>
    Effect.gen(function* () {
      const url = yield* answering((response) => {
        response.writeHead(429)
        response.write('{"error":')
      })
      assert.strictEqual((yield* Effect.flip(completing(url, chatBody(), 2000))).reason, "rate_limited")
      assert.strictEqual((yield* Effect.flip(streaming(url, 2000))).reason, "rate_limited")
    }).pipe(Effect.scoped)
  )

  const badAnswers: ReadonlyArray<readonly [string, string, string]> = [
    ["a list", "application/json", "[]"],
    ["no choices", "application/json", '{"choices":[]}'],
    ["a page", "text/html", "<html></html>"]
  ]
  it.live("says bad_answer for what is no completion", () =>
    Effect.gen(function* () {
      for (const [what, type, text] of badAnswers) {
        const url = yield* answering((response) => {
          response.writeHead(200, { "content-type": type })
          response.end(text)
        })
        assert.strictEqual((yield* Effect.flip(completing(url))).reason, "bad_answer", what)
        assert.strictEqual((yield* Effect.flip(streaming(url))).reason, "bad_answer", what)
      }
    }).pipe(Effect.scoped)
  )

  it.live("takes an error in an answer of status 200 for what it is", () =>
    Effect.gen(function* () {
      const error = { error: { code: 429, message: "overloaded" } }
      const whole = yield* answering((response) => {
        response.writeHead(200, { "content-type": "application/json" })
        response.end(JSON.stringify(error))
      })
      assert.strictEqual((yield* Effect.flip(completing(whole))).reason, "rate_limited")
      const streamed = yield* answering((response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.end(`data: {"choices":[{}]}\n\ndata: ${JSON.stringify({ error: { message: "broke" } })}\n\n`)
      })
      const broken = yield* Effect.flip(streaming(streamed))
      assert.deepStrictEqual([broken.reason, broken.detail], ["server_error", "broke"])
    }).pipe(Effect.scoped)
  )

  it.live("says cut when the connection breaks after the first event", () =>
    Effect.gen(function* () {
      const url = yield* answering((response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.write('data: {"choices":[{}]}\n\n', () => response.destroy())
      })
      assert.strictEqual((yield* Effect.flip(streaming(url))).reason, "cut")
    }).pipe(Effect.scoped)
  )

  it.live("refuses an event without an end", () =>
    Effect.gen(function* () {
      const url = yield* answering((response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.write("data: {")
        const piece = "x".repeat(1024 * 1024)
        const more = () => {
          if (!response.destroyed) response.write(piece, more)
        }
        more()
      })
      const error = yield* Effect.flip(streaming(url))
      assert.deepStrictEqual([error.reason, error.detail], ["bad_answer", "an event is too large"])
    }).pipe(Effect.scoped)
  )

  it.live("refuses a whole answer above 64 MiB", () =>
    Effect.gen(function* () {
      const url = yield* answering((response) => {
        response.writeHead(200, { "content-type": "application/json" })
        const piece = " ".repeat(4 * 1024 * 1024)
        const more = () => {
          if (!response.destroyed) response.write(piece, more)
        }
        more()
      })
      const error = yield* Effect.flip(completing(url, chatBody(), 20_000))
      assert.deepStrictEqual([error.reason, error.detail], ["bad_answer", "the answer is too large"])
    }).pipe(Effect.scoped)
  )

  it.live("refuses a body that is nested deeper than JSON can be written", () =>
    Effect.gen(function* () {
      let deep: unknown = 1
      for (let i = 0; i < 200_000; i++) deep = [deep]
      const mock = yield* startMockLlm()
      assert.strictEqual((yield* Effect.flip(completing(mock.baseUrl, chatBody({ deep })))).reason, "rejected")
      assert.strictEqual(mock.requests().total, 0)
    }).pipe(Effect.scoped)
  )
})
