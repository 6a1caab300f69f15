import type { ModelId } from "../../basics/Ids.ts"
import * as Linalg from "./Linalg.ts"
import {
  digest,
  load,
  loadReference,
  loadSlots,
  type ModelState,
  type Parameters,
  type State
} from "./HierarchicalState.ts"
import * as Labels from "./Labels.ts"
import * as Quality from "./Quality.ts"
import type { QualityChange } from "./QualityChange.ts"
import { predict as predictQuality } from "./QualityPrediction.ts"
import * as Ridge from "./Ridge.ts"

/**
 * Hierarchical linear Thompson sampling: per model a ridge regression around a direction that all models share, and cells
 * for tasks. The state is a function of parameters and log alone; folding uses + - * / and sqrt only, so replicas agree to
 * the bit.
 */
export const algorithm = "thompson"
export const version = "h2"

export { decode, encode, encodeModel } from "./HierarchicalCodec.ts"
export { type Change, fold } from "./HierarchicalFold.ts"
export { defaultParameters, make, type Parameters, type State } from "./HierarchicalState.ts"
export { canJudge, type QualityChange } from "./QualityChange.ts"

/** What the meaning of a stored state depends on, as a short text: algorithm, feature map, parameters. */
export const fingerprint = (parameters: Parameters, featuresVersion: string): string =>
  `${algorithm}-${version}/${featuresVersion}/${digest(parameters)}`

/** What one model is expected to do with one request. */
export interface Prediction {
  /** Success rate times the predicted quality of an answer. Not clamped: the tails of a linear model order models too. */
  readonly quality: number
  /** Deviation of the draw around `quality`. */
  readonly qualitySd: number
  /** How much higher `quality` would be if the model were back at a level that it seems to have lost. */
  readonly qualityRise: number
  /** Share of the requests that it would win with that rise which it gets to prove it, [0, 1]. */
  readonly probeShare: number
  readonly successRate: number
  readonly outputTokens: number
  readonly latencySeconds: number
  /** (0, 1]; what enters the score. */
  readonly latencyScore: number
}

const successRate = (parameters: Parameters, model: ModelState | undefined): number => {
  const { successPrior, successWeight } = parameters
  return ((model?.successes ?? 0) + successPrior * successWeight) / ((model?.calls ?? 0) + successWeight)
}

interface Moments {
  readonly mean: number
  readonly sigma2: number
  readonly h: number
}

/** Mean of tokens or latency at the slotted scratch vector; of a model without a row, by the prior. */
const meanOf = ({ slotted, work }: State, ridge: Ridge.Ridge, k: number | undefined): number => {
  const row = k === undefined ? undefined : ridge.rows[k]
  return row === undefined
    ? ridge.level * Linalg.at(slotted, 0) + Linalg.dot(ridge.shared, slotted, ridge.d)
    : Linalg.dot(Ridge.posterior(ridge, row, work).theta, slotted, ridge.d)
}

/** Mean, noise and leverage there. The leverage is most of the work. */
const moments = (state: State, ridge: Ridge.Ridge, k: number | undefined): Moments => {
  const { parameters, slotted, work } = state
  const { d, options } = ridge
  const mean = meanOf(state, ridge, k)
  const row = k === undefined ? undefined : ridge.rows[k]
  if (row !== undefined) {
    const posterior = Ridge.posterior(ridge, row, work)
    return { mean, sigma2: posterior.sigma2, h: Ridge.leverage(posterior, slotted, d, work) }
  }
  const x0 = Linalg.at(slotted, 0)
  const squares = Linalg.dot(slotted, slotted, d) - x0 * x0
  return {
    mean,
    sigma2: options.s0 * options.s0,
    h: (x0 * x0) / parameters.runLambda0 + squares / options.lambda
  }
}

/** Of a model that the log does not know yet, for the moment until it is told: its prior alone, as a guess. */
const evidenceOf = (quality: Quality.Quality, k: number | undefined, prior: number | null): Quality.ModelEvidence => {
  const known = k === undefined ? undefined : quality.models[k]
  if (known !== undefined) return known
  const model = Quality.makeModel(quality, prior)
  const mean = Quality.meanPrior(quality)
  model.offset = prior === null || mean === null ? 0 : prior - mean
  model.priorLevel = quality.level + model.offset
  return model
}

const tokensOf = ({ mean, sigma2, h }: Moments): number =>
  Math.exp(Math.min(14, Math.max(0, mean + (sigma2 * (1 + h)) / 2)))

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value))

const secondsOf = (latencyScore: number, parameters: Parameters): number =>
  parameters.latencyReferenceSeconds * (1 / latencyScore - 1)

/**
 * Predicts for a task at the base features `x`. `priorQuality` counts only for a model that the log does not know yet.
 * O(d²); O(d³ / 6) once after an observation of the model.
 */
export const predict = (
  state: State,
  id: ModelId,
  priorQuality: number | null,
  task: string | null,
  x: Float32Array
): Prediction => {
  const { parameters } = state
  const k = state.index.get(id)
  // A vector that is not finite says nothing: the reference point takes its place.
  if (!load(state, x)) loadReference(state)
  loadSlots(state, task)
  const evidence = evidenceOf(state.quality, k, priorQuality)
  const quality = predictQuality(state.quality, evidence, Labels.taskOf(state.labels, task), state.x, state.runs)
  const tokens = moments(state, state.tokens, k)
  const latency = clamp(meanOf(state, state.latency, k), 1e-3, 1)
  const rate = successRate(parameters, k === undefined ? undefined : state.models[k])
  return {
    quality: rate * quality.mean,
    qualitySd: rate * quality.sd,
    qualityRise: rate * quality.rise,
    probeShare: quality.probeShare,
    successRate: rate,
    outputTokens: tokensOf(tokens),
    latencySeconds: secondsOf(latency, parameters),
    latencyScore: latency
  }
}

/** A mean with its central 90 %, clamped to [0, 1], and the weight of the answers that were judged. */
export interface LearnedQuality {
  readonly mean: number
  readonly low: number
  readonly high: number
  readonly observations: number
}

/**
 * What is known of a model: its quality for requests as they were judged, tokens and time at the reference point, where bias is 1
 * and every feature neutral (0).
 */
export interface LearnedFacts {
  /** Of an answer to a request without a task, without the success rate: a function of the folded judgements only. */
  readonly quality: LearnedQuality
  /** The same for each task in which the model was judged. */
  readonly tasks: ReadonlyArray<LearnedQuality & { readonly task: string }>
  /** The changes that were noticed, the newest last. */
  readonly changes: ReadonlyArray<QualityChange>
  readonly successRate: number
  readonly outputTokensMean: number
  readonly latencySecondsMean: number
}

const deviationsOf90 = 1.644854

/** The mean features of the answers that the cells hold; undefined of none. */
const meanFeatures = (cells: ReadonlyArray<Quality.Cell>, d: number): Float64Array | undefined => {
  const mean = new Float64Array(d)
  let n = 0
  for (const cell of cells) {
    n += cell.n
    for (let i = 0; i < d; i++) mean[i] = Linalg.at(mean, i) + Linalg.at(cell.x, i)
  }
  return n > 0 ? mean.map((sum) => sum / n) : undefined
}

/**
 * The mean features of what was judged of the task, where the estimate cannot be further than its errors from the judgements; at
 * the reference point, which may be far from all of them, it could. Of a model whose judgements were all taken back, those of
 * what was judged of any model. The reference point for one that nobody judged.
 */
const usual = ({ quality, x }: State, { cells }: Quality.ModelEvidence, task: string | null): Float64Array => {
  const cell = cells.get(task)
  if (cell === undefined) return x
  return (
    meanFeatures([cell], quality.d) ??
    meanFeatures(
      quality.models.flatMap((model) => [...model.cells.values()]),
      quality.d
    ) ??
    x
  )
}

export const learned = (state: State, id: ModelId, priorQuality: number | null): LearnedFacts => {
  const { parameters } = state
  const k = state.index.get(id)
  const known = k === undefined ? undefined : state.models[k]
  const evidence = evidenceOf(state.quality, k, priorQuality)
  loadReference(state)
  loadSlots(state, null)
  const at = (task: string | null, observations: number): LearnedQuality => {
    const { mean, shownSd } = predictQuality(state.quality, evidence, task, usual(state, evidence, task), state.runs)
    const half = deviationsOf90 * shownSd
    return {
      mean: clamp(mean, 0, 1),
      low: clamp(mean - half, 0, 1),
      high: clamp(mean + half, 0, 1),
      observations
    }
  }
  const latency = clamp(meanOf(state, state.latency, k), 1e-3, 1)
  return {
    quality: at(null, known?.observations ?? 0),
    tasks: [...evidence.cells.values()].flatMap(({ n, task }) =>
      task === null || n <= 0 ? [] : [{ task, ...at(task, n) }]
    ),
    changes: known?.changes ?? [],
    successRate: successRate(parameters, known),
    outputTokensMean: tokensOf(moments(state, state.tokens, k)),
    latencySecondsMean: secondsOf(latency, parameters)
  }
}

/** How often the evidence on the model has changed; a session keeps its model only within one epoch. */
export const epoch = (state: State, model: ModelId): number => {
  const k = state.index.get(model)
  return k === undefined ? 0 : (state.quality.models[k]?.epoch ?? 0)
}

/** What is expected of a model before anybody judged an answer, as `ModelEvent` has it. */
export interface Prior {
  readonly priorQuality: number | null
  readonly priorSd?: number
  /** Of whom it is one of several arms. */
  readonly upstream?: string
}

/** The prior of a model that the log knows; undefined of another. */
export const priorOf = (state: State, model: ModelId): Prior | undefined => {
  const k = state.index.get(model)
  const evidence = k === undefined ? undefined : state.quality.models[k]
  return evidence === undefined
    ? undefined
    : {
        priorQuality: evidence.prior,
        ...(evidence.priorSd === null ? {} : { priorSd: evidence.priorSd }),
        ...(evidence.upstream === null ? {} : { upstream: evidence.upstream })
      }
}
