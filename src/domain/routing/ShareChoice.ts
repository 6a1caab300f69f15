import type { ModelId } from "../basics/Ids.ts"
import { Draws } from "../basics/Rng.ts"
import { audited, type Choice, type ChoiceInput, type Option } from "./Choice.ts"

/** Whose part of the line from 0 to 1 holds `point`; of the largest, where rounding left a little beyond the last. */
const partAt = (shares: ReadonlyArray<number>, point: number): number => {
  let end = 0
  for (const [k, share] of shares.entries()) {
    end += share
    if (point < end) return k
  }
  return shares.indexOf(Math.max(...shares))
}

/** In the order of their ids, so that the order of the configuration does not matter. */
const eligibleOf = (candidates: ReadonlyArray<Option>) =>
  candidates.filter(({ eligible }) => eligible).sort((a, b) => (a.model < b.model ? -1 : 1))

/**
 * Takes an eligible model with the probability that `sharesOf` gives it (they sum to 1), and with probability `control` any.
 * Keyed as the draws of `choose`; at least one candidate must be eligible.
 */
export const chooseByShares = (
  { candidates, control, decisionId, key, seed }: Omit<ChoiceInput, "epsilon" | "mostProbes">,
  sharesOf: (eligible: ReadonlyArray<Option>) => ReadonlyArray<number>
): Choice => {
  const eligible = eligibleOf(candidates)
  const count = eligible.length
  const shares = sharesOf(eligible)
  const ofDecision = new Draws(`${seed}|${decisionId}|`)
  const isControl = count > 1 && ofDecision.uniform("control") < control
  const taken = isControl
    ? Math.floor(ofDecision.uniform("any") * count)
    : partAt(shares, new Draws(`${seed}|${key}|`).uniform("share"))
  const chosen = eligible[taken]
  // A caller without an eligible candidate has a bug: there is nothing that could be answered.
  if (chosen === undefined) throw new RangeError("chooseByShares needs an eligible candidate")
  const isBest = chosen.mean === Math.max(...eligible.map(({ mean }) => mean))
  const reason = count === 1 ? "only_eligible" : isControl ? "control" : isBest ? "best" : "explore"
  const propensities = new Map(
    eligible.map(({ model }, k): [ModelId, number] => [
      model,
      count === 1 ? 1 : control / count + (1 - control) * (shares[k] ?? 0)
    ])
  )
  return {
    candidates: candidates.map((option) =>
      audited(
        option,
        option.eligible && Number.isFinite(option.mean) ? option.mean : 0,
        propensities.get(option.model) ?? 0
      )
    ),
    chosen: chosen.model,
    propensity: propensities.get(chosen.model) ?? 0,
    reason,
    exploration: reason === "explore" || reason === "control"
  }
}
