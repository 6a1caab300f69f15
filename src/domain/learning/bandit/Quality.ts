import type { Position } from "../../basics/Ids.ts"
import * as Bets from "./Bets.ts"
import * as Linalg from "./Linalg.ts"

const { at } = Linalg

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

const levelVariance = ({ levelSd, levelSdUnknown }: QualityParameters, prior: number | null): number =>
  (prior === null ? levelSdUnknown : levelSd) ** 2

/** For how many answers the prior of a cell counts; without a task there is no effect, the intercept is its level. */
const cellRidge = (quality: Quality, model: ModelEvidence, task: string | null): number =>
  task === null ? Number.POSITIVE_INFINITY : model.noise / quality.cellVariance

/** Effect of a task on all models; 0 for one that was never judged. */
export const taskMean = (quality: Quality, task: string | null): number =>
  task === null ? 0 : (quality.tasks.get(task)?.mean ?? 0)

const cellPrior = (quality: Quality, cell: Cell): number =>
  cell.task === null ? 0 : taskMean(quality, cell.task) + cell.base

/** The posterior of a model now; computed when something changed, O(d³ / 6 + cells d² / 2). */
export const posteriorOf = (quality: Quality, model: ModelEvidence): Posterior => {
  const { posterior } = model
  if (model.isFactored) return posterior
  const { d, parameters } = quality
  posterior.s.set(model.s)
  posterior.b.set(model.b)
  posterior.squares = model.squares
  for (const cell of model.cells.values()) {
    const ridge = cellRidge(quality, model, cell.task)
    if (cell.n <= 0 || ridge === Number.POSITIVE_INFINITY) continue
    const inverse = 1 / (cell.n + ridge)
    const prior = cellPrior(quality, cell)
    const residual = cell.sum - cell.n * prior
    Linalg.addOuter(posterior.s, cell.x, d, -inverse)
    const fitted = (cell.sum + ridge * prior) * inverse
    for (let i = 0; i < d; i++) posterior.b[i] = at(posterior.b, i) - fitted * at(cell.x, i)
    posterior.squares -= 2 * prior * cell.sum - cell.n * prior * prior + residual * residual * inverse
  }
  const ridge0 = model.noise / levelVariance(parameters, model.prior)
  Linalg.cholesky(posterior.s, ridge0, model.noise / parameters.textSd ** 2, d, posterior.chol)
  solve(quality, model)
  model.isFactored = true
  return posterior
}

/** Coefficients and noise by the present factor and prior mean. */
const solve = (quality: Quality, model: ModelEvidence): void => {
  const { d, parameters, shared, work } = quality
  const { posterior } = model
  const { b, chol, s, theta } = posterior
  // theta is the prior mean first, then the posterior mean.
  theta.set(shared)
  theta[0] = model.priorLevel
  Linalg.multiply(s, theta, d, work)
  const rho = posterior.squares - 2 * Linalg.dot(theta, b, d) + Linalg.dot(theta, work, d)
  for (let i = 0; i < d; i++) work[i] = at(b, i) - at(work, i)
  Linalg.solveLower(chol, work, d, work)
  const explained = Linalg.dot(work, work, d)
  Linalg.solveUpper(chol, work, d, work)
  for (let i = 0; i < d; i++) theta[i] = at(theta, i) + at(work, i)
  const prior = parameters.nu0 * parameters.s0 ** 2
  posterior.noise = (prior + Math.max(0, rho - explained)) / (parameters.nu0 + model.n)
}

const cellNoise = ({ cellNoiseWeight }: QualityParameters, noise: number, cell: Cell | undefined): number => {
  const spread = cell !== undefined && cell.n > 0 ? Math.max(0, cell.squares - (cell.sum * cell.sum) / cell.n) : 0
  return (cellNoiseWeight * noise + spread) / (cellNoiseWeight + (cell?.n ?? 0))
}

/**
 * Effect of a task on a model's level: its prior and the shrunk residual, kept within `translation` standard errors of what
 * was judged. By the noise of the last refresh, so that the fold does not depend on when somebody asked for a prediction.
 */
export const effectOf = (quality: Quality, model: ModelEvidence, cell: Cell, theta: Float64Array): number => {
  const { d, parameters } = quality
  const prior = cellPrior(quality, cell)
  if (cell.n <= 0) return prior
  const ridge = cellRidge(quality, model, cell.task)
  const text = Linalg.dot(cell.x, theta, d)
  let residual = ridge === Number.POSITIVE_INFINITY ? 0 : (cell.sum - text - cell.n * prior) / (cell.n + ridge)
  const most = parameters.translation * Math.sqrt(cellNoise(parameters, model.noise, cell) / cell.n)
  const difference = text / cell.n + prior + residual - cell.sum / cell.n
  if (difference > most) residual -= difference - most
  else if (difference < -most) residual -= difference + most
  return prior + residual
}

/** The schedule of refreshes: they cost a factorisation of every model. */
export const isDue = (folded: number): boolean =>
  folded <= 20 || (folded <= 1000 ? folded % 20 === 0 : folded <= 10_000 ? folded % 100 === 0 : folded % 1000 === 0)

/** Computes what models and cells share anew: noise, task effects, variances, level, direction. */
export const refresh = (quality: Quality): void => {
  const { models } = quality
  for (const model of models) posteriorOf(quality, model)
  for (const model of models) model.noise = Math.max(model.posterior.noise, 1e-6)
  refreshVariances(quality)
  for (const model of models) {
    model.isFactored = false
    posteriorOf(quality, model)
  }
  refreshLevel(quality)
  refreshShared(quality)
  for (const model of models) {
    model.priorLevel = quality.level + model.offset + model.base
    solve(quality, model)
    model.frozen = null
    for (const cell of model.cells.values()) cell.errors = 0
  }
}

/** Two steps of expectation and maximisation for the effects of tasks and the two variances. */
const refreshVariances = (quality: Quality): void => {
  const { d, models, parameters, tasks } = quality
  const seen = [...tasks.keys()].map((task) => ({
    task,
    rows: models.flatMap((model) => {
      const cell = model.cells.get(task)
      if (cell === undefined || cell.n <= 0) return []
      const rho = (cell.sum - Linalg.dot(cell.x, model.posterior.theta, d)) / cell.n - cell.base
      return [{ n: cell.n, rho, noise: model.noise }]
    })
  }))
  for (let step = 0; step < 2; step++) {
    let cellSum = parameters.cellSdWeight * parameters.cellSd ** 2
    let cellCount = parameters.cellSdWeight
    let taskSum = parameters.taskSdWeight * parameters.taskSd ** 2
    let taskCount = parameters.taskSdWeight
    for (const { rows, task } of seen) {
      let precision = 1 / quality.taskVariance
      let weighted = 0
      for (const { n, noise, rho } of rows) {
        const weight = 1 / (quality.cellVariance + noise / n)
        precision += weight
        weighted += weight * rho
      }
      const effect = { mean: weighted / precision, variance: 1 / precision }
      tasks.set(task, effect)
      if (rows.length === 0) continue
      taskSum += effect.mean ** 2 + effect.variance
      taskCount += 1
      for (const { n, noise, rho } of rows) {
        const share = n / (n + noise / quality.cellVariance)
        const u = share * (rho - effect.mean)
        cellSum += u * u + quality.cellVariance * (1 - share) + share * share * effect.variance
        cellCount += 1
      }
    }
    quality.cellVariance = cellSum / cellCount
    quality.taskVariance = taskSum / taskCount
  }
}

const refreshLevel = (quality: Quality): void => {
  let total = 0
  let sum = 0.5
  for (const { base, n, offset, posterior } of quality.models) {
    const s0 = at(posterior.s, 0)
    if (s0 <= 1e-9) continue
    total += n
    sum += n * (at(posterior.b, 0) / s0 - offset - base)
  }
  quality.level = sum / (1 + total)
}

const refreshShared = (quality: Quality): void => {
  const { d, level, models, parameters, shared } = quality
  // The features' part of all statistics, its coordinates moved down by one: coordinate 0 is each model's own.
  const f = d - 1
  const s = new Float64Array(Linalg.triangle(f))
  const b = new Float64Array(f)
  for (const { base, noise, offset, posterior, prior } of models) {
    const ridge0 = noise / levelVariance(parameters, prior)
    const effect = (ridge0 * (level + offset + base) + at(posterior.b, 0)) / (ridge0 + at(posterior.s, 0))
    for (let i = 0; i < f; i++) {
      const from = Linalg.triangle(i + 1)
      const to = Linalg.triangle(i)
      b[i] = at(b, i) + at(posterior.b, i + 1) - effect * at(posterior.s, from)
      for (let j = 0; j <= i; j++) s[to + j] = at(s, to + j) + at(posterior.s, from + 1 + j)
    }
  }
  Linalg.cholesky(s, parameters.lambdaShared, parameters.lambdaShared, f, s)
  Linalg.solveLower(s, b, f, b)
  Linalg.solveUpper(s, b, f, b)
  shared[0] = 0
  shared.set(b, 1)
}

/** What is expected of a model's answer. */
export interface QualityPrediction {
  readonly mean: number
  /** Deviation of the draw. */
  readonly sd: number
  /** Deviation of the mean of such answers, for intervals that are shown. */
  readonly shownSd: number
  /** Weight of a suspected change, [0, 1). */
  readonly suspicion: number
  /** How much better it would be if a suspected or remembered fall were not, or no longer, so. */
  readonly rise: number
  /** Share of the requests that it would win with that rise which it gets to prove it. */
  readonly probeShare: number
}

/** Share of the requests that a model gets of those that it would win if it were back: less the longer ago it fell. */
const probeShare = (
  { hintEvidence, probe, probeRuns, suspected, trial, trialEvidence }: QualityParameters,
  isSuspected: boolean,
  memory: Memory | null,
  runs: number
): number => {
  if (memory !== null && memory.evidence > trialEvidence) return trial
  if (isSuspected || (memory !== null && memory.evidence > hintEvidence)) return suspected
  return memory === null ? 0 : probe * Math.min(1, probeRuns / Math.max(1, runs - memory.at))
}

/** The strongest of the suspicions that a cell and its model are under: its weight, and by how much the level moved. */
const suspicionOf = (
  { halfWeight }: QualityParameters,
  detectors: ReadonlyArray<Bets.Detector>
): { readonly weight: number; readonly shift: number } => {
  let weight = 0
  let shift = 0
  for (const detector of detectors) {
    for (const direction of Bets.directions) {
      const found = Bets.evidence(detector[direction])
      const share = found / (found + halfWeight)
      if (share <= weight) continue
      weight = share
      const moved = Bets.shift(detector[direction])
      shift = direction === "rise" ? Math.max(0, moved) : Math.min(0, moved)
    }
  }
  return { weight, shift }
}

/**
 * Predicts at the features `x` (length d). `runs` is the number of calls so far: the clock of probing. O(d²), and O(d³ / 6)
 * once after an observation of the model.
 */
export const predict = (
  quality: Quality,
  model: ModelEvidence,
  task: string | null,
  x: Float64Array,
  runs: number
): QualityPrediction => {
  const { d, parameters, work } = quality
  const { chol, noise, theta } = posteriorOf(quality, model)
  const cell = model.cells.get(task)
  const n = cell?.n ?? 0
  const ridge = cellRidge(quality, model, task)
  const inverse = ridge === Number.POSITIVE_INFINITY ? 0 : 1 / (n + ridge)
  for (let i = 0; i < d; i++) work[i] = at(x, i) - (cell === undefined ? 0 : at(cell.x, i) * inverse)
  Linalg.solveLower(chol, work, d, work)
  const leverage = Linalg.dot(work, work, d)
  const effect = cell === undefined ? taskMean(quality, task) : effectOf(quality, model, cell, theta)
  let mean = Linalg.dot(theta, x, d) + effect

  const { shift, weight } = suspicionOf(
    parameters,
    cell === undefined ? [model.detector] : [cell.detector, model.detector]
  )
  if (weight > 0.05) mean += weight * shift
  const isSuspected = shift < 0 && weight > 0.3
  const memory = model.memory.fall < 0 ? model.memory : cell !== undefined && cell.memory.fall < 0 ? cell.memory : null
  const rise = Math.max(isSuspected ? -weight * shift : 0, memory === null ? 0 : -memory.fall)

  const unknown = ridge === Number.POSITIVE_INFINITY ? 0 : ridge / (n + ridge)
  const taskVariance = task === null ? 0 : (quality.tasks.get(task)?.variance ?? quality.taskVariance)
  const spread = unknown * unknown * (taskVariance + (task === null ? 0 : quality.cellVariance))
  const shown =
    cellNoise(parameters, noise, cell) * (leverage + inverse) + spread + weight * (1 - weight) * shift * shift
  return {
    mean,
    sd: parameters.v * Math.sqrt(noise * (leverage + parameters.cellShare * inverse)),
    shownSd: Math.sqrt(shown),
    suspicion: weight,
    rise,
    probeShare: probeShare(parameters, isSuspected, memory, runs)
  }
}

/** Forgets a task: its answers stay in the models' sums as evidence without a task. */
export const evict = (quality: Quality, task: string): void => {
  quality.tasks.delete(task)
  for (const model of quality.models) {
    if (!model.cells.delete(task)) continue
    model.frozen?.effects.delete(task)
    model.isFactored = false
  }
}
