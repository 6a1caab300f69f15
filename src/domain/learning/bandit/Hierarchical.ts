import type { ModelId } from "../../basics/Ids.ts"
import * as Linalg from "./Linalg.ts"
import { digest, load, meanPrior, type ModelState, type Parameters, type State } from "./HierarchicalState.ts"
import * as Ridge from "./Ridge.ts"

/**
 * Hierarchical linear Thompson sampling: per model a ridge regression around a direction that all models share. The
 * state is a function of parameters and log alone; folding uses + - * / and sqrt only, so replicas agree to the bit.
 */
export const algorithm = "thompson"
export const version = "h1"

export { fold } from "./HierarchicalFold.ts"
export { decode, defaultParameters, encode, make, type Parameters, type State } from "./HierarchicalState.ts"

/** What the meaning of a stored state depends on, as a short text: algorithm, feature map, parameters. */
export const fingerprint = (parameters: Parameters, featuresVersion: string): string =>
  `${algorithm}-${version}/${featuresVersion}/${digest(parameters)}`

/**
 * The features that a decision made now has: the base, and the one-hot slot of its task if that has one. As short as
 * possible: coordinates that are left out are zero.
 */
export const withLabel = (state: State, base: Float32Array, task: string | null): Float32Array => {
  const slot = task === null ? undefined : state.labels.get(task)
  if (slot === undefined) return base
  const x = new Float32Array(state.baseDimension + slot + 1)
  x.set(base)
  x[state.baseDimension + slot] = 1
  return x
}

/** What one model is expected to do with one request. */
export interface Prediction {
  /** Success rate times the predicted quality of an answer. Not clamped: the tails of a linear model order models too. */
  readonly quality: number
  /** Deviation of the draw around `quality`. */
  readonly qualitySd: number
  readonly successRate: number
  readonly outputTokens: number
  readonly latencySeconds: number
  /** (0, 1]; what enters the score. */
  readonly latencyScore: number
  /** How often the model was reset. */
  readonly epoch: number
  /** Judged answers. */
  readonly observations: number
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

/** Mean, noise and leverage at the scratch vector; of a model without a row, by the prior alone. */
const moments = (state: State, ridge: Ridge.Ridge, k: number | undefined, offset: number, lambda0: number): Moments => {
  const { d, options } = ridge
  const row = k === undefined ? undefined : ridge.rows[k]
  if (row !== undefined) {
    const posterior = Ridge.posterior(ridge, row, state.work)
    const h = Ridge.leverage(posterior, state.x, d, state.work)
    return { mean: Linalg.dot(posterior.theta, state.x, d), sigma2: posterior.sigma2, h }
  }
  const x0 = Linalg.at(state.x, 0)
  const squares = Linalg.dot(state.x, state.x, d) - x0 * x0
  return {
    mean: (ridge.level + offset) * x0 + Linalg.dot(ridge.shared, state.x, d),
    sigma2: options.s0 * options.s0,
    h: (x0 * x0) / lambda0 + squares / options.lambda
  }
}

const qualityMoments = (state: State, k: number | undefined, priorQuality: number | null): Moments => {
  const { lambda0, lambda0Unknown } = state.parameters
  const mean = k === undefined && priorQuality !== null ? meanPrior(state) : null
  const offset = mean === null || priorQuality === null ? 0 : priorQuality - mean
  return moments(state, state.quality, k, offset, priorQuality === null ? lambda0Unknown : lambda0)
}

const tokensOf = ({ mean, sigma2, h }: Moments): number =>
  Math.exp(Math.min(14, Math.max(0, mean + (sigma2 * (1 + h)) / 2)))

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value))

const secondsOf = (latencyScore: number, parameters: Parameters): number =>
  parameters.latencyReferenceSeconds * (1 / latencyScore - 1)

/**
 * Predicts at the features `x` (`withLabel`). `priorQuality` counts only for a model that the log does not know yet.
 * O(d²); O(d³ / 6) once after an observation of the model.
 */
export const predict = (state: State, model: ModelId, priorQuality: number | null, x: Float32Array): Prediction => {
  const { parameters } = state
  const k = state.index.get(model)
  const known = k === undefined ? undefined : state.models[k]
  // A vector that is not finite says nothing: the reference point takes its place.
  if (load(state, x) < 1) loadReference(state)
  const quality = qualityMoments(state, k, priorQuality)
  const tokens = moments(state, state.tokens, k, 0, parameters.lambda0Unknown)
  const latency = clamp(moments(state, state.latency, k, 0, parameters.lambda0Unknown).mean, 1e-3, 1)
  const rate = successRate(parameters, known)
  return {
    quality: rate * quality.mean,
    qualitySd: rate * parameters.v * Math.sqrt(quality.sigma2 * quality.h),
    successRate: rate,
    outputTokens: tokensOf(tokens),
    latencySeconds: secondsOf(latency, parameters),
    latencyScore: latency,
    epoch: known?.epoch ?? 0,
    observations: known?.observations ?? 0
  }
}

const loadReference = (state: State): void => {
  state.x.fill(0)
  state.x[0] = 1
}

/**
 * What is known of a model at the fixed reference point: bias 1, every feature neutral (0). `quality` is that of an
 * answer, without the success rate: a function of the folded judged answers only. The interval is the central 95 %
 * of the mean, clamped to [0, 1].
 */
export const learned = (
  state: State,
  model: ModelId,
  priorQuality: number | null
): {
  readonly quality: {
    readonly mean: number
    readonly low: number
    readonly high: number
    readonly observations: number
  }
  readonly successRate: number
  readonly outputTokensMean: number
  readonly latencySecondsMean: number
} => {
  const { parameters } = state
  const k = state.index.get(model)
  const known = k === undefined ? undefined : state.models[k]
  loadReference(state)
  const { mean, sigma2, h } = qualityMoments(state, k, priorQuality)
  const half = 1.959964 * Math.sqrt(sigma2 * h)
  const latency = clamp(moments(state, state.latency, k, 0, parameters.lambda0Unknown).mean, 1e-3, 1)
  return {
    quality: {
      mean: clamp(mean, 0, 1),
      low: clamp(mean - half, 0, 1),
      high: clamp(mean + half, 0, 1),
      observations: known?.observations ?? 0
    },
    successRate: successRate(parameters, known),
    outputTokensMean: tokensOf(moments(state, state.tokens, k, 0, parameters.lambda0Unknown)),
    latencySecondsMean: secondsOf(latency, parameters)
  }
}

/** How often the model was reset; a session keeps its model only within one epoch. */
export const epoch = (state: State, model: ModelId): number => {
  const k = state.index.get(model)
  return k === undefined ? 0 : (state.models[k]?.epoch ?? 0)
}
