import type * as Deferred from "effect/Deferred"
import type { DecisionRecord } from "../../../domain/routing/DecisionRecord.ts"
import type { DecisionId } from "../../../domain/basics/Ids.ts"
import type { Commit, Committed, DatabaseError } from "../../../services/storage/Database.ts"
import { makeFifo } from "./Fifo.ts"

export type Parts = Pick<Commit, "decisions" | "reports" | "feedback" | "events" | "joined">

export const noParts: Parts = { decisions: [], reports: [], feedback: [], events: [], joined: [] }

/** An outcome that nobody waits for. */
interface Implicit {
  readonly order: number
  readonly offeredAtMillis: number
  readonly record: DecisionRecord
  readonly onSettled: ((isStored: boolean) => void) | undefined
}

/** Something that somebody waits for. */
export interface Durable {
  readonly order: number
  readonly parts: Parts
  readonly done: Deferred.Deferred<Committed, DatabaseError>
  /** Nobody waits any more, and was told so: it is not stored, unless it is on its way already. */
  abandoned: boolean
}

/** What one commit stores; repeated with the same id and content until the database has answered. */
export interface Batch {
  readonly commitId: string
  readonly implicit: ReadonlyArray<Implicit>
  readonly durable: ReadonlyArray<Durable>
}

/** About as much may wait, or go in one commit, as by its number: what is larger has prompts with it. */
const maxBytes = 256 * 1024 * 1024
const maxBatchBytes = 8 * 1024 * 1024

/** Roughly, in memory. */
const bytesOf = ({ decision, prompt }: DecisionRecord): number =>
  1_000 + 4 * decision.features.length + 250 * decision.candidates.length + 2 * (prompt?.length ?? 0)

/** Everything that is not stored yet, in the order in which it came. */
export const makePending = (maxImplicit: number) => {
  const implicit = makeFifo<Implicit>()
  const durable = makeFifo<Durable>()
  const visible = new Map<DecisionId, DecisionRecord>()
  let inBatch: Batch | null = null
  let order = 0
  let dropped = 0
  let lost = 0
  /** Of the implicit ones, those in the batch excluded. */
  let bytes = 0

  const shiftImplicit = () => {
    const next = implicit.shift()
    if (next !== undefined) bytes -= bytesOf(next.record)
    return next
  }
  const forget = (records: ReadonlyArray<DecisionRecord>) => {
    for (const record of records) if (visible.get(record.decision.id) === record) visible.delete(record.decision.id)
  }
  const implicitCount = () => implicit.length() + (inBatch?.implicit.length ?? 0)

  return {
    /** Answers how many old records had to go. */
    offer: (record: DecisionRecord, offeredAtMillis: number, onSettled?: Implicit["onSettled"]): number => {
      implicit.push({ order: order++, offeredAtMillis, record, onSettled })
      bytes += bytesOf(record)
      visible.set(record.decision.id, record)
      const before = dropped
      const isFull = () => implicitCount() > maxImplicit || bytes > maxBytes
      while (isFull()) {
        const oldest = shiftImplicit()
        if (oldest === undefined) break
        forget([oldest.record])
        oldest.onSettled?.(false)
        dropped++
      }
      return dropped - before
    },
    submit: (parts: Parts, done: Durable["done"]): Durable => {
      const one = { order: order++, parts, done, abandoned: false }
      durable.push(one)
      for (const record of parts.decisions) visible.set(record.decision.id, record)
      return one
    },
    /** The next batch: at most `limit` of each kind, not too many bytes, and nothing before what came earlier. */
    take: (commitId: string, limit: number): Batch => {
      const outcomes: Array<Implicit> = []
      const waited: Array<Durable> = []
      let batchBytes = 0
      while (outcomes.length < limit && batchBytes < maxBatchBytes) {
        const next = shiftImplicit()
        if (next === undefined) break
        batchBytes += bytesOf(next.record)
        outcomes.push(next)
      }
      while (waited.length < limit && batchBytes < maxBatchBytes) {
        const next = durable.peek()
        if (next === undefined || next.order > (implicit.peek()?.order ?? Infinity)) break
        durable.shift()
        if (next.abandoned) forget(next.parts.decisions)
        else {
          for (const record of next.parts.decisions) batchBytes += bytesOf(record)
          waited.push(next)
        }
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
    /** The first outcome of the batch is stored by itself, or lost: the batch goes on without it. */
    settleFirst: (isLost: boolean) => {
      const [first, ...rest] = inBatch?.implicit ?? []
      if (inBatch === null || first === undefined) return
      forget([first.record])
      first.onSettled?.(!isLost)
      if (isLost) lost++
      inBatch = { ...inBatch, implicit: rest }
    },
    /** The batch is stored, or given up. */
    settle: () => {
      if (inBatch === null) return
      forget(inBatch.implicit.map((one) => one.record))
      for (const one of inBatch.implicit) one.onSettled?.(true)
      for (const one of inBatch.durable) forget(one.parts.decisions)
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
    /** All that will never be stored. */
    dropped: () => dropped + lost,
    /** Those for which there was no room. */
    overflowed: () => dropped,
    isEmpty: () => inBatch === null && implicit.length() + durable.length() === 0,
    decision: (id: DecisionId) => visible.get(id),
    ofSession: (session: { readonly sessionId: string; readonly owner: string | null }): ReadonlyArray<DecisionId> => {
      const found: Array<DecisionId> = []
      for (const { decision, outcome } of visible.values()) {
        const isOfSession = decision.request.sessionId === session.sessionId && decision.owner === session.owner
        if (isOfSession && outcome?.ok === true) found.push(decision.id)
      }
      return found
    }
  }
}

export type Pending = ReturnType<typeof makePending>
