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

/** Beyond so many deviations lies less than 1e-10. */
const reach = 6.5
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
/** So many of the smallest deviation a step: the rule is then good to 1e-10. */
const stepShare = 0.5

/**
 * For each score, drawn from the normal distribution of its mean and deviation (> 0), the probability that its draw is the
 * largest, to about 1e-9; they sum to 1. One integral of density times the others' distribution functions. O(n²)
 * evaluations.
 */
export const largestDraw = (means: ReadonlyArray<number>, sds: ReadonlyArray<number>): ReadonlyArray<number> => {
  let low = Number.NEGATIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (let k = 0; k < means.length; k++) {
    const mean = means[k] ?? 0
    const sd = sds[k] ?? 0
    low = Math.max(low, mean - reach * sd)
    high = Math.max(high, mean + reach * sd)
  }
  const mass = integral
  mass.begin()
  for (let k = 0; k < means.length; k++) {
    const mean = means[k] ?? 0
    const sd = sds[k] ?? 0
    // Whoever cannot reach the range has no chance, and its distribution function is 1 all over it.
    if (mean + reach * sd > low) mass.score(mean, sd, k)
  }
  const step = stepShare * mass.leastSd
  const steps = Math.ceil((high - low) / step)
  // Smooth functions that vanish at both ends: the trapezoidal rule converges faster than any power of its step.
  if (mass.isCertain) return mass.shares(means.length)
  if (steps <= mostSteps) for (let s = 0; s <= steps; s++) mass.add(low + s * step, 1)
  else addPieces(mass, low, high)
  return mass.shares(means.length)
}

/** A grid that is cut where any of the scores bends, with Gauss's rule on each piece. */
const addPieces = (mass: Integral, low: number, high: number): void => {
  const edges = mass.edges().filter((edge) => edge > low && edge < high)
  edges.push(low, high)
  edges.sort((a, b) => a - b)
  // Nothing bends much within the smallest deviation.
  const grid = merged(edges, 1.5 * mass.leastSd)
  for (let piece = 1; piece < grid.length; piece++) {
    const from = grid[piece - 1] ?? low
    const half = ((grid[piece] ?? high) - from) / 2
    if (half === 0) continue
    for (const { node, weight } of rule) mass.add(from + half + half * node, half * weight)
  }
}

/**
 * Sums each score's density times the others' distribution functions, point by point. Used again for each choice: `begin`,
 * then `score` for each, then `add`. Whole, because its steps fill the same arrays.
 */
class Integral {
  #n = 0
  #least = Number.POSITIVE_INFINITY
  #indices = new Uint32Array(16)
  #means = new Float64Array(16)
  #precisions = new Float64Array(16)
  #mass = new Float64Array(16)
  #density = new Float64Array(16)
  #before = new Float64Array(16)
  #below = new Float64Array(16)

  begin(): void {
    this.#n = 0
    this.#least = Number.POSITIVE_INFINITY
  }

  /** `index` is its place in what is answered. */
  score(mean: number, sd: number, index: number): void {
    const k = this.#n++
    if (k === this.#means.length) this.#grow()
    this.#indices[k] = index
    this.#means[k] = mean
    this.#precisions[k] = 1 / sd
    this.#mass[k] = 0
    this.#least = Math.min(this.#least, sd)
  }

  get leastSd(): number {
    return this.#least
  }

  /** There is only one. */
  get isCertain(): boolean {
    return this.#n === 1
  }

  /** Where the scores bend. */
  edges(): Array<number> {
    const edges: Array<number> = []
    for (let k = 0; k < this.#n; k++) {
      for (const cut of cuts) edges.push((this.#means[k] ?? 0) + cut / (this.#precisions[k] ?? 1))
    }
    return edges
  }

  add(at: number, share: number): void {
    const n = this.#n
    const before = this.#before
    const below = this.#below
    const density = this.#density
    const mass = this.#mass
    const means = this.#means
    const precisions = this.#precisions
    let product = 1
    for (let k = 0; k < n; k++) {
      const precision = precisions[k] ?? 1
      const z = (at - (means[k] ?? 0)) * precision
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

  /** Of the whole, which is 1; 0 for those of so many that have no score here. */
  shares(count: number): ReadonlyArray<number> {
    const shares: Array<number> = []
    for (let k = 0; k < count; k++) shares.push(0)
    let total = 0
    for (let k = 0; k < this.#n; k++) total += this.#mass[k] ?? 0
    for (let k = 0; k < this.#n; k++) shares[this.#indices[k] ?? 0] = this.isCertain ? 1 : (this.#mass[k] ?? 0) / total
    return shares
  }

  #grow(): void {
    const grown = (array: Float64Array) => {
      const larger = new Float64Array(2 * array.length)
      larger.set(array)
      return larger
    }
    const indices = new Uint32Array(2 * this.#indices.length)
    indices.set(this.#indices)
    this.#indices = indices
    this.#means = grown(this.#means)
    this.#precisions = grown(this.#precisions)
    this.#mass = grown(this.#mass)
    this.#density = grown(this.#density)
    this.#before = grown(this.#before)
    this.#below = grown(this.#below)
  }
}

const integral = new Integral()
