import * as Either from "effect/Either"
import type { DecisionRecord } from "../../../domain/routing/DecisionRecord.ts"
import type { Committed, DatabaseError } from "../../../services/storage/Database.ts"
import { CommitQueue, type Outcome, type Parts, type Submission, UnstoredDecisions } from "./CommitQueue.ts"

const minRetryMs = 100
const maxRetryMs = 2_000

/** What one commit stores; repeated with the same id until the database has answered. */
export interface Batch {
  readonly commitId: string
  readonly outcomes: ReadonlyArray<Outcome>
  readonly submissions: ReadonlyArray<Submission>
}

/** What is to be done next. `wait`: until that instant, or until something comes. */
export type Step =
  | { readonly type: "idle" }
  | { readonly type: "wait"; readonly untilMillis: number }
  | { readonly type: "commit"; readonly batch: Batch }

/** What became of one that was taken. */
export type Verdict =
  | { readonly type: "outcome"; readonly outcome: Outcome; readonly error: DatabaseError | null }
  | {
      readonly type: "submission"
      readonly submission: Submission
      readonly result: Either.Either<Committed, DatabaseError>
    }

export interface CommitterLimits {
  /** Of outcomes, and of submissions, in one commit. */
  readonly batchSize: number
  /** Outcomes that may wait. */
  readonly maxOutcomes: number
  /** How long an outcome may wait for others to share its commit. */
  readonly flushMs: number
}

/**
 * What is to be stored, and how it goes: one state machine. Whole, because every transition reads the queue, what is
 * taken and the failures together. One commit at a time. `next` says what to do; then `stored`, `refused` or `away`
 * say how the commit went.
 *
 * - `stored`: its members are told.
 * - `refused`, for what is in it: each of its members gets a commit of its own, before anything else. A single one that is
 *   refused is lost, or fails.
 * - `away`: whoever waits is refused at once; outcomes wait, and are tried again with the same commit ids, ever more
 *   rarely, but soon for whoever waits.
 *
 * Times are milliseconds of a clock that never goes back.
 */
export class CommitterState {
  readonly unstored = new UnstoredDecisions()
  private readonly queue = new CommitQueue()
  private readonly limits: CommitterLimits
  private readonly newCommitId: () => string
  /** Taken, and not settled yet; the first one is on its way, or is the next. */
  private taken: ReadonlyArray<Batch> = []
  private isOnItsWay = false
  private hurries = 0
  /** Attempts that failed since the last one that was answered. */
  private failures = 0
  private lastAttemptMillis = 0
  private overflowed = 0
  private lost = 0

  constructor(limits: CommitterLimits, newCommitId: () => string) {
    this.limits = limits
    this.newCommitId = newCommitId
  }

  /** Takes an outcome; answers the old ones that had to go, and whether `next` may say something else now. */
  offer(record: DecisionRecord, now: number, onSettled?: Outcome["onSettled"]) {
    const wasEmpty = this.isEmpty
    this.queue.offer(record, now, onSettled)
    this.unstored.add(record)
    const dropped: Array<Outcome> = []
    while (this.outcomeCount > this.limits.maxOutcomes || this.queue.isTooLarge) {
      const oldest = this.queue.shiftOutcome()
      if (oldest === undefined) break
      this.unstored.remove(oldest.record)
      dropped.push(oldest)
    }
    this.overflowed += dropped.length
    return { dropped, isNews: wasEmpty || this.queue.outcomeCount === this.limits.batchSize }
  }

  /** Takes a submission; `next` may say something else now. */
  submit(parts: Parts, done: Submission["done"]): Submission {
    for (const record of parts.decisions) this.unstored.add(record)
    return this.queue.submit(parts, done)
  }

  /** Until as many calls of `relax`, nothing waits for others to share its commit. */
  hurry(): void {
    this.hurries++
  }

  relax(): void {
    this.hurries--
  }

  next(now: number): Step {
    if (this.isEmpty) return { type: "idle" }
    const dueMillis = this.dueMillis()
    if (dueMillis > now) return { type: "wait", untilMillis: dueMillis }
    while (!this.isEmpty && this.taken.length === 0) this.take()
    const [batch] = this.taken
    // All that waited was abandoned.
    if (batch === undefined) return { type: "idle" }
    this.isOnItsWay = true
    return { type: "commit", batch }
  }

  stored(committed: Committed): ReadonlyArray<Verdict> {
    const [batch, ...rest] = this.taken
    this.taken = rest
    this.answered()
    if (batch === undefined) return []
    return [
      ...batch.outcomes.map((outcome) => this.settle(outcome, null)),
      ...answersOf(batch, committed).map(({ committed, submission }) =>
        this.answer(submission, Either.right(committed))
      )
    ]
  }

  refused(error: DatabaseError): ReadonlyArray<Verdict> {
    const [batch, ...rest] = this.taken
    this.answered()
    if (batch === undefined) return []
    const size = batch.outcomes.length + batch.submissions.length
    if (size > 1) {
      this.taken = [...this.singles(batch), ...rest]
      return []
    }
    this.taken = rest
    this.lost += batch.outcomes.length
    return [
      ...batch.outcomes.map((outcome) => this.settle(outcome, error)),
      ...batch.submissions.map((submission) => this.answer(submission, Either.left(error)))
    ]
  }

  away(error: DatabaseError, now: number): ReadonlyArray<Verdict> {
    this.isOnItsWay = false
    this.failures++
    this.lastAttemptMillis = now
    return this.refuseSubmissions(error)
  }

  /** Everybody who waits is refused; outcomes are not. */
  refuseSubmissions(error: DatabaseError): ReadonlyArray<Verdict> {
    const submissions = this.taken.flatMap((batch) => batch.submissions)
    for (let one = this.queue.shiftSubmission(); one !== undefined; one = this.queue.shiftSubmission()) {
      submissions.push(one)
    }
    this.taken = this.taken
      .filter(({ outcomes }) => outcomes.length > 0)
      .map((batch) => (batch.submissions.length === 0 ? batch : { ...batch, submissions: [] }))
    return submissions.map((submission) => this.answer(submission, Either.left(error)))
  }

  get isCommitting(): boolean {
    return this.isOnItsWay
  }

  get isEmpty(): boolean {
    return this.taken.length === 0 && this.queue.outcomeCount + this.queue.submissionCount === 0
  }

  /** Outcomes that are not stored yet. */
  get outcomeCount(): number {
    return this.taken.reduce((sum, { outcomes }) => sum + outcomes.length, this.queue.outcomeCount)
  }

  /** Submissions that no commit has taken. */
  get submissionCount(): number {
    return this.queue.submissionCount
  }

  get oldestMillis(): number | null {
    const taken = this.taken.find(({ outcomes }) => outcomes.length > 0)
    return taken?.outcomes[0]?.offeredAtMillis ?? this.queue.oldestOutcome?.offeredAtMillis ?? null
  }

  /** Outcomes for which there was no room. */
  get overflowCount(): number {
    return this.overflowed
  }

  /** Outcomes that will never be stored. */
  get droppedCount(): number {
    return this.overflowed + this.lost
  }

  private dueMillis(): number {
    const isUrgent =
      this.hurries > 0 || this.queue.submissionCount > 0 || this.taken.some(({ submissions }) => submissions.length > 0)
    if (this.failures > 0) {
      const backoffMs = Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(this.failures - 1, 10))
      return this.lastAttemptMillis + (isUrgent ? minRetryMs : backoffMs)
    }
    if (isUrgent || this.taken.length > 0 || this.queue.outcomeCount >= this.limits.batchSize) return -Infinity
    return (this.queue.oldestOutcome?.offeredAtMillis ?? 0) + this.limits.flushMs
  }

  private take(): void {
    const { outcomes, submissions } = this.queue.take(this.limits.batchSize)
    const waited = submissions.filter((submission) => {
      if (submission.abandoned) this.forget(submission)
      return !submission.abandoned
    })
    if (outcomes.length + waited.length === 0) return
    this.taken = [{ commitId: this.newCommitId(), outcomes, submissions: waited }]
  }

  private singles({ outcomes, submissions }: Batch): ReadonlyArray<Batch> {
    return [
      ...outcomes.map((outcome) => ({ commitId: this.newCommitId(), outcomes: [outcome], submissions: [] })),
      ...submissions.map((submission) => ({ commitId: this.newCommitId(), outcomes: [], submissions: [submission] }))
    ]
  }

  private answered(): void {
    this.isOnItsWay = false
    this.failures = 0
  }

  private settle(outcome: Outcome, error: DatabaseError | null): Verdict {
    this.unstored.remove(outcome.record)
    return { type: "outcome", outcome, error }
  }

  private answer(submission: Submission, result: Either.Either<Committed, DatabaseError>): Verdict {
    this.forget(submission)
    return { type: "submission", submission, result }
  }

  private forget({ parts }: Submission): void {
    for (const record of parts.decisions) this.unstored.remove(record)
  }
}

/** Each submission gets its own part of the answer. */
const answersOf = ({ submissions }: Batch, committed: Committed) => {
  let feedbackAt = 0
  let reportsAt = 0
  return submissions.map((submission) => ({
    submission,
    committed: {
      ...committed,
      feedback: committed.feedback.slice(feedbackAt, (feedbackAt += submission.parts.feedback.length)),
      reports: committed.reports.slice(reportsAt, (reportsAt += submission.parts.reports.length))
    }
  }))
}
