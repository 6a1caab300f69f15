import { normal, uniform } from "../../basics/Rng.ts"

/** A gamma variate of that shape and scale 1; Marsaglia and Tsang, ACM Transactions on Mathematical Software 26 (2000). */
export const gamma = (shape: number, key: string): number => {
  if (shape < 1) return gamma(shape + 1, `${key}|more`) * uniform(`${key}|root`) ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (let attempt = 0; ; attempt++) {
    const x = normal(`${key}|${attempt}`)
    const v = (1 + c * x) ** 3
    if (v <= 0) continue
    if (Math.log(uniform(`${key}|${attempt}|accept`)) < (x * x) / 2 + d - d * v + d * Math.log(v)) return d * v
  }
}

/** A beta variate. */
export const beta = (a: number, b: number, key: string): number => {
  const x = gamma(a, `${key}|a`)
  return x / (x + gamma(b, `${key}|b`))
}

/** A Student-t variate of that many degrees of freedom. */
export const student = (freedom: number, key: string): number =>
  normal(`${key}|z`) / Math.sqrt((2 * gamma(freedom / 2, `${key}|v`)) / freedom)
