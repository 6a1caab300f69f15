import type { Option } from "../../routing/Choice.ts"
import type { State } from "../bandit/HierarchicalState.ts"
import { inverseGapShares } from "./SquareCb.ts"

/**
 * Other ways than a draw to choose by what the fold knows: the probability of each eligible model, given the means and
 * deviations of their scores. They need no state of their own, so a router can change between them at any time.
 */
export type Rule = (options: ReadonlyArray<Option>, state: State) => ReadonlyArray<number>

export type RuleName = "ucb" | "epsilon-greedy" | "squarecb" | "random"

const epsilon = 0.05
/** Half of a posterior deviation: more explores too much, and a right prior needs no more. */
const width = 0.5
/** Times the root of the number of judged answers. */
const exploitation = 10

const finite = (value: number) => (Number.isFinite(value) ? value : -1)

const all = (count: number, index: number, share: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => (1 - share) / count + (i === index ? share : 0))

const indexOfLargest = (values: ReadonlyArray<number>) => values.indexOf(Math.max(...values))

export const rules: Readonly<Record<RuleName, Rule>> = {
  /** The largest upper bound: its propensities are 0 and 1, so only the control slice says what others would have done. */
  ucb: (options, { parameters }) => {
    const bounds = options.map(({ mean, sd }) => finite(mean + (width / parameters.v) * sd))
    return all(options.length, indexOfLargest(bounds), 1)
  },
  "epsilon-greedy": (options) =>
    all(options.length, indexOfLargest(options.map(({ mean }) => finite(mean))), 1 - epsilon),
  squarecb: (options, { quality }) =>
    inverseGapShares(
      options.map(({ mean }) => finite(mean)),
      exploitation * Math.sqrt(1 + quality.folded)
    ),
  random: (options) => all(options.length, 0, 0)
}
