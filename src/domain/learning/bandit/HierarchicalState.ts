import * as Either from "effect/Either"
import * as Binary from "../../basics/Binary.ts"
import { ModelId, type Position } from "../../basics/Ids.ts"
import { hash64 } from "../../basics/Rng.ts"
import * as Snapshot from "../Snapshot.ts"
import * as Ridge from "./Ridge.ts"

/** How the log is folded and how a prediction becomes a choice. */
export interface Parameters {
  /** Ridge of the intercept, in observations: with a prior quality, and without. */
  readonly lambda0: number
  readonly lambda0Unknown: number
  /** Ridge of the features, and of the direction that all models share. */
  readonly lambda: number
  readonly lambdaShared: number
  /** Prior of the noise: `s0` in reward units, worth `nu0` observations. */
  readonly nu0: number
  readonly s0: number
  /** How many posterior deviations a draw has: 1 is calibrated to noise that is known to be 1. */
  readonly v: number
  /** Probability of a uniform choice; and of the control slice, uniform too, that is kept for comparisons. */
  readonly epsilon: number
  readonly control: number
  /** Change detection: slack and threshold in standardised residuals, judged answers before it counts, share kept at a reset. */
  readonly cusumK: number
  readonly cusumH: number
  readonly cusumMinEvents: number
  readonly keep: number
  /** Success and failure are forgotten by this factor a call, around a prior of `successPrior` with `successWeight` calls. */
  readonly successDiscount: number
  readonly successPrior: number
  readonly successWeight: number
  /** The latency that scores 1/2. */
  readonly latencyReferenceSeconds: number
}

export const defaultParameters: Parameters = {
  lambda0: 10,
  lambda0Unknown: 4,
  lambda: 30,
  lambdaShared: 3,
  nu0: 4,
  s0: 0.3,
  v: 0.4,
  epsilon: 0.01,
  control: 0.01,
  cusumK: 0.25,
  cusumH: 12,
  cusumMinEvents: 30,
  keep: 0.05,
  successDiscount: 0.99,
  successPrior: 0.98,
  successWeight: 10,
  latencyReferenceSeconds: 2
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

/** What is kept of one model beside its rows in the ridges. */
export interface ModelState {
  readonly id: ModelId
  priorQuality: number | null
  /** Discounted counts of calls. */
  calls: number
  successes: number
  /** Judged answers, also those that were counted only. */
  observations: number
  epoch: number
  /** Log positions of the last resets, ascending. */
  resets: Array<Position>
  /** CUSUM of the standardised residuals: both sides, and first judgements since the last reset. */
  low: number
  high: number
  since: number
  /** The posterior of quality as of the last refresh, kept from the model's first event after it on. */
  frozen: Ridge.Posterior | null
  frozenIsCurrent: boolean
}

/** What was learned. Opaque: changed by `fold` only. */
export interface State {
  readonly parameters: Parameters
  readonly baseDimension: number
  readonly labels: Map<string, number>
  readonly models: Array<ModelState>
  readonly index: Map<string, number>
  readonly quality: Ridge.Ridge
  readonly tokens: Ridge.Ridge
  readonly latency: Ridge.Ridge
  /** Scratch of length d. */
  x: Float64Array
  work: Float64Array
}

const make_ = (parameters: Parameters, baseDimension: number, d: number): State => {
  const { lambda, lambdaShared, nu0, s0 } = parameters
  const ridge = (start: number) => Ridge.make({ start, lambda, lambdaShared, nu0, s0 }, d)
  return {
    parameters,
    baseDimension,
    labels: new Map(),
    models: [],
    index: new Map(),
    quality: ridge(0.5),
    tokens: ridge(5.703782474656201), // ln 300
    latency: ridge(0.5),
    x: new Float64Array(d),
    work: new Float64Array(d)
  }
}

/** The state before the first event of a log; `baseDimension` is the length of the features without label slots. */
export const make = (parameters: Parameters, baseDimension: number): State =>
  make_(parameters, baseDimension, baseDimension)

/** Mean of the known prior qualities, or null without any. */
export const meanPrior = (state: State): number | null => {
  let sum = 0
  let count = 0
  for (const { priorQuality } of state.models) {
    if (priorQuality === null) continue
    sum += priorQuality
    count += 1
  }
  return count > 0 ? sum / count : null
}

/** Puts the features into the scratch vector, padded with zeros; how many there are, or -1 if one is not finite. */
export const load = (state: State, features: Float32Array): number => {
  const { x } = state
  const length = Math.min(features.length, x.length)
  for (let i = 0; i < length; i++) {
    const value = features[i] ?? 0
    if (!Number.isFinite(value)) return -1
    x[i] = value
  }
  x.fill(0, length)
  return length
}

/** The state as bytes: folding on from `decode(encode(state))` gives the same bits as folding on from `state`. */
export const encode = (state: State): Uint8Array => {
  const w = Snapshot.begin()
  Binary.writeString(w, digest(state.parameters))
  Binary.writeVarint(w, state.baseDimension)
  Binary.writeVarint(w, state.labels.size)
  for (const label of state.labels.keys()) Binary.writeString(w, label)
  Binary.writeVarint(w, state.models.length)
  for (const model of state.models) {
    Binary.writeString(w, model.id)
    Binary.writeFloat64(w, model.priorQuality ?? Number.NaN)
    for (const value of [model.calls, model.successes, model.observations, model.low, model.high]) {
      Binary.writeFloat64(w, value)
    }
    Binary.writeVarint(w, model.since)
    Binary.writeVarint(w, model.epoch)
    Binary.writeVarint(w, model.resets.length)
    for (const at of model.resets) Binary.writeFloat64(w, at)
    const frozen = model.frozenIsCurrent ? model.frozen : null
    Binary.writeByte(w, frozen === null ? 0 : 1)
    if (frozen !== null) {
      Binary.writeFloat64s(w, frozen.chol)
      Binary.writeFloat64s(w, frozen.theta)
      Binary.writeFloat64(w, frozen.sigma2)
    }
  }
  for (const ridge of [state.quality, state.tokens, state.latency]) Ridge.write(w, ridge)
  return Snapshot.seal(w)
}

/** The state that was encoded, if every bit is there and it was made by these parameters. */
export const decode = (
  bytes: Uint8Array,
  parameters: Parameters,
  baseDimension: number
): Either.Either<State, Snapshot.SnapshotDamaged> =>
  Either.flatMap(Snapshot.open(bytes), (r) => {
    if (Binary.readString(r) !== digest(parameters) || Binary.readVarint(r) !== baseDimension) {
      return Either.left(new Snapshot.SnapshotDamaged({ reason: "parameters" }))
    }
    const labels = Array.from({ length: Binary.readCount(r, 1) }, () => Binary.readString(r))
    const d = baseDimension + labels.length
    const state = make_(parameters, baseDimension, d)
    for (const label of labels) state.labels.set(label, state.labels.size)
    const count = Binary.readCount(r, 1)
    for (let k = 0; k < count && !r.damaged; k++) {
      const model = readModel(r, d)
      if (model === null) r.damaged = true
      else {
        state.models.push(model)
        state.index.set(model.id, k)
      }
    }
    for (const ridge of [state.quality, state.tokens, state.latency]) Ridge.read(r, ridge, count)
    return r.damaged || r.position !== r.bytes.length
      ? Either.left(new Snapshot.SnapshotDamaged({ reason: "length" }))
      : Either.right(state)
  })

const readModel = (r: Binary.Reader, d: number): ModelState | null => {
  const id = Binary.readString(r)
  if (!ModelId.is(id)) return null
  const priorQuality = Binary.readFloat64(r)
  const calls = Binary.readFloat64(r)
  const successes = Binary.readFloat64(r)
  const observations = Binary.readFloat64(r)
  const low = Binary.readFloat64(r)
  const high = Binary.readFloat64(r)
  const since = Binary.readVarint(r)
  const epoch = Binary.readVarint(r)
  const resets = Array.from({ length: Binary.readCount(r, 8) }, () => Binary.readFloat64(r))
  let frozen: Ridge.Posterior | null = null
  if (Binary.readByte(r) === 1) {
    frozen = Ridge.makePosterior(d)
    Binary.readFloat64s(r, frozen.chol)
    Binary.readFloat64s(r, frozen.theta)
    frozen.sigma2 = Binary.readFloat64(r)
  }
  return {
    id,
    priorQuality: Number.isNaN(priorQuality) ? null : priorQuality,
    calls,
    successes,
    observations,
    epoch,
    resets,
    low,
    high,
    since,
    frozen,
    frozenIsCurrent: frozen !== null
  }
}
