import * as Linalg from "./Linalg.ts"
import type { Quality } from "./Quality.ts"
import { levelVariance, posteriorOf, solve } from "./QualityPosterior.ts"

const { at } = Linalg

/** The schedule of refreshes: they cost a factorisation of every model. */
export const isDue = (folded: number): boolean =>
  folded <= 20 || (folded <= 1000 ? folded % 20 === 0 : folded <= 10_000 ? folded % 100 === 0 : folded % 1000 === 0)

/** Computes what models and cells share anew: noise, task effects, variances, level, direction. */
export const refresh = (quality: Quality): void => {
  const { models } = quality
  for (const model of models) posteriorOf(quality, model)
  for (const model of models) model.noise = Math.max(model.posterior.noise, 1e-6)
  refreshVariances(quality)
  for (const model of models) model.isFactored = false
  for (const model of models) posteriorOf(quality, model)
  refreshLevel(quality)
  refreshShared(quality)
  for (const model of models) model.priorLevel = quality.level + model.offset + model.base
  for (const model of models) {
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
  const rows = models.map((model) => {
    const { b, s } = model.posterior
    const ridge0 = model.noise / levelVariance(parameters, model)
    return { s, b, effect: (ridge0 * (level + model.offset + model.base) + at(b, 0)) / (ridge0 + at(s, 0)) }
  })
  Linalg.sharedDirection(rows, parameters.lambdaShared, d, shared)
}
