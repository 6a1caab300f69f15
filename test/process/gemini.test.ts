import {
  type FunctionDeclaration,
  type GenerateContentParameters,
  type GenerateContentResponse,
  GoogleGenAI
} from "@google/genai"
import { assert, describe, it } from "@effect/vitest"
import { type Answered, request } from "../support/conduit.ts"
import { startUpstream } from "../support/processMock.ts"
import { sharedService } from "../support/sharedService.ts"

const price =
  "inputUsdPerMTok: 3, cachedInputUsdPerMTok: 0.3, cacheWriteUsdPerMTok: 3.75, cacheWrite1hUsdPerMTok: 6, outputUsdPerMTok: 15"
const key = "google-style-client-key"

const { conduit, upstream } = sharedService(
  () =>
    startUpstream({
      defaults: { inputUsdPerMTok: 3, outputUsdPerMTok: 15 },
      models: [
        { name: "gemini-3-flash" },
        { name: "claude-sonnet-4-5" },
        { name: "thinker" },
        { name: "silent", scenario: "late_first" }
      ]
    }),
  (upstream) => ({
    env: { CONDUIT_STREAM_KEEP_ALIVE: "200 millis", LOG_LEVEL: "DEBUG", CONDUIT_API_KEYS: `client:${key}` },
    configuration: [
      "providers:",
      `  google: { kind: gemini, baseUrl: "${upstream.url}", apiKey: google-test-key }`,
      `  anthropic: { kind: anthropic, baseUrl: "${upstream.url}", apiKey: sk-ant-test }`,
      `  openai: { kind: openai-compatible, baseUrl: "${upstream.url}", apiKey: sk-test }`,
      "models:",
      `  - { id: gemini, provider: google, upstream: gemini-3-flash, contextWindow: 100000, ${price} }`,
      `  - { id: claude, provider: anthropic, upstream: claude-sonnet-4-5, ${price} }`,
      `  - { id: gpt, provider: openai, upstream: thinker, ${price} }`,
      `  - { id: silent, provider: openai, ${price} }`
    ].join("\n")
  })
)

const client = () => new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: conduit.url } })
const models = ["gemini", "claude", "gpt"] as const
const sent = (): any => upstream.requests().last.at(-1)?.body
const asks = (text: string) => [{ role: "user", parts: [{ text }] }]
const post = (
  operation: string,
  body: Record<string, unknown> = {},
  headers: Record<string, string> = { "x-goog-api-key": key }
): Promise<Answered> =>
  request(`${conduit.url}/v1beta/models/${operation}`, { body: { contents: asks("hello"), ...body }, headers })

/** Whole, or put together from its pieces. */
const ask = async (parameters: GenerateContentParameters, stream: boolean) => {
  if (!stream) return await client().models.generateContent(parameters)
  const pieces: Array<GenerateContentResponse> = []
  for await (const piece of await client().models.generateContentStream(parameters)) pieces.push(piece)
  const last = pieces.at(-1)!
  const parts = pieces.flatMap((piece) => piece.candidates?.[0]?.content?.parts ?? []).filter(({ text }) => text !== "")
  last.candidates![0]!.content = { role: "model", parts }
  return last
}
const withMock = (mock: Record<string, unknown>) => ({ httpOptions: { extraBody: { mock } } })

const weather: FunctionDeclaration = {
  name: "weather",
  description: "the weather of a city",
  parametersJsonSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
}
const tools = [{ functionDeclarations: [weather] }]

for (const model of models) {
  describe(`@google/genai, unchanged, whose model is ${model}`, () => {
    it("gets a text, its counts and the cost, whole and streamed", async () => {
      for (const stream of [false, true]) {
        const before = upstream.requests().costUsd
        const answer = await ask({ model, contents: "hello", config: { systemInstruction: "Be brief." } }, stream)
        assert.match(answer.text ?? "", /simulated answer/)
        assert.strictEqual(answer.candidates?.[0]?.finishReason as string, "STOP")
        assert.strictEqual(answer.modelVersion, model)
        assert.isAbove(answer.usageMetadata?.promptTokenCount ?? 0, 0)
        const { json, status } = await request(`${conduit.url}/v1/feedback`, {
          body: { decision_id: answer.responseId, kind: "score", value: 1 },
          headers: { authorization: `Bearer ${key}` }
        })
        assert.strictEqual(status, 200, JSON.stringify(json))
        const { outcome } = (
          await request(`${conduit.url}/v1/decisions/${json.decision_id}`, {
            headers: { authorization: `Bearer ${key}` }
          })
        ).json
        assert.closeTo(outcome.cost_usd, upstream.requests().costUsd - before, 1e-12)
      }
    })

    it("walks through a loop of tools, thoughts and their signatures included", async () => {
      for (const stream of [false, true]) {
        const contents: Array<any> = asks("weather in Rome")
        for (const step of [0, 1, 2]) {
          if (step === 1) contents.at(-1).parts.push({ text: "and the weather in Oslo" })
          const mode = step === 2 ? "NONE" : "AUTO"
          const config: any = {
            tools,
            maxOutputTokens: 8000,
            thinkingConfig: { includeThoughts: true, thinkingLevel: "LOW" },
            toolConfig: { functionCallingConfig: { mode } }
          }
          const answer = await ask({ model, contents, config }, stream)
          const content = answer.candidates?.[0]?.content
          contents.push(content)
          if (model !== "gpt") assert.isTrue(content?.parts?.some(({ thought }) => thought === true))
          if (step === 2) {
            assert.match(answer.text ?? "", /simulated answer/)
            break
          }
          const [call] = answer.functionCalls ?? []
          assert.isString(call?.args?.["city"])
          const functionResponse = { id: call?.id, name: call?.name, response: { output: "sunny" } }
          contents.push({ role: "user", parts: [{ functionResponse }] })
        }
        if (model === "claude") {
          assert.deepInclude(sent().messages[1].content[0], { type: "thinking", signature: "mock-signature-1" })
        }
        if (model === "gemini") assert.isString(sent().contents[1].parts.at(-1).thoughtSignature)
        if (model === "gpt") assert.strictEqual(sent().reasoning_effort, "low")
      }
    })

    it("gets calls that come at once, each with all of its input", async () => {
      for (const stream of [false, true]) {
        const config: any = { tools, ...withMock({ scenario: "parallel_calls" }) }
        const answer = await ask({ model, contents: "weather", config }, stream)
        const calls = answer.functionCalls ?? []
        assert.strictEqual(new Set(calls.map(({ id }) => id)).size, 2)
        for (const { args } of calls) assert.isString(args?.["city"])
      }
    })

    it("gets an answer of a schema, sends images, and sees why an answer ended", async () => {
      const answer = await client().models.generateContent({
        model,
        contents: [
          { role: "user", parts: [{ text: "where" }, { inlineData: { mimeType: "image/png", data: "AAAA" } }] }
        ],
        config: {
          responseMimeType: "application/json",
          responseSchema: { type: "OBJECT", properties: { city: { type: "STRING" } }, required: ["city"] } as any
        }
      })
      assert.isString(JSON.parse(answer.text ?? "").city)
      assert.include(JSON.stringify(sent()), "AAAA")
      for (const stream of [false, true]) {
        const short = await ask({ model, contents: "x", config: { maxOutputTokens: 2 } }, stream)
        assert.strictEqual(short.candidates?.[0]?.finishReason as string, "MAX_TOKENS")
        const declined = await ask({ model, contents: "x", config: withMock({ scenario: "refusal" }) }, stream)
        assert.strictEqual(declined.candidates?.[0]?.finishReason as string, "SAFETY")
      }
    })

    it("is told of a limit, and of an error within a stream, as Google tells it", async () => {
      const limited = await ask({ model, contents: "x", config: withMock({ fault: "429" }) }, false).catch(
        (error: unknown) => error as any
      )
      assert.strictEqual(limited.status, 429)
      const { error } = JSON.parse(limited.message)
      assert.deepInclude(error, { code: 429, status: "RESOURCE_EXHAUSTED" })
      assert.match(JSON.stringify(error.details), /RetryInfo","retryDelay":"[12]s"/)
      const broken = await ask({ model, contents: "x", config: withMock({ scenario: "error_event" }) }, true).catch(
        (failed: unknown) => failed as any
      )
      assert.match(String(broken.message), /gave up|overloaded/)
    })

    it("never has a stream end well that was cut after any byte", async () => {
      const body = { mock: { text: "one two" } }
      let ended = 0
      for (let at = 0; at < 1500; at += 17) {
        for (const query of ["?alt=sse", ""]) {
          const response = await fetch(`${conduit.url}/v1beta/models/${model}:streamGenerateContent${query}`, {
            method: "POST",
            headers: { "content-type": "application/json", "x-goog-api-key": key },
            body: JSON.stringify({ contents: asks("x"), mock: { ...body.mock, cut_after: at } })
          })
          const text = await response.text().catch(() => null)
          if (response.status !== 200 || text === null) continue
          ended++
          assert.include(text, " two", `cut after ${at} bytes`)
          assert.include(text, '"finishReason":"STOP"', `cut after ${at} bytes`)
          if (query === "") assert.isArray(JSON.parse(text))
        }
      }
      assert.isAbove(ended, 0)
    })
  })
}

describe("Google's API", () => {
  it("passes a request and its answer as they are to a model of the same protocol", async () => {
    const body = {
      contents: asks("hi"),
      safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_NONE" }],
      generationConfig: { seed: 7, topK: 3, thinkingConfig: { thinkingLevel: "LOW" } }
    }
    const answer = await post("gemini:generateContent", { ...body, conduit: { task: "chat" } })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.deepStrictEqual(sent(), body)
    assert.isUndefined(answer.headers["x-conduit-adjusted"])
    assert.deepInclude(answer.json, {
      responseId: answer.headers["x-conduit-decision-id"],
      modelVersion: "gemini"
    })
  })

  it("says what it left out for a model of another protocol, and keeps tools of Google's own to Google", async () => {
    const settings = [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_NONE" }]
    const answer = await post("gpt:generateContent", {
      safetySettings: settings,
      generationConfig: { seed: 7, topK: 5 }
    })
    assert.strictEqual(answer.headers["x-conduit-adjusted"], "safetySettings->none, top_k->none")
    assert.strictEqual(sent().seed, 7)
    const search = { tools: [{ googleSearch: {} }] }
    const refused = await post("gpt:generateContent", search)
    assert.strictEqual(refused.status, 422)
    assert.include(refused.text, "capability:native_tools")
    const routed = await post("auto:generateContent", {
      ...search,
      conduit: { constraints: { allowed_models: ["gpt", "gemini"] } }
    })
    assert.strictEqual(routed.headers["x-conduit-model"], "gemini", routed.text)
  })

  it("takes the key in a header or in the query, below both versions, and tells who has none", async () => {
    for (const path of ["v1beta", "v1"]) {
      const url = `${conduit.url}/${path}/models/gemini:generateContent`
      const answer = await request(`${url}?key=${key}`, { body: { contents: asks("x") } })
      assert.strictEqual(answer.status, 200, answer.text)
      const refused = await request(url, { body: { contents: asks("x") } })
      assert.strictEqual(refused.status, 401)
      assert.deepInclude(refused.json.error, { code: 401, status: "UNAUTHENTICATED" })
    }
    assert.notInclude(JSON.stringify(conduit.lines) + conduit.stderr(), key)
  })

  it("answers errors in Google's envelope, with the part that is at fault", async () => {
    const error = async (operation: string, body: Record<string, unknown>) => {
      const { json, status } = await post(operation, body)
      const violation = json.error.details.find((detail: any) => detail.fieldViolations !== undefined)
      return [status, json.error.status, json.error.details[0].reason, violation?.fieldViolations[0].field]
    }
    assert.deepStrictEqual(
      [
        await error("gemini:generateContent", { contents: [] }),
        await error("gemini:generateContent", { contents: [{ role: "robot", parts: [] }] }),
        await error("gemini:generateContent", { contents: [{ parts: [{ functionCall: {} }] }] }),
        await error("nobody:generateContent", {}),
        await error("gemini:generateContent", { conduit: { tsk: "x" } })
      ],
      [
        [400, "INVALID_ARGUMENT", "invalid_request", "contents"],
        [400, "INVALID_ARGUMENT", "invalid_request", "contents.0.role"],
        [400, "INVALID_ARGUMENT", "invalid_request", "contents.0.parts.0.functionCall.name"],
        [404, "NOT_FOUND", "model_not_found", "model"],
        [400, "INVALID_ARGUMENT", "invalid_request", "conduit.tsk"]
      ]
    )
    const unknown = await post("gemini:batchEmbedContents")
    assert.strictEqual(unknown.status, 404)
    assert.include(unknown.json.error.message, "generateContent")
  })

  it("shows that a stream lives by blank lines, which Google's clients leave out", async () => {
    const response = await fetch(`${conduit.url}/v1beta/models/silent:streamGenerateContent?alt=sse`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-goog-api-key": key },
      body: JSON.stringify({ contents: asks("x") })
    })
    const reader = response.body!.getReader()
    const said = new TextDecoder().decode((await reader.read()).value)
    await reader.cancel()
    assert.strictEqual(said, "\n")
  })

  it("counts tokens, and lists models in the caller's dialect", async () => {
    const { totalTokens } = await client().models.countTokens({ model: "gemini", contents: "how many are there" })
    assert.isAbove(totalTokens ?? 0, 0)
    const wrapped = await post("gemini:countTokens", {
      contents: undefined,
      generateContentRequest: { model: "models/gemini", contents: asks("how many are there") }
    })
    assert.strictEqual(wrapped.json.totalTokens, totalTokens)
    const names: Array<string | undefined> = []
    for await (const { name } of await client().models.list()) names.push(name)
    assert.includeMembers(names, ["models/auto", "models/gemini", "models/claude"])
    assert.deepInclude(await client().models.get({ model: "gemini" }), {
      name: "models/gemini",
      inputTokenLimit: 100_000
    })
    const asGoogle = await request(`${conduit.url}/v1/models`, { headers: { "x-goog-api-key": key } })
    assert.isArray(asGoogle.json.models)
    const asOpenAi = await request(`${conduit.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })
    assert.strictEqual(asOpenAi.json.object, "list")
  })
})
