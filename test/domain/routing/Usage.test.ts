import { assert, describe, it } from "@effect/vitest"
import { costOf, isCachePriceAssumed, isTierPriceAssumed, noMoreRates } from "../../../src/domain/routing/Cost.ts"
import { usageIn } from "../../../src/domain/models/Said.ts"
import { isOtherModel } from "../../../src/domain/routing/ModelName.ts"
import { plainUsage, usageOf } from "../../../src/domain/routing/Usage.ts"

const read = (usage: Record<string, unknown>) => usageOf(usage)

describe("what a call used", () => {
  it.each([
    [
      "OpenAI",
      {
        prompt_tokens: 100,
        completion_tokens: 20,
        total_tokens: 120,
        prompt_tokens_details: { cached_tokens: 90, audio_tokens: 5 },
        completion_tokens_details: { reasoning_tokens: 12 }
      },
      { inputTokens: 100, cachedTokens: 90, audioInputTokens: 5, outputTokens: 20, reasoningTokens: 12 }
    ],
    [
      "OpenAI with writes",
      {
        prompt_tokens: 100,
        completion_tokens: 1,
        prompt_tokens_details: { cached_tokens: 10, cache_write_tokens: 30 }
      },
      { inputTokens: 100, cachedTokens: 10, writtenTokens: 30, outputTokens: 1 }
    ],
    [
      "Responses",
      {
        input_tokens: 100,
        output_tokens: 20,
        input_tokens_details: { cached_tokens: 40 },
        output_tokens_details: { reasoning_tokens: 5 }
      },
      { inputTokens: 100, cachedTokens: 40, outputTokens: 20, reasoningTokens: 5 }
    ],
    [
      "Anthropic",
      {
        input_tokens: 10,
        cache_read_input_tokens: 70,
        cache_creation_input_tokens: 20,
        cache_creation: { ephemeral_5m_input_tokens: 15, ephemeral_1h_input_tokens: 5 },
        output_tokens: 3
      },
      { inputTokens: 100, cachedTokens: 70, writtenTokens: 15, written1hTokens: 5, outputTokens: 3 }
    ],
    [
      "a gateway over Anthropic that counts all",
      {
        prompt_tokens: 100,
        completion_tokens: 3,
        total_tokens: 103,
        cache_read_input_tokens: 70,
        cache_creation_input_tokens: 20
      },
      { inputTokens: 100, cachedTokens: 70, writtenTokens: 20, outputTokens: 3 }
    ],
    [
      "a gateway over Anthropic that counts what is fresh",
      {
        prompt_tokens: 10,
        completion_tokens: 3,
        total_tokens: 103,
        cache_read_input_tokens: 70,
        cache_creation_input_tokens: 20
      },
      { inputTokens: 100, cachedTokens: 70, writtenTokens: 20, outputTokens: 3 }
    ],
    [
      "DeepSeek",
      { prompt_cache_hit_tokens: 60, prompt_cache_miss_tokens: 40, prompt_tokens: 100, completion_tokens: 9 },
      { inputTokens: 100, cachedTokens: 60, outputTokens: 9 }
    ],
    [
      "Mistral",
      { prompt_tokens: 100, completion_tokens: 9, total_tokens: 109, num_cached_tokens: 64 },
      { inputTokens: 100, cachedTokens: 64, outputTokens: 9 }
    ],
    [
      "xAI, reasoning outside",
      {
        prompt_tokens: 100,
        completion_tokens: 9,
        total_tokens: 149,
        completion_tokens_details: { reasoning_tokens: 40 }
      },
      { inputTokens: 100, outputTokens: 49, reasoningTokens: 40 }
    ],
    [
      "reasoning inside",
      {
        prompt_tokens: 100,
        completion_tokens: 49,
        total_tokens: 149,
        completion_tokens_details: { reasoning_tokens: 40 }
      },
      { inputTokens: 100, outputTokens: 49, reasoningTokens: 40 }
    ],
    [
      "Gemini",
      {
        promptTokenCount: 100,
        cachedContentTokenCount: 30,
        candidatesTokenCount: 9,
        thoughtsTokenCount: 40,
        totalTokenCount: 149
      },
      { inputTokens: 100, cachedTokens: 30, outputTokens: 49, reasoningTokens: 40 }
    ],
    ["Ollama", { prompt_eval_count: 100, eval_count: 9 }, { inputTokens: 100, outputTokens: 9 }],
    ["only a total", { prompt_tokens: 100, total_tokens: 109 }, { inputTokens: 100, outputTokens: 9 }]
  ])("is read from the form of %s", (_, usage, expected) => {
    assert.deepStrictEqual(read(usage), { ...plainUsage(0, 0), ...expected })
  })

  it("says in which tier it was served: OpenAI beside it, Anthropic in it, nobody where it is the standard one", () => {
    const counts = { prompt_tokens: 10, completion_tokens: 2 }
    const tierIn = (body: object) => usageOf(usageIn({ ...body }))?.serviceTier
    assert.strictEqual(tierIn({ usage: counts, service_tier: "flex" }), "flex")
    assert.strictEqual(tierIn({ usage: { ...counts, service_tier: "priority" } }), "priority")
    assert.strictEqual(tierIn({ x_groq: { usage: counts }, service_tier: "flex" }), "flex")
    for (const said of ["default", "standard", "on_demand", "auto", null, 7, "", "a".repeat(99)]) {
      assert.isNull(tierIn({ usage: counts, service_tier: said }))
    }
  })

  it.each([
    {},
    { prompt_tokens: -1, completion_tokens: 2 },
    { prompt_tokens: "7" },
    { completion_tokens: 2 },
    { total_tokens: 5 }
  ])("is unknown where nobody counted: %j", (usage) => assert.isNull(read(usage)))
})

describe("what it costs", () => {
  const price = {
    inputUsdPerMTok: 10,
    outputUsdPerMTok: 40,
    moreRates: { ...noMoreRates, cachedInputUsdPerMTok: 1, cacheWriteUsdPerMTok: 12.5, cacheWrite1hUsdPerMTok: 20 }
  }
  const used = { ...plainUsage(10_000, 100), cachedTokens: 9000 }

  it("is a tenth for what was cached, where that is its price", () => {
    assert.strictEqual(costOf(price, used), (1000 * 10 + 9000 * 1 + 100 * 40) / 1e6)
    assert.isFalse(isCachePriceAssumed(price, used))
  })

  it("is the input price for what was cached, and says so, where nobody states another", () => {
    const bare = { inputUsdPerMTok: 10, outputUsdPerMTok: 40 }
    assert.strictEqual(costOf(bare, used), (10_000 * 10 + 100 * 40) / 1e6)
    assert.isTrue(isCachePriceAssumed(bare, used))
  })

  it("adds up writes for five minutes and for an hour, reasoning and audio by prices of their own", () => {
    const usage = {
      ...plainUsage(1000, 500),
      writtenTokens: 100,
      written1hTokens: 200,
      audioInputTokens: 50,
      reasoningTokens: 300,
      audioOutputTokens: 20
    }
    const rates = {
      ...price,
      moreRates: { ...price.moreRates, reasoningUsdPerMTok: 60, audioInputUsdPerMTok: 80, audioOutputUsdPerMTok: 90 }
    }
    assert.strictEqual(
      costOf(rates, usage),
      (650 * 10 + 100 * 12.5 + 200 * 20 + 50 * 80 + 180 * 40 + 300 * 60 + 20 * 90) / 1e6
    )
  })

  it("is the price of the tier in which it was served, or the standard one, with a mark", () => {
    const flex = { ...price.moreRates, inputUsdPerMTok: 5, outputUsdPerMTok: 20, cachedInputUsdPerMTok: 0.5 }
    const tiered = { ...price, moreRates: { ...price.moreRates, serviceTiers: { flex } } }
    const served = { ...used, serviceTier: "flex" }
    assert.strictEqual(costOf(tiered, served), (1000 * 5 + 9000 * 0.5 + 100 * 20) / 1e6)
    assert.isFalse(isTierPriceAssumed(tiered, served))
    for (const other of [
      { price, usage: served },
      { price: tiered, usage: { ...used, serviceTier: "priority" } }
    ]) {
      assert.strictEqual(costOf(other.price, other.usage), costOf(price, used))
      assert.isTrue(isTierPriceAssumed(other.price, other.usage))
    }
    assert.isFalse(isTierPriceAssumed(price, used))
  })

  it("is another price for all tokens above a threshold", () => {
    const tier = {
      ...price.moreRates,
      tiers: undefined,
      aboveInputTokens: 200_000,
      inputUsdPerMTok: 20,
      outputUsdPerMTok: 60,
      cachedInputUsdPerMTok: 2
    }
    const tiered = { ...price, moreRates: { ...price.moreRates, tiers: [tier] } }
    assert.strictEqual(costOf(tiered, plainUsage(200_000, 1000)), (200_000 * 10 + 1000 * 40) / 1e6)
    assert.strictEqual(costOf(tiered, plainUsage(200_001, 1000)), (200_001 * 20 + 1000 * 60) / 1e6)
  })

  it("is unknown, never 0, where nobody states a price", () => {
    assert.isNull(costOf({ inputUsdPerMTok: null, outputUsdPerMTok: null }, plainUsage(1, 1)))
  })
})

describe("a model that answers instead of another", () => {
  it.each([
    ["gpt-4o", "gpt-4o-2024-08-06", false],
    ["openai/gpt-4o", "gpt-4o", false],
    ["mistral-large-latest", "mistral-large", false],
    ["gpt-4", "gpt-4o", true],
    ["gpt-4o", "gpt-4o-mini", true],
    ["small", "large", true]
  ])("%s and %s: %s", (asked, served, expected) => {
    assert.strictEqual(isOtherModel({ id: asked, upstream: asked }, served), expected)
  })
})
