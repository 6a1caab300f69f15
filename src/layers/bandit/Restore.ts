import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Hierarchical from "../../domain/bandits/Hierarchical.ts"
import type { Position } from "../../domain/Ids.ts"
import type { StoredSnapshot } from "../../services/Database.ts"
import * as Learning from "./Learning.ts"

/** A state, and the log position up to which it is folded. */
export interface Restored {
  readonly learning: Learning.Learning
  readonly position: Position
}

/** The newest snapshot that is whole and not ahead of the log; at worst the state before the first event. */
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
  for (const { state, watermark } of snapshots) {
    if (watermark > end) {
      yield* Effect.logWarning(
        `the snapshot at position ${watermark} is ahead of the log, which ends at ${end}: the one before it is tried`
      )
      continue
    }
    const decoded = Learning.decode(state, parameters, dimension)
    if (Either.isRight(decoded)) return { learning: decoded.right, position: watermark } satisfies Restored
    yield* Effect.logWarning(
      `the snapshot at position ${watermark} is damaged, the one before it is tried: ${decoded.left.message}`
    )
  }
  if (end > 0 && oldest !== 1) {
    yield* Effect.logWarning(
      `no snapshot of this policy can be used, and the learning log ${oldest === 0 ? "is empty" : `begins at position ${oldest}`} of ${end}: what was learned before is not known to it`
    )
  }
  return { learning: Learning.make(parameters, dimension), position: 0 } satisfies Restored
})
