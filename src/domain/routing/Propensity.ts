/** A score that is drawn from a normal distribution; sd > 0. */
export interface NormalScore {
  readonly mean: number
  readonly sd: number
}

/** P(Z > x) of a standard normal Z, x >= 0, given exp(-x²/2); to about 1e-15. Hart, Computer Approximations (1968), no. 5666. */
const upperTail = (x: number, e: number): number => {
  if (x >= 7.07106781186547) return e / (x + 1 / (x + 2 / (x + 3 / (x + 4 / (x + 0.65))))) / 2.506628274631
  const numerator =
    (((((0.0352624965998911 * x + 0.700383064443688) * x + 6.37396220353165) * x + 33.912866078383) * x +
      112.079291497871) *
      x +
      221.213596169931) *
      x +
    220.206867912376
  const denominator =
    ((((((0.0883883476483184 * x + 1.75566716318264) * x + 16.064177579207) * x + 86.7807322029461) * x +
      296.564248779674) *
      x +
      637.333633378831) *
      x +
      793.826512519948) *
      x +
    440.413735824752
  return (e * numerator) / denominator
}

/** The standard normal distribution function, to about 1e-15. */
export const standardNormalCdf = (z: number): number => {
  const tail = upperTail(Math.abs(z), Math.exp((-z * z) / 2))
  return z > 0 ? 1 - tail : tail
}

// Both functions at steps of 1/128 up to 9 deviations; between two steps a Taylor polynomial is good to 1e-11.
const stepsPerUnit = 128
const tableReach = 9
const densities = new Float64Array(2 * tableReach * stepsPerUnit + 1)
const cdfs = new Float64Array(densities.length)
for (let i = 0; i < densities.length; i++) {
  const z = i / stepsPerUnit - tableReach
  densities[i] = Math.exp((-z * z) / 2) / 2.5066282746310002
  cdfs[i] = standardNormalCdf(z)
}

const reach = 8
const cuts = [-8, -4, -2, 0, 2, 4, 8]
/** Nodes (positive half) and weights of the Gauss-Legendre rule of 8 points on [-1, 1]. */
const nodes = [0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363]
const weights = [0.362683783378362, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763]
const rule = nodes.flatMap((node, i) => [
  { node, weight: weights[i] ?? 0 },
  { node: -node, weight: weights[i] ?? 0 }
])

/** Leaves out edges, from left to right, as long as no piece that this makes is longer than `length`. */
const merged = (edges: ReadonlyArray<number>, length: number): ReadonlyArray<number> => {
  const kept = edges.slice(0, 1)
  for (let i = 1; i < edges.length; i++) {
    const next = edges[i + 1]
    if (next === undefined || next - (kept.at(-1) ?? 0) > length) kept.push(edges[i] ?? 0)
  }
  return kept
}

/** A finer grid than that costs more than pieces that follow the scores. */
const mostSteps = 400
/** So many of the smallest deviation a step: the rule is then good to 1e-9. */
const stepShare = 0.4

/**
 * For each score the probability that its draw is the largest, to about 1e-9; they sum to 1. One integral of density times
 * the others' distribution functions. O(n²) evaluations.
 */
export const largestDraw = (scores: ReadonlyArray<NormalScore>): ReadonlyArray<number> => {
  let low = Number.NEGATIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const { mean, sd } of scores) {
    low = Math.max(low, mean - reach * sd)
    high = Math.max(high, mean + reach * sd)
  }
  // Whoever cannot reach the range has no chance, and its distribution function is 1 all over it.
  const live = scores.flatMap(({ mean, sd }, index) => (mean + reach * sd > low ? [{ mean, sd, index }] : []))
  const probability = scores.map(() => 0)
  if (live.length === 1) {
    for (const { index } of live) probability[index] = 1
    return probability
  }
  const mass = new Integral(live)
  const step = stepShare * Math.min(...live.map(({ sd }) => sd))
  const steps = Math.ceil((high - low) / step)
  // Smooth functions that vanish at both ends: the trapezoidal rule converges faster than any power of its step.
  if (steps <= mostSteps) for (let s = 0; s <= steps; s++) mass.add(low + s * step, 1)
  else addPieces(mass, live, low, high)
  const shares = mass.shares()
  for (const [k, { index }] of live.entries()) probability[index] = shares[k] ?? 0
  return probability
}

/** A grid that is cut where any of the scores bends, with Gauss's rule on each piece. */
const addPieces = (mass: Integral, live: ReadonlyArray<NormalScore>, low: number, high: number): void => {
  const edges = live
    .flatMap(({ mean, sd }) => cuts.map((cut) => mean + cut * sd))
    .filter((edge) => edge > low && edge < high)
  edges.push(low, high)
  edges.sort((a, b) => a - b)
  // Nothing bends much within the smallest deviation.
  const grid = merged(edges, 1.5 * Math.min(...live.map(({ sd }) => sd)))
  for (let piece = 1; piece < grid.length; piece++) {
    const from = grid[piece - 1] ?? low
    const half = ((grid[piece] ?? high) - from) / 2
    if (half === 0) continue
    for (const { node, weight } of rule) mass.add(from + half + half * node, half * weight)
  }
}

/** Sums each score's density times the others' distribution functions, point by point. */
class Integral {
  readonly #means: Float64Array
  readonly #precisions: Float64Array
  readonly #mass: Float64Array
  readonly #density: Float64Array
  readonly #before: Float64Array
  readonly #below: Float64Array

  constructor(scores: ReadonlyArray<NormalScore>) {
    const n = scores.length
    this.#means = new Float64Array(n)
    this.#precisions = new Float64Array(n)
    for (const [k, { mean, sd }] of scores.entries()) {
      this.#means[k] = mean
      this.#precisions[k] = 1 / sd
    }
    this.#mass = new Float64Array(n)
    this.#density = new Float64Array(n)
    this.#before = new Float64Array(n)
    this.#below = new Float64Array(n)
  }

  add(at: number, share: number): void {
    const [before, below, density, mass] = [this.#before, this.#below, this.#density, this.#mass]
    const n = mass.length
    let product = 1
    for (let k = 0; k < n; k++) {
      const precision = this.#precisions[k] ?? 1
      const z = (at - (this.#means[k] ?? 0)) * precision
      before[k] = product
      if (z >= tableReach) {
        density[k] = 0
        below[k] = 1
      } else if (z <= -tableReach) {
        density[k] = 0
        below[k] = 0
        product = 0
      } else {
        const i = Math.round((z + tableReach) * stepsPerUnit)
        const z0 = i / stepsPerUnit - tableReach
        const d = z - z0
        const phi = densities[i] ?? 0
        const second = (z0 * z0 - 1) / 2
        const third = (z0 * (z0 * z0 - 3)) / 6
        const cdf = (cdfs[i] ?? 0) + phi * d * (1 - d * (z0 / 2 - d * (second / 3 - (d * third) / 4)))
        density[k] = phi * (1 - d * (z0 - d * (second - d * third))) * share * precision
        below[k] = cdf
        product *= cdf
      }
    }
    let after = 1
    for (let k = n - 1; k >= 0; k--) {
      mass[k] = (mass[k] ?? 0) + (density[k] ?? 0) * (before[k] ?? 0) * after
      after *= below[k] ?? 0
    }
  }

  /** Of the whole, which is 1. */
  shares(): Float64Array {
    let total = 0
    for (const value of this.#mass) total += value
    return this.#mass.map((value) => value / total)
  }
}
