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

export const make = (capacity = sessionCapacity): Recent => {
  // A Map keeps the order of insertion: the first entry is the one that was used longest ago.
  const entries = new Map<string, Session>()
  const put = (name: string, session: Session) => {
    entries.delete(name)
    entries.set(name, session)
    if (entries.size <= capacity) return
    for (const oldest of entries.keys()) {
      entries.delete(oldest)
      return
    }
  }
  return {
    get: (key) => {
      const name = nameOf(key)
      const session = entries.get(name)
      if (session === undefined) return null
      put(name, session)
      return session
    },
    set: (key, session) => put(nameOf(key), session)
  }
}
