import type { ExcludedBy } from "./Constraint.ts"
import type { Candidate, DrawnReason } from "./Decision.ts"
import type { ModelId } from "../basics/Ids.ts"
import { largestDraw } from "./Propensity.ts"
import { Draws } from "../basics/Rng.ts"

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
  /** As `Candidate` has it. */
  readonly conversationUsd?: number | null | undefined
  readonly latencySeconds: number
  /** Beyond a budget: it is taken where it is the best, and never to find out. */
  readonly isUnexplored?: boolean
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

/** The first of the largest. */
const argmax = (values: ReadonlyArray<number>): number => {
  let best = 0
  for (let k = 1; k < values.length; k++) if ((values[k] ?? 0) > (values[best] ?? 0)) best = k
  return best
}

/** The eligible models with what is drawn of them, each in its place. */
interface Drawn {
  /** Of the session or else of the decision. */
  readonly draws: Draws
  readonly options: ReadonlyArray<Option>
  /** A mean that is not finite counts as the worst. */
  readonly means: ReadonlyArray<number>
  readonly sds: ReadonlyArray<number>
  readonly scores: ReadonlyArray<number>
  /** What each gets to prove that it is back; null where none has to. */
  readonly probes: ReadonlyArray<number> | null
  /** Those that chance alone may take, by their places; null where it may take any. */
  readonly explored: ReadonlyArray<number> | null
}

/** All but those beyond a budget; where all are, the cheapest. */
const exploredOf = (options: ReadonlyArray<Option>): ReadonlyArray<number> | null => {
  if (options.every(({ isUnexplored }) => isUnexplored !== true)) return null
  const within = options.flatMap(({ isUnexplored }, k) => (isUnexplored === true ? [] : [k]))
  if (within.length > 0) return within
  const costs = options.map(({ costUsd }) => costUsd ?? Number.POSITIVE_INFINITY)
  return [costs.indexOf(Math.min(...costs))]
}

/** Only where a model would win with its rise, and at most `mostProbes` in all. */
const probesOf = (
  options: ReadonlyArray<Option>,
  means: ReadonlyArray<number>,
  mostProbes: number
): ReadonlyArray<number> | null => {
  if (options.every(({ probeShare }) => probeShare <= 0)) return null
  const best = Math.max(...means)
  const shares = options.map(({ isUnexplored, probeShare, rise }, k) =>
    probeShare > 0 && isUnexplored !== true && (means[k] ?? 0) + rise > best ? probeShare : 0
  )
  const sum = shares.reduce((total, share) => total + share, 0)
  const scale = sum > mostProbes ? mostProbes / sum : 1
  return shares.map((share) => share * scale)
}

/** Whose part of the line from 0 holds `point`, the parts in the order of their models; undefined beyond the last. */
const partAt = ({ options, probes }: Drawn, point: number): number | undefined => {
  if (probes === null) return undefined
  const order = options
    .map((_, k) => k)
    .sort((a, b) => ((options[a]?.model ?? "") < (options[b]?.model ?? "") ? -1 : 1))
  let end = 0
  for (const k of order) {
    end += probes[k] ?? 0
    if (point < end) return k
  }
  return undefined
}

export interface ChoiceInput {
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

const drawnOf = ({ candidates, key, mostProbes, seed }: ChoiceInput): Drawn => {
  const draws = new Draws(`${seed}|${key}|`)
  const options: Array<Option> = []
  const means: Array<number> = []
  const sds: Array<number> = []
  const scores: Array<number> = []
  for (const option of candidates) {
    if (!option.eligible) continue
    const mean = Number.isFinite(option.mean) ? option.mean : -1
    const sd = Number.isFinite(option.sd) ? Math.max(option.sd, leastSd) : leastSd
    options.push(option)
    means.push(mean)
    sds.push(sd)
    scores.push(mean + sd * draws.normal(`${option.model}|score`))
  }
  const probes = probesOf(options, means, mostProbes)
  return { draws, options, means, sds, scores, probes, explored: exploredOf(options) }
}

const propensitiesOf = (
  { explored, means, probes, sds }: Drawn,
  { control, epsilon }: ChoiceInput
): ReadonlyArray<number> => {
  const share = 1 / means.length
  const drawn = 1 - epsilon - (probes?.reduce((sum, probe) => sum + probe, 0) ?? 0)
  const largest = largestDraw(means, sds)
  const propensities: Array<number> = []
  for (let k = 0; k < largest.length; k++) {
    const probe = probes === null ? 0 : (probes[k] ?? 0)
    const any = explored === null ? share : explored.includes(k) ? 1 / explored.length : 0
    propensities.push(control * share + (1 - control) * (drawn * (largest[k] ?? 0) + epsilon * any + probe))
  }
  return propensities
}

/** Which one is taken. */
const take = (
  drawn: Drawn,
  { control, decisionId, epsilon, key, seed }: ChoiceInput
): { readonly taken: number; readonly reason: Choice["reason"] } => {
  const { explored, means, options, scores } = drawn
  // The largest of independent uniforms is any of them with equal chances, in whatever order they stand.
  const anyBy = (draws: Draws, of: ReadonlyArray<number> | null) =>
    argmax(options.map(({ model }, k) => (of?.includes(k) === false ? -1 : draws.uniform(`${model}|any`))))
  const byMean = (taken: number) => {
    const reason = means[taken] === means[argmax(means)] ? ("best" as const) : ("explore" as const)
    return { taken, reason }
  }
  if (options.length === 1) return { taken: 0, reason: "only_eligible" }
  const ofKey = drawn.draws
  const ofDecision = key === decisionId ? ofKey : new Draws(`${seed}|${decisionId}|`)
  if (ofDecision.uniform("control") < control) return { taken: anyBy(ofDecision, null), reason: "control" }
  const floor = ofKey.uniform("floor")
  if (floor < epsilon) return byMean(anyBy(ofKey, explored))
  const probed = partAt(drawn, floor - epsilon)
  return probed === undefined ? byMean(argmax(scores)) : { taken: probed, reason: "probe" }
}

/** The model that `choose` takes, without what the audit wants to know of it: where many choices are made and none is kept. */
export const draw = (input: ChoiceInput): ModelId | undefined => {
  const drawn = drawnOf(input)
  return drawn.options.length === 0 ? undefined : drawn.options[take(drawn, input).taken]?.model
}

/** As the audit keeps it. */
export const audited = (option: Option, score: number, propensity: number): Candidate => {
  const { conversationUsd } = option
  const candidate = withoutConversation(option, score, propensity)
  return conversationUsd === undefined
    ? candidate
    : { ...candidate, conversationUsd: conversationUsd === null ? null : roundForAudit(conversationUsd) }
}

const withoutConversation = (option: Option, score: number, propensity: number): Candidate => ({
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
  const drawn = drawnOf(input)
  const { options, scores } = drawn
  // A caller without an eligible candidate has a bug: there is nothing that could be answered.
  if (options.length === 0) throw new RangeError("choose needs an eligible candidate")
  const propensities = propensitiesOf(drawn, input)
  const { reason, taken } = take(drawn, input)
  let k = 0
  const candidates = input.candidates.map((option) => {
    if (!option.eligible) return audited(option, 0, 0)
    k++
    return audited(option, scores[k - 1] ?? 0, propensities[k - 1] ?? 0)
  })
  const chosen = options[taken]?.model
  if (chosen === undefined) throw new RangeError("choose takes one of the eligible candidates")
  return {
    candidates,
    chosen,
    propensity: propensities[taken] ?? 0,
    reason,
    exploration: reason === "explore" || reason === "probe" || reason === "control"
  }
}
