import type { Count } from "./RateWindows.ts"

/** As OpenAI writes a time: `20ms`, `1s`, `6m0s`. */
const durationOf = (millis: number): string => {
  const rounded = Math.max(0, Math.ceil(millis))
  if (rounded < 1000) return `${rounded}ms`
  const seconds = Math.ceil(rounded / 1000)
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes}m${seconds % 60}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds % 60}s`
}

/** OpenAI's headers of a limit, and who counted. */
export const ofWindow = (
  what: "requests" | "tokens",
  most: number,
  { count, counted, endsInMillis }: Count
): Readonly<Record<string, string>> => ({
  [`x-ratelimit-limit-${what}`]: String(most),
  [`x-ratelimit-remaining-${what}`]: String(Math.max(0, most - count)),
  [`x-ratelimit-reset-${what}`]: durationOf(endsInMillis),
  "x-conduit-limits": counted
})

/** What is left of the budget that has least left, after what is put aside, and when it begins anew. */
export const ofBudget = (usd: number, resetsInMillis: number): Readonly<Record<string, string>> => ({
  "x-conduit-budget-remaining-usd": String(Number(usd.toFixed(9))),
  "x-conduit-budget-reset": durationOf(resetsInMillis)
})
