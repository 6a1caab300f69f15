import { assert, describe, it } from "@effect/vitest"
import * as GenAi from "../../../src/domain/observing/GenAi.ts"
import { model } from "../../support/scriptedModels.ts"

const called = (baseUrl: string, key = "mine") => GenAi.providerFacts(key, baseUrl)

const given = (facts: Readonly<Record<string, unknown>>) =>
  Object.entries(facts).filter(([, value]) => value !== null && value !== undefined)

/** The attributes of the span `gen_ai.client.inference`, v0.1.0, that hold no text of a prompt or an answer. */
const ofInference = [
  "gen_ai.conversation.compacted",
  "gen_ai.conversation.id",
  "gen_ai.operation.name",
  "gen_ai.output.type",
  "gen_ai.provider.name",
  "gen_ai.request.choice.count",
  "gen_ai.request.frequency_penalty",
  "gen_ai.request.max_tokens",
  "gen_ai.request.model",
  "gen_ai.request.presence_penalty",
  "gen_ai.request.previous_response.id",
  "gen_ai.request.reasoning.level",
  "gen_ai.request.seed",
  "gen_ai.request.stop_sequences",
  "gen_ai.request.stream",
  "gen_ai.request.temperature",
  "gen_ai.request.top_k",
  "gen_ai.request.top_p",
  "gen_ai.response.finish_reasons",
  "gen_ai.response.id",
  "gen_ai.response.model",
  "gen_ai.response.time_to_first_chunk",
  "gen_ai.usage.cache_read.input_tokens",
  "gen_ai.usage.cache_write.input_tokens",
  "gen_ai.usage.input_tokens",
  "gen_ai.usage.output_tokens",
  "gen_ai.usage.reasoning.output_tokens"
]

describe("GenAi", () => {
  it("names a provider as the conventions do, and any other as the configuration does", () => {
    for (const [baseUrl, name] of [
      ["https://api.openai.com/v1", "openai"],
      ["https://europe.openai.azure.com/openai/v1", "azure.ai.openai"],
      ["https://api.groq.com/openai/v1", "groq"],
      ["https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1", "aws.bedrock"],
      ["https://balancer.eu-west-1.elb.amazonaws.com/v1", "mine"],
      ["https://api.moonshot.ai/v1", "moonshot_ai"],
      ["https://api.openai.com.example/v1", "mine"],
      ["http://127.0.0.1:9001/v1", "mine"],
      ["", "mine"]
    ] as const) {
      assert.strictEqual(called(baseUrl)["gen_ai.provider.name"], name, baseUrl)
    }
    for (const [key, name] of [
      ["mistral", "mistral_ai"],
      ["Gemini", "gcp.gemini"],
      ["openai", "openai"],
      ["in-house", "in-house"]
    ] as const) {
      assert.strictEqual(called("http://proxy/v1", key)["gen_ai.provider.name"], name, key)
    }
  })

  it("says where a model is called", () => {
    const where = (baseUrl: string) => {
      const { "server.address": address, "server.port": port } = called(baseUrl)
      return [address, port]
    }
    assert.deepStrictEqual(where("https://api.openai.com/v1"), ["api.openai.com", 443])
    assert.deepStrictEqual(where("http://models/v1"), ["models", 80])
    assert.deepStrictEqual(where("http://127.0.0.1:9001/v1"), ["127.0.0.1", 9001])
    assert.deepStrictEqual(where(""), [undefined, null])
  })

  it("takes numbers of what was asked, and no text", () => {
    const whole = { sessionId: null, stream: false }
    const body = {
      max_tokens: 5,
      temperature: 0.5,
      n: "two",
      seed: Number.NaN,
      top_p: null,
      messages: [{ content: "text" }],
      stop: ["text"]
    }
    assert.deepStrictEqual(given(GenAi.requestFacts(body, whole)), [
      ["gen_ai.request.max_tokens", 5],
      ["gen_ai.request.temperature", 0.5]
    ])
    const newer = GenAi.requestFacts({ max_completion_tokens: 7, max_tokens: 5 }, whole)
    assert.strictEqual(newer["gen_ai.request.max_tokens"], 7)
  })

  it("says that a stream was asked for, in which conversation, and more than one choice", () => {
    assert.deepStrictEqual(given(GenAi.requestFacts({ n: 1 }, { sessionId: null, stream: false })), [])
    assert.deepStrictEqual(given(GenAi.requestFacts({ n: 2 }, { sessionId: "s", stream: true })), [
      ["gen_ai.conversation.id", GenAi.conversationOf("s")],
      ["gen_ai.request.stream", true],
      ["gen_ai.request.choice.count", 2]
    ])
  })

  it("says what is known of the answer and of its tokens, and nothing else", () => {
    const said = { id: "chatcmpl-1", finishReason: "stop", servedModel: "m" }
    const usage = { inputTokens: 20, outputTokens: 9 }
    const details = { cachedTokens: 8, writtenTokens: 4, reasoningTokens: 3 }
    assert.deepStrictEqual(given(GenAi.responseFacts({ said, usage, details, costUsd: 0.5, firstTokenMs: 1500 })), [
      ["gen_ai.response.id", "chatcmpl-1"],
      ["gen_ai.response.model", "m"],
      ["gen_ai.response.finish_reasons", ["stop"]],
      ["gen_ai.response.time_to_first_chunk", 1.5],
      ["gen_ai.usage.input_tokens", 20],
      ["gen_ai.usage.output_tokens", 9],
      ["gen_ai.usage.cache_read.input_tokens", 8],
      ["gen_ai.usage.cache_write.input_tokens", 4],
      ["gen_ai.usage.reasoning.output_tokens", 3],
      ["conduit.cost_usd", 0.5],
      ["conduit.first_token_ms", 1500]
    ])
    const nothing = { said: null, usage: null, details: null, costUsd: null, firstTokenMs: null }
    assert.deepStrictEqual(given(GenAi.responseFacts(nothing)), [])
  })

  it("has no attribute in the conventions' namespace that they do not have for a call", () => {
    const answer = { said: null, usage: null, details: null, costUsd: null, firstTokenMs: null }
    const facts = {
      ...called("https://api.openai.com/v1"),
      ...GenAi.modelFacts(model("small")),
      ...GenAi.requestFacts({}, { sessionId: null, stream: true }),
      ...GenAi.responseFacts(answer)
    }
    const ours = Object.keys(facts).filter((name) => name.startsWith("gen_ai."))
    assert.isAbove(ours.length, 15)
    for (const name of ours) assert.include(ofInference, name)
  })
})
