import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Judged } from "../../domain/learning/CommitPlan.ts"
import type { DecisionRecord, OutcomeReport } from "../../domain/routing/DecisionRecord.ts"
import type { FeedbackSubmission } from "../../domain/learning/Feedback.ts"
import type { DecisionId, Position, RouterId } from "../../domain/basics/Ids.ts"
import type { LearningEvent } from "../../domain/learning/LearningEvent.ts"
import type { DatabaseError, FeedbackResult, ReportResult, StoredSnapshot } from "../storage/Database.ts"

/**
 * The ordered, append-only log of what was observed. Everything offered here is stored by group commits: one is on its
 * way at a time, and what comes meanwhile fills the next.
 */
export interface LearningLogShape {
  /** The router whose log this is. */
  readonly router: { readonly id: RouterId; readonly seed: string }

  /**
   * Write-behind: takes the record at once and stores it within the flush interval. Never waits and never fails; when
   * the queue is full the oldest record is dropped and counted. Whoever wants to know what became of it is told, once.
   */
  readonly offer: (record: DecisionRecord, onSettled?: (isStored: boolean) => void) => void

  /** Durable variant of `offer`: completes when the record is stored. */
  readonly record: (record: DecisionRecord) => Effect.Effect<Position, DatabaseError>

  /** Durable: completes when decision, feedback and event are stored. */
  readonly feedback: (
    submission: FeedbackSubmission
  ) => Effect.Effect<FeedbackResult & { readonly position: Position }, DatabaseError>

  /** Durable: several submissions in one commit, all or none; a result for each, in order. */
  readonly feedbackAll: (
    submissions: ReadonlyArray<FeedbackSubmission>
  ) => Effect.Effect<{ readonly results: ReadonlyArray<FeedbackResult>; readonly position: Position }, DatabaseError>

  /** Durable: the outcome of a decision of `/v1/route`. */
  readonly report: (
    report: OutcomeReport
  ) => Effect.Effect<ReportResult & { readonly position: Position }, DatabaseError>

  /** Durable: events that belong to no request. */
  readonly append: (events: ReadonlyArray<LearningEvent>) => Effect.Effect<Position, DatabaseError>

  /** Called with each answer whose first judgement this replica has stored. */
  readonly onJudged: (listener: (judged: Judged) => void) => void

  /** A record that is offered but not stored yet. */
  readonly pendingDecision: (id: DecisionId) => DecisionRecord | undefined

  /** The answered decisions of a session that are offered but not stored yet, in no order. Looks at all that is pending. */
  readonly pendingOfSession: (session: {
    readonly sessionId: string
    readonly owner: string | null
  }) => ReadonlyArray<DecisionId>

  /**
   * Every commit after `position`, in order, this replica's own and the others', for ever. A database that is away is
   * waited for; the stream never fails.
   */
  readonly follow: (
    position: Position
  ) => Stream.Stream<{ readonly position: Position; readonly events: ReadonlyArray<LearningEvent> }>

  /** The position of the newest stored commit. */
  readonly position: Effect.Effect<Position, DatabaseError>

  /** The position of the oldest stored commit: above 1 when what came before was pruned; 0 if there is none. */
  readonly oldestPosition: Effect.Effect<Position, DatabaseError>

  /** The newest position that this replica has heard of, by its own commits, by hints and by polls. */
  readonly newestKnown: () => Position

  /** Stores everything that is pending, retrying as long as it is not interrupted; keeps the last error for `lastError`. */
  readonly flush: Effect.Effect<void>

  /** How many offered records are not stored, and what the database said last, if it is away. */
  readonly backlog: () => {
    readonly pending: number
    readonly dropped: number
    readonly oldestPendingMillis: number | null
    readonly lastError: DatabaseError | null
  }

  readonly snapshots: (fingerprint: string) => Effect.Effect<ReadonlyArray<StoredSnapshot>, DatabaseError>
  readonly saveSnapshot: (fingerprint: string, snapshot: StoredSnapshot) => Effect.Effect<void, DatabaseError>
}

export class LearningLog extends Context.Tag("conduit/services/LearningLog")<LearningLog, LearningLogShape>() {}
