import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { costOf } from "../../../src/domain/routing/Cost.ts"
import { plainUsage } from "../../../src/domain/routing/Usage.ts"
import * as ShippedPrices from "../../../src/layers/models/ShippedPrices.ts"

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
      const openai = priceOf({ baseUrl: "https://api.openai.com/v1" }, "gpt-4o-mini-2024-07-18")
      assert.deepInclude(openai, { inputUsdPerMTok: 0.15, outputUsdPerMTok: 0.6 })
      assert.strictEqual(openai?.moreRates.cachedInputUsdPerMTok, 0.075)
      // A dated name is its family's, which the source says.
      assert.strictEqual(openai?.source, `genai-prices ${ShippedPrices.catalogueVersion}: openai gpt-4o-mini`)
      const claude = priceOf({ baseUrl: "https://api.anthropic.com/v1" }, "claude-sonnet-4-5")
      assert.isNotNull(claude)
      if (claude === null) return
      assert.strictEqual(costOf(claude, plainUsage(1e6, 0)), 6)
      assert.strictEqual(costOf(claude, plainUsage(1e5, 0)), 0.3)
    })
  )

  it.effect("are unknown for a server of one's own, whatever the model is called", () =>
    Effect.gen(function* () {
      const priceOf = yield* ShippedPrices.load
      assert.isNull(priceOf({ baseUrl: "http://127.0.0.1:9001/v1" }, "gpt-4o"))
      assert.isNull(priceOf({ baseUrl: "https://api.openai.com/v1" }, "no-such-model"))
      assert.isNull(priceOf({ baseUrl: "" }, "gpt-4o"))
    })
  )
})
