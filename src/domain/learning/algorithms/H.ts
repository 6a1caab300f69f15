import { neutral } from "../../routing/Reference.ts"
import * as Linalg from "../bandit/Linalg.ts"
import * as Ridge from "../bandit/Ridge.ts"
import type { Algorithm, World } from "./Algorithm.ts"
import { type QualityModel, served } from "./Served.ts"

const { at } = Linalg

/** So many task labels have a coordinate of their own. */
const mostSlots = 32

export const parameters = {
  /** Ridge of the intercept, in observations: with a prior quality, and without. */
  lambda0: 10,
  lambda0Unknown: 4,
  /** Of the features, and of the direction that all models share. */
  lambda: 30,
  lambdaShared: 3,
  /** Prior of the noise, and for how many observations it counts. */
  s0: 0.3,
  nu0: 4,
  /** How many posterior deviations a draw has. */
  v: 0.4,
  /** Change detection: slack and threshold in standardised residuals, answers before it counts, share kept at a reset. */
  cusumSlack: 0.25,
  cusumThreshold: 12,
  cusumAfter: 30,
  keep: 0.05
}

interface Row extends Ridge.Evidence {
  /** Its prior against the mean of the known ones. */
  offset: number
  frozen: { readonly chol: Float64Array; readonly theta: Float64Array; readonly sigma2: number } | null
  /** CUSUM of the standardised residuals on both sides, and the answers since the last reset. */
  low: number
  high: number
  since: number
  /** Where it was reset: what was decided before is not learned after. */
  resetAt: number
}

/** The quality of all models, one-hot labels among the features. */
export interface Quality {
  readonly ridge: Ridge.Ridge
  readonly rows: ReadonlyArray<Row>
  readonly base: number
  readonly slots: Map<string, number>
}

export const makeQuality = (priors: ReadonlyArray<number | null>, d: number): Quality => {
  const { lambda, lambda0, lambda0Unknown, lambdaShared, nu0, s0 } = parameters
  const ridge = Ridge.make({ start: 0.5, lambda, lambdaShared, nu0, s0 }, d)
  const known = priors.flatMap((prior) => prior ?? [])
  const mean = known.reduce((sum, prior) => sum + prior, 0) / Math.max(1, known.length)
  const rows = priors.map((prior): Row => {
    const evidence = Ridge.makeEvidence(ridge, prior === null ? lambda0Unknown : lambda0)
    const offset = prior === null ? 0 : prior - mean
    const row = { ...evidence, offset, frozen: null, low: 0, high: 0, since: 0, resetAt: 0 }
    ridge.rows.push(row)
    return row
  })
  const quality = { ridge, rows, base: d, slots: new Map<string, number>() }
  refresh(quality)
  return quality
}

/** As the ridges of tokens and latency, around a level from which the priors' differences are taken. */
const refresh = ({ ridge, rows }: Quality): void => {
  const { options } = ridge
  let total = 0
  let sum = options.start
  for (const { b, n, offset } of rows) {
    total += n
    sum += at(b, 0) - n * offset
  }
  ridge.level = sum / (1 + total)
  Linalg.sharedDirection(
    rows.map(({ b, lambda0, n, offset, s }) => ({
      s,
      b,
      effect: (lambda0 * (ridge.level + offset) + at(b, 0)) / (lambda0 + n)
    })),
    options.lambdaShared,
    ridge.d,
    ridge.shared
  )
  for (const row of rows) {
    row.prior = ridge.level + row.offset
    row.solved = false
    row.frozen = null
  }
}

/** The features with the slot of the task, as long as all slots are. */
const slotted = ({ base, ridge, slots }: Quality, features: Float32Array, task: string | null): Float64Array => {
  const x = new Float64Array(ridge.d)
  x.set(features.subarray(0, base))
  const slot = task === null ? undefined : slots.get(task)
  if (slot !== undefined) x[base + slot] = 1
  return x
}

export const predictQuality = (
  quality: Quality,
  k: number,
  features: Float32Array,
  task: string | null
): { readonly mean: number; readonly sd: number; readonly h: number; readonly posterior: Ridge.Posterior | null } => {
  const { ridge } = quality
  const row = quality.rows[k]
  if (row === undefined) return { mean: neutral, sd: parameters.s0, h: 1, posterior: null }
  const x = slotted(quality, features, task)
  const work = new Float64Array(ridge.d)
  const posterior = Ridge.posterior(ridge, row, work)
  const h = Ridge.leverage(posterior, x, ridge.d, work)
  return {
    mean: Linalg.dot(posterior.theta, x, ridge.d),
    sd: parameters.v * Math.sqrt(posterior.sigma2 * h),
    h,
    posterior
  }
}

/** Learns a first judgement; answers the standardised residual, and whether the model was reset. */
export const foldQuality = (
  quality: Quality,
  judgement: {
    readonly k: number
    readonly features: Float32Array
    readonly task: string | null
    readonly judged: number
    readonly position: number
    readonly decidedAt: number
  }
): { readonly residual: number; readonly isReset: boolean } => {
  const { decidedAt, features, judged, k, position, task } = judgement
  const { ridge, slots } = quality
  const row = quality.rows[k]
  if (row === undefined || decidedAt < row.resetAt) return { residual: 0, isReset: false }
  if (task !== null && !slots.has(task) && slots.size < mostSlots) {
    slots.set(task, slots.size)
    for (const one of quality.rows) one.frozen = null
    Ridge.grow(ridge, quality.base + slots.size)
  }
  const x = slotted(quality, features, task)
  const residual = residualOf(ridge, row, x, judged)
  detect(row, residual)
  Ridge.add(row, x, ridge.d, judged)
  ridge.folded += 1
  if (Ridge.isDue(ridge.folded)) refresh(quality)
  const isReset = Math.max(row.low, row.high) > parameters.cusumThreshold
  if (isReset) reset(quality, row, position)
  return { residual, isReset }
}

/** Against the posterior of the last refresh, as the model's first answer after it found it. */
const residualOf = (ridge: Ridge.Ridge, row: Row, x: Float64Array, judged: number): number => {
  const work = new Float64Array(ridge.d)
  if (row.frozen === null) {
    const { chol, sigma2, theta } = Ridge.posterior(ridge, row, work)
    row.frozen = { chol: chol.slice(), theta: theta.slice(), sigma2 }
  }
  const { sigma2, theta } = row.frozen
  const h = Ridge.leverage(row.frozen, x, ridge.d, work)
  return (judged - Linalg.dot(theta, x, ridge.d)) / Math.sqrt(sigma2 * (1 + h))
}

/** Page, Continuous inspection schemes, Biometrika 41 (1954). */
const detect = (row: Row, residual: number): void => {
  row.since += 1
  if (row.since < parameters.cusumAfter) return
  row.low = Math.max(0, row.low - residual - parameters.cusumSlack)
  row.high = Math.max(0, row.high + residual - parameters.cusumSlack)
}

const reset = (quality: Quality, row: Row, position: number): void => {
  const { keep } = parameters
  for (let i = 0; i < row.s.length; i++) row.s[i] = at(row.s, i) * keep
  for (let i = 0; i < row.b.length; i++) row.b[i] = at(row.b, i) * keep
  row.n *= keep
  row.r2 *= keep
  row.factored = false
  row.low = 0
  row.high = 0
  row.since = 0
  row.resetAt = position
  refresh(quality)
}

const make = (world: World) => {
  const quality = makeQuality(
    world.arms.map(({ priorQuality }) => priorQuality),
    world.dimension
  )
  const index = new Map(world.arms.map(({ model }, k) => [model, k]))
  const model: QualityModel = {
    qualityOf: ({ model }, { features, task }) => {
      const { mean, sd } = predictQuality(quality, index.get(model) ?? 0, features, task)
      return { quality: mean, qualitySd: sd, qualityRise: 0, probeShare: 0 }
    },
    judged: ({ features, task }, { arm, quality: judged }, at) =>
      foldQuality(quality, { k: arm, features, task, judged, ...at }).isReset
  }
  return served(world, { model })
}

/** Its successor is `h2`; it is here to be compared with. */
export const h: Algorithm = {
  name: "h",
  description: "hierarchical linear Thompson sampling with CUSUM resets: what Conduit served with before h2",
  make
}
