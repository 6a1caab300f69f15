import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Episode from "../../../domain/observing/Episode.ts"
import type { Position } from "../../../domain/basics/Ids.ts"
import { type DatabaseError, isAway } from "../../../services/storage/Database.ts"

/** Snapshots that cannot be stored, for however long. */
export interface SnapshotTrouble {
  /** `outage` is what the log says of the database, if that is away: then nothing more is to be said. */
  readonly failed: (error: DatabaseError, position: Position, outage: DatabaseError | null) => Effect.Effect<void>
  readonly stored: Effect.Effect<void>
}

export const make = (): SnapshotTrouble => {
  const episode = Episode.make({ quietMillis: 0 })
  return {
    failed: (error, position, outage) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        // The first may be the beginning of an outage that nobody else has noticed yet.
        const isWorthIt = outage === null && (episode.isOpen() || !isAway(error))
        return episode.failed(now, isWorthIt)
          ? Effect.logWarning(`the snapshot at position ${position} is not stored: ${error.message}`)
          : Effect.void
      }),
    stored: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const past = episode.worked(now)
      return past === null
        ? Effect.void
        : Effect.logInfo(
            `snapshots are stored again after ${past.seconds.toFixed(1)}s: ${past.failures} failed attempt(s)`
          )
    })
  }
}
