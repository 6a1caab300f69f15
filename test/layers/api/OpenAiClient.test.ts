import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import OpenAI, { APIError } from "openai"
import { AllModelsFailed } from "../../../src/services/routing/Router.ts"
import { effectfulSink } from "../../support/effectful.ts"
import { serveApi } from "../../support/httpApi.ts"
import { answerHead, recordingRouter } from "../../support/recordingRouter.ts"

const messages = [{ role: "user" as const, content: "hi" }]
const clientOf = (port: number) =>
  new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: "sk-any", maxRetries: 0 })

describe("the unmodified OpenAI client", () => {
  it.live("completes, and sees the headers", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const { data, response } = yield* Effect.promise(() =>
        clientOf(api.port).chat.completions.create({ model: "auto", messages }).withResponse()
      )
      assert.strictEqual(data.choices[0]?.message.content, "391")
      assert.strictEqual(response.headers.get("x-conduit-model"), "small")
    }).pipe(Effect.scoped)
  )

  it.live("reads a stream to its end", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const chunks = yield* Effect.promise(async () => {
        const stream = await clientOf(api.port).chat.completions.create({ model: "auto", messages, stream: true })
        const all: Array<unknown> = []
        for await (const chunk of stream) all.push(chunk)
        return all
      })
      assert.deepStrictEqual(chunks, [{ n: 1 }, { n: 2 }])
    }).pipe(Effect.scoped)
  )

  it.live("throws when a stream breaks", () =>
    Effect.gen(function* () {
      const failed = new AllModelsFailed({ decisionId: "d", timedOut: true, retryAfterSeconds: null, attempts: [] })
      const api = yield* serveApi(
        recordingRouter({
          stream: (_request, _body, _caller, open) =>
            Effect.suspend(() => {
              const sink = effectfulSink(open(answerHead()))
              return Effect.zipRight(sink.events(['{"n":1}']), sink.fail(failed))
            })
        })
      )
      const seen: Array<unknown> = []
      const error = yield* Effect.promise(async () => {
        const stream = await clientOf(api.port).chat.completions.create({ model: "auto", messages, stream: true })
        const read = async () => {
          for await (const chunk of stream) seen.push(chunk)
        }
        return read().then(
          () => null,
          (thrown: unknown) => thrown
        )
      })
      assert.deepStrictEqual(seen, [{ n: 1 }])
      assert.instanceOf(error, APIError)
      if (error instanceof APIError) assert.strictEqual(error.code, "upstream_timeout")
    }).pipe(Effect.scoped)
  )

  it.live("has typed errors with code, param and request id", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const error = yield* Effect.promise(() =>
        clientOf(api.port)
          .chat.completions.create({ model: "no such model", messages })
          .then(
            () => null,
            (thrown: unknown) => thrown
          )
      )
      assert.instanceOf(error, APIError)
      if (!(error instanceof APIError)) return
      assert.deepStrictEqual([error.status, error.code, error.param], [404, "model_not_found", "model"])
      assert.match(String(error.requestID), /^[0-9a-f-]{36}$/)
    }).pipe(Effect.scoped)
  )

  it.live("lists the models, auto first", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const { data } = yield* Effect.promise(() => clientOf(api.port).models.list())
      assert.deepStrictEqual(
        data.map((model) => model.id),
        ["auto", "small"]
      )
      const one = yield* Effect.promise(() => clientOf(api.port).models.retrieve("small"))
      assert.strictEqual(one.object, "model")
    }).pipe(Effect.scoped)
  )
})
