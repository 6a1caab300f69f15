/**
 * Something that fails for a while. The log gets two lines of it, when it begins and when it is over, however often it fails
 * in between. Times are Unix milliseconds.
 */
export interface Episode {
  /** Counts a failure; true if its beginning is to be logged now. A failure that is not `isMajor` leaves that to a later one. */
  readonly failed: (now: number, isMajor?: boolean) => boolean
  /** Notes a success; returns what this ends, if its beginning was logged. */
  readonly worked: (now: number) => Past | null
  readonly isOpen: () => boolean
}

interface Past {
  readonly seconds: number
  readonly failures: number
}

/** A success ends an episode only when nothing has failed for `quietMillis`, so that what comes and goes is one episode. */
export const make = ({ quietMillis }: { readonly quietMillis: number }): Episode => {
  let open: { readonly sinceMillis: number; lastMillis: number; failures: number; isLogged: boolean } | null = null
  return {
    failed: (now, isMajor = true) => {
      open ??= { sinceMillis: now, lastMillis: now, failures: 0, isLogged: false }
      open.lastMillis = now
      open.failures++
      if (open.isLogged || !isMajor) return false
      open.isLogged = true
      return true
    },
    worked: (now) => {
      if (open === null || now - open.lastMillis < quietMillis) return null
      const { failures, isLogged, sinceMillis } = open
      open = null
      return isLogged ? { seconds: (now - sinceMillis) / 1000, failures } : null
    },
    isOpen: () => open !== null
  }
}
