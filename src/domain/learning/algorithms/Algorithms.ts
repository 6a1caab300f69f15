import type { Algorithm } from "./Algorithm.ts"
import { betaThompson } from "./BetaThompson.ts"
import { cheapest } from "./Cheapest.ts"
import { dearest } from "./Dearest.ts"
import { epsilonGreedy } from "./EpsilonGreedy.ts"
import { fixed } from "./Fixed.ts"
import { h } from "./H.ts"
import { h2 } from "./H2.ts"
import { h2EpsilonGreedy } from "./H2EpsilonGreedy.ts"
import { h2SquareCb } from "./H2SquareCb.ts"
import { h2Ucb } from "./H2Ucb.ts"
import { linUcb } from "./LinUcb.ts"
import { normalThompson } from "./NormalThompson.ts"
import { oracle } from "./Oracle.ts"
import { random } from "./Random.ts"
import { roundRobin } from "./RoundRobin.ts"
import { squareCb } from "./SquareCb.ts"
import { ucb1 } from "./Ucb1.ts"

/** All that can be compared; the first one is what is served. */
export const algorithms: ReadonlyArray<Algorithm> = [
  h2,
  h2Ucb,
  h2EpsilonGreedy,
  h2SquareCb,
  h,
  betaThompson,
  normalThompson,
  ucb1,
  epsilonGreedy,
  linUcb,
  squareCb,
  roundRobin,
  random,
  fixed,
  cheapest,
  dearest,
  oracle
]

export const byName: ReadonlyMap<string, Algorithm> = new Map(algorithms.map((one) => [one.name, one]))
