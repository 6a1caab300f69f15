import * as Linalg from "./Linalg.ts"
import type { Cell, ModelEvidence, Posterior, Quality, QualityParameters } from "./Quality.ts"

const { at } = Linalg

/** How far a model's level may lie from its prior, as a variance. */
export const levelVariance = (
  { levelSd, levelSdUnknown }: QualityParameters,
  { prior, priorSd }: Pick<ModelEvidence, "prior" | "priorSd">
): number => (prior === null ? levelSdUnknown : (priorSd ?? levelSd)) ** 2

/** For how many answers the prior of a cell counts; without a task there is no effect, the intercept is its level. */
export const cellRidge = (quality: Quality, model: ModelEvidence, task: string | null): number =>
  task === null ? Number.POSITIVE_INFINITY : model.noise / quality.cellVariance

/** Effect of a task on all models; 0 for one that was never judged. */
export const taskMean = (quality: Quality, task: string | null): number =>
  task === null ? 0 : (quality.tasks.get(task)?.mean ?? 0)

const cellPrior = (quality: Quality, cell: Cell): number =>
  cell.task === null ? 0 : taskMean(quality, cell.task) + cell.base

/** Into the posterior: the model's statistics without what the cells explain. */
const withoutCells = (quality: Quality, model: ModelEvidence): void => {
  const { d } = quality
  const { posterior } = model
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
}

const levelRidge = ({ parameters }: Quality, model: ModelEvidence): number =>
  model.noise / levelVariance(parameters, model)

/** The statistics of a model and, of the text, those of its siblings: each without its own level, weighed by its noise. */
interface Pooled {
  readonly s: Float64Array
  readonly b: Float64Array
}

const pooledOf = (quality: Quality, model: ModelEvidence): Pooled => {
  const { d } = quality
  const { posterior, siblings } = model
  if (siblings.length === 0) return posterior
  const s = Float64Array.from(posterior.s)
  const b = Float64Array.from(posterior.b)
  for (const sibling of siblings) {
    if (!sibling.isFactored) withoutCells(quality, sibling)
    const other = sibling.posterior
    const weight = model.noise / sibling.noise
    const ridge0 = levelRidge(quality, sibling)
    const inverse = 1 / (at(other.s, 0) + ridge0)
    const level = (at(other.b, 0) + ridge0 * sibling.priorLevel) * inverse
    for (let i = 1; i < d; i++) {
      const row = Linalg.triangle(i)
      const first = at(other.s, row)
      b[i] = at(b, i) + weight * (at(other.b, i) - first * level)
      for (let j = 1; j <= i; j++) {
        const explained = first * at(other.s, Linalg.triangle(j)) * inverse
        s[row + j] = at(s, row + j) + weight * (at(other.s, row + j) - explained)
      }
    }
  }
  return { s, b }
}

/** The posterior of a model now; computed when something changed, O(d³ / 6 + cells d² / 2). */
export const posteriorOf = (quality: Quality, model: ModelEvidence): Posterior => {
  const { posterior } = model
  if (model.isFactored) return posterior
  const { d, parameters } = quality
  withoutCells(quality, model)
  const pooled = pooledOf(quality, model)
  const ridge0 = levelRidge(quality, model)
  Linalg.cholesky(pooled.s, ridge0, model.noise / parameters.textSd ** 2, d, posterior.chol)
  solveWith(quality, model, pooled)
  model.isFactored = true
  return posterior
}

/** Coefficients and noise by the present factor and prior mean. */
export const solve = (quality: Quality, model: ModelEvidence): void =>
  solveWith(quality, model, pooledOf(quality, model))

const solveWith = (quality: Quality, model: ModelEvidence, { b, s }: Pooled): void => {
  const { d, parameters, shared, work } = quality
  const { posterior, siblings } = model
  const { chol, theta } = posterior
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
  const residual = siblings.length === 0 ? rho - explained : ownResidual(quality, model, work)
  posterior.noise = (prior + Math.max(0, residual)) / (parameters.nu0 + model.n)
}

/**
 * The penalised squares of what was observed of the model itself, where its siblings have a say in the coefficients; `moved` is
 * how far these are from their prior mean.
 */
const ownResidual = (quality: Quality, model: ModelEvidence, moved: Float64Array): number => {
  const { d, parameters } = quality
  const { b, s, squares, theta } = model.posterior
  const fitted = new Float64Array(d)
  Linalg.multiply(s, theta, d, fitted)
  let penalty = levelRidge(quality, model) * at(moved, 0) ** 2
  const rest = model.noise / parameters.textSd ** 2
  for (let i = 1; i < d; i++) penalty += rest * at(moved, i) ** 2
  return squares - 2 * Linalg.dot(theta, b, d) + Linalg.dot(theta, fitted, d) + penalty
}

export const cellNoise = ({ cellNoiseWeight }: QualityParameters, noise: number, cell: Cell | undefined): number => {
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
