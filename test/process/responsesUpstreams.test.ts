import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import OpenAI from "openai"
import type { Response, ResponseInputItem } from "openai/resources/responses/responses"
import { type Answered, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"

// Clients of Responses, whatever protocol their upstream speaks.

let database: TestDatabase
let upstream: Upstream
let conduit: ConduitProcess

const prices =
  "inputUsdPerMTok: 3, cachedInputUsdPerMTok: 0.3, cacheWriteUsdPerMTok: 3.75, cacheWrite1hUsdPerMTok: 6, outputUsdPerMTok: 15"

beforeAll(async () => {
  database = await createDatabase()
  upstream = await startUpstream({
    defaults: { inputUsdPerMTok: 3, outputUsdPerMTok: 15 },
    models: [
      { name: "claude-sonnet-4-5" },
      { name: "gpt-4o" },
      { name: "broken", faults: { "500": 1 } },
      { name: "declining", scenario: "refusal" }
    ]
  })
  conduit = await startConduit({
    databaseUrl: database.url,
    configuration: [
      "providers:",
      `  anthropic: { kind: anthropic, baseUrl: "${upstream.url}", apiKey: sk-ant-test }`,
      `  openai: { kind: openai-compatible, baseUrl: "${upstream.url}", apiKey: sk-test }`,
      "models:",
      `  - { id: claude, provider: anthropic, upstream: claude-sonnet-4-5, ${prices} }`,
      `  - { id: gpt, provider: openai, upstream: gpt-4o, ${prices} }`,
      `  - { id: claude-broken, provider: anthropic, upstream: broken, ${prices} }`,
      `  - { id: claude-declines, provider: anthropic, upstream: declining, ${prices} }`
    ].join("\n")
  })
}, 120_000)

afterAll(async () => {
  await killAll()
  await upstream.close()
  await database.drop()
})

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

/** The events of a body, as they stand on the wire. */
const wireEvents = (text: string) =>
  text
    .split("\n\n")
    .filter((frame) => frame.includes("data: "))
    .map((frame) => ({
      name: /^event: (.*)$/m.exec(frame)?.[1],
      data: JSON.parse(/^data: (.*)$/m.exec(frame)?.[1] ?? "null")
    }))

const outcomeOf = async ({ headers }: Answered): Promise<any> =>
  (await request(`${conduit.url}/v1/decisions/${headers["x-conduit-decision-id"]}`)).json.outcome

describe("a client of Responses whose model speaks Anthropic's protocol", () => {
  it("gets the text, the counts and the cost, whole and streamed", async () => {
    for (const stream of [false, true]) {
      const before = upstream.requests().costUsd
      const answer = await ask({ model: "claude", instructions: "Be brief.", stream, user: "somebody" })
      assert.strictEqual(answer.status, 200, answer.text)
      const response = stream ? wireEvents(answer.text).at(-1)?.data.response : answer.json
      assert.deepInclude(response, { object: "response", status: "completed", model: "claude", error: null })
      assert.strictEqual(response.id, `resp_${answer.headers["x-conduit-decision-id"]}`)
      assert.match(response.output[0].content[0].text, /simulated answer of claude-sonnet-4-5/)
      const { input_tokens, output_tokens, total_tokens } = response.usage
      assert.isAbove(output_tokens, 0)
      assert.strictEqual(total_tokens, input_tokens + output_tokens)
      const { cost_usd } = await outcomeOf(answer)
      assert.closeTo(cost_usd, upstream.requests().costUsd - before, 1e-12)
      assert.deepStrictEqual(sent().system, [{ type: "text", text: "Be brief." }])
      assert.deepStrictEqual(sent().metadata, { user_id: "somebody" })
      assert.notProperty(sent(), "store")
    }
  })

  it("walks through a loop of tools, thoughts and their signatures included", async () => {
    for (const stream of [false, true]) {
      const input: Array<ResponseInputItem> = [{ role: "user", content: "weather in Rome" }]
      for (const [step, tool_choice] of ["auto", "auto", "none"].entries()) {
        if (step === 1) input.push({ role: "user", content: "and the weather in Oslo" })
        const answer = await answered(stream, {
          model: "claude",
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
      const { messages, thinking } = sent()
      assert.deepStrictEqual(
        messages.map(({ role }: { role: string }) => role),
        ["user", "assistant", "user", "assistant", "user"]
      )
      assert.deepStrictEqual(thinking, { type: "enabled", budget_tokens: 4096 })
      const [first] = messages[1].content
      assert.deepInclude(first, { type: "thinking" })
      assert.match(first.signature, /^mock-signature/)
    }
  })

  it("gets calls that come at once", async () => {
    for (const stream of [false, true]) {
      const { output } = await answered(stream, {
        model: "claude",
        input: "weather",
        tools: [weather],
        mock: { scenario: "parallel_calls" }
      })
      const calls = output.filter((item) => item.type === "function_call")
      assert.lengthOf(calls, 2)
      assert.notStrictEqual(calls[0]?.call_id, calls[1]?.call_id)
    }
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

  it("is told why an answer ended, and pays as the upstream counts", async () => {
    for (const stream of [false, true]) {
      const short = await answered(stream, { model: "claude", max_output_tokens: 2 })
      assert.deepInclude(short, { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } })
      const declined = await answered(stream, { model: "claude-declines" })
      assert.strictEqual(declined.status, "completed")
      const before = upstream.requests().costUsd
      const cached = await ask({ model: "claude", stream, mock: { scenario: "usage_cached" } })
      const outcome = await outcomeOf(cached)
      assert.closeTo(outcome.cost_usd, upstream.requests().costUsd - before, 1e-12)
      const response = stream ? wireEvents(cached.text).at(-1)?.data.response : cached.json
      assert.deepInclude(response.usage.input_tokens_details, { cached_tokens: 9000, cache_write_tokens: 800 })
    }
  })

  it("is told of errors by their status before the answer, and by response.failed inside it", async () => {
    const limited = await ask({ model: "claude", mock: { fault: "429" } })
    assert.deepInclude(limited, { status: 429 })
    assert.strictEqual(limited.headers["retry-after"], "1")
    assert.strictEqual(limited.json.error.message, "simulated rate limit")
    const other = await ask({
      model: "auto",
      conduit: { constraints: { allowed_models: ["claude-broken", "gpt"] } }
    })
    assert.strictEqual(other.headers["x-conduit-model"], "gpt")
    const { complete, text } = await ask({ model: "claude", stream: true, mock: { scenario: "error_event" } })
    const events = wireEvents(text)
    assert.isFalse(complete)
    assert.deepStrictEqual(
      events.map(({ data }) => data.sequence_number),
      events.map((_, i) => i)
    )
    assert.strictEqual(events.at(-1)?.name, "response.failed")
    assert.deepInclude(events.at(-1)?.data.response, { object: "response", status: "failed", model: "claude" })
    assert.include(events.at(-1)?.data.response.error.message, "the simulated upstream gave up")
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

  it("never gets a stream that was cut after any byte as a whole one", async () => {
    const body = { model: "claude", stream: true, mock: { text: "one two" } }
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
    const cuts = Array.from({ length: 100 }, (_, step) => step * 13)
    for (let from = 0; from < cuts.length; from += 8) await Promise.all(cuts.slice(from, from + 8).map(one))
    assert.isAbove(ended, 0)
  })
})
