import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { costOf } from "../../../src/domain/routing/Cost.ts"
import { plainUsage } from "../../../src/domain/routing/Usage.ts"
import * as ShippedPrices from "../../../src/layers/models/ShippedPrices.ts"

const noon = Date.parse("2026-11-30T12:00:00Z")
const openai = { baseUrl: "https://api.openai.com/v1" }
const named = `genai-prices ${ShippedPrices.catalogueVersion}:`

describe("the prices that ship", () => {
  it.effect("are those of the pinned version", () =>
    Effect.sync(() => {
      const { dependencies } = JSON.parse(Fs.readFileSync(new URL("../../../package.json", import.meta.url), "utf8"))
      assert.strictEqual(dependencies["@pydantic/genai-prices"], ShippedPrices.catalogueVersion)
    })
  )

  it.effect("are a provider's own, by its address, with cached input and tiers", () =>
    Effect.gen(function* () {
      const priceOf = yield* ShippedPrices.load
      const mini = priceOf(openai, "gpt-4o-mini-2024-07-18", noon)
      assert.deepInclude(mini, { inputUsdPerMTok: 0.15, outputUsdPerMTok: 0.6 })
      assert.strictEqual(mini?.moreRates.cachedInputUsdPerMTok, 0.075)
      // A dated name is its family's, which the source says.
      assert.strictEqual(mini?.source, `${named} openai gpt-4o-mini`)
      const claude = priceOf({ baseUrl: "https://api.anthropic.com/v1" }, "claude-sonnet-4-5", noon)
      assert.isNotNull(claude)
      if (claude === null) return
      assert.strictEqual(costOf(claude, plainUsage(1e6, 0)), 6)
      assert.strictEqual(costOf(claude, plainUsage(1e5, 0)), 0.3)
    })
  )

  it.effect(
    "are the family's, with a mark, for a date that the catalogue does not have, and Google's by either name",
    () =>
      Effect.gen(function* () {
        const priceOf = yield* ShippedPrices.load
        const later = priceOf(openai, "gpt-4o-2031-01-01", noon)
        assert.strictEqual(later?.inputUsdPerMTok, 2.5)
        assert.strictEqual(later?.source, `${named} openai gpt-4o, for gpt-4o-2031-01-01`)
        const google = { baseUrl: "https://generativelanguage.googleapis.com/v1beta/openai" }
        const [listed, called] = ["models/gemini-2.5-flash", "gemini-2.5-flash"].map((name) =>
          priceOf(google, name, noon)
        )
        assert.isNotNull(listed)
        assert.strictEqual(listed?.inputUsdPerMTok, called?.inputUsdPerMTok)
      })
  )

  it.effect("are those of the model that a moving name means today", () =>
    Effect.gen(function* () {
      const priceOf = yield* ShippedPrices.load
      const mistral = priceOf({ baseUrl: "https://api.mistral.ai/v1" }, "mistral-large-latest", noon)
      assert.deepInclude(mistral, { inputUsdPerMTok: 0.5, outputUsdPerMTok: 1.5 })
      assert.strictEqual(mistral?.source, `${named} mistral mistral-large-2512, for mistral-large-latest`)
    })
  )

  it.effect("are those of the hour, where they differ by it", () =>
    Effect.gen(function* () {
      const priceOf = yield* ShippedPrices.load
      const deepseek = { baseUrl: "https://api.deepseek.com" }
      const at = (time: string) => priceOf(deepseek, "deepseek-v4-pro", Date.parse(`2026-11-30T${time}Z`))
      const [night, day] = [at("02:00:00"), at("12:00:00")]
      assert.isAbove(night?.inputUsdPerMTok ?? 0, day?.inputUsdPerMTok ?? Infinity)
      assert.strictEqual(day?.source, `${named} deepseek deepseek-v4-pro, by the hour`)
    })
  )

  it.effect("have the tiers of service that their provider states, and no other", () =>
    Effect.gen(function* () {
      const priceOf = yield* ShippedPrices.load
      const price = priceOf(openai, "gpt-5.4", noon)
      assert.isNotNull(price)
      if (price === null) return
      const usage = { ...plainUsage(100_000, 1000), cachedTokens: 50_000 }
      assert.strictEqual(costOf(price, { ...usage, serviceTier: "flex" }), (costOf(price, usage) ?? 0) / 2)
      assert.strictEqual(
        costOf(price, { ...usage, serviceTier: "priority" }),
        (50_000 * 5 + 50_000 * 0.5 + 1000 * 30) / 1e6
      )
      assert.isUndefined(priceOf(openai, "gpt-4o", noon)?.moreRates.serviceTiers?.["priority"])
      const claude = priceOf({ baseUrl: "https://api.anthropic.com/v1" }, "claude-sonnet-4-5", noon)
      assert.isUndefined(claude?.moreRates.serviceTiers)
    })
  )

  it.effect("are unknown for a server of one's own, whatever the model is called", () =>
    Effect.gen(function* () {
      const priceOf = yield* ShippedPrices.load
      assert.isNull(priceOf({ baseUrl: "http://127.0.0.1:9001/v1" }, "gpt-4o", noon))
      assert.isNull(priceOf(openai, "no-such-model", noon))
      assert.isNull(priceOf(openai, "ft:gpt-4o-mini:acme::x", noon))
      assert.isNull(priceOf({ baseUrl: "" }, "gpt-4o", noon))
    })
  )
})
