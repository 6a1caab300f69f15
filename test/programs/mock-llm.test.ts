import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import OpenAI, { AuthenticationError, NotFoundError, RateLimitError } from "openai"
import { readScript } from "../../src/programs/mock-llm.ts"
import { startMockLlm } from "../support/mockLlm.ts"

const user = (content: string): OpenAI.ChatCompletionMessageParam => ({ role: "user", content })
const clientOf = (baseURL: string, apiKey = "any") => new OpenAI({ baseURL, apiKey, maxRetries: 0 })

/** Fields that OpenAI's types do not have go through its client unchanged. */
const withMock = (mock: Readonly<Record<string, unknown>>): object => ({ mock })

const getJson = (url: string, init: RequestInit = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, init)
    // oxlint-disable-next-line typescript/no-explicit-any -- whatever the mock says
    const body: any = await response.json()
    return { status: response.status, body }
  })

describe("mock-llm with the openai client", () => {
  it.live("answers a completion", () =>
    Effect.gen(function* () {
      const client = clientOf((yield* startMockLlm()).baseUrl)
      const answer = yield* Effect.promise(() =>
        client.chat.completions.create({ model: "large-400b", messages: [user("Hello")] })
      )
      assert.include(answer.choices[0]?.message.content ?? "", "simulated answer of large-400b")
      assert.strictEqual(answer.model, "large-400b")
      assert.isAbove(answer.usage?.completion_tokens ?? 0, 0)
    }).pipe(Effect.scoped)
  )

  it.live("streams a completion with usage", () =>
    Effect.gen(function* () {
      const client = clientOf((yield* startMockLlm()).baseUrl)
      const { text, usage } = yield* Effect.promise(async () => {
        const stream = await client.chat.completions.create({
          model: "small-8b",
          messages: [user("Hello")],
          stream: true,
          stream_options: { include_usage: true },
          ...withMock({ text: "one two three", token_ms: 2 })
        })
        let text = ""
        let usage = 0
        for await (const chunk of stream) {
          text += chunk.choices[0]?.delta.content ?? ""
          usage = chunk.usage?.completion_tokens ?? usage
        }
        return { text, usage }
      })
      assert.deepStrictEqual([text, usage], ["one two three", 3])
    }).pipe(Effect.scoped)
  )

  it.live("runs a tool and answers with its result", () =>
    Effect.gen(function* () {
      const client = clientOf((yield* startMockLlm()).baseUrl)
      const calls: Array<unknown> = []
      const final = yield* Effect.promise(() =>
        client.chat.completions
          .runTools({
            model: "small-8b",
            messages: [user("What is the weather in Oslo?")],
            tools: [
              {
                type: "function",
                function: {
                  name: "get_weather",
                  description: "the weather of a city",
                  parse: JSON.parse,
                  function: (args: unknown) => {
                    calls.push(args)
                    return "rain"
                  },
                  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
                }
              }
            ]
          })
          .finalContent()
      )
      assert.deepStrictEqual(calls, [{ city: "Oslo" }])
      assert.include(final ?? "", "simulated answer")
    }).pipe(Effect.scoped)
  )

  it.live("sees the client abort a held answer and a held stream", () =>
    Effect.gen(function* () {
      const mock = yield* startMockLlm()
      const client = clientOf(mock.baseUrl)
      const controller = new AbortController()
      const options = { signal: controller.signal }
      const request = { model: "small-8b", messages: [user("Hello")] }
      const whole = yield* Effect.fork(
        Effect.tryPromise(() => client.chat.completions.create({ ...request, ...withMock({ gate: "held" }) }, options))
      )
      const streamed = yield* Effect.fork(
        Effect.tryPromise(async () => {
          const held = { ...request, stream: true as const, ...withMock({ gate: "held", gate_after: 1 }) }
          for await (const chunk of await client.chat.completions.create(held, options)) assert.isOk(chunk)
        })
      )
      yield* mock.waiting(2, "held")
      controller.abort()
      yield* mock.until(({ aborted, inFlight }) => aborted === 2 && inFlight === 0)
      yield* Fiber.await(whole)
      yield* Fiber.await(streamed)
    }).pipe(Effect.scoped)
  )

  it.live("turns scripted statuses into the client's own errors", () =>
    Effect.gen(function* () {
      const mock = yield* startMockLlm({
        script: { models: [{ name: "limited", faults: { "429": 1 } }] },
        apiKey: Redacted.make("good")
      })
      const failing = (model: string, key: string) =>
        Effect.flip(
          Effect.tryPromise({
            try: () => clientOf(mock.baseUrl, key).chat.completions.create({ model, messages: [user("Hello")] }),
            catch: (error) => error
          })
        )
      assert.instanceOf(yield* failing("limited", "good"), RateLimitError)
      assert.instanceOf(yield* failing("limited", "bad"), AuthenticationError)
      assert.instanceOf(yield* failing("unknown", "good"), NotFoundError)
    }).pipe(Effect.scoped)
  )
})

describe("mock-llm", () => {
  it.live("holds a request at a gate until it is opened over HTTP, and counts it", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* startMockLlm()
      const root = baseUrl.slice(0, -"/v1".length)
      const client = clientOf(baseUrl)
      const held = yield* Effect.fork(
        Effect.tryPromise(() =>
          client.chat.completions.create({ model: "small-8b", messages: [user("Hi")], ...withMock({ gate: "a gate" }) })
        )
      )
      const gate = `${root}/mock/gates/${encodeURIComponent("a gate")}`
      assert.deepStrictEqual(yield* getJson(`${gate}?waiting=1`), { status: 200, body: { open: false, waiting: 1 } })
      assert.isTrue((yield* Fiber.poll(held))._tag === "None")
      yield* getJson(gate, { method: "POST" })
      yield* Fiber.join(held)
      const { body } = yield* getJson(`${root}/mock/requests`)
      assert.deepStrictEqual(body.byModel, { "small-8b": { "200": 1 } })
      assert.deepStrictEqual([body.total, body.inFlight, body.aborted], [1, 0, 0])
      assert.strictEqual(body.last[0].body.messages[0].content, "Hi")
    }).pipe(Effect.scoped)
  )

  it.live("changes a model while it runs, and refuses a change that makes no sense", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* startMockLlm()
      const root = baseUrl.slice(0, -"/v1".length)
      const patch = (change: unknown) =>
        getJson(`${root}/mock/models/small-8b`, { method: "POST", body: JSON.stringify(change) })
      const changed = yield* patch({ quality: { default: 0.1, code: 1 }, firstTokenMs: 5, faults: { "500": 1 } })
      assert.strictEqual(changed.status, 200)
      assert.deepInclude(changed.body.quality, { code: 1, math: 0.1 })
      const { status } = yield* getJson(`${baseUrl}/chat/completions`, {
        method: "POST",
        body: JSON.stringify({ model: "small-8b", messages: [user("Hi")] })
      })
      assert.strictEqual(status, 500)
      assert.strictEqual((yield* patch({ quality: 2 })).status, 400)
      assert.strictEqual((yield* patch({ speed: 2 })).status, 400)
    }).pipe(Effect.scoped)
  )

  it.live("lists its models, is healthy, and has nothing elsewhere", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* startMockLlm()
      const root = baseUrl.slice(0, -"/v1".length)
      const { data } = yield* Effect.promise(() => clientOf(baseUrl).models.list())
      assert.deepStrictEqual(
        data.map(({ id }) => id),
        ["small-8b", "large-400b"]
      )
      assert.deepStrictEqual(yield* getJson(`${root}/health`), { status: 200, body: { status: "healthy" } })
      assert.strictEqual((yield* getJson(`${root}/elsewhere`)).status, 404)
      assert.strictEqual((yield* getJson(`${root}/mock/gates/%ff`)).status, 404)
    }).pipe(Effect.scoped)
  )

  it.live("cuts what it still holds when it is released", () =>
    Effect.gen(function* () {
      const held = yield* Effect.scoped(
        Effect.gen(function* () {
          const mock = yield* startMockLlm()
          const client = clientOf(mock.baseUrl)
          const held = yield* Effect.forkDaemon(
            Effect.flip(
              Effect.tryPromise(() =>
                client.chat.completions.create({ model: "x", messages: [user("Hi")], ...withMock({ fault: "hang" }) })
              )
            )
          )
          yield* mock.until(({ inFlight }) => inFlight === 1)
          return held
        })
      )
      yield* Fiber.join(held)
    })
  )

  it.scoped("says all that is wrong with a script at once, a line each with its path and what would be right", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "mock-llm-"))),
        (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true }))
      )
      const file = Path.join(directory, "script.yaml")
      Fs.writeFileSync(
        file,
        `
defaults: { quality: 2, firstTokenMs: -1, answerTokens: 1.5, tokensPerSecond: .inf }
models:
  - { name: small, qualty: 0.5, scenario: nope, faults: { broken: 1 } }
  - { quality: { code: high } }
list: x
`
      )
      const { message, problems } = yield* Effect.flip(readScript(file))
      assert.deepStrictEqual(
        problems.map((problem) => problem.split(": ")[0]),
        [
          "defaults.quality",
          "defaults.firstTokenMs",
          "defaults.answerTokens",
          "models[0].qualty",
          "models[0].scenario",
          "models[0].faults.broken",
          "models[1].name",
          "models[1].quality",
          "list"
        ]
      )
      assert.include(message, `${file}: defaults.firstTokenMs: -1 is not right: a number of 0 or more`)
      assert.include(message, `${file}: models[0].qualty: is not a key here: did you mean quality?`)
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.effect("reads a script, and says what is wrong with one", () =>
    Effect.gen(function* () {
      const example = yield* readScript("examples/mock-llm.yaml")
      assert.deepInclude(example.models?.[0], { name: "small-8b", faults: { "429": 0.02 } })
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "mock-llm-"))),
        (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true }))
      )
      const file = Path.join(directory, "script.yaml")
      for (const [text, named] of [
        ["models: [{ name: a, qualty: 1 }]", "qualty"],
        ["models: [{ name: a, faults: { 429: 7 } }]", "429"],
        ["models: [", "script.yaml"]
      ] as const) {
        Fs.writeFileSync(file, text)
        const error = yield* Effect.flip(readScript(file))
        assert.include(error.message, named)
      }
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))
  )
})
