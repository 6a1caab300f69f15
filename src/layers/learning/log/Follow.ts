import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { decodeEvents } from "../../../domain/learning/EventCodec.ts"
import type { Position, RouterId } from "../../../domain/basics/Ids.ts"
import type { LearningEvent } from "../../../domain/learning/LearningEvent.ts"
import type { DatabaseShape } from "../../../services/storage/Database.ts"
import type { News } from "./News.ts"
import type { Outage } from "./Outage.ts"

const chunkSize = 500
/** All commits after `position`, waiting for those that are not there yet and for a database that is away. */
export const follow = (options: {
  readonly routerId: RouterId
  readonly database: DatabaseShape
  /** Wakes the reader. */
  readonly news: News
  readonly outage: Outage
  /** Commits that nobody told of are seen at the latest after this. */
  readonly pollInterval: Duration.Duration
  readonly position: Position
}) => {
  const { database, news, outage, pollInterval, routerId } = options

  /** How far the log goes beyond a full chunk; the next poll asks again. */
  const askHowFar = Effect.disconnect(database.position(routerId)).pipe(
    Effect.match({ onFailure: () => undefined, onSuccess: news.heard })
  )

  const read = (position: Position) =>
    Effect.gen(function* () {
      while (true) {
        const seen = news.count()
        const rows = yield* outage
          .watched(Effect.disconnect(database.commitsAfter(routerId, position, chunkSize)))
          .pipe(Effect.orElseSucceed(() => null))
        if (rows === null) yield* Effect.sleep(pollInterval)
        else if (rows.length > 0) {
          if (rows.length === chunkSize && news.newest() <= (rows.at(-1)?.position ?? 0)) yield* askHowFar
          news.heard(rows.at(-1)?.position ?? 0)
          return rows
        } else yield* Effect.raceFirst(news.after(seen), Effect.sleep(pollInterval))
      }
    })

  /** What cannot be read is passed as a commit without events: nothing that comes later would help it. */
  const decode = (row: { readonly position: Position; readonly payload: Uint8Array }) =>
    Either.match(decodeEvents(row.payload), {
      onRight: (events) => Effect.succeed({ position: row.position, events }),
      onLeft: (damage) =>
        Effect.as(
          Effect.logError(
            `The learning log is damaged at position ${row.position}, which is skipped: ${damage.message}`
          ),
          { position: row.position, events: [] as ReadonlyArray<LearningEvent> }
        )
    })

  return Stream.paginateChunkEffect(options.position, (position) =>
    Effect.gen(function* () {
      const rows = yield* read(position)
      const commits = yield* Effect.forEach(rows, decode)
      return [Chunk.fromIterable(commits), Option.some(commits.at(-1)?.position ?? position)] as const
    })
  )
}
