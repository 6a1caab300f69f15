import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Judged } from "../../domain/learning/CommitPlan.ts"
import type { DecisionRecord, OutcomeReport } from "../../domain/routing/DecisionRecord.ts"
import type { Standings } from "../../domain/learning/FeedbackSource.ts"
import type { FeedbackSubmission } from "../../domain/learning/Feedback.ts"
import type { DecisionId, Position, RouterId } from "../../domain/basics/Ids.ts"
import type { Asker } from "../../domain/basics/Owner.ts"
import type { LoggedCommit } from "../../domain/learning/Fold.ts"
import type { LearningEvent } from "../../domain/learning/LearningEvent.ts"
import type { CommitKey, LogMark } from "../../domain/learning/LogMark.ts"
import type { DatabaseError, FeedbackResult, ReportResult, StoredSnapshot } from "../storage/Database.ts"
import type { LogRewound } from "./LogReader.ts"

/**
 * The ordered, append-only log of what was observed. Everything offered here is stored by group commits: one is on its
 * way at a time, and what comes meanwhile fills the next. Whole, because it is one service and most of it is documentation.
 */
export interface LearningLogShape {
  /** Of this process, unique: whose budgets its decisions are paid from. */
  readonly replica: string
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

  /** From then on commits take verdicts of those who are not people as this says at the time. */
  readonly weighBy: (standings: () => Standings) => void

  /** A record that is offered but not stored yet. */
  readonly pendingDecision: (id: DecisionId) => DecisionRecord | undefined

  /** The answered decisions of a session that are offered but not stored yet, in no order. Looks at all that is pending. */
  readonly pendingOfSession: (session: Asker & { readonly sessionId: string }) => ReadonlyArray<DecisionId>

  /**
   * Passes on every commit behind a position, in order, this replica's own and the others', for ever. A database that is
   * away is waited for. Fails if the log no longer is what was read of it, which a mark remembers more of than a position
   * does.
   */
  readonly follow: (
    from: Position | LogMark,
    onCommit: (commit: LoggedCommit) => Effect.Effect<void>
  ) => Effect.Effect<never, LogRewound>

  /** The position of the newest stored commit. */
  readonly position: Effect.Effect<Position, DatabaseError>

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

  /** As `Database.saveSnapshot`. */
  readonly saveSnapshot: (
    fingerprint: string,
    snapshot: StoredSnapshot,
    last?: CommitKey
  ) => Effect.Effect<boolean, DatabaseError>

  /** As `Database.dropSnapshotsAfter`. */
  readonly dropSnapshotsAfter: (position: Position) => Effect.Effect<number, DatabaseError>
}

export class LearningLog extends Context.Tag("conduit/services/LearningLog")<LearningLog, LearningLogShape>() {}
