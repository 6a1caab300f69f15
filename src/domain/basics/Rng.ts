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

/**
 * A 64-bit hash of UTF-16 code units: two lanes and the finalizer of MurmurHash3. The lanes run from left to right, so
 * what several draws begin with is hashed once.
 */
export class Draws {
  #a = 0x9747b28c | 0
  #b = 0x3c6ef372
  readonly #length: number

  /** Draws of keys that begin so. */
  constructor(beginning: string) {
    this.#length = beginning.length
    for (let i = 0; i < beginning.length; i++) {
      const code = beginning.charCodeAt(i)
      this.#a = laneA(this.#a, code)
      this.#b = laneB(this.#b, code, this.#a)
    }
  }

  /** The hash of the key that goes on so: two unsigned 32-bit halves. */
  hash(rest: string): readonly [number, number] {
    let a = this.#a
    let b = this.#b
    for (let i = 0; i < rest.length; i++) {
      const code = rest.charCodeAt(i)
      a = laneA(a, code)
      b = laneB(b, code, a)
    }
    const left = mix(a ^ (this.#length + rest.length))
    const right = mix(b ^ Math.imul(left, 0x27d4eb2f))
    return [mix((left + Math.imul(right, 0x165667b1)) | 0), right]
  }

  /** Uniform on (0, 1), 53 bits, never 0 or 1, of the key that goes on so. */
  uniform(rest: string): number {
    return uniformAfter(this.#a, this.#b, this.#length, rest)
  }

  /** Standard normal (Box and Muller), of the uniform draws that go on with `|radius` and `|angle`. */
  normal(rest: string): number {
    let a = this.#a
    let b = this.#b
    for (let i = 0; i < rest.length; i++) {
      const code = rest.charCodeAt(i)
      a = laneA(a, code)
      b = laneB(b, code, a)
    }
    const length = this.#length + rest.length
    return (
      Math.sqrt(-2 * Math.log(uniformAfter(a, b, length, "|radius"))) *
      Math.cos(2 * Math.PI * uniformAfter(a, b, length, "|angle"))
    )
  }
}

/** Of a key of which `length` code units have brought the lanes to `fromA` and `fromB`, and of the rest of it. */
const uniformAfter = (fromA: number, fromB: number, length: number, rest: string): number => {
  let a = fromA
  let b = fromB
  for (let i = 0; i < rest.length; i++) {
    const code = rest.charCodeAt(i)
    a = laneA(a, code)
    b = laneB(b, code, a)
  }
  const left = mix(a ^ (length + rest.length))
  const right = mix(b ^ Math.imul(left, 0x27d4eb2f))
  const high = mix((left + Math.imul(right, 0x165667b1)) | 0)
  return ((high >>> 5) * 67_108_864 + (right >>> 6) + 0.5) / 9_007_199_254_740_992
}

const laneA = (a: number, code: number): number =>
  (Math.imul(rotate(a ^ Math.imul(code + 1, 0xcc9e2d51), 13), 5) + 0xe6546b64) | 0
const laneB = (b: number, code: number, a: number): number =>
  (Math.imul(rotate(b ^ Math.imul(code + 1, 0x1b873593), 15), 0x9e3779b1) + a) | 0

const fresh = new Draws("")

export const hash64 = (text: string): readonly [number, number] => fresh.hash(text)

/** Uniform on (0, 1), 53 bits, never 0 or 1. */
export const uniform = (key: string): number => fresh.uniform(key)

/** Standard normal. */
export const normal = (key: string): number => fresh.normal(key)
