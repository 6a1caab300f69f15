import type { ModelId } from "../../basics/Ids.ts"
import { hash64 } from "../../basics/Rng.ts"
import * as Labels from "./Labels.ts"
import * as Quality from "./Quality.ts"
import type { QualityChange } from "./QualityChange.ts"
import * as Ridge from "./Ridge.ts"
import * as Sources from "./Sources.ts"
import { neutral, referenceLatencySeconds } from "../../routing/Reference.ts"

/** How the log is folded and how a prediction becomes a choice. */
export interface Parameters extends Quality.QualityParameters {
  /** Of output tokens and latency: ridge of the intercept and of the features in observations, deviation of the noise. */
  readonly runLambda0: number
  readonly runLambda: number
  readonly runS0: number
  /** Probability of a uniform choice; and of the control slice, uniform too, that is kept for comparisons. */
  readonly epsilon: number
  readonly control: number
  /** All probes together get at most this share. */
  readonly mostProbes: number
  /** Success and failure are forgotten by this factor a call, around a prior of `successPrior` with `successWeight` calls. */
  readonly successDiscount: number
  readonly successPrior: number
  readonly successWeight: number
  /** The latency that scores 1/2. */
  readonly latencyReferenceSeconds: number
}

export const defaultParameters: Parameters = {
  levelSd: 0.142,
  levelSdUnknown: 0.225,
  textSd: 0.06,
  lambdaShared: 3,
  s0: 0.4,
  nu0: 4,
  cellSd: 0.12,
  cellSdWeight: 2,
  taskSd: 0.15,
  taskSdWeight: 4,
  v: 0.35,
  cellShare: 0.1,
  translation: 1.5,
  cellNoiseWeight: 8,
  tolerance: 0.03,
  largestPrediction: 0.9,
  alarm: 1_000_000,
  halfWeight: 3_000,
  followed: 1,
  gateCell: 30,
  gateModel: 30,
  gateModelCell: 8,
  probe: 0.02,
  probeRuns: 4_000,
  suspected: 0.05,
  trial: 0.2,
  hintEvidence: 20,
  trialEvidence: 300,
  runLambda0: 4,
  runLambda: 30,
  runS0: 0.3,
  epsilon: 0.01,
  control: 0.01,
  mostProbes: 0.2,
  successDiscount: 0.99,
  successPrior: 0.98,
  successWeight: 10,
  latencyReferenceSeconds: referenceLatencySeconds
}

/** A short text that differs where any parameter does. */
export const digest = (parameters: Parameters): string => {
  const text = Object.entries(parameters)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join(";")
  return hash64(text)
    .map((half) => half.toString(16).padStart(8, "0"))
    .join("")
}

/** What is kept of one model beside its evidence. */
export interface ModelState {
  readonly id: ModelId
  /** Discounted counts of calls. */
  calls: number
  successes: number
  /** Judged answers, also those that were counted only. */
  observations: number
  /** The last 16, oldest first. */
  readonly changes: Array<QualityChange>
}

/** What was learned. Opaque: changed by `fold` only. */
export interface State {
  readonly parameters: Parameters
  readonly baseDimension: number
  /** The first 32 labels have a coordinate of their own in tokens and latency. */
  readonly slots: Map<string, number>
  /** The labels that have cells of quality. */
  readonly labels: Labels.Labels
  readonly models: Array<ModelState>
  readonly index: Map<string, number>
  readonly quality: Quality.Quality
  readonly tokens: Ridge.Ridge
  readonly latency: Ridge.Ridge
  /** Who judges besides people. */
  readonly sources: Sources.Sources
  /** Calls so far: the clock of probing. */
  runs: number
  /** Scratch: the base features, and with the slots. */
  readonly x: Float64Array
  slotted: Float64Array
  work: Float64Array
}

/** The natural logarithm of the reference request's output tokens, written out: a replica on another platform has the same bits. */
const logReferenceTokens = 5.703782474656201

/** The state before the first event of a log; `baseDimension` is the length of the features. */
export const make = (parameters: Parameters, baseDimension: number): State =>
  makeWithSlots(parameters, baseDimension, baseDimension)

export const makeWithSlots = (parameters: Parameters, baseDimension: number, d: number): State => {
  const { lambdaShared, nu0, runLambda, runS0 } = parameters
  const ridge = (start: number) => Ridge.make({ start, lambda: runLambda, lambdaShared, nu0, s0: runS0 }, d)
  return {
    parameters,
    baseDimension,
    slots: new Map(),
    labels: Labels.make(),
    models: [],
    index: new Map(),
    quality: Quality.make(parameters, baseDimension),
    tokens: ridge(logReferenceTokens),
    latency: ridge(neutral),
    sources: Sources.make(),
    runs: 0,
    x: new Float64Array(baseDimension),
    slotted: new Float64Array(d),
    work: new Float64Array(d)
  }
}

/**
 * Puts the features into the scratch vector, padded with zeros; whether all of them are finite. What older rows have beyond
 * the base dimension, a one-hot label, is left out.
 */
export const load = (state: State, features: Float32Array): boolean => {
  const { x } = state
  const length = Math.min(features.length, x.length)
  for (let i = 0; i < length; i++) {
    const value = features[i] ?? 0
    if (!Number.isFinite(value)) return false
    x[i] = value
  }
  x.fill(0, length)
  return true
}

export const loadReference = (state: State): void => {
  state.x.fill(0)
  state.x[0] = 1
}

/** Puts the loaded features and the slot of the task into the other scratch vector; its length without trailing zeros. */
export const loadSlots = (state: State, task: string | null): number => {
  const { baseDimension, slots, slotted, x } = state
  slotted.fill(0)
  slotted.set(x)
  const slot = task === null ? undefined : slots.get(task)
  if (slot === undefined) return baseDimension
  slotted[baseDimension + slot] = 1
  return baseDimension + slot + 1
}
