import { type Algorithm, largest, learner } from "./Algorithm.ts"
import { listPrice } from "./Cheapest.ts"

export const dearest: Algorithm = {
  name: "dearest",
  description: "always the model with the highest price",
  make: () => learner(({ eligible, prices }) => largest(eligible, (arm) => listPrice(prices[arm]) ?? -1))
}
