import type { Rates } from "../../domain/routing/Cost.ts"

// What requests cost that are served in another tier than the standard one; genai-prices 0.1.8 knows none of it.

/** https://developers.openai.com/api/docs/guides/flex-processing, read on 2026-11-30: the rates of the Batch API, half. */
const openAiFlex = 0.5

/**
 * https://openai.com/api-priority-processing, read on 2026-11-30: USD per million tokens of input, cached input and output.
 * What is not here has no price in that tier, and is priced as standard, with a mark.
 */
const openAiPriority: Readonly<Record<string, readonly [input: number, cachedInput: number, output: number]>> = {
  "gpt-5.5": [12.5, 1.25, 75],
  "gpt-5.4": [5, 0.5, 30],
  "gpt-5.4-mini": [1.5, 0.15, 9],
  "gpt-5.2": [3.5, 0.35, 28],
  "gpt-5.1": [2.5, 0.25, 20],
  "gpt-5": [2.5, 0.25, 20],
  "gpt-5-mini": [0.45, 0.045, 3.6],
  "gpt-4.1": [3.5, 0.875, 14]
}

const times = (rates: Rates, factor: number): Rates => {
  const rate = (usd: number | null) => (usd === null ? null : Number((usd * factor).toPrecision(12)))
  return {
    inputUsdPerMTok: rate(rates.inputUsdPerMTok),
    outputUsdPerMTok: rate(rates.outputUsdPerMTok),
    cachedInputUsdPerMTok: rate(rates.cachedInputUsdPerMTok),
    cacheWriteUsdPerMTok: rate(rates.cacheWriteUsdPerMTok),
    cacheWrite1hUsdPerMTok: rate(rates.cacheWrite1hUsdPerMTok),
    reasoningUsdPerMTok: rate(rates.reasoningUsdPerMTok),
    audioInputUsdPerMTok: rate(rates.audioInputUsdPerMTok),
    audioOutputUsdPerMTok: rate(rates.audioOutputUsdPerMTok)
  }
}

const onlyRates: Rates = {
  inputUsdPerMTok: null,
  outputUsdPerMTok: null,
  cachedInputUsdPerMTok: null,
  cacheWriteUsdPerMTok: null,
  cacheWrite1hUsdPerMTok: null,
  reasoningUsdPerMTok: null,
  audioInputUsdPerMTok: null,
  audioOutputUsdPerMTok: null
}

/** By provider and model as the catalogue of prices names them; null where nobody states any. */
export const serviceTierRates = (
  provider: string,
  model: string,
  standard: Rates
): Readonly<Record<string, Rates>> | null => {
  if (provider !== "openai") return null
  const priority = Object.hasOwn(openAiPriority, model) ? openAiPriority[model] : undefined
  return {
    flex: times(standard, openAiFlex),
    ...(priority === undefined
      ? {}
      : {
          priority: {
            ...onlyRates,
            inputUsdPerMTok: priority[0],
            cachedInputUsdPerMTok: priority[1],
            outputUsdPerMTok: priority[2]
          }
        })
  }
}
