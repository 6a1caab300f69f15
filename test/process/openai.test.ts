import { assert, describe, it } from "@effect/vitest"
import OpenAI from "openai"
import { startUpstream } from "../support/processMock.ts"
import { until } from "../support/traffic.ts"
import { sharedService } from "../support/sharedService.ts"

const { conduit, upstream: mock } = sharedService(
  () => startUpstream(),
  (mock) => ({ upstream: mock.url })
)
const client = () => new OpenAI({ baseURL: `${conduit.url}/v1`, apiKey: "unused", maxRetries: 0 })

const messages = [{ role: "user" as const, content: "What is the weather in Paris? Use the tool." }]
const tools = [
  {
    type: "function" as const,
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
    }
  }
]

describe("the openai client, unchanged", () => {
  it("completes", async () => {
    const { data, response } = await client().chat.completions.create({ model: "auto", messages }).withResponse()
    assert.strictEqual(data.model, "small")
    assert.isNotEmpty(data.choices[0]?.message.content)
    assert.isAbove(data.usage?.total_tokens ?? 0, 0)
    for (const header of ["decision-id", "model", "reason", "propensity", "overhead-ms", "cost-usd"]) {
      assert.isNotNull(response.headers.get(`x-conduit-${header}`), header)
    }
  })

  it("streams, with the usage it asked for", async () => {
    const stream = await client().chat.completions.create({
      model: "auto",
      messages,
      stream: true,
      stream_options: { include_usage: true }
    })
    let text = ""
    let usage: { total_tokens: number } | null | undefined
    let cost: unknown
    for await (const chunk of stream) {
      assert.strictEqual(chunk.model, "small")
      text += chunk.choices[0]?.delta.content ?? ""
      if (chunk.usage) {
        usage = chunk.usage
        cost = (chunk as unknown as { conduit: { cost_usd: number } }).conduit.cost_usd
      }
    }
    assert.isNotEmpty(text)
    assert.isAbove(usage?.total_tokens ?? 0, 0)
    assert.isAbove(Number(cost), 0)
  })

  it("streams without a usage chunk when it did not ask", async () => {
    const stream = await client().chat.completions.create({ model: "auto", messages, stream: true })
    for await (const chunk of stream) {
      assert.notExists(chunk.usage)
      assert.isNotEmpty(chunk.choices)
    }
  })

  it("calls tools", async () => {
    const answer = await client().chat.completions.create({ model: "auto", messages, tools, tool_choice: "required" })
    assert.strictEqual(answer.choices[0]?.finish_reason, "tool_calls")
    const [call] = answer.choices[0]?.message.tool_calls ?? []
    assert.strictEqual(call?.type === "function" ? call.function.name : undefined, "get_weather")
  })

  it("has legacy completions, whole and streamed, and is told what they cannot be asked for", async () => {
    const whole = await client().completions.create({
      model: "auto",
      prompt: "The capital of France is",
      max_tokens: 50
    })
    assert.strictEqual(whole.object, "text_completion")
    assert.strictEqual(whole.model, "small")
    assert.isNotEmpty(whole.choices[0]?.text)
    assert.strictEqual(whole.choices[0]?.finish_reason, "stop")
    assert.isAbove(whole.usage?.total_tokens ?? 0, 0)
    let text = ""
    const stream = await client().completions.create({ model: "auto", prompt: ["one prompt"], stream: true })
    for await (const chunk of stream) {
      assert.strictEqual(chunk.object, "text_completion")
      text += chunk.choices[0]?.text ?? ""
    }
    assert.isNotEmpty(text)
    for (const more of [{ echo: true }, { logprobs: 5 }, { suffix: "end" }, { prompt: ["one", "two"] }]) {
      const refused = await client()
        .completions.create({ model: "auto", prompt: "one", ...more })
        .then(
          () => undefined,
          (failed: unknown) => failed
        )
      assert.instanceOf(refused, OpenAI.BadRequestError, JSON.stringify(more))
      assert.strictEqual(refused.param, Object.keys(more)[0])
    }
  })

  it("aborts, and the model's call with it", async () => {
    const abort = new AbortController()
    const held = client()
      .chat.completions.create({ model: "auto", messages, mock: { gate: "abort" } } as never, { signal: abort.signal })
      .then(
        () => "answered",
        (error: Error) => error.constructor.name
      )
    await mock.waiting("abort", 1)
    const before = mock.requests().aborted
    abort.abort()
    assert.strictEqual(await held, "APIUserAbortError")
    await until("the call is aborted", () => mock.requests().aborted > before)
    assert.strictEqual(mock.requests().aborted, before + 1)
  })

  it("sees a typed error for a model that is not there", async () => {
    const error = await client()
      .chat.completions.create({ model: "nothing", messages })
      .then(
        () => undefined,
        (error: unknown) => error
      )
    assert.instanceOf(error, OpenAI.NotFoundError)
  })
})
