import { costUsd, type Price } from "../../routing/Cost.ts"
import { referenceTokens } from "../../routing/Reference.ts"
import { type Algorithm, largest, learner } from "./Algorithm.ts"

/** Of the reference request; null where nobody stated the price. */
export const listPrice = (price: Price | undefined): number | null =>
  price === undefined ? null : costUsd(price, referenceTokens.input, referenceTokens.output)

export const cheapest: Algorithm = {
  name: "cheapest",
  description: "always the model with the lowest price",
  make: () =>
    learner(({ eligible, prices }) => largest(eligible, (arm) => -(listPrice(prices[arm]) ?? Number.MAX_VALUE)))
}
