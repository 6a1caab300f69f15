import type { ExcludedBy } from "./Constraint.ts"
import type { Candidate, DrawnReason } from "./Decision.ts"
import type { ModelId } from "../basics/Ids.ts"
import { largestDraw } from "./Propensity.ts"
import { normal, uniform } from "../basics/Rng.ts"

/** One model as a choice sees it: whether the masks leave it, the distribution of its score, and the parts to show. */
export interface Option {
  readonly model: ModelId
  readonly eligible: boolean
  readonly excludedBy: ExcludedBy | null
  /** Mean and deviation of the composed score. */
  readonly mean: number
  readonly sd: number
  /** How much higher the mean would be if the model were back at a level that it seems to have lost. */
  readonly rise: number
  /** Share of the requests that it would win with that rise which it gets to prove it, [0, 1]. */
  readonly probeShare: number
  readonly quality: number
  readonly qualitySd: number
  readonly costUsd: number | null
  readonly latencySeconds: number
}

export interface Choice {
  /** All models in the order of the input, numbers rounded for the audit. */
  readonly candidates: ReadonlyArray<Candidate>
  readonly chosen: ModelId
  /** Probability of this choice, full precision. */
  readonly propensity: number
  readonly reason: DrawnReason
  /** Another model than the one with the best expected score was taken, or the control slice was. */
  readonly exploration: boolean
}

/** A score without uncertainty gets this deviation, so that equal scores are drawn with equal chances. */
const leastSd = 1e-8

/** Powers of ten that a double holds exactly. */
const exactPowers = Array.from({ length: 23 }, (_, i) => Number(`1e${i}`))

/** PostgreSQL refuses a float4 whose magnitude is outside of these. */
const leastFloat4 = 1.2e-38
const mostFloat4 = 3.4e38

/** Six significant digits, within the range of a float4: what such a column keeps. */
export const roundForAudit = (value: number): number => {
  const magnitude = Math.abs(value)
  if (magnitude < leastFloat4) return 0
  if (magnitude > mostFloat4) return Math.sign(value) * mostFloat4
  // Printing and parsing costs five times as much, and there are six numbers for each candidate.
  const scale = exactPowers[5 - Math.floor(Math.log10(magnitude))]
  return scale === undefined ? Number(value.toPrecision(6)) : Math.round(value * scale) / scale
}

const clampUnit = (value: number): number => Math.min(1, Math.max(0, value))

const argmax = <A>(items: ReadonlyArray<A>, of: (item: A) => number): A | undefined => {
  let best: A | undefined
  let highest = Number.NEGATIVE_INFINITY
  for (const item of items) {
    const value = of(item)
    if (best === undefined || value > highest) {
      best = item
      highest = value
    }
  }
  return best
}

/**
 * What each eligible model gets to prove that it is back: only where it would win with its rise, and at most `mostProbes` in
 * all.
 */
const probesOf = (
  eligible: ReadonlyArray<Pick<Option, "model" | "mean" | "rise" | "probeShare">>,
  mostProbes: number
): ReadonlyMap<ModelId, number> => {
  const best = Math.max(...eligible.map(({ mean }) => mean))
  const probes = eligible.filter(({ mean, probeShare, rise }) => probeShare > 0 && mean + rise > best)
  const sum = probes.reduce((total, { probeShare }) => total + probeShare, 0)
  const scale = sum > mostProbes ? mostProbes / sum : 1
  return new Map(
    probes
      .sort((a, b) => (a.model < b.model ? -1 : 1))
      .map(({ model, probeShare }): [ModelId, number] => [model, probeShare * scale])
  )
}

/** The model whose part of the line from 0 holds `point`; undefined beyond the last. */
const partAt = (parts: ReadonlyMap<ModelId, number>, point: number): ModelId | undefined => {
  let end = 0
  for (const [model, length] of parts) {
    end += length
    if (point < end) return model
  }
  return undefined
}

/**
 * Draws a score for every eligible model and takes the largest; with probability `epsilon` any eligible model instead, with
 * those of the probes a model that has to prove itself, and
 * with probability `control` any, by a draw of the decision's own. All other draws are keyed by session or decision, so a
 * session draws alike. Independent of the order of the candidates; at least one must be eligible, and with numbers that
 * are not finite a model counts as the worst.
 */
export const choose = (input: {
  readonly candidates: ReadonlyArray<Option>
  readonly epsilon: number
  readonly control: number
  readonly mostProbes: number
  /** The router's seed. */
  readonly seed: string
  /** Session id or else decision id. */
  readonly key: string
  readonly decisionId: string
}): Choice => {
  const { candidates, control, decisionId, epsilon, key, mostProbes, seed } = input
  const eligible = candidates
    .filter((option) => option.eligible)
    .map((option) => {
      const sd = Number.isFinite(option.sd) ? Math.max(option.sd, leastSd) : leastSd
      const mean = Number.isFinite(option.mean) ? option.mean : -1
      return { ...option, mean, sd, score: mean + sd * normal(`${seed}|${key}|${option.model}|score`) }
    })
  const largest = largestDraw(eligible)
  const share = 1 / eligible.length
  const probes = probesOf(eligible, mostProbes)
  const drawn = 1 - epsilon - [...probes.values()].reduce((sum, probe) => sum + probe, 0)
  const propensities = new Map(
    eligible.map(({ model }, k) => [
      model,
      control * share + (1 - control) * (drawn * (largest[k] ?? 0) + epsilon * share + (probes.get(model) ?? 0))
    ])
  )

  const isControl = uniform(`${seed}|${decisionId}|control`) < control
  const floor = uniform(`${seed}|${key}|floor`)
  const probed = floor < epsilon ? undefined : partAt(probes, floor - epsilon)
  // The largest of independent uniforms is any of them with equal chances, in whatever order they stand.
  const anyBy = (draw: string) => argmax(eligible, ({ model }) => uniform(`${seed}|${draw}|${model}|any`))
  const taken = isControl
    ? anyBy(decisionId)
    : floor < epsilon
      ? anyBy(key)
      : (eligible.find(({ model }) => model === probed) ?? argmax(eligible, ({ score }) => score))
  const best = Math.max(...eligible.map(({ mean }) => mean))
  // A caller without an eligible candidate has a bug: there is nothing that could be answered.
  if (taken === undefined) throw new RangeError("choose needs an eligible candidate")
  const chosen = taken.model

  const reason =
    eligible.length === 1
      ? "only_eligible"
      : isControl
        ? "control"
        : chosen === probed
          ? "probe"
          : taken.mean === best
            ? "best"
            : "explore"
  const scores = new Map(eligible.map(({ model, score }) => [model, score]))
  return {
    candidates: candidates.map((option) => ({
      model: option.model,
      eligible: option.eligible,
      excludedBy: option.excludedBy,
      quality: roundForAudit(clampUnit(option.quality)),
      qualitySd: roundForAudit(option.qualitySd),
      costUsd: option.costUsd === null ? null : roundForAudit(option.costUsd),
      latencySeconds: roundForAudit(option.latencySeconds),
      score: roundForAudit(scores.get(option.model) ?? 0),
      propensity: roundForAudit(propensities.get(option.model) ?? 0)
    })),
    chosen,
    propensity: propensities.get(chosen) ?? 0,
    reason,
    exploration: reason === "explore" || reason === "probe" || reason === "control"
  }
}
