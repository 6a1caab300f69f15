import type { ModelId } from "../../domain/Ids.ts"

/** So many sessions are remembered; of more, the one that was silent longest is forgotten. */
const capacity = 50_000

/** Which model each session has, and in which epoch of the model it was chosen. */
export interface Sessions {
  readonly get: (
    owner: string | null,
    sessionId: string
  ) => { readonly model: ModelId; readonly epoch: number } | undefined
  readonly set: (owner: string | null, sessionId: string, model: ModelId, epoch: number) => void
}

export const make = (): Sessions => {
  // A Map keeps the order of insertion: the first entry is the one that was used longest ago.
  const entries = new Map<string, { readonly model: ModelId; readonly epoch: number }>()
  const keyOf = (owner: string | null, sessionId: string) => `${owner ?? ""}\n${sessionId}`
  const put = (key: string, entry: { readonly model: ModelId; readonly epoch: number }) => {
    entries.delete(key)
    entries.set(key, entry)
    if (entries.size <= capacity) return
    for (const oldest of entries.keys()) {
      entries.delete(oldest)
      return
    }
  }
  return {
    get: (owner, sessionId) => {
      const key = keyOf(owner, sessionId)
      const entry = entries.get(key)
      if (entry !== undefined) put(key, entry)
      return entry
    },
    set: (owner, sessionId, model, epoch) => put(keyOf(owner, sessionId), { model, epoch })
  }
}
