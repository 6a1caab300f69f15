/** What a mock server has seen. */
export interface JournalEntry {
  readonly model: string
  /** Whether the key was there; the key itself is not kept. */
  readonly authorized: boolean
  readonly body: Readonly<Record<string, unknown>>
  /** Header fields of a protocol, as Anthropic's version and betas. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface JournalState {
  readonly total: number
  readonly inFlight: number
  /** The caller left before the answer was whole. */
  readonly aborted: number
  /** Events of streams written so far. */
  readonly events: number
  /** Answers by model and HTTP status; `none` for those that got none. */
  readonly byModel: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** What the answers that were written to their end cost by the prices of the script, USD. */
  readonly costUsd: number
  /** The newest last. */
  readonly last: ReadonlyArray<JournalEntry>
}

const maxEntries = 50
const maxModels = 1000

/** What was asked. Whole, because all of it is counted by one note. */
export const makeJournal = () => {
  const byModel = new Map<string, Map<string, number>>()
  const last: Array<JournalEntry> = []
  let total = 0
  let inFlight = 0
  let aborted = 0
  let events = 0
  let costUsd = 0
  return {
    began: (entry: JournalEntry) => {
      total++
      inFlight++
      last.push(entry)
      if (last.length > maxEntries) last.shift()
    },
    event: () => {
      events++
    },
    billed: (usd: number) => {
      costUsd += usd
    },
    ended: (model: string, status: number | null, left: boolean) => {
      inFlight--
      if (left) aborted++
      const name = byModel.has(model) || byModel.size < maxModels ? model : "other"
      const counts = byModel.get(name) ?? new Map<string, number>()
      byModel.set(name, counts)
      const key = status === null ? "none" : String(status)
      counts.set(key, (counts.get(key) ?? 0) + 1)
    },
    total: () => total,
    state: (): JournalState => ({
      total,
      inFlight,
      aborted,
      events,
      costUsd,
      byModel: Object.fromEntries([...byModel].map(([model, counts]) => [model, Object.fromEntries(counts)])),
      last: [...last]
    })
  }
}
export type Journal = ReturnType<typeof makeJournal>
