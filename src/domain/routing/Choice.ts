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

interface Drawn extends Option {
  readonly score: number
}

interface ChoiceInput {
  readonly candidates: ReadonlyArray<Option>
  readonly epsilon: number
  readonly control: number
  readonly mostProbes: number
  /** The router's seed. */
  readonly seed: string
  /** Session id or else decision id. */
  readonly key: string
  readonly decisionId: string
}

/** The eligible models with their draws; a mean that is not finite counts as the worst. */
const scored = ({ candidates, key, seed }: ChoiceInput): ReadonlyArray<Drawn> =>
  candidates
    .filter((option) => option.eligible)
    .map((option) => {
      const sd = Number.isFinite(option.sd) ? Math.max(option.sd, leastSd) : leastSd
      const mean = Number.isFinite(option.mean) ? option.mean : -1
      return { ...option, mean, sd, score: mean + sd * normal(`${seed}|${key}|${option.model}|score`) }
    })

const propensitiesOf = (
  eligible: ReadonlyArray<Drawn>,
  probes: ReadonlyMap<ModelId, number>,
  { control, epsilon }: ChoiceInput
): ReadonlyMap<ModelId, number> => {
  const largest = largestDraw(eligible)
  const share = 1 / eligible.length
  const drawn = 1 - epsilon - [...probes.values()].reduce((sum, probe) => sum + probe, 0)
  return new Map(
    eligible.map(({ model }, k) => [
      model,
      control * share + (1 - control) * (drawn * (largest[k] ?? 0) + epsilon * share + (probes.get(model) ?? 0))
    ])
  )
}

const take = (
  eligible: ReadonlyArray<Drawn>,
  probes: ReadonlyMap<ModelId, number>,
  { control, decisionId, epsilon, key, seed }: ChoiceInput
): { readonly taken: Drawn | undefined; readonly reason: Choice["reason"] } => {
  // The largest of independent uniforms is any of them with equal chances, in whatever order they stand.
  const anyBy = (draw: string) => argmax(eligible, ({ model }) => uniform(`${seed}|${draw}|${model}|any`))
  const byMean = (taken: Drawn | undefined) => {
    const best = Math.max(...eligible.map(({ mean }) => mean))
    return { taken, reason: taken?.mean === best ? ("best" as const) : ("explore" as const) }
  }
  if (eligible.length === 1) return { taken: eligible[0], reason: "only_eligible" }
  if (uniform(`${seed}|${decisionId}|control`) < control) return { taken: anyBy(decisionId), reason: "control" }
  const floor = uniform(`${seed}|${key}|floor`)
  if (floor < epsilon) return byMean(anyBy(key))
  const probed = partAt(probes, floor - epsilon)
  return probed === undefined
    ? byMean(argmax(eligible, ({ score }) => score))
    : { taken: eligible.find(({ model }) => model === probed), reason: "probe" }
}

/** The model that `choose` takes, without what the audit wants to know of it: where many choices are made and none is kept. */
export const draw = (input: ChoiceInput): ModelId | undefined => {
  const eligible = scored(input)
  return take(eligible, probesOf(eligible, input.mostProbes), input).taken?.model
}

/** As the audit keeps it. */
const audited = (option: Option, score: number, propensity: number): Candidate => ({
  model: option.model,
  eligible: option.eligible,
  excludedBy: option.excludedBy,
  quality: roundForAudit(clampUnit(option.quality)),
  qualitySd: roundForAudit(option.qualitySd),
  costUsd: option.costUsd === null ? null : roundForAudit(option.costUsd),
  latencySeconds: roundForAudit(option.latencySeconds),
  score: roundForAudit(score),
  propensity: roundForAudit(propensity)
})

/**
 * Draws a score for every eligible model and takes the largest; with probability `epsilon` any eligible model instead, with
 * that of its probe a model that has to prove itself, and with probability `control` any, by a draw of the decision's own.
 * All other draws are keyed by session or decision, so a session draws alike. Independent of the order of the candidates; at
 * least one must be eligible.
 */
export const choose = (input: ChoiceInput): Choice => {
  const eligible = scored(input)
  const probes = probesOf(eligible, input.mostProbes)
  const propensities = propensitiesOf(eligible, probes, input)
  const { reason, taken } = take(eligible, probes, input)
  // A caller without an eligible candidate has a bug: there is nothing that could be answered.
  if (taken === undefined) throw new RangeError("choose needs an eligible candidate")
  const scores = new Map(eligible.map(({ model, score }) => [model, score]))
  return {
    candidates: input.candidates.map((option) =>
      audited(option, scores.get(option.model) ?? 0, propensities.get(option.model) ?? 0)
    ),
    chosen: taken.model,
    propensity: propensities.get(taken.model) ?? 0,
    reason,
    exploration: reason === "explore" || reason === "probe" || reason === "control"
  }
}
