import type { MoreRates } from "../../domain/routing/Cost.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { ShippedPrice } from "../../services/models/ModelCatalog.ts"
import type { ConfigFile, RarerRates } from "./ConfigFile.ts"

export type ModelEntry = NonNullable<ConfigFile["models"]>[number]

/** The price of a model, and where it stood. */
export type Priced = Pick<Model, "inputUsdPerMTok" | "outputUsdPerMTok" | "moreRates" | "priceSource">

export const isPriced = (entry: ModelEntry): boolean =>
  entry.inputUsdPerMTok !== undefined || entry.outputUsdPerMTok !== undefined

/** Null where the file states none. */
export const configuredPrice = (entry: ModelEntry, fileName: string): Priced | null =>
  isPriced(entry)
    ? {
        inputUsdPerMTok: entry.inputUsdPerMTok ?? null,
        outputUsdPerMTok: entry.outputUsdPerMTok ?? null,
        moreRates: moreRatesOf(entry),
        priceSource: fileName
      }
    : null

/** What ships where nobody nearer states one. */
export const shippedPriceOf = (entry: ModelEntry, shipped: ShippedPrice | null): Priced =>
  shipped === null
    ? { inputUsdPerMTok: null, outputUsdPerMTok: null, moreRates: moreRatesOf(entry), priceSource: null }
    : {
        inputUsdPerMTok: shipped.inputUsdPerMTok,
        outputUsdPerMTok: shipped.outputUsdPerMTok,
        moreRates: shipped.moreRates,
        priceSource: shipped.source
      }

const moreRatesOf = (entry: ModelEntry): MoreRates => ({
  ...rarerRatesOf(entry),
  tiers: (entry.tiers ?? [])
    .map((tier) => ({
      ...rarerRatesOf(tier),
      aboveInputTokens: tier.aboveInputTokens,
      inputUsdPerMTok: tier.inputUsdPerMTok ?? entry.inputUsdPerMTok ?? null,
      outputUsdPerMTok: tier.outputUsdPerMTok ?? entry.outputUsdPerMTok ?? null
    }))
    .sort((a, b) => a.aboveInputTokens - b.aboveInputTokens),
  ...(entry.serviceTiers === undefined
    ? {}
    : {
        serviceTiers: Object.fromEntries(
          Object.entries(entry.serviceTiers).map(([name, { inputUsdPerMTok, outputUsdPerMTok, ...rates }]) => [
            name,
            { ...rarerRatesOf(rates), inputUsdPerMTok, outputUsdPerMTok }
          ])
        )
      })
})

const rarerRatesOf = (rates: RarerRates): Omit<MoreRates, "tiers"> => ({
  cachedInputUsdPerMTok: rates.cachedInputUsdPerMTok ?? null,
  cacheWriteUsdPerMTok: rates.cacheWriteUsdPerMTok ?? null,
  cacheWrite1hUsdPerMTok: rates.cacheWrite1hUsdPerMTok ?? null,
  reasoningUsdPerMTok: rates.reasoningUsdPerMTok ?? null,
  audioInputUsdPerMTok: rates.audioInputUsdPerMTok ?? null,
  audioOutputUsdPerMTok: rates.audioOutputUsdPerMTok ?? null
})
