import type { Algorithm } from "./Algorithm.ts"
import { served } from "./Served.ts"

/** What Conduit serves with: the same fold, prediction, score and draw. */
export const h2: Algorithm = {
  name: "h2",
  description: "hierarchical linear Thompson sampling with cells and betting: Conduit's own, and what it serves with",
  make: (world) => served(world)
}
