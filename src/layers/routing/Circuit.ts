/** Consecutive failures that open a circuit. */
const threshold = 5
const openMillis = 10_000
const longestOpenMillis = 5 * 60_000

/** Of a model that failed until it was kept from requests, from its first failure until it answers again. */
export interface Outage {
  readonly sinceMillis: number
  readonly failures: number
  /** Decisions that it was left out of. */
  readonly keptAway: number
}

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
  /** Answers the outage that this ends, if its beginning was news. */
  readonly succeeded: (now: number) => Outage | null
  /** Answers for how long this failure opened the circuit, and whether an outage begins by it; null if it did not. */
  readonly failed: (
    now: number,
    retryAfterSeconds: number | null
  ) => { readonly forMillis: number; readonly isNews: boolean } | null
  /** It ended in a way that says nothing about the model. */
  readonly abandoned: () => void
  /** A decision was made without the model. */
  readonly keptAway: () => void
}

export const make = (): Circuit => {
  let failures = 0
  /** Null while closed. */
  let openUntil: number | null = null
  let trying = false
  let firstFailureMillis = 0
  let outage: (Outage & { readonly isSaid: boolean }) | null = null
  let answeredMillis = Number.NEGATIVE_INFINITY

  /** Answers of calls that were on their way can close it at once, again and again: then the trial that fails is the news. */
  const opened = (now: number): boolean => {
    const isNews = outage === null ? now - answeredMillis >= openMillis : !outage.isSaid
    outage =
      outage === null
        ? { sinceMillis: firstFailureMillis, failures, keptAway: 0, isSaid: isNews }
        : { ...outage, isSaid: true }
    return isNews
  }

  const state = (now: number) => (openUntil === null ? "closed" : now < openUntil ? "open" : "half_open")

  return {
    state,
    isOpen: (now) => state(now) === "open" || (state(now) === "half_open" && trying),
    enter: (now) => {
      if (state(now) === "half_open") trying = true
    },
    succeeded: (now) => {
      const ended = outage?.isSaid === true ? outage : null
      if (outage !== null) answeredMillis = now
      outage = null
      failures = 0
      openUntil = null
      trying = false
      return ended
    },
    failed: (now, retryAfterSeconds) => {
      failures += 1
      trying = false
      if (failures === 1) firstFailureMillis = now
      if (outage !== null) outage = { ...outage, failures: outage.failures + 1 }
      if (failures < threshold) return null
      // Requests that were on their way when it opened do not prolong it.
      if (state(now) === "open") return null
      const millis = Math.min(longestOpenMillis, Math.max(openMillis, (retryAfterSeconds ?? 0) * 1000))
      openUntil = now + millis
      return { forMillis: millis, isNews: opened(now) }
    },
    abandoned: () => {
      trying = false
    },
    keptAway: () => {
      if (outage !== null) outage = { ...outage, keptAway: outage.keptAway + 1 }
    }
  }
}
