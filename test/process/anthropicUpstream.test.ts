import { assert, describe, it } from "@effect/vitest"
import OpenAI from "openai"
import { type Answered, request } from "../support/conduit.ts"
import { startUpstream } from "../support/processMock.ts"
import { sharedService } from "../support/sharedService.ts"
import { messageOf, question, weather } from "../support/openaiAnswers.ts"

const prices =
  "inputUsdPerMTok: 3, cachedInputUsdPerMTok: 0.3, cacheWriteUsdPerMTok: 3.75, cacheWrite1hUsdPerMTok: 6, outputUsdPerMTok: 15"

const { conduit, upstream } = sharedService(
  () =>
    startUpstream({
      defaults: { inputUsdPerMTok: 3, outputUsdPerMTok: 15 },
      models: [
        { name: "claude-sonnet-4-5" },
        { name: "gpt-4o" },
        { name: "o4-mini" },
        { name: "broken", faults: { "500": 1 } },
        { name: "busy", scenario: "overloaded" },
        { name: "declining", scenario: "refusal" },
        { name: "cold", scenario: "no_temperature" }
      ]
    }),
  (upstream) => {
    const models = ["broken", "busy", "declining", "cold"].map(
      (id) => `  - { id: ${id}, provider: anthropic, ${prices} }`
    )
    return {
      configuration: [
        "providers:",
        `  anthropic: { kind: anthropic, baseUrl: "${upstream.url}", apiKey: sk-ant-test }`,
        `  openai: { kind: openai-compatible, baseUrl: "${upstream.url}", apiKey: sk-test }`,
        "models:",
        `  - { id: claude, provider: anthropic, upstream: claude-sonnet-4-5, ${prices} }`,
        `  - { id: gpt, provider: openai, upstream: gpt-4o, ${prices} }`,
        `  - { id: thinks, provider: anthropic, upstream: claude-sonnet-4-5, ${prices}, params: { reasoning_effort: low, max_tokens: 9000 } }`,
        `  - { id: brief, provider: openai, upstream: o4-mini, ${prices}, params: { reasoning_effort: minimal, max_tokens: 5, verbosity: low } }`,
        ...models
      ].join("\n")
    }
  }
)

const client = () => new OpenAI({ baseURL: `${conduit.url}/v1`, apiKey: "any", maxRetries: 0 })
const ask = (body: Record<string, unknown>): Promise<Answered> =>
  request(`${conduit.url}/v1/chat/completions`, {
    body: { model: "claude", messages: question("hello"), ...body }
  })

const sent = (): any => upstream.requests().last.at(-1)?.body

describe("a chat whose model speaks Anthropic's protocol", () => {
  it("gets the text, the counts and the cost, whole", async () => {
    const before = upstream.requests().costUsd
    const answer = await ask({ messages: [{ role: "system", content: "Be brief." }, ...question("hello")] })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.deepInclude(answer.json, { object: "chat.completion", model: "claude" })
    assert.strictEqual(answer.json.id, `chatcmpl-${answer.headers["x-conduit-decision-id"]}`)
    const [choice] = answer.json.choices
    assert.strictEqual(choice.finish_reason, "stop")
    assert.match(choice.message.content, /simulated answer of claude-sonnet-4-5/)
    assert.strictEqual(
      answer.json.usage.total_tokens,
      answer.json.usage.prompt_tokens + answer.json.usage.completion_tokens
    )
    assert.closeTo(Number(answer.headers["x-conduit-cost-usd"]), upstream.requests().costUsd - before, 1e-12)
    const call = upstream.requests().last.at(-1)
    assert.deepInclude(call?.headers, { "anthropic-version": "2023-06-01" })
    assert.isTrue(call?.authorized)
    assert.deepStrictEqual(sent().system, [{ type: "text", text: "Be brief." }])
    assert.isNumber(sent().max_tokens)
  })

  it("keeps instructions between messages, by the beta that takes them there", async () => {
    const answer = await ask({ messages: [...question("hello"), { role: "system", content: "in French" }] })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.deepStrictEqual(sent().messages, [
      { role: "user", content: "hello" },
      { role: "system", content: "in French" }
    ])
    assert.deepInclude(upstream.requests().last.at(-1)?.headers, {
      "anthropic-beta": "mid-conversation-system-2026-04-07"
    })
  })

  it("gets them streamed, with the chunk of counts that it asked for", async () => {
    const { data: stream, response } = await client()
      .chat.completions.create({
        model: "claude",
        messages: question("hello"),
        stream: true,
        stream_options: { include_usage: true }
      })
      .withResponse()
    let text = ""
    let finish: string | null = null
    let usage: OpenAI.CompletionUsage | null | undefined
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ""
      finish = chunk.choices[0]?.finish_reason ?? finish
      usage = chunk.usage ?? usage
    }
    assert.match(text, /simulated answer of claude-sonnet-4-5/)
    assert.strictEqual(finish, "stop")
    assert.isAbove(usage?.prompt_tokens ?? 0, 0)
    assert.strictEqual(response.headers.get("x-conduit-model"), "claude")
  })

  it("walks through a loop of tools, thoughts and their signatures included", async () => {
    for (const stream of [false, true]) {
      const messages: Array<any> = question("weather in Rome")
      const choices = ["auto", "auto", "none"] as const
      for (const [step, tool_choice] of choices.entries()) {
        if (step === 1) messages.push(...question("and the weather in Oslo"))
        const body = { model: "claude", messages, tools: [weather], tool_choice, reasoning_effort: "low" as const }
        const message = await messageOf(client(), body, stream)
        const told = message as any
        assert.include(told.reasoning_content, "thinks")
        assert.match(told.reasoning_details[0].signature, /^mock-signature/)
        messages.push(told)
        if (step === choices.length - 1) {
          assert.match(told.content, /simulated answer/)
          break
        }
        const [call] = told.tool_calls
        assert.strictEqual(call.function.name, "weather")
        assert.isObject(JSON.parse(call.function.arguments))
        messages.push({ role: "tool", tool_call_id: call.id, content: "sunny" })
      }
      const roles = sent().messages.map(({ role }: { role: string }) => role)
      assert.deepStrictEqual(roles, ["user", "assistant", "user", "assistant", "user"])
      assert.deepStrictEqual(sent().thinking, { type: "enabled", budget_tokens: 4096 })
    }
  })

  it("gets calls that come at once", async () => {
    for (const stream of [false, true]) {
      const body = {
        model: "claude",
        messages: question("weather"),
        tools: [weather],
        mock: { scenario: "parallel_calls" }
      }
      const message = await messageOf(client(), body, stream)
      const calls = message?.tool_calls ?? []
      assert.lengthOf(calls, 2)
      assert.notStrictEqual(calls[0]?.id, calls[1]?.id)
      for (const call of calls) assert.isTrue(call.type === "function" && JSON.parse(call.function.arguments) !== null)
    }
  })

  it("sends images and files as blocks", async () => {
    const answer = await ask({
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "what is it" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
            { type: "image_url", image_url: { url: "https://images.example/a.png" } },
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" } }
          ]
        }
      ]
    })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.deepStrictEqual(sent().messages[0].content, [
      { type: "text", text: "what is it" },
      { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
      { type: "image", source: { type: "url", url: "https://images.example/a.png" } },
      {
        type: "document",
        source: { type: "base64", media_type: "application/pdf", data: "BBBB" },
        title: "a.pdf"
      }
    ])
  })

  it("gets an answer of a schema", async () => {
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
    const answer = await ask({
      response_format: { type: "json_schema", json_schema: { name: "place", schema, strict: true } }
    })
    assert.isString(JSON.parse(answer.json.choices[0].message.content).city)
    assert.deepStrictEqual(sent().output_config.format, {
      type: "json_schema",
      schema: { ...schema, additionalProperties: false }
    })
  })

  it("is told why an answer ended, in OpenAI's words", async () => {
    assert.strictEqual((await ask({ max_tokens: 2 })).json.choices[0].finish_reason, "length")
    const declined = await ask({ model: "declining" })
    assert.strictEqual(declined.json.choices[0].finish_reason, "content_filter")
    const decision = await request(`${conduit.url}/v1/decisions/${declined.headers["x-conduit-decision-id"]}`)
    assert.deepInclude(decision.json.outcome, { kind: "refused", finish_reason: "refusal" })
  })

  it("pays for what was cached and written as the upstream counts it", async () => {
    for (const stream of [false, true]) {
      const before = upstream.requests().costUsd
      const answer = await ask({ mock: { scenario: "usage_cached" }, stream, stream_options: { include_usage: true } })
      const decision = await request(`${conduit.url}/v1/decisions/${answer.headers["x-conduit-decision-id"]}`)
      assert.closeTo(decision.json.outcome.cost_usd, upstream.requests().costUsd - before, 1e-12)
      assert.deepInclude(decision.json.outcome, { cached_tokens: 9000, written_tokens: 800 })
      if (stream) continue
      const { usage } = answer.json
      assert.deepInclude(usage.prompt_tokens_details, { cached_tokens: 9000, cache_write_tokens: 800 })
      assert.isAbove(usage.prompt_tokens, 9800)
    }
  })

  it("is told what was said in another way", async () => {
    const answer = await ask({ seed: 7, temperature: 1.4, min_p: undefined, user: "somebody" })
    assert.strictEqual(answer.headers["x-conduit-adjusted"], "seed->none, temperature->1")
    assert.deepStrictEqual(sent().metadata, { user_id: "somebody" })
  })

  it("asks without what a model refuses, once it is known", async () => {
    const answer = await ask({ model: "cold", temperature: 0.5 })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.strictEqual(answer.headers["x-conduit-adjusted"], "temperature->none")
  })

  it("is answered by another model where this one has no words for it", async () => {
    const answer = await ask({ model: "auto", n: 2, conduit: { constraints: { allowed_models: ["claude", "gpt"] } } })
    assert.strictEqual(answer.headers["x-conduit-model"], "gpt", answer.text)
    assert.lengthOf(answer.json.choices, 2)
    const refused = await ask({ n: 2 })
    assert.deepInclude(refused, { status: 422 })
    assert.deepStrictEqual(refused.json.error.details.excluded, [
      { model: "claude", excluded_by: "capability:choices" }
    ])
  })
})

describe("a model with parameters", () => {
  const decisionOf = async (answer: Answered) =>
    (await request(`${conduit.url}/v1/decisions/${answer.headers["x-conduit-decision-id"]}`)).json

  it("is asked with them, where the caller does not say", async () => {
    const answer = await ask({ model: "thinks" })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.deepInclude(sent(), { max_tokens: 9000, thinking: { type: "enabled", budget_tokens: 4096 } })
    assert.deepStrictEqual((await decisionOf(answer)).outcome.params, { reasoning_effort: "low", max_tokens: 9000 })
    const own = await ask({ model: "thinks", reasoning_effort: "none", max_tokens: 7000, stream: true })
    assert.strictEqual(own.status, 200, own.text)
    assert.deepInclude(sent(), { max_tokens: 7000, thinking: { type: "disabled" } })
    assert.deepStrictEqual((await decisionOf(own)).outcome.params, {})
  })

  it("is asked with them by clients of every protocol", async () => {
    const message = { model: "thinks", max_tokens: 6000, messages: question("hello") }
    const messages = await request(`${conduit.url}/v1/messages`, { body: message })
    assert.strictEqual(messages.status, 200, messages.text)
    assert.deepInclude(sent(), { max_tokens: 6000, thinking: { type: "enabled", budget_tokens: 4096 } })
    const responses = await request(`${conduit.url}/v1/responses`, { body: { model: "brief", input: "hello" } })
    assert.strictEqual(responses.status, 200, responses.text)
    // A responses' least is 16, and o4-mini has another name for it.
    assert.deepInclude(sent(), { reasoning_effort: "minimal", verbosity: "low" })
    const chat = await ask({ model: "brief", messages: question("a long story, please") })
    assert.strictEqual(chat.headers["x-conduit-adjusted"], "max_tokens->max_completion_tokens")
    assert.deepInclude(sent(), { reasoning_effort: "minimal", max_completion_tokens: 5, verbosity: "low" })
    assert.notProperty(sent(), "max_tokens")
    assert.isAtMost(chat.json.usage.completion_tokens, 5)
  })

  it("is shown and priced with them before it is called", async () => {
    const { json } = await request(`${conduit.url}/v1/models`)
    assert.deepStrictEqual(json.data.find(({ id }: { id: string }) => id === "brief").conduit.params, {
      reasoning_effort: "minimal",
      max_tokens: 5,
      verbosity: "low"
    })
    const routed = await request(`${conduit.url}/v1/route`, { body: { prompt: "hello" } })
    const [brief, gpt] = ["brief", "gpt"].map((id) => routed.json.candidates.find((one: any) => one.model === id))
    assert.deepStrictEqual(brief.params, { reasoning_effort: "minimal", max_tokens: 5, verbosity: "low" })
    assert.notProperty(gpt, "params")
    // Five tokens at 15 USD a million, and what is sent.
    assert.isBelow(brief.cost_usd, 0.0001)
    assert.isAbove(gpt.cost_usd, 2 * brief.cost_usd)
  })
})

describe("what goes wrong at an upstream of Anthropic's protocol", () => {
  it("is told by its words and its status", async () => {
    const error = async (body: Record<string, unknown>) => {
      const { headers, json, status } = await ask(body)
      return [status, json.error?.type, json.error?.message, headers["retry-after"]]
    }
    assert.deepStrictEqual(
      await error({ messages: [...question("x"), { role: "tool", tool_call_id: "a", content: "x" }] }),
      [
        400,
        "invalid_request_error",
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: a",
        undefined
      ]
    )
    assert.deepStrictEqual(await error({ mock: { fault: "429" } }), [
      429,
      "rate_limit_error",
      "simulated rate limit",
      "1"
    ])
    const [status, type] = await error({ model: "busy" })
    assert.deepStrictEqual([status, type], [503, "server_error"])
    assert.deepStrictEqual(await error({ messages: [{ role: "user", content: [{ type: "text", text: 1 }] }] }), [
      400,
      "invalid_request_error",
      "must be a string",
      undefined
    ])
  })

  it("is another model's chance before the answer, and an error inside it after", async () => {
    const other = await ask({
      model: "auto",
      conduit: { constraints: { allowed_models: ["broken", "gpt"] } }
    })
    assert.strictEqual(other.headers["x-conduit-model"], "gpt")
    const broken = await ask({ stream: true, mock: { scenario: "error_event" } })
    assert.include(broken.text, "the simulated upstream gave up")
    assert.notInclude(broken.text, "[DONE]")
  })

  it("never lets a stream that was cut after any byte end well", async () => {
    const body = { stream: true, mock: { text: "one two" } }
    const whole = (await ask(body)).text
    assert.include(whole, "[DONE]")
    // The mock's own body has other lengths: a cut behind its end is none.
    let ended = 0
    for (let at = 0; at < 1100; at += 7) {
      const { status, text } = await ask({ ...body, mock: { ...body.mock, cut_after: at } })
      const isClean = status === 200 && text.includes("[DONE]")
      if (isClean) {
        ended++
        assert.include(text, " two", `cut after ${at} bytes`)
        assert.include(text, '"finish_reason":"stop"', `cut after ${at} bytes`)
      }
    }
    assert.isAbove(ended, 0)
  })
})
