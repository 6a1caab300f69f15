import * as Context from "effect/Context"
import type { Option } from "../../domain/routing/Choice.ts"

/** An algorithm of one's own: how the choice is made from what was learned. */
export interface ChoiceRuleShape {
  /** Stands in each decision as `policy.algorithm`. */
  readonly name: string
  /**
   * The probability of each option, in their order: each at least 0, together 1. The options are the eligible models, at
   * least one, in the order of their ids, each with mean and deviation of its score (0 to 1), quality, cost and latency.
   * Called for each request: synchronous, without chance of its own. What it throws is logged, and the order of the
   * configuration decides.
   */
  readonly shares: (options: ReadonlyArray<Option>) => ReadonlyArray<number>
}

/** Null: the algorithm of the configuration. */
export class ChoiceRule extends Context.Reference<ChoiceRule>()("conduit/services/ChoiceRule", {
  defaultValue: (): ChoiceRuleShape | null => null
}) {}

const nearOne = 1e-6

/** The shares that the rule gives, or a `RangeError` that says what is wrong with them. */
export const sharesBy = ({ name, shares }: ChoiceRuleShape, options: ReadonlyArray<Option>): ReadonlyArray<number> => {
  const given = shares(options)
  if (given.length !== options.length) {
    throw new RangeError(`the rule ${name} gave ${given.length} shares for ${options.length} models`)
  }
  const wrong = given.find((share) => !(share >= 0 && share <= 1 + nearOne))
  if (wrong !== undefined) throw new RangeError(`the rule ${name} gave a share of ${wrong}, not of 0 to 1`)
  const sum = given.reduce((total, share) => total + share, 0)
  if (Math.abs(sum - 1) > nearOne) throw new RangeError(`the rule ${name} gave shares of sum ${sum}, not 1`)
  return given
}
