import type { ModelId, Position } from "../../basics/Ids.ts"
import type { LearningEvent, ModelEvent, QualityEvent, RunEvent } from "../LearningEvent.ts"
import * as Linalg from "./Linalg.ts"
import { drift } from "./Cusum.ts"
import { load, meanPrior, type ModelState, type State } from "./HierarchicalState.ts"
import * as Ridge from "./Ridge.ts"

/** At most so many task labels get a coordinate of their own; later ones none. */
const maxLabels = 32

/** So many resets of a model are remembered: what is left of an observation after more is below rounding. */
const maxResets = 16

/** Applies the next event of the log. Total: an event that cannot be learned from is ignored. */
export const fold = (state: State, position: Position, event: LearningEvent): void => {
  switch (event.type) {
    case "model":
      return foldModel(state, event)
    case "run":
      return foldRun(state, event)
    case "quality":
      return foldQuality(state, position, event)
    case "reset":
      return reset(state, ensureModel(state, event.model), position)
    case "availability":
    case "reload":
      return
  }
}

const ensureModel = (state: State, id: ModelId): number => {
  const known = state.index.get(id)
  if (known !== undefined) return known
  const added = state.models.length
  state.models.push({
    id,
    priorQuality: null,
    calls: 0,
    successes: 0,
    observations: 0,
    epoch: 0,
    resets: [],
    low: 0,
    high: 0,
    since: 0,
    frozen: null,
    frozenIsCurrent: false
  })
  state.index.set(id, added)
  for (const ridge of [state.quality, state.tokens, state.latency]) {
    Ridge.addModel(ridge, state.parameters.lambda0Unknown)
  }
  return added
}

const foldModel = (state: State, event: ModelEvent): void => {
  const { parameters, quality } = state
  const model = state.models[ensureModel(state, event.model)]
  const prior = event.priorQuality !== null && Number.isFinite(event.priorQuality) ? event.priorQuality : null
  if (model === undefined || model.priorQuality === prior) return
  model.priorQuality = prior
  const mean = meanPrior(state)
  for (const [k, { priorQuality }] of state.models.entries()) {
    const row = quality.rows[k]
    if (row === undefined) continue
    row.offset = priorQuality === null || mean === null ? 0 : priorQuality - mean
    const lambda0 = priorQuality === null ? parameters.lambda0Unknown : parameters.lambda0
    if (row.lambda0 !== lambda0) {
      row.lambda0 = lambda0
      row.factored = false
    }
  }
  refreshQuality(state)
}

const refreshQuality = (state: State): void => {
  Ridge.refresh(state.quality)
  for (const model of state.models) model.frozenIsCurrent = false
}

/** Gives a label its slot when its first event is folded. Changes no prediction: nobody observed the new coordinate yet. */
const ensureLabel = (state: State, task: string | null): void => {
  if (task === null || state.labels.size >= maxLabels || state.labels.has(task)) return
  state.labels.set(task, state.labels.size)
  const d = state.baseDimension + state.labels.size
  for (const ridge of [state.quality, state.tokens, state.latency]) Ridge.grow(ridge, d)
  for (const { frozen } of state.models) if (frozen !== null) Ridge.growPosterior(frozen, d, state.parameters.lambda)
  state.x = new Float64Array(d)
  state.work = new Float64Array(d)
}

const foldRun = (state: State, event: RunEvent): void => {
  const { successDiscount } = state.parameters
  const k = ensureModel(state, event.model)
  const model = state.models[k]
  if (model === undefined) return
  ensureLabel(state, event.task)
  model.calls = model.calls * successDiscount + 1
  model.successes = model.successes * successDiscount + (event.ok ? 1 : 0)
  const length = load(state, event.features)
  if (!event.ok || length < 0) return
  if (event.logOutputTokens !== null) foldTarget(state, state.tokens, k, length, event.logOutputTokens)
  if (event.latencyScore !== null) foldTarget(state, state.latency, k, length, event.latencyScore)
}

const foldTarget = (state: State, ridge: Ridge.Ridge, k: number, length: number, y: number): void => {
  const row = ridge.rows[k]
  if (row === undefined || !Number.isFinite(y)) return
  Ridge.add(row, state.x, length, y, 1)
  ridge.folded += 1
  if (Ridge.isDue(ridge.folded)) Ridge.refresh(ridge)
}

const inUnit = (value: number): boolean => value >= 0 && value <= 1

const foldQuality = (state: State, position: Position, event: QualityEvent): void => {
  const { parameters, quality } = state
  const { previous } = event
  if (!inUnit(event.quality) || !inUnit(event.weight)) return
  if (previous !== null && !(inUnit(previous.quality) && inUnit(previous.weight))) return
  const k = ensureModel(state, event.model)
  const model = state.models[k]
  const row = quality.rows[k]
  if (model === undefined || row === undefined) return
  ensureLabel(state, event.task)
  const length = load(state, event.features)
  if (length < 0) return

  model.observations += (event.weight > 0 ? 1 : 0) - (previous !== null && previous.weight > 0 ? 1 : 0)
  if (!isLearned(model, event)) return

  const frozen = freeze(state, model, row)
  if (previous === null) {
    if (event.weight > 0) detect(state, model, frozen, event.quality)
    Ridge.add(row, state.x, length, event.quality, event.weight)
  } else {
    let kept = 1
    for (const at of model.resets) if (at >= previous.position) kept *= parameters.keep
    Ridge.revise(
      row,
      state.x,
      length,
      { y: previous.quality, weight: previous.weight },
      { y: event.quality, weight: event.weight },
      kept
    )
  }
  quality.folded += 1
  if (Ridge.isDue(quality.folded)) refreshQuality(state)
  if (Math.max(model.low, model.high) > parameters.cusumH) reset(state, k, position)
}

/**
 * Whether this judgement belongs to what the state holds. A first one of a decision that a reset has overtaken does not,
 * nor does a revision of such a one.
 */
const isLearned = (model: ModelState, event: QualityEvent): boolean => {
  const until = event.previous === null ? Number.POSITIVE_INFINITY : event.previous.position
  return !model.resets.some((at) => event.decidedAt < at && at < until)
}

const freeze = (state: State, model: ModelState, row: Ridge.Evidence): Ridge.Posterior => {
  const frozen = model.frozen ?? Ridge.makePosterior(state.quality.d)
  if (!model.frozenIsCurrent) {
    const current = Ridge.posterior(state.quality, row, state.work)
    frozen.chol.set(current.chol)
    frozen.theta.set(current.theta)
    frozen.sigma2 = current.sigma2
    model.frozen = frozen
    model.frozenIsCurrent = true
  }
  return frozen
}

/** The residual of a new observation in units of its predicted deviation. */
const standardised = (state: State, posterior: Ridge.Posterior, y: number): number => {
  const { d } = state.quality
  const h = Ridge.leverage(posterior, state.x, d, state.work)
  return (y - Linalg.dot(posterior.theta, state.x, d)) / Math.sqrt(posterior.sigma2 * (1 + h))
}

const detect = (state: State, model: ModelState, frozen: Ridge.Posterior, y: number): void => {
  const { cusumK, cusumMinEvents } = state.parameters
  const z = standardised(state, frozen, y)
  model.since += 1
  if (model.since < cusumMinEvents) return
  model.low = drift(model.low, -z, cusumK)
  model.high = drift(model.high, z, cusumK)
}

const reset = (state: State, k: number, position: Position): void => {
  const model = state.models[k]
  const row = state.quality.rows[k]
  if (model === undefined || row === undefined) return
  Ridge.forget(row, state.parameters.keep)
  model.low = 0
  model.high = 0
  model.since = 0
  model.epoch += 1
  model.resets.push(position)
  if (model.resets.length > maxResets) model.resets.shift()
  refreshQuality(state)
}
