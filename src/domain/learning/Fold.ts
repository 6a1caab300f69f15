import * as Either from "effect/Either"
import type { Position } from "../basics/Ids.ts"
import * as LearnedState from "./LearnedState.ts"
import type { Change } from "./bandit/Hierarchical.ts"
import type { LearningEvent } from "./LearningEvent.ts"
import * as LogMark from "./LogMark.ts"

/** A commit of the learning log, decoded. */
export interface LoggedCommit extends LogMark.CommitKey {
  readonly events: ReadonlyArray<LearningEvent>
}

/** The learning log, folded up to a position. */
export interface Fold {
  readonly learned: LearnedState.Learning
  readonly mark: LogMark.LogMark
  /** A bug: what is in memory is not what the log says, and nothing more is folded. */
  stopped: { readonly position: Position; readonly cause: unknown } | null
}

/** A state that is folded up to the position already. */
export const make = (learned: LearnedState.Learning, position: Position): Fold => ({
  learned,
  mark: LogMark.make(position),
  stopped: null
})

export const position = ({ mark }: Fold): Position => mark.position

/** Folds the next commit; answers the changes of models that it shows. Null for one that is folded already. */
export const apply = (fold: Fold, commit: LoggedCommit): ReadonlyArray<Change> | null => {
  if (commit.position <= fold.mark.position || fold.stopped !== null) return null
  LogMark.advance(fold.mark, commit)
  const changes: Array<Change> = []
  const folded = Either.try(() => {
    for (const event of commit.events) {
      const change = LearnedState.fold(fold.learned, commit.position, event)
      if (change !== null) changes.push(change)
    }
  })
  if (Either.isLeft(folded)) fold.stopped = { position: commit.position, cause: folded.left }
  return changes
}

/** The state as snapshots store it. */
export const encode = ({ learned }: Fold): Uint8Array => LearnedState.encode(learned)

/** The commit that was folded last; undefined where a snapshot was made of it and it was pruned since. */
export const last = ({ mark }: Fold): LogMark.CommitKey | undefined => mark.recent.at(-1)
