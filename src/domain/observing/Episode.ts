/**
 * Something goes wrong for a while. Whoever says so says two things, its beginning and its end, however often it happens in
 * between. Times are Unix milliseconds.
 */
export interface Episode {
  /** Once more; answers whether that is to be said. What is not worth it yet is counted, and may be said later. */
  readonly failed: (now: number, isWorthIt?: boolean) => boolean
  /** It works; answers what this ends, if its beginning was said. */
  readonly worked: (now: number) => Past | null
  readonly isOpen: () => boolean
}

interface Past {
  readonly seconds: number
  readonly failures: number
}

/** What works again is over only when it has not failed for so long, so that what comes and goes is one episode. */
export const make = ({ quietMillis }: { readonly quietMillis: number }): Episode => {
  let open: { readonly sinceMillis: number; lastMillis: number; failures: number; isSaid: boolean } | null = null
  return {
    failed: (now, isWorthIt = true) => {
      open ??= { sinceMillis: now, lastMillis: now, failures: 0, isSaid: false }
      open.lastMillis = now
      open.failures++
      if (open.isSaid || !isWorthIt) return false
      open.isSaid = true
      return true
    },
    worked: (now) => {
      if (open === null || now - open.lastMillis < quietMillis) return null
      const { failures, isSaid, sinceMillis } = open
      open = null
      return isSaid ? { seconds: (now - sinceMillis) / 1000, failures } : null
    },
    isOpen: () => open !== null
  }
}
