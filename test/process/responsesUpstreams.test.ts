import { assert, describe, it } from "@effect/vitest"
import Anthropic from "@anthropic-ai/sdk"
import OpenAI from "openai"
import type { Response, ResponseInputItem } from "openai/resources/responses/responses"
import { type Answered, request } from "../support/conduit.ts"
import { startUpstream } from "../support/processMock.ts"
import { sharedService } from "../support/sharedService.ts"
import { messageOf, wireEvents } from "../support/openaiAnswers.ts"

// Clients of Responses, whatever protocol their upstream speaks.

const prices =
  "inputUsdPerMTok: 3, cachedInputUsdPerMTok: 0.3, cacheWriteUsdPerMTok: 3.75, cacheWrite1hUsdPerMTok: 6, outputUsdPerMTok: 15"

const { conduit, upstream } = sharedService(
  () =>
    startUpstream({
      defaults: { inputUsdPerMTok: 3, outputUsdPerMTok: 15 },
      models: [
        { name: "claude-sonnet-4-5" },
        { name: "gpt-4o" },
        { name: "gpt-5-mini" },
        { name: "gpt-5-nano" },
        { name: "broken", faults: { "500": 1 } },
        { name: "declining", scenario: "refusal" }
      ]
    }),
  (upstream) => ({
    configuration: [
      "providers:",
      `  anthropic: { kind: anthropic, baseUrl: "${upstream.url}", apiKey: sk-ant-test }`,
      `  openai: { kind: openai-compatible, baseUrl: "${upstream.url}", apiKey: sk-test }`,
      `  responses: { kind: openai-responses, baseUrl: "${upstream.url}", apiKey: sk-one }`,
      `  elsewhere: { kind: openai-responses, baseUrl: "${upstream.url}", apiKey: sk-two }`,
      "models:",
      `  - { id: o, provider: responses, upstream: gpt-5-mini, ${prices} }`,
      `  - { id: o-declines, provider: responses, upstream: declining, ${prices} }`,
      `  - { id: o-broken, provider: responses, upstream: broken, ${prices} }`,
      `  - { id: o-elsewhere, provider: elsewhere, upstream: gpt-5-nano, ${prices} }`,
      `  - { id: claude, provider: anthropic, upstream: claude-sonnet-4-5, ${prices} }`,
      `  - { id: gpt, provider: openai, upstream: gpt-4o, ${prices} }`,
      `  - { id: claude-broken, provider: anthropic, upstream: broken, ${prices} }`,
      `  - { id: claude-declines, provider: anthropic, upstream: declining, ${prices} }`
    ].join("\n")
  })
)

const client = () => new OpenAI({ baseURL: `${conduit.url}/v1`, apiKey: "any", maxRetries: 0 })
const ask = (body: Record<string, unknown>): Promise<Answered> =>
  request(`${conduit.url}/v1/responses`, { body: { input: "hello", ...body } })
const answered = async (stream: boolean, body: Record<string, unknown>): Promise<Response> =>
  stream
    ? client()
        .responses.stream({ input: "hello", ...body } as never)
        .finalResponse()
    : client().responses.create({ input: "hello", ...body } as never)

const sent = (): any => upstream.requests().last.at(-1)?.body
const weather = {
  type: "function" as const,
  name: "weather",
  description: "the weather of a city",
  strict: false,
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
}

const outcomeOf = async ({ headers }: Answered): Promise<any> =>
  (await request(`${conduit.url}/v1/decisions/${headers["x-conduit-decision-id"]}`)).json.outcome

describe.each(["claude", "o"])("a client of Responses whose model is %s", (model) => {
  it("gets the text, the counts and the cost, whole and streamed", async () => {
    for (const stream of [false, true]) {
      const before = upstream.requests().costUsd
      const answer = await ask({ model, instructions: "Be brief.", stream, user: "somebody", store: false })
      assert.strictEqual(answer.status, 200, answer.text)
      const response = stream ? wireEvents(answer.text).at(-1)?.data.response : answer.json
      assert.deepInclude(response, { object: "response", status: "completed", model, error: null })
      assert.strictEqual(response.id, `resp_${answer.headers["x-conduit-decision-id"]}`)
      assert.match(response.output[0].content[0].text, /simulated answer of/)
      const { input_tokens, output_tokens, total_tokens } = response.usage
      assert.isAbove(output_tokens, 0)
      assert.strictEqual(total_tokens, input_tokens + output_tokens)
      const { cost_usd } = await outcomeOf(answer)
      assert.closeTo(cost_usd, upstream.requests().costUsd - before, 1e-12)
    }
  })

  it("walks through a loop of tools, thoughts and their signatures included", async () => {
    for (const stream of [false, true]) {
      const input: Array<ResponseInputItem> = [{ role: "user", content: "weather in Rome" }]
      for (const [step, tool_choice] of ["auto", "auto", "none"].entries()) {
        if (step === 1) input.push({ role: "user", content: "and the weather in Oslo" })
        const answer = await answered(stream, {
          model,
          input,
          tools: [weather],
          tool_choice,
          reasoning: { effort: "low" },
          include: ["reasoning.encrypted_content"],
          store: false
        })
        const [thought] = answer.output
        assert.isTrue(thought?.type === "reasoning" && /thinks/.test(thought.summary[0]?.text ?? ""))
        input.push(...(answer.output as Array<ResponseInputItem>))
        const call = answer.output.find((item) => item.type === "function_call")
        if (step === 2) {
          assert.match(answer.output_text, /simulated answer/)
          break
        }
        assert.strictEqual(call?.name, "weather")
        assert.isObject(JSON.parse(call?.arguments ?? ""))
        input.push({ type: "function_call_output", call_id: call?.call_id ?? "", output: "sunny" })
      }
      // As its own upstream signed or sealed them.
      assert.match(
        JSON.stringify(sent()),
        /"(?:signature":"mock-signature|encrypted_content":"mock-sealed-gpt-5-mini")/
      )
    }
  })

  it("gets calls that come at once", async () => {
    for (const stream of [false, true]) {
      const { output } = await answered(stream, {
        model,
        input: "weather",
        tools: [weather],
        mock: { scenario: "parallel_calls" }
      })
      const calls = output.filter((item) => item.type === "function_call")
      assert.lengthOf(calls, 2)
      assert.notStrictEqual(calls[0]?.call_id, calls[1]?.call_id)
    }
  })

  it("is told why an answer ended, and pays as the upstream counts", async () => {
    for (const stream of [false, true]) {
      const short = await answered(stream, { model, max_output_tokens: 16, mock: { tokens: 40 } })
      assert.deepInclude(short, { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } })
      const declined = await answered(stream, { model: `${model}-declines` })
      assert.strictEqual(declined.status, "completed")
      const before = upstream.requests().costUsd
      const cached = await ask({ model, stream, mock: { scenario: "usage_cached" } })
      const outcome = await outcomeOf(cached)
      assert.closeTo(outcome.cost_usd, upstream.requests().costUsd - before, 1e-12)
      const response = stream ? wireEvents(cached.text).at(-1)?.data.response : cached.json
      assert.deepInclude(response.usage.input_tokens_details, { cached_tokens: 9000, cache_write_tokens: 800 })
    }
  })

  it("is told of errors by their status before the answer, and by response.failed inside it", async () => {
    const limited = await ask({ model, mock: { fault: "429" } })
    assert.deepInclude(limited, { status: 429 })
    assert.strictEqual(limited.headers["retry-after"], "1")
    assert.strictEqual(limited.json.error.message, "simulated rate limit")
    const other = await ask({
      model: "auto",
      conduit: { constraints: { allowed_models: [`${model}-broken`, "gpt"] } }
    })
    assert.strictEqual(other.headers["x-conduit-model"], "gpt")
    const { complete, text } = await ask({ model, stream: true, mock: { scenario: "error_event" } })
    const events = wireEvents(text)
    assert.isFalse(complete)
    assert.deepStrictEqual(
      events.map(({ data }) => data.sequence_number),
      events.map((_, i) => i)
    )
    assert.strictEqual(events.at(-1)?.name, "response.failed")
    assert.deepInclude(events.at(-1)?.data.response, { object: "response", status: "failed", model })
    assert.include(events.at(-1)?.data.response.error.message, "the simulated upstream gave up")
  })

  it("never gets a stream that was cut after any byte as a whole one", async () => {
    const body = { model, stream: true, mock: { text: "one two" } }
    assert.strictEqual(wireEvents((await ask(body)).text).at(-1)?.name, "response.completed")
    let ended = 0
    const one = async (at: number) => {
      const { complete, status, text } = await ask({ ...body, mock: { ...body.mock, cut_after: at } })
      if (status !== 200) return
      const last = wireEvents(text).at(-1)
      assert.strictEqual(last?.name === "response.completed", complete, `cut after ${at} bytes`)
      if (!complete) return assert.strictEqual(last?.name, "response.failed", `cut after ${at} bytes`)
      ended++
      assert.include(text, " two")
    }
    const cuts = Array.from({ length: 60 }, (_, step) => step * (model === "o" ? 97 : 23))
    for (let from = 0; from < cuts.length; from += 8) await Promise.all(cuts.slice(from, from + 8).map(one))
    assert.isAbove(ended, 0)
  })
})

describe("a client of Responses whose model speaks Anthropic's protocol", () => {
  it("is answered as its messages say", async () => {
    await ask({ model: "claude", instructions: "Be brief.", user: "somebody", reasoning: { effort: "low" } })
    assert.deepStrictEqual(sent().system, [{ type: "text", text: "Be brief." }])
    assert.deepStrictEqual(sent().metadata, { user_id: "somebody" })
    assert.deepStrictEqual(sent().thinking, { type: "enabled", budget_tokens: 4096 })
    assert.notProperty(sent(), "store")
  })

  it("sends images and files as blocks, and gets an answer of a schema", async () => {
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
    const { output_text } = await answered(false, {
      model: "claude",
      input: [
        {
          role: "user",
          content: [
            { type: "input_text", text: "what is it" },
            { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "high" },
            { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" }
          ]
        }
      ],
      text: { format: { type: "json_schema", name: "place", strict: true, schema } }
    })
    assert.isString(JSON.parse(output_text).city)
    assert.deepStrictEqual(sent().messages[0].content, [
      { type: "text", text: "what is it" },
      { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
      { type: "document", source: { type: "base64", media_type: "application/pdf", data: "BBBB" }, title: "a.pdf" }
    ])
    assert.deepStrictEqual(sent().output_config.format, {
      type: "json_schema",
      schema: { ...schema, additionalProperties: false }
    })
  })

  it("is refused what only an upstream of its own protocol runs", async () => {
    const refused = await ask({ model: "claude", tools: [{ type: "file_search", vector_store_ids: ["vs_1"] }] })
    assert.strictEqual(refused.status, 422, refused.text)
    assert.deepStrictEqual(refused.json.error.details.excluded, [
      { model: "claude", excluded_by: "capability:native_tools" }
    ])
    const { headers } = await ask({ model: "claude", tools: [weather, { type: "web_search" }] })
    assert.strictEqual(headers["x-conduit-adjusted"], "tools.web_search->none")
  })
})

describe("a client of Responses whose model speaks Responses too", () => {
  it("sends and gets every byte but the names", async () => {
    const asked = { model: "o", input: [{ role: "user", content: "hello" }], safety_identifier: "s", max_tool_calls: 3 }
    const { json } = await ask({ ...asked, conduit: { task: "chat" } })
    assert.deepStrictEqual(sent(), { ...asked, model: "gpt-5-mini" })
    assert.strictEqual(json.truncation, "disabled")
    const { text } = await ask({ model: "o", stream: true, mock: { scenario: "heartbeats" } })
    const names = wireEvents(text).map(({ name }) => name)
    assert.include(names, "response.novelty")
    assert.deepStrictEqual(names.at(-1), "response.completed")
  })

  it("completes what a lean upstream leaves out, events' numbers and names included", async () => {
    const { json } = await ask({ model: "o", mock: { scenario: "lean" } })
    assert.deepInclude(json, { error: null, incomplete_details: null, parallel_tool_calls: true, tool_choice: "auto" })
    const { text } = await ask({ model: "o", stream: true, mock: { scenario: "lean" } })
    const events = wireEvents(text)
    assert.deepStrictEqual(
      events.map(({ data, name }) => [data.sequence_number, name]),
      events.map(({ data }, i) => [i, data.type])
    )
    assert.deepInclude(events[0]?.data.response, { status: "in_progress", tools: [], metadata: {} })
    const other = await answered(true, { model: "o", mock: { scenario: "other_form" } })
    assert.match(other.output_text, /simulated answer/)
    const whole = await answered(false, { model: "o", mock: { scenario: "other_form" } })
    assert.match(whole.output_text, /simulated answer/)
  })

  it("has thoughts go back to the upstream that sealed them, and to no other", async () => {
    const first = await answered(true, {
      model: "o",
      input: "weather in Rome",
      tools: [weather],
      reasoning: { effort: "low" },
      include: ["reasoning.encrypted_content"],
      store: false
    })
    const call = first.output.find((item) => item.type === "function_call")
    const input = [
      { role: "user", content: "weather in Rome" },
      ...first.output,
      { type: "function_call_output", call_id: call?.call_id, output: "sunny" }
    ]
    for (const [model, sealed] of [
      ["o", 1],
      ["o-elsewhere", 0],
      ["claude", 0]
    ] as const) {
      const answer = await ask({ model, input, tools: [weather], tool_choice: "none", store: false })
      assert.strictEqual(answer.status, 200, answer.text)
      const text = JSON.stringify(sent())
      assert.strictEqual(text.split("mock-sealed-gpt-5-mini").length - 1, sealed, model)
      assert.notInclude(text, "conduit.")
    }
  })

  it("goes on with an answer where that is kept", async () => {
    for (const stream of [false, true]) {
      const first = await answered(stream, { model: "o" })
      const { headers, json } = await ask({ model: "auto", previous_response_id: first.id, input: "and then" })
      assert.strictEqual(headers["x-conduit-model"]?.slice(0, 1), "o")
      assert.match(sent().previous_response_id, /^resp_mock_\d+$/)
      assert.strictEqual(json.previous_response_id, first.id)
      const again = await ask({ model: "o", previous_response_id: json.id, input: [] })
      assert.strictEqual(again.status, 200, again.text)
      const judged = await request(`${conduit.url}/v1/feedback`, {
        body: { decision_id: first.id, kind: "score", value: 0.9 }
      })
      assert.strictEqual(judged.status, 200, judged.text)
    }
  })

  it("is told why an answer cannot be gone on with", async () => {
    const first = await answered(false, { model: "o" })
    const refused = async (body: Record<string, unknown>) => {
      const { json, status } = await ask(body)
      return [status, json.error?.param, json.error?.message]
    }
    const elsewhere = await refused({ model: "o-elsewhere", previous_response_id: first.id })
    assert.deepStrictEqual(elsewhere.slice(0, 2), [400, "previous_response_id"])
    assert.match(elsewhere[2], /is kept by responses, and o-elsewhere is called at elsewhere/)
    for (const [param, body] of [
      ["previous_response_id", { model: "auto", previous_response_id: "resp_0123" }],
      ["previous_response_id", { model: "gpt", previous_response_id: first.id }],
      ["conversation", { model: "claude", conversation: "conv_1" }],
      ["background", { background: true }],
      ["input.0", { model: "gpt", input: [{ type: "item_reference", id: "msg_1" }] }]
    ] as const) {
      assert.deepStrictEqual((await refused(body)).slice(0, 2), [400, param], param)
    }
  })

  it("has what its upstream stores, where the model is named", async () => {
    const queued = await ask({ model: "o", background: true })
    assert.deepInclude(queued.json, { status: "queued", background: true })
    for (const body of [{ conversation: "conv_1" }, { previous_response_id: "resp_mock_7" }, { store: true }]) {
      const { status, text } = await ask({ model: "o", ...body })
      assert.strictEqual(status, 200, text)
      assert.deepInclude(sent(), body)
    }
  })

  it("sees a failed answer, a filter and an empty one", async () => {
    const failed = await ask({ model: "o", mock: { scenario: "error" } })
    assert.strictEqual(failed.status, 502, failed.text)
    const broken = wireEvents((await ask({ model: "o", stream: true, mock: { scenario: "error" } })).text).at(-1)
    assert.strictEqual(broken?.name, "response.failed")
    assert.match(broken?.data.response.output.length, /^[0-9]+$/)
    const filtered = await ask({ model: "o", mock: { scenario: "content_filter" } })
    assert.deepStrictEqual(filtered.json.incomplete_details, { reason: "content_filter" })
    assert.deepInclude(await outcomeOf(filtered), { kind: "refused", finish_reason: "content_filter" })
    assert.strictEqual((await ask({ model: "o", mock: { scenario: "empty" } })).status, 502)
    const flex = await ask({ model: "o", stream: true, mock: { scenario: "service_flex" } })
    assert.deepInclude(await outcomeOf(flex), { service_tier: "flex" })
  })
})

describe("a chat whose model speaks Responses", () => {
  const question = (content: string) => [{ role: "user" as const, content }]
  const chat = (body: Record<string, unknown>): Promise<Answered> =>
    request(`${conduit.url}/v1/chat/completions`, { body: { model: "o", messages: question("hello"), ...body } })

  it("gets the text, the counts and the cost, whole and streamed", async () => {
    for (const stream of [false, true]) {
      const before = upstream.requests().costUsd
      const answer = await chat({ stream, stream_options: { include_usage: true }, seed: 7, max_tokens: 100 })
      assert.strictEqual(answer.status, 200, answer.text)
      assert.include(answer.text, "simulated")
      assert.closeTo((await outcomeOf(answer)).cost_usd, upstream.requests().costUsd - before, 1e-12)
      assert.strictEqual(answer.headers["x-conduit-adjusted"], "seed->none")
      assert.deepInclude(sent(), { store: false, max_output_tokens: 100 })
      if (stream) assert.match(answer.text, /"usage":\{[^]*\[DONE\]/)
      else assert.strictEqual(answer.json.choices[0].finish_reason, "stop")
    }
  })

  it("walks through a loop of tools with thoughts that stay sealed, calls at once, a schema and an image", async () => {
    const tools = [{ type: "function" as const, function: { name: weather.name, parameters: weather.parameters } }]
    for (const stream of [false, true]) {
      const messages: Array<any> = question("weather in Rome")
      for (const tool_choice of ["auto", "none"] as const) {
        const body = { model: "o", messages, tools, tool_choice, reasoning_effort: "low" as const }
        const message = await messageOf(client(), body, stream)
        const told = message as any
        assert.include(told.reasoning_content, "thinks")
        messages.push(told)
        for (const { id } of told.tool_calls ?? []) messages.push({ role: "tool", tool_call_id: id, content: "sunny" })
      }
      assert.include(JSON.stringify(sent().input), '"encrypted_content":"mock-sealed-gpt-5-mini"')
    }
    const twice = await chat({ messages: question("weather"), tools, mock: { scenario: "parallel_calls" } })
    assert.lengthOf(twice.json.choices[0].message.tool_calls, 2)
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
    const shaped = await chat({
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "what is it" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } }
          ]
        }
      ],
      response_format: { type: "json_schema", json_schema: { name: "place", schema, strict: true } }
    })
    assert.isString(JSON.parse(shaped.json.choices[0].message.content).city)
    assert.deepStrictEqual(sent().input[0].content[1], {
      type: "input_image",
      image_url: "data:image/png;base64,AAAA",
      detail: "low"
    })
  })

  it("is told of the end and of errors in the words of chats", async () => {
    const short = await chat({ max_tokens: 16, mock: { tokens: 40 } })
    assert.strictEqual(short.json.choices[0].finish_reason, "length")
    const declined = await chat({ model: "o-declines" })
    assert.strictEqual(declined.json.choices[0].message.refusal, "I cannot")
    assert.deepInclude(await chat({ mock: { fault: "429" } }), { status: 429 })
    const broken = await chat({ stream: true, mock: { scenario: "error" } })
    assert.include(broken.text, "the simulated upstream gave up")
    assert.notInclude(broken.text, "[DONE]")
    const refused = await chat({ n: 2 })
    assert.deepStrictEqual(refused.json.error.details.excluded, [{ model: "o", excluded_by: "capability:choices" }])
  })
})

describe("a client of Anthropic's whose model speaks Responses", () => {
  it("walks through a loop of tools whose thoughts go back sealed", async () => {
    const anthropic = new Anthropic({ baseURL: conduit.url, apiKey: "any", maxRetries: 0 })
    const messages: Array<any> = [{ role: "user", content: "weather in Rome" }]
    for (const type of ["auto", "none"] as const) {
      const answer = await anthropic.messages
        .stream({
          model: "o",
          max_tokens: 4096,
          thinking: { type: "enabled", budget_tokens: 2048 },
          messages,
          tools: [{ name: weather.name, input_schema: weather.parameters as never }],
          tool_choice: { type }
        })
        .finalMessage()
      assert.strictEqual(answer.content[0]?.type, "thinking")
      assert.strictEqual(answer.stop_reason, type === "auto" ? "tool_use" : "end_turn")
      assert.isAbove(answer.usage.output_tokens, 0)
      messages.push({ role: "assistant", content: answer.content })
      const results = answer.content.flatMap((block) =>
        block.type === "tool_use" ? [{ type: "tool_result", tool_use_id: block.id, content: "sunny" }] : []
      )
      messages.push({ role: "user", content: results })
    }
    assert.include(JSON.stringify(sent().input), '"encrypted_content":"mock-sealed-gpt-5-mini"')
  })
})
