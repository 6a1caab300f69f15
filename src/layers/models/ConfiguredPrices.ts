import type { MoreRates } from "../../domain/routing/Cost.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { Provider } from "../../services/models/ModelCatalog.ts"
import type { ConfigFile, RarerRates } from "./ConfigFile.ts"
import type * as ShippedPrices from "./ShippedPrices.ts"

type Entry = NonNullable<ConfigFile["models"]>[number]

export const moreRatesOf = (entry: Entry): MoreRates => ({
  ...rarerRatesOf(entry),
  tiers: (entry.tiers ?? [])
    .map((tier) => ({
      ...rarerRatesOf(tier),
      aboveInputTokens: tier.aboveInputTokens,
      inputUsdPerMTok: tier.inputUsdPerMTok ?? entry.inputUsdPerMTok ?? null,
      outputUsdPerMTok: tier.outputUsdPerMTok ?? entry.outputUsdPerMTok ?? null
    }))
    .sort((a, b) => a.aboveInputTokens - b.aboveInputTokens)
})

const rarerRatesOf = (rates: RarerRates): Omit<MoreRates, "tiers"> => ({
  cachedInputUsdPerMTok: rates.cachedInputUsdPerMTok ?? null,
  cacheWriteUsdPerMTok: rates.cacheWriteUsdPerMTok ?? null,
  cacheWrite1hUsdPerMTok: rates.cacheWrite1hUsdPerMTok ?? null,
  reasoningUsdPerMTok: rates.reasoningUsdPerMTok ?? null,
  audioInputUsdPerMTok: rates.audioInputUsdPerMTok ?? null,
  audioOutputUsdPerMTok: rates.audioOutputUsdPerMTok ?? null
})

/** What ships where the file states nothing. */
export const withShippedPrice = (
  model: Model,
  providers: ReadonlyMap<string, Provider>,
  shippedPrice: ShippedPrices.ShippedPrices
): Model => {
  const provider = providers.get(model.provider)
  const shipped = provider === undefined ? null : shippedPrice(provider, model.upstream)
  if (shipped === null) return model
  const { contextWindow, inputUsdPerMTok, moreRates, outputUsdPerMTok, source } = shipped
  return {
    ...model,
    inputUsdPerMTok,
    outputUsdPerMTok,
    moreRates,
    priceSource: source,
    contextWindow: model.contextWindow ?? contextWindow
  }
}
