import type * as Deferred from "effect/Deferred"
import type { DecisionRecord } from "../../domain/DecisionRecord.ts"
import type { DecisionId } from "../../domain/Ids.ts"
import type { Commit, Committed, DatabaseError } from "../../services/Database.ts"
import { makeFifo } from "./fifo.ts"

export type Parts = Pick<Commit, "decisions" | "reports" | "feedback" | "events" | "joined">

export const noParts: Parts = { decisions: [], reports: [], feedback: [], events: [], joined: [] }

/** An outcome that nobody waits for. */
interface Implicit {
  readonly order: number
  readonly offeredAtMillis: number
  readonly record: DecisionRecord
}

/** Something that somebody waits for. */
export interface Durable {
  readonly order: number
  readonly parts: Parts
  readonly done: Deferred.Deferred<Committed, DatabaseError>
}

/** What one commit stores; repeated with the same id and content until the database has answered. */
export interface Batch {
  readonly commitId: string
  readonly implicit: ReadonlyArray<Implicit>
  readonly durable: ReadonlyArray<Durable>
}

/** Everything that is not stored yet, in the order in which it came. */
export const makePending = (maxImplicit: number) => {
  const implicit = makeFifo<Implicit>()
  const durable = makeFifo<Durable>()
  const visible = new Map<DecisionId, DecisionRecord>()
  let inBatch: Batch | null = null
  let order = 0
  let dropped = 0

  const forget = (records: ReadonlyArray<DecisionRecord>) => {
    for (const record of records) if (visible.get(record.decision.id) === record) visible.delete(record.decision.id)
  }
  const implicitCount = () => implicit.length() + (inBatch?.implicit.length ?? 0)

  return {
    /** Answers how many old records had to go: none or one. */
    offer: (record: DecisionRecord, offeredAtMillis: number): number => {
      implicit.push({ order: order++, offeredAtMillis, record })
      visible.set(record.decision.id, record)
      if (implicitCount() <= maxImplicit) return 0
      const oldest = implicit.shift()
      if (oldest !== undefined) forget([oldest.record])
      dropped++
      return 1
    },
    submit: (parts: Parts, done: Durable["done"]) => {
      durable.push({ order: order++, parts, done })
      for (const record of parts.decisions) visible.set(record.decision.id, record)
    },
    /** The next batch: at most `limit` of each kind, and nothing before what came earlier. */
    take: (commitId: string, limit: number): Batch => {
      const outcomes: Array<Implicit> = []
      const waited: Array<Durable> = []
      while (outcomes.length < limit) {
        const next = implicit.shift()
        if (next === undefined) break
        outcomes.push(next)
      }
      while (waited.length < limit) {
        const next = durable.peek()
        if (next === undefined || next.order > (implicit.peek()?.order ?? Infinity)) break
        durable.shift()
        waited.push(next)
      }
      inBatch = { commitId, implicit: outcomes, durable: waited }
      return inBatch
    },
    /** The batch that is on its way, or that waits for the database to come back. */
    batch: () => inBatch,
    /** The batch goes on with its outcomes alone; what somebody waited for has failed. */
    keepImplicit: () => {
      if (inBatch === null) return
      for (const one of inBatch.durable) forget(one.parts.decisions)
      inBatch = inBatch.implicit.length === 0 ? null : { ...inBatch, durable: [] }
    },
    /** The batch is stored, or given up. */
    settle: (lost: number) => {
      if (inBatch === null) return
      forget(inBatch.implicit.map((one) => one.record))
      for (const one of inBatch.durable) forget(one.parts.decisions)
      dropped += lost
      inBatch = null
    },
    takeDurable: (): Durable | undefined => {
      const next = durable.shift()
      if (next !== undefined) forget(next.parts.decisions)
      return next
    },
    durableCount: () => durable.length(),
    waitingCount: () => implicit.length() + durable.length(),
    implicitWaiting: () => implicit.length(),
    implicitCount,
    oldestMillis: (): number | null =>
      inBatch?.implicit[0]?.offeredAtMillis ?? implicit.peek()?.offeredAtMillis ?? null,
    dropped: () => dropped,
    isEmpty: () => inBatch === null && implicit.length() + durable.length() === 0,
    decision: (id: DecisionId) => visible.get(id)
  }
}

export type Pending = ReturnType<typeof makePending>
