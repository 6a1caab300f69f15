import type { Position } from "../../basics/Ids.ts"
import * as Bets from "./Bets.ts"
import * as Linalg from "./Linalg.ts"

/**
 * The quality of answers: for each model a ridge regression on the prompt's features around a direction that all models
 * share, and for each (model, task) a cell, a random effect whose variance is estimated from all cells. One-hot task columns
 * leave the regression by a Schur complement, so any number of tasks costs no dimension. Priors are in reward units: a ridge
 * is the noise's variance over the prior's. Statistics are additive and have no prior inside.
 */
export interface Quality {
  readonly parameters: QualityParameters
  /** Number of features; x[0] = 1. */
  readonly d: number
  /** Mean level of all models as of the last refresh, and the shared direction (coordinate 0 is 0). */
  level: number
  readonly shared: Float64Array
  /** In the order of first appearance in the log. */
  readonly models: Array<ModelEvidence>
  /** Effect of each task on all models. */
  readonly tasks: Map<string, TaskEffect>
  /** Variance of a cell's effect about its task's, and of a task's effect. */
  cellVariance: number
  taskVariance: number
  /** Folded events; says when the shared part is computed anew. */
  folded: number
  /** Scratch of length d. */
  readonly work: Float64Array
}

export interface QualityParameters extends Bets.BetParameters {
  /** Standard deviation of a model's level about its prior quality (a published score or a guess), and without one. */
  readonly levelSd: number
  readonly levelSdUnknown: number
  /** Of a text coefficient about the shared one; and the ridge of the shared direction, observations. */
  readonly textSd: number
  readonly lambdaShared: number
  /** Prior of the noise: its standard deviation, and for how many observations it counts. */
  readonly s0: number
  readonly nu0: number
  /** Prior of the standard deviation of cells and tasks, and for how many of them it counts. */
  readonly cellSd: number
  readonly cellSdWeight: number
  readonly taskSd: number
  readonly taskSdWeight: number
  /** How many posterior deviations a draw has, and how much of a cell's own variance enters it. */
  readonly v: number
  readonly cellShare: number
  /** An estimate is at most so many standard errors from what was judged (limited translation, Efron and Morris 1971). */
  readonly translation: number
  /** For how many answers the model's noise counts in a cell's noise. */
  readonly cellNoiseWeight: number
  /** Evidence of a change, and that at which a suspicion has half of its weight. */
  readonly alarm: number
  readonly halfWeight: number
  /** How much of what the estimate has followed a change already is taken off the change's shift, [0, 1]. */
  readonly followed: number
  /** Judged answers before a cell's bets count; of the model and of the cell before the model's do. */
  readonly gateCell: number
  readonly gateModel: number
  readonly gateModelCell: number
  /** Share of the requests for a fallen model, for how many runs in full, for a suspected one, and for a trial. */
  readonly probe: number
  readonly probeRuns: number
  readonly suspected: number
  readonly trial: number
  /** Evidence of a return from which a fallen model counts as suspected, and from which it is on trial. */
  readonly hintEvidence: number
  readonly trialEvidence: number
}

export interface TaskEffect {
  readonly mean: number
  readonly variance: number
}

/** A fallen level, so that its return can be noticed. */
export interface Memory {
  /** By how much it fell, negative; 0 without a memory. */
  fall: number
  /** Number of runs when it fell. */
  at: number
  /** Evidence that it is back. */
  evidence: number
}

export interface ModelEvidence {
  /** Quality in [0, 1] that is published or configured; null if nothing is known. */
  prior: number | null
  /** Standard deviation of the level about that prior; null is the parameters' own. */
  priorSd: number | null
  /** What it shares with the other arms of one upstream, whose coefficients of the text are one; null alone. */
  upstream: string | null
  /** The other ones, in the order of the models. */
  siblings: ReadonlyArray<ModelEvidence>
  /** Its prior against the mean of the known ones; and how far changes have moved it since. */
  offset: number
  base: number
  /** sum w x xᵀ (packed), sum w y x, sum w and sum w y² over what was judged. */
  readonly s: Float64Array
  readonly b: Float64Array
  n: number
  squares: number
  /** By task; null is traffic without one. In the order of first appearance. */
  readonly cells: Map<string | null, Cell>
  readonly detector: Bets.Detector
  /** Counts how often each side of the detector began anew: a cell's window of another number is empty. */
  readonly candidates: Record<Bets.Direction, number>
  memory: Memory
  /** Log positions of an operator's resets: what was decided before is not learned after. The last four. */
  readonly resets: Array<Position>
  epoch: number
  /** The noise's variance as of the last refresh, and coordinate 0 of the prior mean. */
  noise: number
  priorLevel: number
  readonly posterior: Posterior
  isFactored: boolean
  /** The prediction as of the model's first event after a refresh: what answers are compared with. */
  frozen: Frozen | null
}

export interface Frozen {
  readonly theta: Float64Array
  readonly effects: Map<string | null, number>
}

/** Level and text: precision = chol cholᵀ, mean of the coefficients, estimate of the noise's variance. */
export interface Posterior {
  /** The statistics without what the cells explain. */
  readonly s: Float64Array
  readonly b: Float64Array
  squares: number
  readonly chol: Float64Array
  readonly theta: Float64Array
  noise: number
}

/** What was judged of a model's answers to one task. */
export interface Cell {
  readonly task: string | null
  /** Sum w, w y, w y² and w x. */
  n: number
  sum: number
  squares: number
  readonly x: Float64Array
  /** How far changes have moved it. */
  base: number
  /** Sum of the differences from the frozen prediction since the last refresh. */
  errors: number
  readonly detector: Bets.Detector
  /** Its answers since the model's possible change. */
  readonly windows: Record<Bets.Direction, Bets.Window & { candidate: number }>
  /** Whether the model's last change moved it. */
  moved: boolean
  memory: Memory
  /** Where its level became void: at this position everything before `since`. The last four. */
  readonly closings: Array<{ readonly at: Position; readonly since: Position }>
}

export const make = (parameters: QualityParameters, d: number): Quality => ({
  parameters,
  d,
  level: 0.5,
  shared: new Float64Array(d),
  models: [],
  tasks: new Map(),
  cellVariance: parameters.cellSd ** 2,
  taskVariance: parameters.taskSd ** 2,
  folded: 0,
  work: new Float64Array(d)
})

export const noMemory = (): Memory => ({ fall: 0, at: 0, evidence: 0 })

export const addModel = (quality: Quality): ModelEvidence => {
  const model = makeModel(quality, null)
  quality.models.push(model)
  return model
}

/** A model without observations, at the present level. */
export const makeModel = (quality: Quality, prior: number | null): ModelEvidence => {
  const { d, level, parameters } = quality
  const noise = parameters.s0 ** 2
  return {
    prior,
    priorSd: null,
    upstream: null,
    siblings: [],
    offset: 0,
    base: 0,
    s: new Float64Array(Linalg.triangle(d)),
    b: new Float64Array(d),
    n: 0,
    squares: 0,
    cells: new Map(),
    detector: Bets.make(),
    candidates: { fall: 0, rise: 0 },
    memory: noMemory(),
    resets: [],
    epoch: 0,
    noise,
    priorLevel: level,
    posterior: {
      s: new Float64Array(Linalg.triangle(d)),
      b: new Float64Array(d),
      squares: 0,
      chol: new Float64Array(Linalg.triangle(d)),
      theta: new Float64Array(d),
      noise
    },
    isFactored: false,
    frozen: null
  }
}

export const makeCell = (task: string | null, d: number, resets: ReadonlyArray<Position> = []): Cell => ({
  task,
  n: 0,
  sum: 0,
  squares: 0,
  x: new Float64Array(d),
  base: 0,
  errors: 0,
  detector: Bets.make(),
  windows: {
    fall: { ...Bets.makeWindow(), candidate: -1 },
    rise: { ...Bets.makeWindow(), candidate: -1 }
  },
  moved: true,
  memory: noMemory(),
  closings: resets.map((at) => ({ at, since: at }))
})

export const ensureCell = (quality: Quality, model: ModelEvidence, task: string | null): Cell => {
  const known = model.cells.get(task)
  if (known !== undefined) return known
  const cell = makeCell(task, quality.d, model.resets)
  model.cells.set(task, cell)
  if (task !== null && !quality.tasks.has(task)) quality.tasks.set(task, { mean: 0, variance: quality.taskVariance })
  return cell
}

/** Mean of the known priors; null without any. */
export const meanPrior = ({ models }: Quality): number | null => {
  let sum = 0
  let count = 0
  for (const { prior } of models) {
    if (prior === null) continue
    sum += prior
    count += 1
  }
  return count > 0 ? sum / count : null
}

/** Every model's prior against the mean of the known ones. */
export const setOffsets = (quality: Quality): void => {
  const mean = meanPrior(quality)
  for (const model of quality.models) {
    model.offset = model.prior === null || mean === null ? 0 : model.prior - mean
    model.isFactored = false
  }
}

/** Every model's siblings, by their upstreams. */
export const setSiblings = (quality: Quality): void => {
  for (const model of quality.models) {
    model.siblings = quality.models.filter(
      (other) => other !== model && other.upstream !== null && other.upstream === model.upstream
    )
    model.isFactored = false
  }
}

/** What was observed of the model changed, and with it what its siblings know of the text. */
export const touched = (model: ModelEvidence): void => {
  model.isFactored = false
  for (const sibling of model.siblings) sibling.isFactored = false
}

/** Forgets a task: its answers stay in the models' sums as evidence without a task. */
export const evict = (quality: Quality, task: string): void => {
  quality.tasks.delete(task)
  for (const model of quality.models) {
    if (!model.cells.delete(task)) continue
    model.frozen?.effects.delete(task)
    touched(model)
  }
}
