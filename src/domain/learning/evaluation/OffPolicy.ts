import { type Estimate, estimate } from "./Summary.ts"

/** A logged choice and what came of it, in numbers. */
export interface Logged {
  /** The index of the action that was taken, and the probability with which it was. */
  readonly taken: number
  readonly propensity: number
  readonly value: number
  /** What was expected of each action when it was decided. */
  readonly expected: ReadonlyArray<number>
}

/** What a policy would have earned on the requests of a log, and how much of the log speaks of it. */
export interface OffPolicyEstimate {
  /** Self-normalised inverse propensity: the log alone. Swaminathan and Joachims, NIPS 2015. */
  readonly snips: Estimate
  /** What was expected of the policy's actions: the predictions alone. */
  readonly direct: number
  /** Doubly robust: the predictions, corrected by the log where it took the policy's actions. Dudik et al., ICML 2011. */
  readonly doublyRobust: Estimate
  /** As many equally weighted choices say as much (Kish). */
  readonly effectiveSize: number
  /** Choices that the log shares with the policy at all. */
  readonly shared: number
}

/** The 0.975 quantile of the standard normal distribution: the intervals are of many rows. */
const z = 1.959963984540054

/** `target` has for each row the probability of each action under the policy that is asked about; they sum to 1. */
export const offPolicy = (
  rows: ReadonlyArray<Logged>,
  target: ReadonlyArray<ReadonlyArray<number>>
): OffPolicyEstimate => {
  const weights = rows.map(({ propensity, taken }, i) => (target[i]?.[taken] ?? 0) / propensity)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const squares = weights.reduce((sum, weight) => sum + weight * weight, 0)
  const expectations = rows.map(({ expected }, i) =>
    expected.reduce((sum, value, action) => sum + (target[i]?.[action] ?? 0) * value, 0)
  )
  const corrected = rows.map(
    ({ expected, taken, value }, i) => (expectations[i] ?? 0) + (weights[i] ?? 0) * (value - (expected[taken] ?? 0))
  )
  return {
    snips: selfNormalised(rows, weights, total),
    direct: expectations.reduce((sum, value) => sum + value, 0) / Math.max(1, rows.length),
    doublyRobust: estimate(corrected),
    effectiveSize: squares === 0 ? 0 : (total * total) / squares,
    shared: weights.filter((weight) => weight > 0).length
  }
}

/** The interval is that of a ratio of means, by its linear part. */
const selfNormalised = (rows: ReadonlyArray<Logged>, weights: ReadonlyArray<number>, total: number): Estimate => {
  if (total === 0) return { mean: Number.NaN, low: Number.NaN, high: Number.NaN }
  const mean = rows.reduce((sum, { value }, i) => sum + (weights[i] ?? 0) * value, 0) / total
  const variance = rows.reduce((sum, { value }, i) => sum + ((weights[i] ?? 0) * (value - mean)) ** 2, 0)
  const half = (z * Math.sqrt(variance)) / total
  return { mean, low: mean - half, high: mean + half }
}

/** Fewer than so many choices of equal weight are no answer; so are choices that hardly any of the policy's agree with. */
const leastEffective = 30
const leastSupport = 0.9

/**
 * Why the log cannot say what the policy would have earned, or null if it can. `supported` is how much of the policy's
 * choices the log could have made, [0, 1].
 */
export const whyUnknown = (found: OffPolicyEstimate, rows: number, supported: number): string | null => {
  if (rows === 0) return "no drawn choice of the log was judged"
  if (found.shared === 0) return "the log never chose what this policy would have"
  if (supported < leastSupport) {
    return `in ${Math.round(100 * (1 - supported))} % of the requests the log could not have chosen what this policy would have`
  }
  if (found.effectiveSize < leastEffective) {
    return `what the log shares with this policy is worth ${found.effectiveSize.toFixed(1)} choices, and ${leastEffective} are needed`
  }
  return null
}

/** How much of the policy's choices has a propensity in the log that is not next to nothing. */
export const supportOf = (
  propensities: ReadonlyArray<ReadonlyArray<number>>,
  target: ReadonlyArray<ReadonlyArray<number>>
): number => {
  const least = 1e-4
  const sums = target.map((shares, i) =>
    shares.reduce((sum, share, action) => sum + ((propensities[i]?.[action] ?? 0) > least ? share : 0), 0)
  )
  return sums.reduce((sum, one) => sum + one, 0) / Math.max(1, sums.length)
}
