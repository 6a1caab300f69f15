import type * as Deferred from "effect/Deferred"
import { ArrayQueue } from "../../../domain/basics/ArrayQueue.ts"
import type { DecisionId } from "../../../domain/basics/Ids.ts"
import { type Asker, owns } from "../../../domain/basics/Owner.ts"
import type { DecisionRecord } from "../../../domain/routing/DecisionRecord.ts"
import type { Commit, Committed, DatabaseError } from "../../../services/storage/Database.ts"

export type Parts = Pick<Commit, "decisions" | "reports" | "feedback" | "events" | "joined">

export const noParts: Parts = { decisions: [], reports: [], feedback: [], events: [], joined: [] }

/** A decision and its outcome, which nobody waits for. */
export interface Outcome {
  readonly order: number
  readonly offeredAtMillis: number
  readonly record: DecisionRecord
  readonly onSettled: ((isStored: boolean) => void) | undefined
}

/** Something that somebody waits for. */
export interface Submission {
  readonly order: number
  readonly parts: Parts
  readonly done: Deferred.Deferred<Committed, DatabaseError>
  /** Nobody waits any more, and was told so: it is not stored, unless it is on its way already. */
  abandoned: boolean
}

/** About as much may wait, or go in one commit, as by its number: what is larger has prompts with it. */
const maxBytes = 256 * 1024 * 1024
const maxBatchBytes = 8 * 1024 * 1024

/** Roughly, in memory. */
const bytesOf = ({ decision, prompt }: DecisionRecord): number =>
  1_000 + 4 * decision.features.length + 250 * decision.candidates.length + 2 * (prompt?.length ?? 0)

/** What no commit has taken yet, in the order in which it came. */
export class CommitQueue {
  outcomeCount = 0
  submissionCount = 0
  private readonly outcomes = new ArrayQueue<Outcome>()
  private readonly submissions = new ArrayQueue<Submission>()
  private arrivals = 0
  private outcomeBytes = 0

  get oldestOutcome(): Outcome | undefined {
    return this.outcomes.first
  }

  get isTooLarge(): boolean {
    return this.outcomeBytes > maxBytes
  }

  offer(record: DecisionRecord, offeredAtMillis: number, onSettled: Outcome["onSettled"]): Outcome {
    const outcome = { order: this.arrivals++, offeredAtMillis, record, onSettled }
    this.outcomes.push(outcome)
    this.outcomeCount++
    this.outcomeBytes += bytesOf(record)
    return outcome
  }

  submit(parts: Parts, done: Submission["done"]): Submission {
    const submission = { order: this.arrivals++, parts, done, abandoned: false }
    this.submissions.push(submission)
    this.submissionCount++
    return submission
  }

  shiftOutcome(): Outcome | undefined {
    const next = this.outcomes.shift()
    if (next === undefined) return undefined
    this.outcomeCount--
    this.outcomeBytes -= bytesOf(next.record)
    return next
  }

  shiftSubmission(): Submission | undefined {
    const next = this.submissions.shift()
    if (next !== undefined) this.submissionCount--
    return next
  }

  /** The next ones: at most `limit` of each kind, not too many bytes, and nothing before what came earlier. */
  take(limit: number): { readonly outcomes: ReadonlyArray<Outcome>; readonly submissions: ReadonlyArray<Submission> } {
    const outcomes: Array<Outcome> = []
    const submissions: Array<Submission> = []
    let bytes = 0
    while (outcomes.length < limit && bytes < maxBatchBytes) {
      const next = this.shiftOutcome()
      if (next === undefined) break
      bytes += bytesOf(next.record)
      outcomes.push(next)
    }
    const before = this.oldestOutcome?.order ?? Infinity
    while (submissions.length < limit && bytes < maxBatchBytes) {
      const next = this.submissions.first
      if (next === undefined || next.order > before) break
      this.shiftSubmission()
      submissions.push(next)
      for (const record of next.parts.decisions) bytes += bytesOf(record)
    }
    return { outcomes, submissions }
  }
}

/** Empty once it is stored: the tables of a map that is filled and emptied all the time keep what was in them (see `DenseSet`). */
interface Holder {
  record: DecisionRecord | null
}

/** The decisions that are not stored yet, for those who look for one. */
export class UnstoredDecisions {
  private readonly holders = new Map<DecisionId, Holder>()

  add(record: DecisionRecord): void {
    this.holders.set(record.decision.id, { record })
  }

  remove(record: DecisionRecord): void {
    const holder = this.holders.get(record.decision.id)
    if (holder?.record !== record) return
    holder.record = null
    this.holders.delete(record.decision.id)
  }

  get(id: DecisionId): DecisionRecord | undefined {
    return this.holders.get(id)?.record ?? undefined
  }

  /** The answered ones of a session, in no order. */
  ofSession(session: Asker & { readonly sessionId: string }): ReadonlyArray<DecisionId> {
    const found: Array<DecisionId> = []
    for (const { record } of this.holders.values()) {
      if (record === null) continue
      const { decision, outcome } = record
      const isOfSession = decision.request.sessionId === session.sessionId && owns(session, decision.owner)
      if (isOfSession && outcome?.ok === true) found.push(decision.id)
    }
    return found
  }
}
