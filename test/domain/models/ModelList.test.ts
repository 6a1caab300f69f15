import { assert, describe, it } from "@effect/vitest"
import { type ListedModel, readModelList, retirementText } from "../../../src/domain/models/ModelList.ts"
import { noMoreRates } from "../../../src/domain/routing/Cost.ts"

const nowMillis = Date.parse("2026-11-30T12:00:00Z")
const nothing: ListedModel = {
  contextWindow: null,
  maxOutputTokens: null,
  capabilities: {},
  price: null,
  retirement: null
}
const price = (inputUsdPerMTok: number, outputUsdPerMTok: number, more: object = {}) => ({
  inputUsdPerMTok,
  outputUsdPerMTok,
  moreRates: { ...noMoreRates, ...more }
})
const model = { object: "model", created: 1_760_000_000, owned_by: "somebody" }

/** By provider: one entry of its list as it documents it (values are our own), and what it says. */
const entries: ReadonlyArray<readonly [string, object, Partial<ListedModel>]> = [
  ["OpenAI", {}, {}],
  ["Ollama", { owned_by: "library" }, {}],
  ["vLLM", { root: "/models/m", parent: null, max_model_len: 8192, permission: [] }, { contextWindow: 8192 }],
  [
    "llama.cpp",
    { meta: { vocab_type: 2, n_ctx: 4096, n_ctx_train: 131_072, n_params: 8_030_261_312 } },
    { contextWindow: 4096 }
  ],
  ["llama.cpp before it knew", { meta: { n_ctx_train: 131_072 } }, {}],
  [
    "LM Studio",
    {
      type: "vlm",
      state: "loaded",
      max_context_length: 32_768,
      loaded_context_length: 4096,
      capabilities: ["tool_use"]
    },
    { contextWindow: 4096, capabilities: { vision: true, tools: true } }
  ],
  [
    "Groq",
    { active: true, context_window: 131_072, public_apps: null, max_completion_tokens: 32_768 },
    { contextWindow: 131_072, maxOutputTokens: 32_768 }
  ],
  [
    "Groq, a model that is gone",
    { active: false, context_window: 8192 },
    { contextWindow: 8192, retirement: { state: "retired", atMillis: null, replacement: null } }
  ],
  [
    "Mistral",
    {
      capabilities: {
        completion_chat: true,
        completion_fim: false,
        function_calling: true,
        fine_tuning: false,
        vision: false,
        audio: false,
        reasoning: true
      },
      max_context_length: 40_960,
      aliases: ["latest"],
      deprecation: "2026-10-31T12:00:00Z",
      deprecation_replacement_model: "successor",
      type: "base"
    },
    {
      contextWindow: 40_960,
      capabilities: { vision: false, audio: false, tools: true, reasoning: true },
      retirement: { state: "deprecated", atMillis: Date.parse("2026-10-31T12:00:00Z"), replacement: "successor" }
    }
  ],
  [
    "OpenRouter",
    {
      context_length: 200_000,
      architecture: { input_modalities: ["text", "image", "file"], output_modalities: ["text"], tokenizer: "GPT" },
      pricing: {
        prompt: "0.00000125",
        completion: "0.00001",
        request: "0",
        image: "0",
        internal_reasoning: "0",
        input_cache_read: "0.000000125",
        input_cache_write: "0"
      },
      top_provider: { context_length: 200_000, max_completion_tokens: 100_000, is_moderated: true },
      supported_parameters: ["tools", "tool_choice", "structured_outputs", "reasoning", "max_tokens"],
      expiration_date: "2027-01-31"
    },
    {
      contextWindow: 200_000,
      maxOutputTokens: 100_000,
      capabilities: {
        vision: true,
        audio: false,
        files: true,
        tools: true,
        json_schema: true,
        reasoning: true,
        logprobs: false
      },
      price: price(1.25, 10, { cachedInputUsdPerMTok: 0.125 }),
      retirement: { state: "deprecated", atMillis: Date.parse("2027-01-31"), replacement: null }
    }
  ],
  [
    "OpenRouter, free",
    { pricing: { prompt: "0", completion: "0", request: "0" }, expiration_date: null },
    { price: price(0, 0) }
  ],
  ["OpenRouter, its own router", { pricing: { prompt: "-1", completion: "-1" } }, {}],
  [
    "OpenRouter, with a price of requests",
    { pricing: { prompt: "0.000001", completion: "0.000001", request: "0.005" } },
    {}
  ],
  [
    "Together",
    { type: "chat", context_length: 131_072, pricing: { hourly: 0, input: 0.88, output: 0.88, base: 0, finetune: 0 } },
    { contextWindow: 131_072, price: price(0.88, 0.88) }
  ],
  ["Together, not by the token", { type: "chat", pricing: { hourly: 12, input: 0, output: 0 } }, {}],
  [
    "DeepInfra",
    {
      metadata: {
        context_length: 163_840,
        max_tokens: 16_384,
        pricing: { input_tokens: 0.27, output_tokens: 1, cache_read_tokens: 0.13 },
        tags: ["reasoning"]
      }
    },
    {
      contextWindow: 163_840,
      maxOutputTokens: 16_384,
      capabilities: { reasoning: true },
      price: price(0.27, 1, { cachedInputUsdPerMTok: 0.13 })
    }
  ],
  [
    "Vercel",
    {
      context_window: 400_000,
      max_tokens: 128_000,
      type: "language",
      tags: ["reasoning", "tool-use", "vision"],
      pricing: { input: "0.00000015", output: "0.0000006", input_cache_read: "0.000000075" }
    },
    {
      contextWindow: 400_000,
      maxOutputTokens: 128_000,
      capabilities: { vision: true, tools: true, reasoning: true },
      price: price(0.15, 0.6, { cachedInputUsdPerMTok: 0.075 })
    }
  ],
  [
    "Anthropic",
    {
      type: "model",
      display_name: "M",
      max_input_tokens: 200_000,
      max_tokens: 64_000,
      capabilities: {
        image_input: { supported: true },
        pdf_input: { supported: true },
        structured_outputs: { supported: true },
        thinking: { supported: true, types: {} }
      }
    },
    {
      contextWindow: 200_000,
      maxOutputTokens: 64_000,
      capabilities: { vision: true, files: true, json_schema: true, reasoning: true }
    }
  ],
  [
    "Conduit",
    {
      context_length: 128_000,
      max_output_tokens: 4096,
      conduit: {
        input_usd_per_mtok: 0.5,
        output_usd_per_mtok: 1.5,
        capabilities: { vision: { can: false, source: "refusal" } }
      }
    },
    { contextWindow: 128_000, maxOutputTokens: 4096, capabilities: { vision: false }, price: price(0.5, 1.5) }
  ],
  [
    "somebody who writes nonsense",
    {
      context_length: "8192",
      max_model_len: -1,
      max_context_length: 1.5,
      capabilities: { vision: "yes", function_calling: null },
      pricing: { prompt: 0.1, completion: "much", input: "", output: {} },
      deprecation: "soon",
      active: "no"
    },
    {}
  ]
]

describe("an upstream's list of models", () => {
  for (const [provider, entry, said] of entries) {
    it(`says of a model what ${provider} writes`, () => {
      const list = readModelList(JSON.stringify({ object: "list", data: [{ id: "m", ...model, ...entry }] }), nowMillis)
      assert.deepStrictEqual(list?.get("m"), { ...nothing, ...said })
    })
  }

  it("says what LiteLLM writes of a deployment", () => {
    const list = readModelList(
      JSON.stringify({
        data: [
          {
            model_name: "m",
            litellm_params: { model: "openai/m" },
            model_info: {
              max_input_tokens: 128_000,
              max_output_tokens: 16_384,
              input_cost_per_token: 2.5e-6,
              output_cost_per_token: 1e-5,
              cache_read_input_token_cost: 1.25e-6,
              supports_vision: true,
              supports_function_calling: true,
              supports_response_schema: null
            }
          }
        ]
      }),
      nowMillis
    )
    assert.deepStrictEqual(list?.get("m"), {
      ...nothing,
      contextWindow: 128_000,
      maxOutputTokens: 16_384,
      capabilities: { vision: true, tools: true },
      price: price(2.5, 10, { cachedInputUsdPerMTok: 1.25 })
    })
  })

  it("is read as an object with data or models, and as a bare list; names go with aliases and without Google's prefix", () => {
    const item = { id: "models/m", max_model_len: 8, aliases: ["latest"] }
    for (const body of [{ data: [item] }, { models: [item] }, [item]]) {
      const list = readModelList(JSON.stringify(body), nowMillis)
      for (const name of ["models/m", "m", "latest"]) assert.strictEqual(list?.get(name)?.contextWindow, 8, name)
    }
    const own = readModelList(JSON.stringify([item, { id: "latest", max_model_len: 9 }]), nowMillis)
    assert.strictEqual(own?.get("latest")?.contextWindow, 9)
  })

  it("is none where there is no list", () => {
    for (const text of ["", "<html>", "null", "{}", '{"data":{}}', '"m"', "7"]) {
      assert.isNull(readModelList(text, nowMillis), text)
    }
    assert.strictEqual(readModelList('{"data":[null,1,"m",{},[]]}', nowMillis)?.size, 0)
  })

  it("tells the end of a model in words", () => {
    const at = (day: string) => Date.parse(day)
    const text = (state: "deprecated" | "retired", atMillis: number | null, replacement: string | null = null) =>
      retirementText({ state, atMillis, replacement }, nowMillis)
    assert.strictEqual(text("retired", null), "is retired")
    assert.strictEqual(
      text("deprecated", at("2026-10-01"), "n"),
      "is deprecated since 2026-10-01; its provider recommends n"
    )
    assert.strictEqual(text("deprecated", at("2027-01-31")), "ends on 2027-01-31")
  })

  it("has a model that expired for retired", () => {
    const list = readModelList(JSON.stringify([{ id: "m", expiration_date: "2026-11-01" }]), nowMillis)
    assert.strictEqual(list?.get("m")?.retirement?.state, "retired")
  })
})
