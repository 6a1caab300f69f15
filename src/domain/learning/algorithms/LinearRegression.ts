import * as Linalg from "../bandit/Linalg.ts"
import type { World } from "./Algorithm.ts"

/** What an arm is expected to earn of which nothing is known: the most, so that each is tried. */
const start = 1

/** A ridge regression of the rewards of one arm on the features, around the start. */
export interface Regression {
  readonly s: Float64Array
  readonly b: Float64Array
  readonly chol: Float64Array
  readonly theta: Float64Array
  isSolved: boolean
}

/** One for each arm. */
export const regressions = ({ arms, dimension: d }: World): ReadonlyArray<Regression> =>
  arms.map(() => ({
    s: new Float64Array(Linalg.triangle(d)),
    b: new Float64Array(d),
    chol: new Float64Array(Linalg.triangle(d)),
    theta: new Float64Array(d),
    isSolved: false
  }))

export const learnFrom = (one: Regression | undefined, x: Float64Array, reward: number): void => {
  if (one === undefined) return
  Linalg.addOuter(one.s, x, x.length, 1)
  for (let i = 0; i < x.length; i++) one.b[i] = Linalg.at(one.b, i) + (reward - start) * Linalg.at(x, i)
  one.isSolved = false
}

/** Mean at x, and xᵀ A⁻¹ x: how uncertain it is, in units of the noise. */
export const predictAt = (
  one: Regression,
  ridge: number,
  x: Float64Array
): { readonly mean: number; readonly leverage: number } => {
  const d = x.length
  if (!one.isSolved) {
    Linalg.cholesky(one.s, ridge, ridge, d, one.chol)
    Linalg.solveLower(one.chol, one.b, d, one.theta)
    Linalg.solveUpper(one.chol, one.theta, d, one.theta)
    one.isSolved = true
  }
  const z = new Float64Array(d)
  Linalg.solveLower(one.chol, x, d, z)
  return { mean: start + Linalg.dot(one.theta, x, d), leverage: Linalg.dot(z, z, d) }
}
