import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Hierarchical from "../../domain/learning/bandit/Hierarchical.ts"
import type { Fold, LoggedCommit } from "../../domain/learning/Fold.ts"
import type * as LearnedState from "../../domain/learning/LearnedState.ts"
import type { SnapshotDamaged } from "../../domain/learning/Snapshot.ts"
import type { Position, RouterId } from "../../domain/basics/Ids.ts"
import type { DatabaseError } from "../storage/Database.ts"

/**
 * Reads a router's snapshots and its log, and folds them: the service starts by it, and the commands look at, compare and
 * replay what was learned. Changes nothing that is stored.
 */
export interface LogReaderShape {
  /** What this version folds with. Only snapshots of its fingerprint can be read. */
  readonly policy: {
    readonly parameters: Hierarchical.Parameters
    readonly dimension: number
    readonly featuresVersion: string
    readonly fingerprint: string
  }

  /** The state before the first commit. */
  readonly beginning: () => Fold

  /** Where the log begins and ends. */
  readonly extent: (routerId: RouterId) => Effect.Effect<LogExtent, DatabaseError>

  /** Every snapshot of this policy, newest first. */
  readonly snapshots: (routerId: RouterId) => Effect.Effect<ReadonlyArray<ReadSnapshot>, DatabaseError>

  /**
   * The newest snapshot that is whole and meets the log; at worst the state before the first commit that is left. Logs why
   * a newer one is not used. With `upTo`, none that is ahead of that position.
   */
  readonly restore: (routerId: RouterId, upTo?: Position) => Effect.Effect<Restored, DatabaseError>

  /**
   * Folds the commits behind the fold's position, up to and with `until` or where the log ends, and changes `fold`. Logs
   * commits that are damaged or missing. `onFolded` is told every few thousand events.
   */
  readonly foldUntil: (
    routerId: RouterId,
    fold: Fold,
    until: Position,
    onFolded?: (folded: FoldedCommits) => Effect.Effect<void>
  ) => Effect.Effect<void, DatabaseError | LogRewound | FoldStopped>

  /** `restore`, and the tail of the log: the state as a start of the service has it. */
  readonly newest: (routerId: RouterId) => Effect.Effect<Restored, DatabaseError | LogRewound | FoldStopped>
}

export class LogReader extends Context.Tag("conduit/services/LogReader")<LogReader, LogReaderShape>() {}

export interface LogExtent {
  /** The position of the oldest commit that is left: above 1 if the log was pruned; 0 if there is none. */
  readonly oldest: Position
  /** The position of the newest commit; 0 if there never was one. */
  readonly end: Position
}

export interface ReadSnapshot {
  readonly watermark: Position
  readonly state: Either.Either<LearnedState.Learning, SnapshotDamaged>
}

export interface Restored {
  readonly fold: Fold
  /** Less is known than was learned, though snapshots of it are stored: they are not to be replaced by what is left. */
  readonly isIncomplete: boolean
  /** Where the log ended at that time. */
  readonly end: Position
  /** A snapshot is stored that is ahead of the end, or of `upTo`: it holds what the log has lost. */
  readonly isAhead: boolean
}

export interface FoldedCommits {
  readonly commits: ReadonlyArray<LoggedCommit>
  /** Of models that they show. */
  readonly changes: ReadonlyArray<Hierarchical.Change>
}

/** Folding a commit threw: a bug, which leaves a state that is not to be used. */
export class FoldStopped extends Schema.TaggedError<FoldStopped>()("FoldStopped", {
  position: Schema.Number,
  cause: Schema.Defect
}) {
  override get message() {
    return `the fold stopped at position ${this.position}: ${String(this.cause)}`
  }
}

/**
 * The log does not have the commits any more that were folded from it: the database went back, as a standby does that is
 * promoted before it has received them.
 */
export class LogRewound extends Schema.TaggedError<LogRewound>()("LogRewound", {
  /** How far the log was folded. */
  folded: Schema.Number,
  /** Where it ends now. */
  end: Schema.Number,
  /** Nothing beyond this position is as it was. */
  common: Schema.Number,
  /** Commits that were folded and are lost. */
  lost: Schema.Number,
  /** False if it may be more than that. */
  isExact: Schema.Boolean
}) {
  override get message() {
    return (
      `the learning log was folded up to position ${this.folded}, ends at ${this.end} now, and is the same up to ${this.common} only: ` +
      `${this.isExact ? "" : "at least "}${this.lost} commit(s) that were acknowledged are lost in the database`
    )
  }
}
