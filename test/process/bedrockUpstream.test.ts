import { assert, describe, it } from "@effect/vitest"
import OpenAI from "openai"
import { saidEvent, startAmazon, thrownEvent } from "../support/amazonStandIn.ts"
import { type Answered, request } from "../support/conduit.ts"
import { sharedService } from "../support/sharedService.ts"
import { messageOf, question } from "../support/openaiAnswers.ts"

const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
const prices =
  "inputUsdPerMTok: 3, cachedInputUsdPerMTok: 0.3, cacheWriteUsdPerMTok: 3.75, cacheWrite1hUsdPerMTok: 6, outputUsdPerMTok: 15"

const { conduit, upstream: amazon } = sharedService(
  () => startAmazon(secret),
  (amazon) => ({
    env: {
      AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
      AWS_SECRET_ACCESS_KEY: secret,
      AWS_SESSION_TOKEN: "session-token-of-a-role",
      AWS_REGION: "eu-central-1"
    },
    configuration: [
      "providers:",
      `  signed: { kind: bedrock, baseUrl: "${amazon.url}" }`,
      `  keyed: { kind: bedrock, baseUrl: "${amazon.url}", apiKey: bedrock-api-key }`,
      "models:",
      `  - { id: claude, provider: signed, upstream: "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", ${prices} }`,
      `  - { id: nova, provider: keyed, upstream: "amazon.nova-pro-v1:0", ${prices} }`
    ].join("\n")
  })
)

const client = () => new OpenAI({ baseURL: `${conduit.url}/v1`, apiKey: "any", maxRetries: 0 })
const ask = (body: Record<string, unknown>): Promise<Answered> =>
  request(`${conduit.url}/v1/chat/completions`, { body: { model: "claude", messages: question("hello"), ...body } })
const sent = () => amazon.asked.at(-1)

const usage = {
  inputTokens: 10,
  outputTokens: 20,
  totalTokens: 30,
  cacheReadInputTokens: 1000,
  cacheWriteInputTokens: 100
}
const costUsd = (10 * 3 + 1000 * 0.3 + 100 * 3.75 + 20 * 15) / 1e6
const thought = { reasoningContent: { reasoningText: { text: "hm", signature: "signed-by-claude" } } }
const call = (id: string) => ({ toolUse: { toolUseId: id, name: "weather", input: { city: "Rome" } } })
const whole = (content: ReadonlyArray<unknown>, stopReason: string) => ({
  status: 200,
  body: { output: { message: { role: "assistant", content } }, stopReason, usage, metrics: { latencyMs: 1 } }
})
const delta = (contentBlockIndex: number, said: unknown) =>
  saidEvent("contentBlockDelta", { contentBlockIndex, delta: said })
const start = (contentBlockIndex: number, toolUseId: string) =>
  saidEvent("contentBlockStart", { contentBlockIndex, start: { toolUse: { toolUseId, name: "weather" } } })
const stop = (contentBlockIndex: number) => saidEvent("contentBlockStop", { contentBlockIndex })
const ended = (stopReason: string) => [saidEvent("messageStop", { stopReason }), saidEvent("metadata", { usage })]
const begun = saidEvent("messageStart", { role: "assistant" })

const weather = {
  type: "function" as const,
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } }
}

describe("a chat whose model speaks Amazon's Converse", () => {
  it("is signed by the environment's credentials, and gets the text, the counts and the cost", async () => {
    amazon.answer = (streams) =>
      streams
        ? [begun, delta(0, { text: "hel" }), delta(0, { text: "lo" }), stop(0), ...ended("end_turn")]
        : whole([{ text: "hello" }], "end_turn")
    for (const stream of [false, true]) {
      const answer = await ask({
        messages: [{ role: "system", content: "Be brief." }, ...question("hi")],
        max_tokens: 50,
        stream,
        stream_options: stream ? { include_usage: true } : undefined
      })
      assert.strictEqual(answer.status, 200, answer.text)
      assert.isNull(sent()?.problem)
      assert.strictEqual(
        sent()?.path,
        `/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse${stream ? "-stream" : ""}`
      )
      assert.deepStrictEqual(sent()?.body, {
        system: [{ text: "Be brief." }],
        messages: [{ role: "user", content: [{ text: "hi" }] }],
        inferenceConfig: { maxTokens: 50 }
      })
      const id = answer.headers["x-conduit-decision-id"]
      const { outcome } = (await request(`${conduit.url}/v1/decisions/${id}`)).json
      assert.closeTo(outcome.cost_usd, costUsd, 1e-12)
      assert.deepInclude(outcome, { input_tokens: 1110, cached_tokens: 1000, written_tokens: 100, output_tokens: 20 })
      if (!stream) assert.strictEqual(answer.json.choices[0].message.content, "hello")
      else assert.match(answer.text, /"hel".*"lo".*\[DONE\]/s)
    }
  })

  it("walks through a loop of tools with calls at once, thoughts and their signatures included", async () => {
    for (const stream of [false, true]) {
      amazon.answer = (streams) =>
        streams
          ? [
              begun,
              delta(0, { reasoningContent: { text: "hm" } }),
              delta(0, { reasoningContent: { signature: "signed-by-claude" } }),
              stop(0),
              start(1, "tooluse_1"),
              delta(1, { toolUse: { input: '{"city":' } }),
              delta(1, { toolUse: { input: '"Rome"}' } }),
              stop(1),
              start(2, "tooluse_2"),
              delta(2, { toolUse: { input: '{"city":"Rome"}' } }),
              stop(2),
              ...ended("tool_use")
            ]
          : whole([thought, call("tooluse_1"), call("tooluse_2")], "tool_use")
      const messages: Array<any> = question("weather in Rome")
      const body = { model: "claude", messages, tools: [weather], reasoning_effort: "low" as const, max_tokens: 8000 }
      const message = await messageOf(client(), body, stream)
      const calls = message?.tool_calls ?? []
      assert.deepStrictEqual(
        calls.map((one) => (one.type === "function" ? [one.id, JSON.parse(one.function.arguments)] : null)),
        ["tooluse_1", "tooluse_2"].map((id) => [id, { city: "Rome" }])
      )
      messages.push(message, ...calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "sunny" })))
      amazon.answer = () => whole([{ text: "It is sunny." }], "end_turn")
      const last = await client().chat.completions.create({ ...body, messages })
      assert.strictEqual(last.choices[0]?.message.content, "It is sunny.")
      const { additionalModelRequestFields: more, messages: told, toolConfig } = sent()!.body
      assert.deepStrictEqual(told[1].content, [thought, call("tooluse_1"), call("tooluse_2")])
      assert.deepStrictEqual(told[2].content[0], {
        toolResult: { toolUseId: "tooluse_1", content: [{ text: "sunny" }] }
      })
      assert.strictEqual(toolConfig.tools[0].toolSpec.name, "weather")
      assert.deepStrictEqual(more, { thinking: { type: "enabled", budget_tokens: 4096 } })
    }
  })

  it("sends images and documents, by a key of Bedrock's own, and gets an answer of a schema", async () => {
    amazon.answer = () => whole([{ text: '{"city":"Rome"}' }], "end_turn")
    const schema = { type: "object", properties: { city: { type: "string" } } }
    const answer = await ask({
      model: "nova",
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "what is it" },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
            { type: "file", file: { filename: "a_b.pdf", file_data: "data:application/pdf;base64,BBBB" } }
          ]
        }
      ],
      response_format: { type: "json_schema", json_schema: { name: "place", schema } },
      seed: 7,
      reasoning_effort: "low"
    })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.strictEqual(sent()?.key, "Bearer bedrock-api-key")
    assert.strictEqual(answer.headers["x-conduit-adjusted"], "seed->none, reasoning_effort->none")
    assert.deepStrictEqual(sent()?.body.messages[0].content, [
      { text: "what is it" },
      { image: { format: "png", source: { bytes: "AAAA" } } },
      { document: { format: "pdf", name: "a b 1", source: { bytes: "BBBB" } } }
    ])
    assert.deepStrictEqual(sent()?.body.outputConfig.textFormat.structure.jsonSchema, {
      schema: JSON.stringify(schema),
      name: "place"
    })
  })

  it("is told why an answer ended, and what went wrong by Amazon's words and status", async () => {
    const finish = async (stopReason: string) => {
      amazon.answer = () => whole([{ text: "x" }], stopReason)
      const { json, status } = await ask({})
      return json.choices?.[0].finish_reason ?? status
    }
    assert.deepStrictEqual(
      [await finish("max_tokens"), await finish("guardrail_intervened"), await finish("malformed_tool_use")],
      ["length", "content_filter", 502]
    )
    amazon.answer = () => ({ status: 429, body: { message: "Too many requests, please wait" } })
    const limited = await ask({ model: "nova" })
    assert.deepStrictEqual([limited.status, limited.json.error.message], [429, "Too many requests, please wait"])
    amazon.answer = () => ({ status: 400, body: { message: "The provided model identifier is invalid." } })
    assert.include((await ask({ model: "nova" })).json.error.message, "model identifier")
  })

  it("never lets a stream that was cut after any byte, or broke inside, end well", async () => {
    const bytes = Buffer.concat([
      begun,
      delta(0, { text: "one" }),
      delta(0, { text: " two" }),
      stop(0),
      ...ended("end_turn")
    ])
    for (let at = 1; at < bytes.length; at += 13) {
      amazon.answer = () => [bytes.subarray(0, at)]
      const { status, text } = await ask({ model: "nova", stream: true })
      if (status !== 200 || !text.includes("[DONE]")) continue
      assert.include(text, " two", `cut after ${at} bytes`)
      assert.include(text, '"finish_reason":"stop"', `cut after ${at} bytes`)
    }
    amazon.answer = () => [begun, delta(0, { text: "one" }), thrownEvent("throttlingException", "slow down")]
    const broken = await ask({ model: "nova", stream: true })
    assert.include(broken.text, "slow down")
    assert.notInclude(broken.text, "[DONE]")
  })
})
