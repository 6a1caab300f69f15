import type * as Deferred from "effect/Deferred"
import * as MutableList from "effect/MutableList"
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
  private readonly outcomes = MutableList.empty<Outcome>()
  private readonly submissions = MutableList.empty<Submission>()
  private arrivals = 0
  private outcomeBytes = 0

  get oldestOutcome(): Outcome | undefined {
    return MutableList.head(this.outcomes)
  }

  get isTooLarge(): boolean {
    return this.outcomeBytes > maxBytes
  }

  offer(record: DecisionRecord, offeredAtMillis: number, onSettled: Outcome["onSettled"]): Outcome {
    const outcome = { order: this.arrivals++, offeredAtMillis, record, onSettled }
    MutableList.append(this.outcomes, outcome)
    this.outcomeCount++
    this.outcomeBytes += bytesOf(record)
    return outcome
  }

  submit(parts: Parts, done: Submission["done"]): Submission {
    const submission = { order: this.arrivals++, parts, done, abandoned: false }
    MutableList.append(this.submissions, submission)
    this.submissionCount++
    return submission
  }

  shiftOutcome(): Outcome | undefined {
    const next = MutableList.shift(this.outcomes)
    if (next === undefined) return undefined
    this.outcomeCount--
    this.outcomeBytes -= bytesOf(next.record)
    return next
  }

  shiftSubmission(): Submission | undefined {
    const next = MutableList.shift(this.submissions)
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
      const next = MutableList.head(this.submissions)
      if (next === undefined || next.order > before) break
      this.shiftSubmission()
      submissions.push(next)
      for (const record of next.parts.decisions) bytes += bytesOf(record)
    }
    return { outcomes, submissions }
  }
}

/** The decisions that are not stored yet, for those who look for one. */
export class UnstoredDecisions {
  private readonly records = new Map<DecisionId, DecisionRecord>()

  add(record: DecisionRecord): void {
    this.records.set(record.decision.id, record)
  }

  remove(record: DecisionRecord): void {
    if (this.records.get(record.decision.id) === record) this.records.delete(record.decision.id)
  }

  get(id: DecisionId): DecisionRecord | undefined {
    return this.records.get(id)
  }

  /** The answered ones of a session, in no order. */
  ofSession(session: Asker & { readonly sessionId: string }): ReadonlyArray<DecisionId> {
    const found: Array<DecisionId> = []
    for (const { decision, outcome } of this.records.values()) {
      const isOfSession = decision.request.sessionId === session.sessionId && owns(session, decision.owner)
      if (isOfSession && outcome?.ok === true) found.push(decision.id)
    }
    return found
  }
}
