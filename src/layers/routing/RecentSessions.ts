import type { Session, SessionKey } from "../../services/routing/Sessions.ts"

/** So many sessions are remembered; of more, the one that was silent longest is forgotten. */
const sessionCapacity = 50_000
/** Most requests begin a conversation that never goes on: they must not push sessions out. */
export const conversationCapacity = 20_000

/** The sessions that this process has seen last. */
export interface Recent {
  readonly get: (key: SessionKey) => Session | null
  readonly set: (key: SessionKey, session: Session) => void
}

/** Different for different sessions: an owner is a hash, without a line break. */
export const nameOf = ({ owner, sessionId }: SessionKey): string => `${owner ?? ""}\n${sessionId}`

interface Entry {
  readonly name: string
  session: Session
  older: Entry | null
  newer: Entry | null
}

/**
 * By name, and in the order in which they were used last. Not by the order of a Map alone: one whose first entry is taken
 * off again and again looks for it behind all that were taken off before.
 */
class ByUse implements Recent {
  readonly #capacity: number
  readonly #entries = new Map<string, Entry>()
  #oldest: Entry | null = null
  #newest: Entry | null = null

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get(key: SessionKey): Session | null {
    const entry = this.#entries.get(nameOf(key))
    if (entry === undefined) return null
    this.#takeOff(entry)
    this.#append(entry)
    return entry.session
  }

  set(key: SessionKey, session: Session): void {
    const name = nameOf(key)
    const known = this.#entries.get(name)
    if (known !== undefined) {
      known.session = session
      this.#takeOff(known)
      return this.#append(known)
    }
    const entry = { name, session, older: null, newer: null }
    this.#entries.set(name, entry)
    this.#append(entry)
    const oldest = this.#oldest
    if (this.#entries.size <= this.#capacity || oldest === null) return
    this.#takeOff(oldest)
    this.#entries.delete(oldest.name)
  }

  #append(entry: Entry): void {
    entry.older = this.#newest
    entry.newer = null
    if (this.#newest === null) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
  }

  #takeOff(entry: Entry): void {
    if (entry.older === null) this.#oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === null) this.#newest = entry.older
    else entry.newer.older = entry.older
  }
}

export const make = (capacity = sessionCapacity): Recent => new ByUse(capacity)
