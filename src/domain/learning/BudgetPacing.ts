/**
 * Pacing of a budget: the dearer an answer, the more its score loses, by a multiplier that rises while more is spent than the
 * budget allows and falls while less is. The budget is kept on average, not by each request. Dual gradient ascent on the
 * budget's constraint (Balseiro and Gur, Management Science 65(9), 2019), with a moving mean of the costs.
 */
export interface Pacing {
  /** Moving mean of the recent costs, USD a request. */
  readonly meanUsd: number
  /** What a cost of one request's whole budget takes off a score, at least 0. */
  readonly multiplier: number
  /** What was spent beyond the budget so far, USD; negative while there is something left over. */
  readonly aheadUsd: number
}

/** What a choice is charged for money: `multiplier` for each `budgetUsd` that an answer is expected to cost. */
export interface Charge {
  readonly multiplier: number
  /** USD a request, above 0. */
  readonly budgetUsd: number
}

/** How fast the multiplier moves, and how fast the mean of the costs does. */
const step = 0.01
const recent = 0.05
const mostMultiplier = 10

/**
 * What was spent too much, or too little, is made up for within so many requests: by at most so much of the budget in each. Less
 * upwards, so that a stretch that saves does not make the next one dear.
 */
const horizonRequests = 250
const mostSaved = 0.25
const mostAdded = 0.04

/** So many budgets of a request that were spent too much count as a multiplier of 1. */
const overspendRequests = 50

/** Nobody explores at more than so many times the budget of a request: a hundredth of all requests would spend most of it. */
const mostBudgets = 4

export const start = (budgetUsd: number): Pacing => ({ meanUsd: budgetUsd, multiplier: 0, aheadUsd: 0 })

/** One step of the dual: a request has cost `costUsd`, and `targetUsd` is what it may cost. */
export const ascend = (
  { meanUsd, multiplier }: Pick<Pacing, "meanUsd" | "multiplier">,
  targetUsd: number,
  costUsd: number
): Pick<Pacing, "meanUsd" | "multiplier"> => {
  const mean = (1 - recent) * meanUsd + recent * costUsd
  const moved = multiplier + step * (mean / targetUsd - 1)
  return { meanUsd: mean, multiplier: Math.min(mostMultiplier, Math.max(0, moved)) }
}

/** A request of a budget of `budgetUsd` has cost `costUsd`. */
export const spent = (pacing: Pacing, budgetUsd: number, costUsd: number): Pacing => {
  const correction = pacing.aheadUsd / horizonRequests / budgetUsd
  const bounded = Math.min(mostSaved, Math.max(-mostAdded, correction))
  return {
    ...ascend(pacing, budgetUsd * (1 - bounded), costUsd),
    aheadUsd: pacing.aheadUsd + costUsd - budgetUsd
  }
}

/** What choices are charged now: more at once while more was spent than the budget had until now. */
export const chargeOf = ({ aheadUsd, multiplier }: Pacing, budgetUsd: number): Charge => ({
  multiplier: multiplier + Math.max(0, aheadUsd / budgetUsd / overspendRequests),
  budgetUsd
})

/** What a score loses for an answer that is expected to cost so much; a cost that nobody knows counts as the budget. */
export const penalty = ({ budgetUsd, multiplier }: Charge, costUsd: number | null): number =>
  multiplier === 0 ? 0 : multiplier * ((costUsd ?? budgetUsd) / budgetUsd)

/** Whether a model of that cost may be taken without being the best. */
export const isExplored = ({ budgetUsd }: Charge, costUsd: number | null): boolean =>
  costUsd === null || costUsd <= mostBudgets * budgetUsd
