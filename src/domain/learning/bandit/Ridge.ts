import * as Binary from "../../basics/Binary.ts"
import * as Linalg from "./Linalg.ts"

const { at } = Linalg

/**
 * One learned quantity (log output tokens, latency score) of all models: for each model a ridge regression around
 * a level and a direction that all of them share. The statistics are additive and have no prior inside; everything else is
 * computed from them, so ridge and prior can change without touching what was observed.
 */
export interface Ridge {
  readonly options: RidgeOptions
  d: number
  /** Events that changed the statistics; says when the shared part is computed anew. */
  folded: number
  level: number
  /** Direction shared by all models; coordinate 0 is 0. */
  shared: Float64Array
  /** By model, in the order of first appearance in the log. */
  readonly rows: Array<Evidence>
}

export interface RidgeOptions {
  /** Level before any observation; counts as one. */
  readonly start: number
  /** Ridge of the features and of the shared direction, observations. */
  readonly lambda: number
  readonly lambdaShared: number
  /** Prior of the noise: its standard deviation, and for how many observations it counts. */
  readonly nu0: number
  readonly s0: number
}

/** What one model was observed to do, and the posterior that follows. */
export interface Evidence {
  /** sum w x xᵀ, packed. */
  s: Float64Array
  /** sum w y x. */
  b: Float64Array
  n: number
  r2: number
  /** For how many observations the level counts. */
  lambda0: number
  /** The level as of the last refresh: coordinate 0 of the prior mean. */
  prior: number
  posterior: Posterior
  /** Whether `posterior.chol` is of the present `s`, and all of `posterior` of the present statistics and prior mean. */
  factored: boolean
  solved: boolean
}

/** Precision = chol cholᵀ, mean of the coefficients, and the estimate of the noise's variance. */
export interface Posterior {
  chol: Float64Array
  theta: Float64Array
  sigma2: number
}

export const make = (options: RidgeOptions, d: number): Ridge => ({
  options,
  d,
  folded: 0,
  level: options.start,
  shared: new Float64Array(d),
  rows: []
})

export const makePosterior = (d: number): Posterior => ({
  chol: new Float64Array(Linalg.triangle(d)),
  theta: new Float64Array(d),
  sigma2: 0
})

export const addModel = (ridge: Ridge, lambda0: number): void => {
  ridge.rows.push(makeEvidence(ridge, lambda0))
}

/** A model without observations, at the present level. */
export const makeEvidence = (ridge: Ridge, lambda0: number): Evidence => ({
  s: new Float64Array(Linalg.triangle(ridge.d)),
  b: new Float64Array(ridge.d),
  n: 0,
  r2: 0,
  lambda0,
  prior: ridge.level,
  posterior: makePosterior(ridge.d),
  factored: false,
  solved: false
})

/** Adds an observation without refreshing anything. */
export const add = (row: Evidence, x: Float64Array, length: number, y: number): void => {
  Linalg.addOuter(row.s, x, length, 1)
  for (let i = 0; i < length; i++) row.b[i] = at(row.b, i) + y * at(x, i)
  row.n += 1
  row.r2 += y * y
  row.factored = false
  row.solved = false
}

/** The schedule of refreshes: after each of the first 20 events, then every 20, beyond the thousandth every 100. */
export const isDue = (folded: number): boolean =>
  folded <= 20 || (folded <= 1000 ? folded % 20 === 0 : folded % 100 === 0)

/** Computes level and shared direction anew, and with them every model's prior mean. O(models d² + d³ / 6). */
export const refresh = (ridge: Ridge): void => {
  const { d, options, rows, shared } = ridge
  let total = 0
  let sum = options.start
  for (const row of rows) {
    total += row.n
    sum += at(row.b, 0)
  }
  ridge.level = sum / (1 + total)

  Linalg.sharedDirection(
    rows.map(({ b, lambda0, n, s }) => ({ s, b, effect: (lambda0 * ridge.level + at(b, 0)) / (lambda0 + n) })),
    options.lambdaShared,
    d,
    shared
  )

  for (const row of rows) {
    row.prior = ridge.level
    row.solved = false
  }
}

/** The posterior of a model now; computed when something changed, O(d³ / 6) after an observation, O(d²) after a refresh. */
export const posterior = (ridge: Ridge, row: Evidence, work: Float64Array): Posterior => {
  const { d, options, shared } = ridge
  const { posterior } = row
  const { chol, theta } = posterior
  if (!row.factored) {
    Linalg.cholesky(row.s, row.lambda0, options.lambda, d, chol)
    row.factored = true
    row.solved = false
  }
  if (!row.solved) {
    // theta is the prior mean first, then the posterior mean.
    theta.set(shared)
    theta[0] = row.prior
    Linalg.multiply(row.s, theta, d, work)
    const rho = row.r2 - 2 * Linalg.dot(theta, row.b, d) + Linalg.dot(theta, work, d)
    for (let i = 0; i < d; i++) work[i] = at(row.b, i) - at(work, i)
    Linalg.solveLower(chol, work, d, work)
    const explained = Linalg.dot(work, work, d)
    Linalg.solveUpper(chol, work, d, work)
    for (let i = 0; i < d; i++) theta[i] = at(theta, i) + at(work, i)
    posterior.sigma2 = (options.nu0 * options.s0 * options.s0 + Math.max(0, rho - explained)) / (options.nu0 + row.n)
    row.solved = true
  }
  return posterior
}

/** h = xᵀ A⁻¹ x: how much of the noise's variance the mean at x still has. Overwrites `work`. */
export const leverage = (posterior: Posterior, x: Float64Array, d: number, work: Float64Array): number => {
  Linalg.solveLower(posterior.chol, x, d, work)
  return Linalg.dot(work, work, d)
}

/** Makes room for one more coordinate, which nothing that was observed had. Nothing is refreshed. */
export const grow = (ridge: Ridge, d: number): void => {
  ridge.d = d
  ridge.shared = Linalg.grown(ridge.shared, d)
  for (const row of ridge.rows) {
    row.s = Linalg.grown(row.s, Linalg.triangle(d))
    row.b = Linalg.grown(row.b, d)
    growPosterior(row.posterior, d, ridge.options.lambda)
  }
}

/** The posterior with one more coordinate, of which it knows the prior. */
export const growPosterior = (posterior: Posterior, d: number, lambda: number): void => {
  posterior.chol = Linalg.grown(posterior.chol, Linalg.triangle(d))
  posterior.chol[posterior.chol.length - 1] = Math.sqrt(lambda)
  posterior.theta = Linalg.grown(posterior.theta, d)
}

/** Everything that is not computed from the rest. */
export const write = (w: Binary.Writer, ridge: Ridge): void => {
  Binary.writeVarint(w, ridge.folded)
  Binary.writeFloat64(w, ridge.level)
  Binary.writeFloat64s(w, ridge.shared)
  for (const row of ridge.rows) writeRow(w, row)
}

export const writeRow = (w: Binary.Writer, row: Evidence): void => {
  Binary.writeFloat64s(w, row.s)
  Binary.writeFloat64s(w, row.b)
  for (const value of [row.n, row.r2, row.lambda0, row.prior]) Binary.writeFloat64(w, value)
}

/** Reads into a ridge that has its `d` already; `models` rows follow. */
export const read = (r: Binary.Reader, ridge: Ridge, models: number): void => {
  ridge.folded = Binary.readVarint(r)
  ridge.level = Binary.readFloat64(r)
  Binary.readFloat64s(r, ridge.shared)
  for (let k = 0; k < models && !r.damaged; k++) {
    addModel(ridge, 0)
    const row = ridge.rows[k]
    if (row === undefined) return
    Binary.readFloat64s(r, row.s)
    Binary.readFloat64s(r, row.b)
    row.n = Binary.readFloat64(r)
    row.r2 = Binary.readFloat64(r)
    row.lambda0 = Binary.readFloat64(r)
    row.prior = Binary.readFloat64(r)
  }
}
