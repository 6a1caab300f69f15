import type { Model } from "./Model.ts"
import { referenceTokens } from "./Reference.ts"
import { plainUsage, type TokenUsage } from "./Usage.ts"

/** USD per million tokens of each kind; null where nobody stated it: then it is priced as what it is a part of. */
export interface Rates {
  readonly inputUsdPerMTok: number | null
  readonly outputUsdPerMTok: number | null
  readonly cachedInputUsdPerMTok: number | null
  /** Written to a cache for five minutes; that for an hour, where it has a price of its own. */
  readonly cacheWriteUsdPerMTok: number | null
  readonly cacheWrite1hUsdPerMTok: number | null
  readonly reasoningUsdPerMTok: number | null
  readonly audioInputUsdPerMTok: number | null
  readonly audioOutputUsdPerMTok: number | null
}

/** Other rates for all tokens of a request whose input is longer than that. */
export interface PriceTier extends Rates {
  readonly aboveInputTokens: number
}

/** Of the rarer kinds, and of long requests. */
export interface MoreRates extends Omit<Rates, "inputUsdPerMTok" | "outputUsdPerMTok"> {
  /** Ascending by their threshold. */
  readonly tiers: ReadonlyArray<PriceTier>
  /** Of requests that are not served in the standard tier (`flex`, `priority`), by its name, whatever their length. */
  readonly serviceTiers?: Readonly<Record<string, Rates>>
}

export const noMoreRates: MoreRates = {
  cachedInputUsdPerMTok: null,
  cacheWriteUsdPerMTok: null,
  cacheWrite1hUsdPerMTok: null,
  reasoningUsdPerMTok: null,
  audioInputUsdPerMTok: null,
  audioOutputUsdPerMTok: null,
  tiers: []
}

/** What a model's tokens cost. */
export interface Price extends Pick<Model, "inputUsdPerMTok" | "outputUsdPerMTok"> {
  readonly moreRates?: MoreRates | undefined
}

const serviceRates = (
  { moreRates = noMoreRates }: Price,
  { serviceTier }: Pick<TokenUsage, "serviceTier">
): Rates | undefined =>
  serviceTier !== null && moreRates.serviceTiers !== undefined && Object.hasOwn(moreRates.serviceTiers, serviceTier)
    ? moreRates.serviceTiers[serviceTier]
    : undefined

const ratesFor = (price: Price, usage: Pick<TokenUsage, "inputTokens" | "serviceTier">): Rates => {
  const served = serviceRates(price, usage)
  if (served !== undefined) return served
  const { inputTokens } = usage
  const tier = price.moreRates?.tiers.findLast(({ aboveInputTokens }) => inputTokens > aboveInputTokens)
  return tier ?? standardRates(price)
}

/** Of each price that was asked for: a request asks for those of all models. */
const standard = new WeakMap<Price, Rates>()

const standardRates = (price: Price): Rates => {
  const known = standard.get(price)
  if (known !== undefined) return known
  const { inputUsdPerMTok, moreRates = noMoreRates, outputUsdPerMTok } = price
  const rates = { ...moreRates, inputUsdPerMTok, outputUsdPerMTok }
  standard.set(price, rates)
  return rates
}

/**
 * USD of what a request used, expected or counted; null if a price that it needs is unknown. Rounded to 1e-12, so that
 * header, body, chunk and row write the same digits.
 */
export const costOf = (price: Price, usage: TokenUsage): number | null => {
  const rates = ratesFor(price, usage)
  const { inputUsdPerMTok: input, outputUsdPerMTok: output } = rates
  if (input === null || output === null) return null
  const { audioInputTokens, audioOutputTokens, cachedTokens, reasoningTokens, written1hTokens, writtenTokens } = usage
  const fresh = Math.max(0, usage.inputTokens - cachedTokens - writtenTokens - written1hTokens - audioInputTokens)
  const plain = Math.max(0, usage.outputTokens - reasoningTokens - audioOutputTokens)
  const write = rates.cacheWriteUsdPerMTok ?? input
  const microUsd =
    fresh * input +
    audioInputTokens * (rates.audioInputUsdPerMTok ?? input) +
    cachedTokens * (rates.cachedInputUsdPerMTok ?? input) +
    writtenTokens * write +
    written1hTokens * (rates.cacheWrite1hUsdPerMTok ?? write) +
    plain * output +
    reasoningTokens * (rates.reasoningUsdPerMTok ?? output) +
    audioOutputTokens * (rates.audioOutputUsdPerMTok ?? output)
  return Math.round(microUsd * 1e6) / 1e12
}

/** Cached tokens were priced as fresh ones, because nobody stated their price. */
export const isCachePriceAssumed = (price: Price, usage: TokenUsage): boolean =>
  usage.cachedTokens > 0 && ratesFor(price, usage).cachedInputUsdPerMTok === null

/** It was served in another tier than the standard one, and is priced as standard, because nobody stated that tier's price. */
export const isTierPriceAssumed = (price: Price, usage: TokenUsage): boolean =>
  usage.serviceTier !== null && serviceRates(price, usage) === undefined

/** The same where nothing else is known than how many tokens go in and come out. */
export const costUsd = (price: Price, inputTokens: number, outputTokens: number): number | null =>
  costOf(price, plainUsage(inputTokens, outputTokens))

/** USD of the reference request. */
export const expectedRequestCostUsd = (price: Price): number | null =>
  costUsd(price, referenceTokens.input, referenceTokens.output)

/** What a cost is compared with: the geometric mean of `expectedRequestCostUsd` over the models with a price above 0, USD. */
export const costReferenceUsd = (models: ReadonlyArray<Price>): number => {
  let logs = 0
  let count = 0
  for (const model of models) {
    const cost = expectedRequestCostUsd(model)
    if (cost === null || !(cost > 0)) continue
    logs += Math.log(cost)
    count += 1
  }
  return count > 0 ? Math.exp(logs / count) : 1e-4
}
