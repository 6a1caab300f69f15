import type { Algorithm } from "./Algorithm.ts"
import { rules } from "./Rules.ts"
import { served } from "./Served.ts"

export const h2Ucb: Algorithm = {
  name: "h2-ucb",
  description: "half a posterior deviation above the mean, by h2's fold: policy.algorithm ucb",
  make: (world) => served(world, { rule: rules.ucb })
}
