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

const reach = 8
const cuts = [-8, -4, -2, 0, 2, 4, 8]
/** Nodes (positive half) and weights of the Gauss-Legendre rule of 8 points on [-1, 1]. */
const nodes = [0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363]
const weights = [0.362683783378362, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763]
const rule = nodes.flatMap((node, i) => [
  { node, weight: weights[i] ?? 0 },
  { node: -node, weight: weights[i] ?? 0 }
])

/**
 * For each score the probability that its draw is the largest, to about 1e-10; they sum to 1. One integral
 * of density times the others' distribution functions, on a grid that is cut where any of them bends. O(n²) evaluations.
 */
export const largestDraw = (scores: ReadonlyArray<NormalScore>): ReadonlyArray<number> => {
  const low = Math.max(...scores.map(({ mean, sd }) => mean - reach * sd))
  const high = Math.max(...scores.map(({ mean, sd }) => mean + reach * sd))
  // Whoever cannot reach the range has no chance, and its distribution function is 1 all over it.
  const live = scores.flatMap(({ mean, sd }, index) => (mean + reach * sd > low ? [{ mean, sd, index }] : []))
  const probability = scores.map(() => 0)
  const n = live.length
  if (n === 1) {
    for (const { index } of live) probability[index] = 1
    return probability
  }
  const edges = live
    .flatMap(({ mean, sd }) => cuts.map((cut) => mean + cut * sd))
    .filter((edge) => edge > low && edge < high)
  edges.push(low, high)
  edges.sort((a, b) => a - b)

  const mass = new Float64Array(n)
  const density = new Float64Array(n)
  const before = new Float64Array(n)
  const below = new Float64Array(n)
  for (let piece = 1; piece < edges.length; piece++) {
    const from = edges[piece - 1] ?? low
    const half = ((edges[piece] ?? high) - from) / 2
    if (half === 0) continue
    for (const { node, weight } of rule) {
      const at = from + half + half * node
      let product = 1
      for (let k = 0; k < n; k++) {
        const { mean, sd } = live[k] ?? { mean: 0, sd: 1 }
        const z = (at - mean) / sd
        const isFar = z > 9 || z < -9
        const e = isFar ? 0 : Math.exp((-z * z) / 2)
        const tail = isFar ? 0 : upperTail(z < 0 ? -z : z, e)
        const cdf = z > 0 ? 1 - tail : tail
        density[k] = (e * half * weight) / (sd * 2.5066282746310002)
        below[k] = cdf
        before[k] = product
        product *= cdf
      }
      let after = 1
      for (let k = n - 1; k >= 0; k--) {
        mass[k] = (mass[k] ?? 0) + (density[k] ?? 0) * (before[k] ?? 0) * after
        after *= below[k] ?? 0
      }
    }
  }
  let total = 0
  for (const value of mass) total += value
  for (const [k, { index }] of live.entries()) probability[index] = (mass[k] ?? 0) / total
  return probability
}
