/** Consecutive failures that open a circuit. */
const threshold = 5
const openMillis = 10_000
const longestOpenMillis = 5 * 60_000

/**
 * Keeps requests away from a model that fails again and again. Open for a while after five failures in a row, then half
 * open: one request goes through, and its end decides. Every method takes the time in Unix milliseconds.
 */
export interface Circuit {
  readonly state: (now: number) => "closed" | "open" | "half_open"
  /** Whether the model cannot be called now: the circuit is open, or another request is trying the model. */
  readonly isOpen: (now: number) => boolean
  /** A request goes to the model; its end is told by exactly one of the following. */
  readonly enter: (now: number) => void
  readonly succeeded: () => void
  /** Answers for how long this failure opened the circuit, in milliseconds, or null if it did not. */
  readonly failed: (now: number, retryAfterSeconds: number | null) => number | null
  /** It ended in a way that says nothing about the model. */
  readonly abandoned: () => void
}

export const make = (): Circuit => {
  let failures = 0
  /** Null while closed. */
  let openUntil: number | null = null
  let trying = false

  const state = (now: number) => (openUntil === null ? "closed" : now < openUntil ? "open" : "half_open")

  return {
    state,
    isOpen: (now) => state(now) === "open" || (state(now) === "half_open" && trying),
    enter: (now) => {
      if (state(now) === "half_open") trying = true
    },
    succeeded: () => {
      failures = 0
      openUntil = null
      trying = false
    },
    failed: (now, retryAfterSeconds) => {
      failures += 1
      trying = false
      if (failures < threshold) return null
      // Requests that were on their way when it opened do not prolong it.
      if (state(now) === "open") return null
      const millis = Math.min(longestOpenMillis, Math.max(openMillis, (retryAfterSeconds ?? 0) * 1000))
      openUntil = now + millis
      return millis
    },
    abandoned: () => {
      trying = false
    }
  }
}
