/**
 * Counter-based draws: every draw is a hash of what it is for, so it depends on nothing that was drawn before and can be
 * repeated from the decision's row alone.
 */

const mix = (h: number): number => {
  let x = h ^ (h >>> 16)
  x = Math.imul(x, 0x85ebca6b)
  x ^= x >>> 13
  x = Math.imul(x, 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

const rotate = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits))

/** A 64-bit hash of the text's UTF-16 code units as two unsigned 32-bit halves; two lanes and the finalizer of MurmurHash3. */
export const hash64 = (text: string): readonly [number, number] => {
  let a = 0x9747b28c
  let b = 0x3c6ef372
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    a = (Math.imul(rotate(a ^ Math.imul(code + 1, 0xcc9e2d51), 13), 5) + 0xe6546b64) | 0
    b = (Math.imul(rotate(b ^ Math.imul(code + 1, 0x1b873593), 15), 0x9e3779b1) + a) | 0
  }
  const left = mix(a ^ text.length)
  const right = mix(b ^ Math.imul(left, 0x27d4eb2f))
  return [mix((left + Math.imul(right, 0x165667b1)) | 0), right]
}

/** Uniform on (0, 1), 53 bits, never 0 or 1. */
export const uniform = (key: string): number => {
  const [high, low] = hash64(key)
  return ((high >>> 5) * 67_108_864 + (low >>> 6) + 0.5) / 9_007_199_254_740_992
}

/** Standard normal (Box and Muller). */
export const normal = (key: string): number =>
  Math.sqrt(-2 * Math.log(uniform(`${key}|radius`))) * Math.cos(2 * Math.PI * uniform(`${key}|angle`))
