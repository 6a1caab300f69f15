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

/** `out` = L⁻¹ x; `out` may be `x`. */
export const solveLower = (chol: Float64Array, x: Float64Array, d: number, out: Float64Array): void => {
  let row = 0
  for (let i = 0; i < d; i++) {
    let sum = at(x, i)
    for (let j = 0; j < i; j++) sum -= at(chol, row + j) * at(out, j)
    out[i] = sum / at(chol, row + i)
    row += i + 1
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

/** The same numbers in a longer array, zeros behind them. */
export const grown = (values: Float64Array, length: number): Float64Array => {
  const out = new Float64Array(length)
  out.set(values)
  return out
}
