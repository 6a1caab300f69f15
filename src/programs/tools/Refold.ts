import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { decodeEvents } from "../../domain/learning/EventCodec.ts"
import type { Position } from "../../domain/basics/Ids.ts"
import * as Learning from "../../domain/learning/LearnedState.ts"
import { type Restored, restore } from "../../layers/learning/fold/Restore.ts"
import type { OpenRouter } from "./OpenRouter.ts"
import { progressOf } from "./Progress.ts"

const chunkSize = 500

/** Folds the commits after `from`, up to and with `until`, as the service does. Changes `from.learning`. */
export const foldOn = Effect.fnUntraced(function* (open: OpenRouter, from: Restored, until: Position) {
  const { database, router } = open
  const progress = progressOf("folding the log", "commits", until - from.position)
  let position = from.position
  while (position < until) {
    const rows = yield* database.commitsAfter(router.id, position, Math.min(chunkSize, until - position))
    if (rows.length === 0) break
    for (const row of rows) {
      if (row.position > position + 1) yield* missing(position, row.position - 1)
      const events = decodeEvents(row.payload)
      if (Either.isLeft(events)) {
        yield* Effect.logError(
          `the log is damaged at position ${row.position}, which is skipped: ${events.left.message}`
        )
      } else {
        for (const event of events.right) Learning.fold(from.learning, row.position, event)
      }
      position = row.position
    }
    progress.at(position - from.position)
    yield* Effect.yieldNow()
  }
  progress.end()
  if (position < until) yield* missing(position, until)
  return { learning: from.learning, position } satisfies Restored
})

/** Those of a log that was pruned before its first snapshot are `restore`'s to name. */
const missing = (after: Position, last: Position) =>
  after === 0
    ? Effect.void
    : Effect.logError(
        `the log has no commits from position ${after + 1} to ${last}: what was learned by them is missing`
      )

/** The state before the first commit. */
export const beginning = ({ dimension, parameters }: OpenRouter): Restored => ({
  learning: Learning.make(parameters, dimension),
  position: 0
})

/** As the service starts: the newest good snapshot, and the tail of the log. */
export const newest = Effect.fnUntraced(function* (open: OpenRouter) {
  const { database, dimension, fingerprint, parameters, router } = open
  const end = yield* database.position(router.id)
  const oldest = yield* database.oldestPosition(router.id)
  const snapshots = yield* database.snapshots(router.id, fingerprint)
  return yield* foldOn(open, yield* restore({ end, oldest, snapshots, parameters, dimension }), end)
})

/** The first commit that is still there; null of an empty log. */
export const oldestCommit = ({ database, router }: OpenRouter) =>
  Effect.map(database.commitsAfter(router.id, 0, 1), ([row]) => row?.position ?? null)
