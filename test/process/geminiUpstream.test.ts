import { assert, describe, it } from "@effect/vitest"
import OpenAI from "openai"
import { type Answered, request } from "../support/conduit.ts"
import { startUpstream } from "../support/processMock.ts"
import { sharedService } from "../support/sharedService.ts"
import { messageOf, question, weather } from "../support/openaiAnswers.ts"

const prices = "inputUsdPerMTok: 3, cachedInputUsdPerMTok: 0.3, outputUsdPerMTok: 15"
/** By what the models do. */
const scripted = {
  parallel: { scenario: "parallel_calls" },
  declining: { scenario: "refusal" },
  cached: { scenario: "usage_cached" },
  busy: { scenario: "overloaded" },
  limited: { faults: { "429": 1 } },
  breaking: { scenario: "error_event" }
} as const

const { conduit, upstream } = sharedService(
  () =>
    startUpstream({
      defaults: { inputUsdPerMTok: 3, outputUsdPerMTok: 15 },
      models: [
        { name: "gemini-3-flash" },
        { name: "gemini-2.5-flash" },
        { name: "gpt-4o" },
        ...Object.entries(scripted).map(([name, script]) => ({ name, ...script }))
      ]
    }),
  (upstream) => ({
    configuration: [
      "providers:",
      `  google: { kind: gemini, baseUrl: "${upstream.url}", apiKey: google-test-key }`,
      `  openai: { kind: openai-compatible, baseUrl: "${upstream.url}", apiKey: sk-test }`,
      "models:",
      `  - { id: gemini, provider: google, upstream: gemini-3-flash, ${prices} }`,
      `  - { id: older, provider: google, upstream: gemini-2.5-flash, ${prices} }`,
      `  - { id: gpt, provider: openai, upstream: gpt-4o, ${prices} }`,
      ...Object.keys(scripted).map((id) => `  - { id: ${id}, provider: google, ${prices} }`)
    ].join("\n")
  })
)

const client = () => new OpenAI({ baseURL: `${conduit.url}/v1`, apiKey: "any", maxRetries: 0 })
const ask = (body: Record<string, unknown>): Promise<Answered> =>
  request(`${conduit.url}/v1/chat/completions`, {
    body: { model: "gemini", messages: question("hello"), ...body }
  })

const sent = (): any => upstream.requests().last.at(-1)?.body

describe("a chat whose model speaks Google's protocol", () => {
  it("gets the text, the counts and the cost, whole and streamed", async () => {
    for (const stream of [false, true]) {
      const before = upstream.requests().costUsd
      const answer = await ask({
        messages: [{ role: "system", content: "Be brief." }, ...question("hello")],
        stream,
        stream_options: stream ? { include_usage: true } : undefined
      })
      assert.strictEqual(answer.status, 200, answer.text)
      assert.include(answer.text, "gemini-3-flash")
      const id = answer.headers["x-conduit-decision-id"]
      const { outcome } = (await request(`${conduit.url}/v1/decisions/${id}`)).json
      assert.closeTo(outcome.cost_usd, upstream.requests().costUsd - before, 1e-12)
      assert.deepInclude(outcome, { finish_reason: "STOP", reasoning_tokens: 7 })
      assert.deepStrictEqual(sent().systemInstruction, { parts: [{ text: "Be brief." }] })
      assert.isTrue(upstream.requests().last.at(-1)?.authorized)
      if (stream) continue
      assert.deepInclude(answer.json, { id: `chatcmpl-${id}`, model: "gemini" })
      assert.deepInclude(answer.json.usage.completion_tokens_details, { reasoning_tokens: 7 })
    }
  })

  it("walks through a loop of tools, thoughts and their signatures included, in both generations", async () => {
    for (const [model, stream] of [
      ["gemini", false],
      ["gemini", true],
      ["older", true]
    ] as const) {
      const messages: Array<any> = question("weather in Rome")
      for (const [step, tool_choice] of (["auto", "auto", "none"] as const).entries()) {
        if (step === 1) messages.push(...question("and the weather in Oslo"))
        const body = { model, messages, tools: [weather], tool_choice, reasoning_effort: "low" as const }
        const message = await messageOf(client(), body, stream)
        const told = message as any
        assert.include(told.reasoning_content, "thinks")
        messages.push(told)
        if (step === 2) {
          assert.match(told.content, /simulated answer/)
          break
        }
        const [call] = told.tool_calls
        assert.strictEqual(call.function.name, "weather")
        assert.isObject(JSON.parse(call.function.arguments))
        assert.isAtMost(call.id.length, 40)
        messages.push({ role: "tool", tool_call_id: call.id, content: "sunny" })
      }
      const [, said, result] = sent().contents
      assert.isString(said.parts.find((part: any) => part.functionCall !== undefined).thoughtSignature)
      assert.deepInclude(result.parts[0].functionResponse, { name: "weather", response: { output: "sunny" } })
      const level = model === "gemini" ? { thinkingLevel: "LOW" } : { thinkingBudget: 1024 }
      assert.deepStrictEqual(sent().generationConfig.thinkingConfig, { includeThoughts: true, ...level })
    }
  })

  it("gets calls that come at once, each with an id of its own", async () => {
    for (const stream of [false, true]) {
      const body = { model: "parallel", messages: question("weather"), tools: [weather] }
      const message = await messageOf(client(), body, stream)
      const calls = message?.tool_calls ?? []
      assert.lengthOf(calls, 2)
      assert.notStrictEqual(calls[0]?.id, calls[1]?.id)
    }
  })

  it("sends images and files, and gets an answer of a schema", async () => {
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
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
      ],
      response_format: { type: "json_schema", json_schema: { name: "place", schema } }
    })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.isString(JSON.parse(answer.json.choices[0].message.content).city)
    assert.deepStrictEqual(sent().contents[0].parts, [
      { text: "what is it" },
      { inlineData: { mimeType: "image/png", data: "AAAA" } },
      { fileData: { fileUri: "https://images.example/a.png", mimeType: "image/png" } },
      { inlineData: { mimeType: "application/pdf", data: "BBBB" } }
    ])
    assert.deepStrictEqual(sent().generationConfig, {
      responseMimeType: "application/json",
      responseJsonSchema: schema
    })
  })

  it("is told why an answer ended, and pays for what was cached", async () => {
    assert.strictEqual((await ask({ max_tokens: 2 })).json.choices[0].finish_reason, "length")
    const declined = await ask({ model: "declining" })
    assert.strictEqual(declined.json.choices[0].finish_reason, "content_filter")
    const before = upstream.requests().costUsd
    const { headers, json } = await ask({ model: "cached" })
    assert.closeTo(Number(headers["x-conduit-cost-usd"]), upstream.requests().costUsd - before, 1e-12)
    assert.deepInclude(json.usage.prompt_tokens_details, { cached_tokens: 9000 })
  })

  it("is told what was left out, and answered by another model where there are no words for it", async () => {
    const told = await ask({ seed: 7, user: "somebody", min_p: 0.1 })
    assert.strictEqual(told.headers["x-conduit-adjusted"], "user->none, min_p->none")
    const answer = await ask({ model: "auto", n: 2, conduit: { constraints: { allowed_models: ["gemini", "gpt"] } } })
    assert.strictEqual(answer.headers["x-conduit-model"], "gpt", answer.text)
  })
})

describe("what goes wrong at an upstream of Google's protocol", () => {
  it("is told by its words and its status, and a limit by when it is over", async () => {
    const limited = await ask({ model: "limited" })
    assert.strictEqual(limited.status, 429, limited.text)
    assert.isUndefined(limited.headers["x-should-retry"])
    const busy = await ask({ model: "busy" })
    assert.strictEqual(busy.status, 503)
    const invalid = await ask({ tools: [{ type: "function", function: { name: "0 wrong" } }] })
    assert.strictEqual(invalid.status, 400)
    assert.include(invalid.json.error.message, "Invalid function name")
  })

  it("is an error inside an answer that had begun", async () => {
    const { text } = await ask({ model: "breaking", stream: true })
    assert.include(text, "The model is overloaded.")
    assert.notInclude(text, "[DONE]")
  })
})
