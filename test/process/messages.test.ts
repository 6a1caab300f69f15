import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import Anthropic0 from "anthropic0"
import { type Answered, request } from "../support/conduit.ts"
import { startUpstream } from "../support/processMock.ts"
import { sharedService } from "../support/sharedService.ts"

const price =
  "inputUsdPerMTok: 3, cachedInputUsdPerMTok: 0.3, cacheWriteUsdPerMTok: 3.75, cacheWrite1hUsdPerMTok: 6, outputUsdPerMTok: 15"
const key = "sk-conduit-key"

const { conduit, upstream } = sharedService(
  () =>
    startUpstream({
      defaults: { inputUsdPerMTok: 3, outputUsdPerMTok: 15 },
      models: [
        { name: "claude-sonnet-4-5" },
        { name: "thinker" },
        { name: "small", contextWindow: 8192, scenario: "context_8k" },
        { name: "silent", scenario: "late_first" }
      ]
    }),
  (upstream) => ({
    env: { CONDUIT_STREAM_KEEP_ALIVE: "200 millis" },
    configuration: [
      "providers:",
      `  anthropic: { kind: anthropic, baseUrl: "${upstream.url}", apiKey: sk-ant-test }`,
      `  openai: { kind: openai-compatible, baseUrl: "${upstream.url}", apiKey: sk-test }`,
      "models:",
      `  - { id: claude, provider: anthropic, upstream: claude-sonnet-4-5, ${price} }`,
      `  - { id: gpt, provider: openai, upstream: thinker, ${price}, maxOutputTokens: 16384 }`,
      `  - { id: other, provider: anthropic, upstream: claude-sonnet-4-5, ${price} }`,
      `  - { id: small, provider: openai, ${price} }`,
      `  - { id: silent, provider: openai, ${price} }`
    ].join("\n")
  })
)

const newest = () => new Anthropic({ baseURL: conduit.url, apiKey: key, maxRetries: 0 })
/** What both majors have alike. */
const older = () => new Anthropic0({ baseURL: conduit.url, apiKey: key, maxRetries: 0 }) as unknown as Anthropic
const clients = [
  ["@anthropic-ai/sdk 1", newest],
  ["@anthropic-ai/sdk 0", older]
] as const
const models = ["claude", "gpt"] as const

const asks = (content: string) => [{ role: "user" as const, content }]
const post = (body: Record<string, unknown>, headers: Record<string, string> = {}): Promise<Answered> =>
  request(`${conduit.url}/v1/messages`, {
    body: { model: "claude", max_tokens: 200, messages: asks("hello"), ...body },
    headers: { "anthropic-version": "2023-06-01", ...headers }
  })

const call = () => upstream.requests().last.at(-1)
const sent = (): any => call()?.body
const tools = [
  {
    name: "weather",
    description: "the weather of a city",
    input_schema: { type: "object" as const, properties: { city: { type: "string" } }, required: ["city"] }
  }
]

for (const [name, client] of clients) {
  for (const model of models) {
    describe(`${name}, unchanged, whose model is ${model}`, () => {
      it("gets a message and its counts", async () => {
        const before = upstream.requests().costUsd
        const { data, response, request_id } = await client()
          .messages.create({ model, max_tokens: 100, system: "Be brief.", messages: asks("hello") })
          .withResponse()
        assert.deepInclude(data, { type: "message", role: "assistant", model, stop_reason: "end_turn" })
        assert.match(data.content[0]?.type === "text" ? data.content[0].text : "", /simulated answer/)
        assert.isAbove(data.usage.input_tokens, 0)
        const decision = response.headers.get("x-conduit-decision-id")
        assert.strictEqual(data.id, `msg_${decision}`)
        assert.strictEqual(request_id, response.headers.get("request-id"))
        const cost = Number(response.headers.get("x-conduit-cost-usd"))
        assert.closeTo(cost, upstream.requests().costUsd - before, 1e-12)
      })

      it("streams", async () => {
        const stream = client().messages.stream({ model, max_tokens: 100, messages: asks("hello") })
        let text = ""
        stream.on("text", (piece) => (text += piece))
        const message = await stream.finalMessage()
        assert.match(text, /simulated answer/)
        assert.deepStrictEqual(
          message.content.map((block) => (block.type === "text" ? block.text : block.type)),
          [text]
        )
        assert.strictEqual(message.stop_reason, "end_turn")
        assert.isAbove(message.usage.output_tokens, 1)
      })

      it("walks through a loop of tools, thoughts and their signatures included", async () => {
        for (const stream of [false, true]) {
          const messages: Array<any> = asks("weather in Rome")
          for (const step of [0, 1, 2]) {
            if (step === 1) messages.at(-1).content.push({ type: "text", text: "and the weather in Oslo" })
            const body = {
              model,
              max_tokens: 8000,
              messages,
              tools,
              thinking: { type: "enabled" as const, budget_tokens: 2000 },
              tool_choice: step === 2 ? { type: "none" as const } : { type: "auto" as const }
            }
            const message: Anthropic.Message = stream
              ? await client().messages.stream(body).finalMessage()
              : await client().messages.create(body)
            messages.push({ role: "assistant", content: message.content })
            if (step === 2) {
              assert.strictEqual(message.stop_reason, "end_turn")
              break
            }
            assert.strictEqual(message.stop_reason, "tool_use")
            const used = message.content.find((block) => block.type === "tool_use")
            assert.isString((used!.input as any).city)
            messages.push({
              role: "user",
              content: [{ type: "tool_result", tool_use_id: used?.id, content: "sunny" }]
            })
          }
          if (model === "claude") assert.strictEqual(sent().messages[1].content[0].type, "thinking")
          else assert.deepInclude(sent(), { reasoning_effort: "low" })
        }
      })

      it("gets calls that come at once, each with all of its input", async () => {
        for (const stream of [false, true]) {
          const body = {
            model,
            max_tokens: 500,
            messages: asks("weather"),
            tools,
            mock: { scenario: "parallel_calls" }
          }
          const { content } = stream
            ? await client()
                .messages.stream(body as any)
                .finalMessage()
            : await client().messages.create(body as any)
          const calls = content.filter((block) => block.type === "tool_use")
          assert.lengthOf(new Set(calls.map(({ id }) => id)) as any, 2)
          for (const { input } of calls) assert.isString((input as any).city)
        }
      })

      it("sees a model that declines, and one that had no more room", async () => {
        for (const stream of [false, true]) {
          const body = { model, max_tokens: 100, messages: asks("x"), mock: { scenario: "refusal" } } as any
          const refused = stream
            ? await client().messages.stream(body).finalMessage()
            : await client().messages.create(body)
          assert.strictEqual(refused.stop_reason, "refusal")
          const short = { model, max_tokens: 2, messages: asks("x") }
          const cut = stream
            ? await client().messages.stream(short).finalMessage()
            : await client().messages.create(short)
          assert.strictEqual(cut.stop_reason, "max_tokens")
        }
      })

      it("gets an answer of a schema, and sends images", async () => {
        const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
        const message = await client().messages.create({
          model,
          max_tokens: 200,
          output_config: { format: { type: "json_schema", schema } },
          messages: [
            {
              role: "user",
              content: [
                { type: "text", text: "where" },
                { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } }
              ]
            }
          ]
        } as any)
        const [block] = message.content
        assert.isString(JSON.parse(block?.type === "text" ? block.text : "").city)
        assert.include(JSON.stringify(sent().messages), "AAAA")
      })

      it("is told of a limit, and of an error within a stream, as Anthropic tells it", async () => {
        const limited = await client()
          .messages.create({ model, max_tokens: 10, messages: asks("x"), mock: { fault: "429" } } as any)
          .catch((error: unknown) => error as any)
        assert.deepInclude(limited, { status: 429 })
        assert.deepInclude(limited.error.error, { type: "rate_limit_error", message: "simulated rate limit" })
        assert.match(limited.requestID, /./)
        assert.strictEqual(limited.headers.get("retry-after"), "1")

        const broken = await client()
          .messages.stream({ model, max_tokens: 100, messages: asks("x"), mock: { scenario: "error_event" } } as any)
          .finalMessage()
          .catch((error: unknown) => error as any)
        assert.include(String(broken.message), "the simulated upstream gave up")
      })
    })
  }
}

describe("POST /v1/messages", () => {
  it("shortens names of tools that another protocol takes no longer ones of, and tells them whole", async () => {
    const name = `mcp__${"a-server-with-a-long-name_".repeat(3)}tool`
    const asked = { tools: [{ ...tools[0], name }], tool_choice: { type: "tool", name } }
    const call = { type: "tool_use", id: "toolu_1", name, input: { city: "Rome" } }
    const result = { type: "tool_result", tool_use_id: "toolu_1", content: "sunny" }
    const history = [...asks("weather"), { role: "assistant", content: [call] }, { role: "user", content: [result] }]
    for (const stream of [false, true]) {
      const answer = await post({ model: "gpt", stream, messages: history, ...asked })
      assert.strictEqual(answer.status, 200, answer.text)
      assert.include(answer.text, `"name":"${name}"`)
      const [tool] = sent().tools
      assert.strictEqual(tool.function.name.length, 64)
      assert.strictEqual(sent().messages[1].tool_calls[0].function.name, tool.function.name)
      assert.strictEqual(sent().tool_choice.function.name, tool.function.name)
    }
    const own = await post({ model: "claude", messages: history, ...asked })
    assert.strictEqual(own.status, 200, own.text)
    assert.strictEqual(sent().tools[0].name, name)
  })

  it("passes a request and its answer as they are to a model of the same protocol", async () => {
    const body = {
      model: "claude",
      max_tokens: 50,
      system: [{ type: "text", text: "You are terse.", cache_control: { type: "ephemeral", ttl: "1h" } }],
      messages: [...asks("hi"), { role: "system", content: "a reminder" }],
      context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
      metadata: { user_id: '{"session_id":"s-1"}' },
      top_k: 5
    }
    const answer = await post(body, {
      "anthropic-version": "2026-10-21",
      "anthropic-beta": "context-management-2025-06-27"
    })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.deepStrictEqual(sent(), { ...body, model: "claude-sonnet-4-5" })
    assert.deepStrictEqual(call()?.headers, {
      "anthropic-version": "2026-10-21",
      "anthropic-beta": "context-management-2025-06-27"
    })
    assert.isUndefined(answer.headers["x-conduit-adjusted"])
    const decision = await request(`${conduit.url}/v1/decisions/${answer.headers["x-conduit-decision-id"]}`)
    assert.strictEqual(decision.json.request.session_id, "s-1")
  })

  it("says what it left out for a model of another protocol", async () => {
    const answer = await post({
      model: "gpt",
      max_tokens: 64_000,
      system: [{ type: "text", text: "Be terse.", cache_control: { type: "ephemeral" } }],
      context_management: { edits: [] },
      speed: "fast",
      top_k: 5
    })
    assert.strictEqual(answer.status, 200, answer.text)
    const adjusted = String(answer.headers["x-conduit-adjusted"]).split(", ")
    for (const one of ["speed->none", "top_k->none", "cache_control->none", "max_tokens->16384"]) {
      assert.include(adjusted, one)
    }
    assert.deepStrictEqual(sent().messages[0], { role: "system", content: "Be terse." })
  })

  it("chooses only among models that have a tool which upstreams run themselves", async () => {
    const body = { model: "auto", tools: [{ type: "web_search_20250305", name: "web_search" }] }
    const answer = await post({ ...body, conduit: { constraints: { allowed_models: ["other", "gpt"] } } })
    assert.strictEqual(answer.headers["x-conduit-model"], "other", answer.text)
    const refused = await post({ ...body, model: "gpt" })
    assert.strictEqual(refused.status, 422)
    assert.deepInclude(refused.json, { type: "error" })
    assert.deepStrictEqual(refused.json.error.details.excluded, [
      { model: "gpt", excluded_by: "capability:native_tools" }
    ])
  })

  it("names each event, shows that it lives by pings, and corrects its estimate of the input", async () => {
    const stream = await post({ model: "gpt", stream: true })
    const events = stream.text.split("\n\n").filter((event) => event !== "")
    for (const event of events) {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? []
      assert.strictEqual(JSON.parse(data ?? "{}").type, name, event)
    }
    const told = events.map((event) => JSON.parse(event.slice(event.indexOf("{"))))
    assert.isAbove(told[0].message.usage.input_tokens, 0)
    const last = told.at(-2)
    assert.strictEqual(last.usage.input_tokens, Math.ceil("hello".length / 4))
    assert.isNumber(last.conduit.cost_usd)
    assert.strictEqual(told.at(-1).type, "message_stop")

    const response = await fetch(`${conduit.url}/v1/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "silent", max_tokens: 10, stream: true, messages: asks("x") })
    })
    const reader = response.body!.getReader()
    const silent = new TextDecoder().decode((await reader.read()).value)
    await reader.cancel()
    assert.match(silent, /^event: ping\ndata: \{"type":"ping"\}\n\n/)
  })

  it("never lets a stream that was cut after any byte end well", async () => {
    for (const model of models) {
      const body = { model, stream: true, mock: { text: "one two" } }
      let ended = 0
      for (let at = 0; at < 1400; at += 9) {
        const { status, text } = await post({ ...body, mock: { ...body.mock, cut_after: at } })
        const isClean = status === 200 && text.includes("message_stop")
        if (!isClean) continue
        ended++
        assert.include(text, " two", `${model} cut after ${at} bytes`)
        assert.include(text, '"stop_reason":"end_turn"', `${model} cut after ${at} bytes`)
      }
      assert.isAbove(ended, 0)
    }
  })

  it("answers errors in Anthropic's envelope, whatever the error", async () => {
    const error = async (body: Record<string, unknown>) => {
      const { headers, json, status } = await post(body)
      assert.strictEqual(json.request_id, headers["request-id"])
      return [status, json.type, json.error.type, json.error.param]
    }
    assert.deepStrictEqual(
      [
        await error({ max_tokens: undefined }),
        await error({ messages: [] }),
        await error({ messages: [{ role: "user", content: [{ type: "image", source: { type: "x" } }] }] }),
        await error({ model: "nobody" })
      ],
      [
        [400, "error", "invalid_request_error", "max_tokens"],
        [400, "error", "invalid_request_error", "messages"],
        [400, "error", "invalid_request_error", "messages.0.content.0.source.type"],
        [404, "error", "not_found_error", "model"]
      ]
    )
    const long = await post({ model: "small", messages: asks("word ".repeat(8000)) })
    assert.strictEqual(long.status, 400)
    assert.match(long.json.error.message, /^prompt is too long: .*maximum context length/)
    const unknown = await request(`${conduit.url}/v1/messages/batches`, { body: {} })
    assert.strictEqual(unknown.status, 404)
  })

  it("takes feedback by the id of its answer", async () => {
    for (const model of models) {
      const answer = await post({ model })
      const { json, status } = await request(`${conduit.url}/v1/feedback`, {
        body: { decision_id: answer.json.id, kind: "score", value: 1 }
      })
      assert.strictEqual(status, 200, JSON.stringify(json))
      assert.strictEqual(json.decision_id, answer.headers["x-conduit-decision-id"])
    }
  })
})

describe("the rest of Anthropic's API", () => {
  it("counts tokens, lists models and answers HEAD /", async () => {
    const { input_tokens } = await newest().messages.countTokens({ model: "claude", messages: asks("how many") })
    assert.isAbove(input_tokens, 0)
    const listed: Array<string> = []
    for await (const { id, type } of newest().models.list()) listed.push(`${type} ${id}`)
    assert.include(listed, "model claude")
    assert.deepInclude(await newest().models.retrieve("claude"), { id: "claude", type: "model" })
    assert.strictEqual((await request(`${conduit.url}/`, { method: "HEAD" })).status, 200)
    assert.deepInclude((await request(`${conduit.url}/v1/models`)).json, { object: "list" })
  })
})
