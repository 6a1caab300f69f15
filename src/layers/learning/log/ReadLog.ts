import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { decodeEvents } from "../../../domain/learning/EventCodec.ts"
import type { LoggedCommit } from "../../../domain/learning/Fold.ts"
import * as LogMark from "../../../domain/learning/LogMark.ts"
import type { Position, RouterId } from "../../../domain/basics/Ids.ts"
import type { DatabaseError, DatabaseShape, StoredCommit } from "../../../services/storage/Database.ts"
import { LogRewound } from "../../../services/learning/LogReader.ts"

/** The next commits of a log, which is still the one that was read before. */
export interface NextCommits {
  /** Where the log ends. */
  readonly end: Position
  readonly commits: ReadonlyArray<LoggedCommit>
}

/**
 * Reads the commits behind the mark, at most `limit`, and compares what is before them with what the mark remembers. One
 * that remembers nothing yet learns it.
 */
export const readLog = Effect.fnUntraced(function* (options: {
  readonly database: Pick<DatabaseShape, "readLog">
  readonly routerId: RouterId
  readonly mark: LogMark.LogMark
  readonly limit: number
}): Effect.fn.Return<NextCommits, DatabaseError | LogRewound> {
  const { database, limit, mark, routerId } = options
  const after = mark.position
  const read = (overlap: number, limit: number) =>
    Effect.disconnect(database.readLog(routerId, { after, limit, overlap }))
  const page = yield* read(LogMark.compared, limit)
  if (!LogMark.isIn(mark, after, page)) {
    const loss = LogMark.lossOf(mark, yield* read(mark.recent.length, 0))
    return yield* new LogRewound({
      folded: after,
      end: page.end,
      common: loss.common,
      lost: loss.commits,
      isExact: loss.isExact
    })
  }
  if (mark.recent.length === 0 && mark.position === after) mark.recent = page.before.slice()
  const commits: Array<LoggedCommit> = []
  let position = after
  for (const row of page.commits) {
    if (row.position > position + 1 && position > 0) yield* logMissing(position, row.position - 1)
    commits.push(yield* decode(row))
    position = row.position
  }
  return { end: page.end, commits }
})

/** What cannot be decoded is passed as a commit without events: nothing that comes later would help it. */
export const decode = ({ commitId, payload, position }: StoredCommit): Effect.Effect<LoggedCommit> =>
  Either.match(decodeEvents(payload), {
    onRight: (events) => Effect.succeed({ position, commitId, events }),
    onLeft: (damage) =>
      Effect.as(
        Effect.logError(`The learning log is damaged at position ${position}, which is skipped: ${damage.message}`),
        { position, commitId, events: [] }
      )
  })

/** Those of a log that was pruned before its first snapshot are named when a state is restored. */
export const logMissing = (after: Position, last: Position): Effect.Effect<void> =>
  Effect.logError(`the log has no commits from position ${after + 1} to ${last}: what was learned by them is missing`)
