import * as Effect from "effect/Effect"
import type { MoreRates, PriceTier, Rates } from "../../domain/routing/Cost.ts"
import type { Provider, ShippedPrice } from "../../services/models/ModelCatalog.ts"

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

/** Looks a model up at its provider's address: the same name elsewhere has another price. Null if nobody states one. */
export type ShippedPrices = (provider: Pick<Provider, "baseUrl">, upstream: string) => ShippedPrice | null

/**
 * The prices that ship with the program. They take a tenth of a second to load, so they are loaded only where the
 * configuration states none.
 */
export const load: Effect.Effect<ShippedPrices> = Effect.map(
  Effect.promise(() => import("@pydantic/genai-prices")),
  ({ calcPrice }) =>
    ({ baseUrl }, upstream) => {
      if (baseUrl === "") return null
      const found = calcPrice({ input_tokens: 1, output_tokens: 1 }, upstream, { providerApiUrl: baseUrl })
      if (found === null) return null
      const { inputUsdPerMTok, outputUsdPerMTok, ...rates } = ratesAt(found.model_price, 0)
      const moreRates: MoreRates = { ...rates, tiers: tiersOf(found.model_price) }
      return {
        inputUsdPerMTok,
        outputUsdPerMTok,
        moreRates,
        source: `genai-prices ${catalogueVersion}: ${found.provider.id} ${found.model.id}`,
        contextWindow: found.model.context_window ?? null
      }
    }
)
