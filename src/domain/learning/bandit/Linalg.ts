/**
 * Symmetric and lower-triangular matrices in packed form: row i holds columns 0..i, so entry (i, j), j <= i, stands at
 * i (i + 1) / 2 + j, and a matrix that grows keeps its old entries in place. Sizes are the caller's: nothing is checked.
 */

/** Length of a packed triangle of `d` rows. */
export const triangle = (d: number): number => (d * (d + 1)) / 2

// The index is in range by construction wherever this is used.
export const at = (values: Float64Array, index: number): number => values[index] as number

/** Adds `weight` x xᵀ; coordinates of x beyond `length` are zero. O(length²), allocates nothing. */
export const addOuter = (s: Float64Array, x: Float64Array, length: number, weight: number): void => {
  let row = 0
  for (let i = 0; i < length; i++) {
    const wx = weight * at(x, i)
    if (wx !== 0) for (let j = 0; j <= i; j++) s[row + j] = at(s, row + j) + wx * at(x, j)
    row += i + 1
  }
}

/** `out` = S x. */
export const multiply = (s: Float64Array, x: Float64Array, d: number, out: Float64Array): void => {
  let row = 0
  for (let i = 0; i < d; i++) {
    const xi = at(x, i)
    let sum = 0
    for (let j = 0; j < i; j++) {
      const sij = at(s, row + j)
      sum += sij * at(x, j)
      out[j] = at(out, j) + sij * xi
    }
    out[i] = sum + at(s, row + i) * xi
    row += i + 1
  }
}

/**
 * Lower Cholesky factor of S + diag(first, rest, ..., rest) into `chol`. A pivot that rounding or a bad S made smaller
 * than a millionth of what the diagonal adds is raised to that, so the factor is always finite and invertible. O(d³ / 6).
 */
export const cholesky = (s: Float64Array, first: number, rest: number, d: number, chol: Float64Array): void => {
  let rowI = 0
  for (let i = 0; i < d; i++) {
    let rowJ = 0
    for (let j = 0; j < i; j++) {
      let sum = at(s, rowI + j)
      for (let k = 0; k < j; k++) sum -= at(chol, rowI + k) * at(chol, rowJ + k)
      chol[rowI + j] = sum / at(chol, rowJ + j)
      rowJ += j + 1
    }
    const added = i === 0 ? first : rest
    let pivot = at(s, rowI + i) + added
    for (let k = 0; k < i; k++) {
      const l = at(chol, rowI + k)
      pivot -= l * l
    }
    chol[rowI + i] = Math.sqrt(pivot > added * 1e-6 ? pivot : added * 1e-6)
    rowI += i + 1
  }
}

/**
 * `out` = L⁻¹ x; `out` may be `x`. Column by column: each entry loses the same products in the same order as row by row, but
 * none waits for the one before.
 */
export const solveLower = (chol: Float64Array, x: Float64Array, d: number, out: Float64Array): void => {
  if (out !== x) for (let i = 0; i < d; i++) out[i] = at(x, i)
  let diagonal = 0
  for (let j = 0; j < d; j++) {
    const value = at(out, j) / at(chol, diagonal)
    out[j] = value
    let below = diagonal + j + 1
    for (let i = j + 1; i < d; i++) {
      out[i] = at(out, i) - at(chol, below) * value
      below += i + 1
    }
    diagonal += j + 2
  }
}

/** `out` = L⁻ᵀ x; `out` may be `x`. */
export const solveUpper = (chol: Float64Array, x: Float64Array, d: number, out: Float64Array): void => {
  if (out !== x) out.set(x)
  for (let i = d - 1; i >= 0; i--) {
    const row = triangle(i)
    const value = at(out, i) / at(chol, row + i)
    out[i] = value
    for (let j = 0; j < i; j++) out[j] = at(out, j) - at(chol, row + j) * value
  }
}

export const dot = (a: Float64Array, b: Float64Array, d: number): number => {
  let sum = 0
  for (let i = 0; i < d; i++) sum += at(a, i) * at(b, i)
  return sum
}

/** Statistics of one model as the shared direction needs them, and its effect: the intercept by its own answers. */
export interface SharedRow {
  /** sum w x xᵀ, packed. */
  readonly s: Float64Array
  /** sum w y x. */
  readonly b: Float64Array
  readonly effect: number
}

/**
 * The coefficients that all models have in common: one ridge regression of what their effects leave, over all of their
 * statistics. Into `shared`, whose coordinate 0 is 0: that is each model's own. O(models d² + d³ / 6).
 */
export const sharedDirection = (
  rows: ReadonlyArray<SharedRow>,
  ridge: number,
  d: number,
  shared: Float64Array
): void => {
  // The coordinates move down by one.
  const f = d - 1
  const s = new Float64Array(triangle(f))
  const b = new Float64Array(f)
  for (const row of rows) {
    for (let i = 0; i < f; i++) {
      const from = triangle(i + 1)
      const to = triangle(i)
      b[i] = at(b, i) + at(row.b, i + 1) - row.effect * at(row.s, from)
      for (let j = 0; j <= i; j++) s[to + j] = at(s, to + j) + at(row.s, from + 1 + j)
    }
  }
  cholesky(s, ridge, ridge, f, s)
  solveLower(s, b, f, b)
  solveUpper(s, b, f, b)
  shared[0] = 0
  shared.set(b, 1)
}

/** The same numbers in a longer array, zeros behind them. */
export const grown = (values: Float64Array, length: number): Float64Array => {
  const out = new Float64Array(length)
  out.set(values)
  return out
}
