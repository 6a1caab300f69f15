import * as Effect from "effect/Effect"
import type { MoreRates, PriceTier, Rates } from "../../domain/routing/Cost.ts"
import type { Provider, ShippedPrice } from "../../services/models/ModelCatalog.ts"
import { serviceTierRates } from "./ServiceTierPrices.ts"

/** Of `@pydantic/genai-prices`, as package.json pins it. */
export const catalogueVersion = "0.1.8"

type Priced = Readonly<
  Record<
    string,
    | number
    | { readonly base: number; readonly tiers: ReadonlyArray<{ readonly start: number; readonly price: number }> }
    | undefined
  >
>

const keys = {
  inputUsdPerMTok: "input_mtok",
  outputUsdPerMTok: "output_mtok",
  cachedInputUsdPerMTok: "cache_read_mtok",
  cacheWriteUsdPerMTok: "cache_write_mtok",
  cacheWrite1hUsdPerMTok: "cache_write_1h_mtok",
  reasoningUsdPerMTok: "output_reasoning_mtok",
  audioInputUsdPerMTok: "input_audio_mtok",
  audioOutputUsdPerMTok: "output_audio_mtok"
} as const satisfies { readonly [R in keyof Rates]: string }

const rateAt = (priced: Priced, key: string, inputTokens: number): number | null => {
  const rate = priced[key]
  if (rate === undefined) return null
  if (typeof rate === "number") return rate
  return rate.tiers.findLast(({ start }) => inputTokens > start)?.price ?? rate.base
}

const ratesAt = (priced: Priced, inputTokens: number): Rates => ({
  inputUsdPerMTok: rateAt(priced, keys.inputUsdPerMTok, inputTokens),
  outputUsdPerMTok: rateAt(priced, keys.outputUsdPerMTok, inputTokens),
  cachedInputUsdPerMTok: rateAt(priced, keys.cachedInputUsdPerMTok, inputTokens),
  cacheWriteUsdPerMTok: rateAt(priced, keys.cacheWriteUsdPerMTok, inputTokens),
  cacheWrite1hUsdPerMTok: rateAt(priced, keys.cacheWrite1hUsdPerMTok, inputTokens),
  reasoningUsdPerMTok: rateAt(priced, keys.reasoningUsdPerMTok, inputTokens),
  audioInputUsdPerMTok: rateAt(priced, keys.audioInputUsdPerMTok, inputTokens),
  audioOutputUsdPerMTok: rateAt(priced, keys.audioOutputUsdPerMTok, inputTokens)
})

/** The tier applies to all tokens of a request. */
const tiersOf = (priced: Priced): ReadonlyArray<PriceTier> => {
  const starts = new Set(
    Object.values(priced).flatMap((rate) => (typeof rate === "object" ? rate.tiers.map(({ start }) => start) : []))
  )
  return [...starts]
    .sort((a, b) => a - b)
    .map((aboveInputTokens) => ({ aboveInputTokens, ...ratesAt(priced, aboveInputTokens + 1) }))
}

/**
 * Looks a model up at its provider's address, as it costs at that time: some prices differ by the hour, and the same name
 * elsewhere has another. Null if nobody states one.
 */
export type ShippedPrices = (
  provider: Pick<Provider, "baseUrl" | "pricedAt">,
  upstream: string,
  nowMillis: number
) => ShippedPrice | null

/** Names that the catalogue prices by a model that is gone: findings/genai-prices-mistral-latest.sh. */
const moved: Readonly<Record<string, string>> = { "mistral-large-latest": "mistral-large-2512" }

/** As it is called; as Google lists it; and without the date of a version that the catalogue may not have yet. */
const namesFor = (upstream: string): ReadonlyArray<string> => {
  const plain = upstream.replace(/^models\//, "")
  const family = plain.replace(/-(?:20\d{2}-\d{2}-\d{2}|20\d{6})$/, "")
  const now = Object.hasOwn(moved, upstream) ? moved[upstream] : undefined
  return [...new Set([now ?? upstream, upstream, plain, family])]
}

/**
 * The prices that ship with the program. They take a tenth of a second to load, so they are loaded only where the
 * configuration states none.
 */
export const load: Effect.Effect<ShippedPrices> = Effect.map(
  Effect.promise(() => import("@pydantic/genai-prices")),
  ({ calcPrice }) =>
    ({ baseUrl, pricedAt = baseUrl }, upstream, nowMillis) => {
      if (pricedAt === "") return null
      const options = { providerApiUrl: pricedAt, timestamp: new Date(nowMillis) }
      for (const name of namesFor(upstream)) {
        const found = calcPrice({ input_tokens: 1, output_tokens: 1 }, name, options)
        if (found === null) continue
        const { model, model_price: priced, provider } = found
        const { inputUsdPerMTok, outputUsdPerMTok, ...rates } = ratesAt(priced, 0)
        const serviceTiers = serviceTierRates(provider.id, model.id, { inputUsdPerMTok, outputUsdPerMTok, ...rates })
        const moreRates: MoreRates = {
          ...rates,
          tiers: tiersOf(priced),
          ...(serviceTiers === null ? {} : { serviceTiers })
        }
        const isByHour =
          Array.isArray(model.prices) && model.prices.some(({ constraint }) => constraint?.type === "time_of_date")
        return {
          inputUsdPerMTok,
          outputUsdPerMTok,
          moreRates,
          source: `genai-prices ${catalogueVersion}: ${provider.id} ${model.id}${name === upstream ? "" : `, for ${upstream}`}${isByHour ? ", by the hour" : ""}`,
          contextWindow: model.context_window ?? null
        }
      }
      return null
    }
)
