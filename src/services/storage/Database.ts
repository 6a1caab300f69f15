import * as Context from "effect/Context"
import type { Standings } from "../../domain/learning/FeedbackSource.ts"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { Judged, StoredFeedback } from "../../domain/learning/CommitPlan.ts"
import type { DecisionRecord, OutcomeReport } from "../../domain/routing/DecisionRecord.ts"
import type { OutcomeKind } from "../../domain/routing/Outcome.ts"
import type { Reason } from "../../domain/routing/Decision.ts"
import type { Feedback, FeedbackSubmission, StoredStatus } from "../../domain/learning/Feedback.ts"
import type { DecisionId, Position, RouterId } from "../../domain/basics/Ids.ts"
import type { Asker, Reader } from "../../domain/basics/Owner.ts"
import type { LearningEvent } from "../../domain/learning/LearningEvent.ts"
import type { CommitKey } from "../../domain/learning/LogMark.ts"
import type { BudgetStoreShape } from "./BudgetStore.ts"
import type { KeyStoreShape } from "./KeyStore.ts"
import type { SavingsRows } from "../../domain/stats/Savings.ts"
import type { StatsQuery, StatsRows } from "../../domain/stats/Stats.ts"

/**
 * What is stored: routers, decisions, feedback, the learning log and snapshots. All implementations pass
 * `test/support/databaseContract.ts`. Every method has its own time limit and fails with `DatabaseError`, or as its type says.
 * Whole, because it is one service and most of it is documentation.
 */
export interface DatabaseShape {
  /** The router of that name, made if new; without a name the one that this database remembers. */
  readonly router: (id: Option.Option<RouterId>) => Effect.Effect<RouterRow, DatabaseError>

  /**
   * Stores a whole commit or nothing, in one transaction, and gives it the next position of its router; position order
   * is commit order. Repeating a `commitId` is harmless: it answers what the first one stored, as `duplicate`.
   * A commit that has no event (and none comes of its feedback) takes no position: then `position` is the current one.
   */
  readonly commit: (commit: Commit) => Effect.Effect<Committed, DatabaseError>

  /** Reads the log from a position on, as it is at one moment. */
  readonly readLog: (routerId: RouterId, range: LogRange) => Effect.Effect<LogPage, DatabaseError>

  /**
   * Positions of commits as they are told of: a hint, which may be late, doubled or missing, so whoever follows polls too.
   * Never fails, and ends where nobody would tell.
   */
  readonly changes: (routerId: RouterId) => Stream.Stream<Position>

  /** The position of the newest commit; 0 if there is none. */
  readonly position: (routerId: RouterId) => Effect.Effect<Position, DatabaseError>

  readonly decision: (routerId: RouterId, id: DecisionId) => Effect.Effect<Option.Option<StoredDecision>, DatabaseError>

  /** Those that the query names, newest first. */
  readonly decisions: (
    routerId: RouterId,
    query: DecisionQuery
  ) => Effect.Effect<ReadonlyArray<StoredDecision>, DatabaseError>

  /**
   * The decisions that the query names, added up, as they are stored at this moment: the sums of whole hours and days, what
   * has changed since those were made, and the decisions of the rest of the window. What does not end in time is
   * `WindowTooLong`.
   */
  readonly stats: (routerId: RouterId, query: StatsQuery) => Effect.Effect<StatsRows, DatabaseError | WindowTooLong>

  /**
   * Adds some of what changed to the sums that `stats` reads, in one transaction. Without it answers are the same, and slow.
   * Several replicas may do so at once, then one of them does.
   */
  readonly addUp: (routerId: RouterId, options: AddUpOptions) => Effect.Effect<AddedUp, DatabaseError>

  /** What savings are estimated from, of a random share (0, 1] of those decisions, or of fewer where these are too many. */
  readonly savings: (
    routerId: RouterId,
    query: StatsQuery,
    sampled: number
  ) => Effect.Effect<SavingsRows, DatabaseError | WindowTooLong>

  /** The answered decisions of a session, newest first, at most `limit`. */
  readonly sessionDecisions: (
    routerId: RouterId,
    session: Asker & { readonly sessionId: string },
    limit: number
  ) => Effect.Effect<ReadonlyArray<DecisionId>, DatabaseError>

  /** The feedback that was stored with that idempotency key, and what it was answered. */
  readonly feedbackByKey: (
    routerId: RouterId,
    idempotencyKey: string
  ) => Effect.Effect<Option.Option<StoredFeedback>, DatabaseError>

  /** Parked feedback whose decision has appeared since, oldest first, at most `limit`. */
  readonly joinable: (
    routerId: RouterId,
    limit: number
  ) => Effect.Effect<ReadonlyArray<FeedbackSubmission>, DatabaseError>

  /** The position of the oldest stored commit: 1 unless the log was pruned; 0 if there is none. */
  readonly oldestPosition: (routerId: RouterId) => Effect.Effect<Position, DatabaseError>

  /**
   * Deletes at most `batch` rows of each kind that are past their limits. A commit goes only when all before it are gone,
   * when both kept snapshots of every policy that is still in use cover it, and if it is not the newest. Several replicas
   * may do so at once.
   */
  readonly prune: (routerId: RouterId, limits: PruneLimits, batch: number) => Effect.Effect<Pruned, DatabaseError>

  /** Snapshots of that policy, newest first; the last two are kept. */
  readonly snapshots: (
    routerId: RouterId,
    fingerprint: string
  ) => Effect.Effect<ReadonlyArray<StoredSnapshot>, DatabaseError>

  /**
   * Stores the snapshot. With `last`, only if the log has that commit: a state that was folded from a log which has gone
   * back since is not stored, and the answer is false.
   */
  readonly saveSnapshot: (
    routerId: RouterId,
    fingerprint: string,
    snapshot: StoredSnapshot,
    last?: CommitKey
  ) => Effect.Effect<boolean, DatabaseError>

  /** Deletes the snapshots of all policies that are ahead of the position; answers how many there were. */
  readonly dropSnapshotsAfter: (routerId: RouterId, position: Position) => Effect.Effect<number, DatabaseError>

  /** Of all routers. */
  readonly keys: KeyStoreShape
  readonly budgets: BudgetStoreShape
}

export class Database extends Context.Tag("conduit/services/Database")<Database, DatabaseShape>() {}

/** One shared learning state. */
export interface RouterRow {
  readonly id: RouterId
  /** What all draws of this router are keyed with. */
  readonly seed: string
  readonly position: Position
}

/** One atomic append. */
export interface Commit {
  readonly routerId: RouterId
  /** A UUID. */
  readonly commitId: string
  /** Whose loans of budgets the decisions pay; absent where nobody borrows. */
  readonly replica?: string
  readonly decisions: ReadonlyArray<DecisionRecord>
  /** Outcomes that callers of `/v1/route` reported. */
  readonly reports: ReadonlyArray<OutcomeReport>
  readonly feedback: ReadonlyArray<FeedbackSubmission>
  /** Events that belong to nothing above: models, resets. The events of decisions, reports and feedback are derived. */
  readonly events: ReadonlyArray<LearningEvent>
  /** Parked feedback that can join: its rows exist already. */
  readonly joined: ReadonlyArray<FeedbackSubmission>
  /** No feedback is parked while so much is. Replicas that commit at the same time may exceed it by a batch each. */
  readonly maxParked: number
  /** How verdicts of those who are not people are taken. */
  readonly standings?: Standings
}

export interface Committed {
  readonly position: Position
  readonly duplicate: boolean
  /** What the log has at that position, by `encodeEvents`. Null for a duplicate, and where there was no event. */
  readonly payload: Uint8Array | null
  /** One for each of `commit.feedback`, in order. Empty for a duplicate. */
  readonly feedback: ReadonlyArray<FeedbackResult>
  /** One for each of `commit.reports`, in order. Empty for a duplicate. */
  readonly reports: ReadonlyArray<ReportResult>
  /** How much of `commit.joined` found its decision; 0 for a duplicate. */
  readonly joined: number
  /** The answers that this commit judged for the first time. Empty for a duplicate. */
  readonly judged: ReadonlyArray<Judged>
}

export interface StoredCommit extends CommitKey {
  /** The events, by `encodeEvents`. */
  readonly payload: Uint8Array
}

export interface LogRange {
  /** The commits behind this position are read, in order. */
  readonly after: Position
  readonly limit: number
  /** Of so many commits up to and with `after` the keys are read too, as far as they are not pruned. */
  readonly overlap: number
}

export interface LogPage {
  /** The position of the newest commit; 0 if there is none. */
  readonly end: Position
  readonly before: ReadonlyArray<CommitKey>
  readonly commits: ReadonlyArray<StoredCommit>
}

/**
 * `recorded`: decision, feedback and event are stored. `superseded`: the same, and it took the place of an earlier one of
 * the same kind and source. `parked`: its decision is not stored yet. `conflict`: the idempotency key was used with other
 * content. `not_yours`: the decision belongs to another key. `parking_full`: it would have to be parked, and too much is.
 * A repetition answers what the first one answered, and its id.
 */
export interface FeedbackResult {
  readonly id: string
  readonly status: StoredStatus | "conflict" | "not_yours" | "parking_full"
}

/** `unknown`: no such decision is stored (or it is another key's); `conflict`: it has a different outcome already. */
export interface ReportResult {
  readonly status: "recorded" | "unknown" | "conflict"
}

export interface StoredDecision {
  readonly record: DecisionRecord
  readonly feedback: ReadonlyArray<Feedback>
}

/** Which decisions, of those that the reader reads; null is any. */
export interface DecisionQuery extends Reader {
  /** The one that answered; the chosen one while nobody answered. */
  readonly model: string | null
  /** From this instant on. */
  readonly fromMillis: number | null
  /** Before this instant. */
  readonly untilMillis: number | null
  readonly userId: string | null
  readonly task: string | null
  readonly algorithm: string | null
  /** As it is shown: `fallback` when another model answered than the chosen one. */
  readonly reason: Reason | null
  /** `pending`: nobody reported on it yet. */
  readonly outcome: OutcomeKind | null
  /** The cursor: only older ones than this. */
  readonly before: DecisionId | null
  readonly limit: number
}

export interface AddUpOptions {
  /** At most so many changed decisions, and so many older ones that no sum has yet. */
  readonly batch: number
  /** What the costs of decisions from half a minute on are measured with. */
  readonly costReferenceUsd: number
  /** Whether this is not known to be told already. */
  readonly isReferenceNew: boolean
  readonly latencyReferenceSeconds: number
  readonly nowMillis: number
}

export interface AddedUp {
  /** How many decisions. */
  readonly added: number
  /** Whether there is nothing more to add up by now. */
  readonly isDone: boolean
}

/** What was made before these instants (Unix milliseconds) may go. */
export interface PruneLimits {
  /** Decisions and their feedback. */
  readonly decisionsBeforeMillis: number
  readonly promptsBeforeMillis: number
  /** Feedback whose decision has not appeared. */
  readonly parkedBeforeMillis: number
  readonly logBeforeMillis: number
  /** A policy whose newest snapshot is older is not in use any more. */
  readonly snapshotsSinceMillis: number
}

/** How many rows were deleted. */
export interface Pruned {
  readonly decisions: number
  readonly feedback: number
  readonly prompts: number
  readonly parked: number
  readonly commits: number
}

export interface StoredSnapshot {
  readonly watermark: Position
  readonly state: Uint8Array
}

/** Why a database operation failed, as an on-call person would say it. */
export const DatabaseErrorReason = Schema.Literal(
  "connection",
  "authentication",
  "permission",
  "disk_full",
  "read_only",
  "timeout",
  "too_many_connections",
  "system_error",
  "schema_newer",
  "conflict",
  "constraint",
  "unexpected"
)

/** The one wrapper of everything a database driver reports. */
export class DatabaseError extends Schema.TaggedError<DatabaseError>()("DatabaseError", {
  operation: Schema.String,
  reason: DatabaseErrorReason,
  /** The driver's message and SQLSTATE; never a password, never values. */
  detail: Schema.String,
  /** A write whose answer was not waited for, or did not come: it may be stored all the same. */
  mayBeStored: Schema.optionalWith(Schema.Literal(true), { exact: true })
}) {
  override get message() {
    return `${this.operation}: ${this.reason} (${this.detail})`
  }
}

/** Whether the same operation may succeed by itself a little later: nobody answered, or had no room. */
export const isAway = ({ reason }: DatabaseError): boolean =>
  reason === "connection" || reason === "timeout" || reason === "too_many_connections"

/** Whether the same operation will never succeed: the database refuses what it is given, or the statement itself. */
export const isPermanent = ({ reason }: DatabaseError): boolean => reason === "constraint" || reason === "unexpected"

/** There are more decisions than can be added up within the limit of one statement. */
export class WindowTooLong extends Schema.TaggedError<WindowTooLong>()("WindowTooLong", {}) {
  override get message() {
    return "there are too many decisions in this window to add them up in time: ask for a shorter one"
  }
}

/** The pool did not close in time; its backends were terminated, if the database could still be reached. */
export class PoolCloseTimeout extends Schema.TaggedError<PoolCloseTimeout>()("PoolCloseTimeout", {
  limitMs: Schema.Number,
  /** What the backends were doing: query text without values, and for how long. */
  busy: Schema.Array(Schema.Struct({ query: Schema.String, ageMs: Schema.Number })),
  terminated: Schema.Number
}) {
  override get message() {
    return `the pool did not close within ${this.limitMs} ms, ${this.terminated} backend(s) terminated`
  }
}
