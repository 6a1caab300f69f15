import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Hierarchical from "../../../domain/learning/bandit/Hierarchical.ts"
import type { Position } from "../../../domain/basics/Ids.ts"
import type { StoredSnapshot } from "../../../services/storage/Database.ts"
import * as Learning from "../../../domain/learning/LearnedState.ts"

/** A state, and the log position up to which it is folded. */
export interface Restored {
  readonly learning: Learning.Learning
  readonly position: Position
}

/** How a fold of the log begins. */
export interface Restoration extends Restored {
  /** Less is known than was learned, though snapshots of it are stored: they are not to be replaced by what is left. */
  readonly isIncomplete: boolean
}

/** The newest snapshot that is whole and meets the log; at worst the state before the first event that is left. */
export const restore = Effect.fnUntraced(function* (from: {
  /** Where the log ends. */
  readonly end: Position
  /** Where it begins: above 1 if it was pruned; 0 if nothing is left. */
  readonly oldest: Position
  /** Newest first. */
  readonly snapshots: ReadonlyArray<StoredSnapshot>
  readonly parameters: Hierarchical.Parameters
  readonly dimension: number
}) {
  const { dimension, end, oldest, parameters, snapshots } = from
  const meetsLog = (watermark: Position) => watermark === end || (oldest > 0 && watermark >= oldest - 1)
  for (const { state, watermark } of snapshots) {
    if (watermark > end) {
      yield* Effect.logWarning(
        `the snapshot at position ${watermark} is ahead of the log, which ends at ${end}: the one before it is tried`
      )
      continue
    }
    if (!meetsLog(watermark)) {
      yield* Effect.logWarning(
        `the snapshot at position ${watermark} does not meet the log, ${oldest === 0 ? `of which nothing is left before ${end}` : `which begins at ${oldest}`}: the one before it is tried`
      )
      continue
    }
    const decoded = Learning.decode(state, parameters, dimension)
    if (Either.isRight(decoded)) {
      return { learning: decoded.right, position: watermark, isIncomplete: false } satisfies Restoration
    }
    yield* Effect.logWarning(
      `the snapshot at position ${watermark} is damaged, the one before it is tried: ${decoded.left.message}`
    )
  }
  const isCut = end > 0 && oldest !== 1
  const isIncomplete = isCut && snapshots.length > 0
  if (isCut) {
    const what = `no snapshot of this policy can be used, and the learning log ${oldest === 0 ? "is empty" : `begins at position ${oldest}`} of ${end}: what was learned before is not known to it`
    yield* isIncomplete
      ? Effect.logError(
          `${what}; the snapshots stay as they are: give the router an exported state of position ${end} by \`conduit state import FILE --yes\`, or accept the loss by \`conduit state reset --all --yes\``
        )
      : Effect.logWarning(what)
  }
  // Of an empty log nothing comes before its end, where whoever waits for what is before would wait for ever.
  const position = oldest === 0 ? end : 0
  return { learning: Learning.make(parameters, dimension), position, isIncomplete } satisfies Restoration
})
