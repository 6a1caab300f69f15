import { usageOf } from "../../src/domain/routing/Usage.ts"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import type { Model } from "../../src/domain/routing/Model.ts"
import type { LanguageModels, ProviderError } from "../../src/services/models/LanguageModels.ts"
import { effectfulModels, type EffectfulStream } from "./effectful.ts"

const limits = { timeoutMs: 5000 }
const short = { timeoutMs: 150 }

export const chatBody = (more: Readonly<Record<string, unknown>> = {}) => ({
  model: "auto",
  messages: [{ role: "user", content: "Solve 3 + 4" }],
  ...more
})

/** Everything that is left in a stream, a payload an element. */
export const readAll = (stream: EffectfulStream): Effect.Effect<ReadonlyArray<string>, ProviderError> =>
  Effect.gen(function* () {
    const events: Array<string> = []
    for (;;) {
      const arrived = yield* stream.next
      if (arrived.length === 0) return events
      events.push(...arrived)
    }
  })

interface Chunk {
  readonly model: string
  readonly usage?: { readonly completion_tokens: number }
  readonly choices: ReadonlyArray<{
    readonly delta: {
      readonly content?: string
      readonly tool_calls?: ReadonlyArray<{ readonly function: { readonly name?: string; readonly arguments: string } }>
    }
    readonly finish_reason: string | null
  }>
}
export const chunksFrom = (events: ReadonlyArray<string>): ReadonlyArray<Chunk> => events.map((e) => JSON.parse(e))

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
  }
}

/** What every implementation of LanguageModels keeps. The layer is built for each test. */
export const languageModelsContract = <E>(name: string, layer: Layer.Layer<LanguageModels, E>, model: Model) => {
  const refusals = [
    { fault: "400", reason: "rejected", status: 400 },
    { fault: "429", reason: "rate_limited", status: 429 },
    { fault: "500", reason: "server_error", status: 500 },
    { fault: "bad_json", reason: "bad_answer", status: 200 },
    { fault: "hang", reason: "timeout", status: null },
    { fault: "slow_first_token", reason: "timeout", status: null }
  ] as const

  describe(`${name} keeps the contract of LanguageModels`, () => {
    it.live("answers with the model's own object, its usage and its finish reason", () =>
      Effect.gen(function* () {
        const models = yield* effectfulModels
        const answer = yield* models.complete(model, chatBody({ mock: { text: "one two three" } }), limits)
        assert.strictEqual(answer.status, 200)
        assert.deepInclude(usageOf(answer.said.usage), { inputTokens: 3, outputTokens: 3 })
        assert.deepInclude(answer.said, { finishReason: "stop", servedModel: model.upstream, isRefusal: false })
        assert.deepInclude(JSON.parse(answer.text), { object: "chat.completion", model: model.id })
        assert.include(answer.text, "one two three")
      }).pipe(Effect.provide(layer))
    )

    it.live("streams every token in order, then the end, and stays at the end; counts come last", () =>
      Effect.gen(function* () {
        const models = yield* effectfulModels
        const stream = yield* models.stream(
          model,
          chatBody({ mock: { text: "one two thrée 🙂", token_ms: 3 }, stream_options: { include_usage: true } }),
          limits
        )
        assert.strictEqual(stream.status, 200)
        const chunks = chunksFrom(yield* readAll(stream))
        assert.strictEqual(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), "one two thrée 🙂")
        assert.strictEqual(chunks.at(-1)?.choices[0]?.finish_reason, "stop")
        assert.isTrue(chunks.every((chunk) => chunk.model === model.id && chunk.usage === undefined))
        assert.strictEqual(JSON.parse(stream.usageChunk() ?? "").usage.completion_tokens, 4)
        assert.deepInclude(stream.said(), { finishReason: "stop", servedModel: model.upstream, isRefusal: false })
        assert.deepStrictEqual(yield* stream.next, [])
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.live("answers with a tool call, streamed and not", () =>
      Effect.gen(function* () {
        const models = yield* effectfulModels
        const body = chatBody({
          messages: [{ role: "user", content: "What is the weather in Paris today?" }],
          tools: [weather]
        })
        const answer = yield* models.complete(model, body, limits)
        assert.strictEqual(answer.said.finishReason, "tool_calls")
        assert.include(answer.text, "get_weather")
        const stream = yield* models.stream(model, body, limits)
        const calls = chunksFrom(yield* readAll(stream)).flatMap((c) => c.choices[0]?.delta.tool_calls ?? [])
        assert.strictEqual(calls[0]?.function.name, "get_weather")
        assert.deepStrictEqual(JSON.parse(calls.map((c) => c.function.arguments).join("")), { city: "Paris" })
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    for (const { fault, reason, status } of refusals) {
      it.live(`fails with ${reason} on ${fault}, before a stream opens too`, () =>
        Effect.gen(function* () {
          const models = yield* effectfulModels
          const body = chatBody({ mock: { fault } })
          const within = reason === "timeout" ? short : limits
          const whole = yield* Effect.flip(models.complete(model, body, within))
          const streamed = yield* Effect.flip(models.stream(model, body, within))
          for (const error of [whole, streamed]) {
            assert.strictEqual(error.reason, reason)
            assert.strictEqual(error.status, status)
            assert.strictEqual(error.model, model.id)
            assert.strictEqual(error.retryAfterSeconds, fault === "429" ? 1 : null)
          }
        }).pipe(Effect.scoped, Effect.provide(layer))
      )
    }

    it.live("fails with cut when an answer breaks off, after the events that came", () =>
      Effect.gen(function* () {
        const models = yield* effectfulModels
        const whole = yield* Effect.flip(models.complete(model, chatBody({ mock: { fault: "cut" } }), limits))
        assert.strictEqual(whole.reason, "cut")
        const text = "one two three four"
        const stream = yield* models.stream(model, chatBody({ mock: { fault: "cut", text } }), limits)
        const first = yield* stream.next
        assert.isAbove(first.length, 0)
        const error = yield* Effect.flip(readAll(stream))
        assert.strictEqual(error.reason, "cut")
        assert.strictEqual(error.status, 200)
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.live("takes a stream for whole that ends after its finish reason, without [DONE]", () =>
      Effect.gen(function* () {
        const models = yield* effectfulModels
        const stream = yield* models.stream(model, chatBody({ mock: { fault: "no_done", text: "one two" } }), limits)
        const chunks = chunksFrom(yield* readAll(stream))
        assert.strictEqual(chunks.at(-1)?.choices[0]?.finish_reason, "stop")
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.live("lets a fault apply to the named model only", () =>
      Effect.gen(function* () {
        const models = yield* effectfulModels
        const other = yield* models.complete(model, chatBody({ mock: { fault: "500", only: "another" } }), limits)
        assert.strictEqual(other.status, 200)
        const body = chatBody({ mock: { fault: "500", only: model.upstream } })
        assert.strictEqual((yield* Effect.flip(models.complete(model, body, limits))).reason, "server_error")
      }).pipe(Effect.provide(layer))
    )

    it.live("refuses a request without messages, saying why", () =>
      Effect.gen(function* () {
        const models = yield* effectfulModels
        const error = yield* Effect.flip(models.complete(model, { model: "auto" }, limits))
        assert.strictEqual(error.reason, "rejected")
        assert.include(error.detail, "messages")
      }).pipe(Effect.provide(layer))
    )

    it.live("ends at once when interrupted", () =>
      Effect.gen(function* () {
        const models = yield* effectfulModels
        const anHour = 3_600_000
        const long = chatBody({ mock: { delay_ms: anHour } })
        const whole = yield* Effect.fork(models.complete(model, long, { timeoutMs: anHour }))
        const streamed = yield* Effect.fork(Effect.scoped(models.stream(model, long, { timeoutMs: anHour })))
        // Whether they have reached the upstream by then or not: both must end.
        yield* Effect.sleep(50)
        yield* Fiber.interruptAll([whole, streamed])
      }).pipe(Effect.provide(layer))
    )
  })
}
