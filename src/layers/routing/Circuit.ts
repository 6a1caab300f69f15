import type { CircuitState } from "../../domain/routing/CircuitState.ts"

/** Consecutive failures that open a circuit. */
const threshold = 5
const openMillis = 10_000
const longestOpenMillis = 5 * 60_000

/** How long a client's own retries of one request may take; what says that it is a retry may come later. */
const retryMillis = 60_000
const declaredRetryMillis = 10 * 60_000
/** A circuit is open long before it has heard of so many requests or callers. */
const mostRemembered = 64

/** Of a model that failed until it was kept from requests, from its first failure until it answers again. */
export interface Outage {
  readonly sinceMillis: number
  readonly failures: number
  /** Decisions that it was left out of. */
  readonly keptAway: number
}

/** One failed call, as far as a circuit looks at it. */
export interface Failure {
  readonly retryAfterSeconds: number | null
  /** The same for a client's retries of one request. */
  readonly request: string
  /** The client says that it is one. */
  readonly isRetry: boolean
  /** Set where the fault may be this caller's own: it counts only once it meets another caller too. */
  readonly onlyOf: string | null
}

/** For how long a failure opened the circuit, and whether an outage begins by it. */
export interface Opened {
  readonly forMillis: number
  readonly isNews: boolean
}

interface State {
  /** In a row. */
  readonly failures: number
  readonly firstFailureMillis: number
  /** Null while closed. */
  readonly openUntil: number | null
  readonly isTrying: boolean
  readonly outage: (Outage & { readonly isSaid: boolean }) | null
  /** When an outage ended last. */
  readonly answeredMillis: number
  /** The model asked to be left alone until then. */
  readonly pausedUntil: number
  /** When the failure of each request was counted. */
  readonly counted: ReadonlyMap<string, number>
  readonly doubters: ReadonlySet<string>
}

const calm: State = {
  failures: 0,
  firstFailureMillis: 0,
  openUntil: null,
  isTrying: false,
  outage: null,
  answeredMillis: Number.NEGATIVE_INFINITY,
  pausedUntil: Number.NEGATIVE_INFINITY,
  counted: new Map(),
  doubters: new Set()
}

const phaseOf = ({ openUntil }: State, now: number): CircuitState =>
  openUntil === null ? "closed" : now < openUntil ? "open" : "half_open"

const isRepeated = ({ counted }: State, now: number, { isRetry, request }: Failure): boolean => {
  const at = counted.get(request)
  return at !== undefined && now - at < (isRetry ? declaredRetryMillis : retryMillis)
}

const withoutOldest = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> => items.slice(-mostRemembered)

const opensNow = (state: State, now: number, retryAfterSeconds: number | null): readonly [State, Opened] => {
  const forMillis = Math.min(longestOpenMillis, Math.max(openMillis, (retryAfterSeconds ?? 0) * 1000))
  const { firstFailureMillis: sinceMillis, failures, outage } = state
  // Answers of calls that were on their way can close it at once, again and again: then the trial that fails is the news.
  const isNews = outage === null ? now - state.answeredMillis >= openMillis : !outage.isSaid
  return [
    {
      ...state,
      openUntil: now + forMillis,
      outage: outage === null ? { sinceMillis, failures, keptAway: 0, isSaid: isNews } : { ...outage, isSaid: true }
    },
    { forMillis, isNews }
  ]
}

const failed = (before: State, now: number, failure: Failure): readonly [State, Opened | null] => {
  const { onlyOf, request, retryAfterSeconds } = failure
  const wasTrial = before.isTrying && phaseOf(before, now) === "half_open"
  const doubters = onlyOf === null ? before.doubters : new Set(withoutOldest([...before.doubters, onlyOf]))
  const heard: State = { ...before, isTrying: false, doubters }
  if (onlyOf !== null && doubters.size < 2) return [heard, null]
  // The trial of a half-open circuit decides, whoever made it.
  if (isRepeated(heard, now, failure) && !wasTrial) return [heard, null]
  const failures = heard.failures + 1
  const state: State = {
    ...heard,
    failures,
    firstFailureMillis: failures === 1 ? now : heard.firstFailureMillis,
    counted: new Map(withoutOldest([...heard.counted, [request, now] as const])),
    outage: heard.outage === null ? null : { ...heard.outage, failures: heard.outage.failures + 1 }
  }
  // Requests that were on their way when it opened do not prolong it.
  return failures < threshold || phaseOf(state, now) === "open"
    ? [state, null]
    : opensNow(state, now, retryAfterSeconds)
}

/**
 * Keeps requests away from a model that fails again and again. Open for a while after five failures in a row, then half
 * open: one request goes through, and its end decides. Every method takes the time in Unix milliseconds.
 */
export interface Circuit {
  /** `open` too while the model has asked to be left alone. */
  readonly state: (now: number) => CircuitState
  /** What keeps the model from being called now; `circuit` too while another request is trying it. */
  readonly barrier: (now: number) => "circuit" | "rate_limit" | null
  /** When that may have passed. */
  readonly opensAtMillis: (now: number) => number
  /** A request goes to the model; its end is told by exactly one of the following. */
  readonly enter: (now: number) => void
  /** Answers the outage that this ends, if its beginning was news. */
  readonly succeeded: (now: number) => Outage | null
  /** A client's retries of one request count once. Null if it did not open the circuit. */
  readonly failed: (now: number, failure: Failure) => Opened | null
  /** It ended in a way that says nothing about the model. */
  readonly abandoned: () => void
  /** The model asked to be left alone for so long; at most five minutes. */
  readonly paused: (now: number, seconds: number) => void
  /** A decision was made without the model. */
  readonly keptAway: () => void
}

export const make = (): Circuit => {
  let state = calm
  const isPaused = (now: number) => now < state.pausedUntil

  return {
    state: (now) => (isPaused(now) ? "open" : phaseOf(state, now)),
    barrier: (now) => {
      if (state === calm) return null
      const phase = phaseOf(state, now)
      if (phase === "open" || (phase === "half_open" && state.isTrying)) return "circuit"
      return isPaused(now) ? "rate_limit" : null
    },
    opensAtMillis: (now) => Math.max(now, state.openUntil ?? now, state.pausedUntil),
    enter: (now) => {
      if (phaseOf(state, now) === "half_open") state = { ...state, isTrying: true }
    },
    succeeded: (now) => {
      if (state === calm) return null
      const { answeredMillis, outage, pausedUntil } = state
      state = { ...calm, answeredMillis: outage === null ? answeredMillis : now, pausedUntil }
      return outage?.isSaid === true ? outage : null
    },
    failed: (now, failure) => {
      const [next, opened] = failed(state, now, failure)
      state = next
      return opened
    },
    abandoned: () => {
      if (state.isTrying) state = { ...state, isTrying: false }
    },
    paused: (now, seconds) => {
      const until = now + Math.min(longestOpenMillis, seconds * 1000)
      if (until > state.pausedUntil) state = { ...state, pausedUntil: until }
    },
    keptAway: () => {
      const { outage } = state
      if (outage !== null) state = { ...state, outage: { ...outage, keptAway: outage.keptAway + 1 } }
    }
  }
}
