import type { Model } from "./Model.ts"
import { referenceTokens } from "./Reference.ts"

/** USD per million tokens; null where nobody stated it. */
export type Price = Pick<Model, "inputUsdPerMTok" | "outputUsdPerMTok">

/**
 * USD of a request with these tokens, expected or counted; null if a price that it needs is unknown. Rounded to 1e-12,
 * so that header, body, chunk and row write the same digits.
 */
export const costUsd = (price: Price, inputTokens: number, outputTokens: number): number | null =>
  price.inputUsdPerMTok === null || price.outputUsdPerMTok === null
    ? null
    : Math.round(inputTokens * price.inputUsdPerMTok * 1e6 + outputTokens * price.outputUsdPerMTok * 1e6) / 1e12

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
