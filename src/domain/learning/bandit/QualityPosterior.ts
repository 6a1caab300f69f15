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
  const ridge0 = model.noise / levelVariance(parameters, model)
  Linalg.cholesky(posterior.s, ridge0, model.noise / parameters.textSd ** 2, d, posterior.chol)
  solve(quality, model)
  model.isFactored = true
  return posterior
}

/** Coefficients and noise by the present factor and prior mean. */
export const solve = (quality: Quality, model: ModelEvidence): void => {
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
