import type { Algorithm } from "./Algorithm.ts"
import { rules } from "./Rules.ts"
import { served } from "./Served.ts"

export const h2SquareCb: Algorithm = {
  name: "h2-squarecb",
  description: "inverse-gap weighting of h2's means: policy.algorithm squarecb",
  make: (world) => served(world, { rule: rules.squarecb })
}
