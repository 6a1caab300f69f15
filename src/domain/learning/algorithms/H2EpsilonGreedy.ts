import type { Algorithm } from "./Algorithm.ts"
import { rules } from "./Rules.ts"
import { served } from "./Served.ts"

export const h2EpsilonGreedy: Algorithm = {
  name: "h2-epsilon-greedy",
  description: "the best mean by h2's fold, and any model for one request in twenty: policy.algorithm epsilon-greedy",
  make: (world) => served(world, { rule: rules["epsilon-greedy"] })
}
