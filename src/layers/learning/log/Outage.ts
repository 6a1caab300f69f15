import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as EpisodeLog from "../../../services/observing/EpisodeLog.ts"
import { DatabaseError, isAway } from "../../../services/storage/Database.ts"
import type { CommitterState } from "./CommitterState.ts"

/** A write that failed without anything left to write is forgotten when reads work, after so long. */
const forgottenMillis = 10_000

/** Whether the database is away, noticed by whoever asks it: one episode, which is logged at its beginning and end. */
export interface Outage {
  readonly isOpen: () => boolean
  readonly lastError: () => DatabaseError | null
  readonly writeFailed: (error: DatabaseError, refused: number) => Effect.Effect<void>
  readonly wrote: Effect.Effect<void>
  /** The same read, whose result is noticed. */
  readonly watched: <A, E>(read: Effect.Effect<A, DatabaseError | E>) => Effect.Effect<A, DatabaseError | E>
}

export const makeOutage = (state: CommitterState): Outage => {
  let writing: { readonly error: DatabaseError; readonly atMillis: number } | null = null
  let reading: { readonly error: DatabaseError; readonly inARow: number } | null = null
  let refusals = 0

  const away = EpisodeLog.make({
    began: (error: DatabaseError) =>
      Effect.logWarning(`The database is away, outcomes wait in memory and feedback is refused: ${error.message}`),
    ended: ({ failures, seconds }) => {
      const refused = refusals
      refusals = 0
      return Effect.logInfo(
        `The database is back after ${seconds}s: ` +
          `${failures} failed attempt(s), ${state.outcomeCount} outcome(s) waited, ${refused} submission(s) were refused`
      )
    }
  })
  const unreadable = EpisodeLog.make({
    began: (error: DatabaseError) =>
      Effect.logWarning(`The learning log cannot be read, what others learn is missing here: ${error.message}`),
    ended: ({ failures, seconds }) =>
      Effect.logInfo(`The learning log is read again after ${seconds}s: ${failures} failed attempt(s)`)
  })

  const worked = Effect.suspend(() => (writing === null && reading === null ? away.worked : Effect.void))

  const readFailed = (error: DatabaseError) => {
    if (!isAway(error) && error.reason !== "authentication") return unreadable.failed(error)
    reading = { error, inARow: (reading?.inARow ?? 0) + 1 }
    // One may be a connection that had died; the next poll is on another.
    return away.failed(error, reading.inARow > 1)
  }

  const read = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    reading = null
    // Nobody writes, so no write will show that it works again. Of a database that can only be read, reads show nothing.
    if (writing !== null && isAway(writing.error) && state.isEmpty && now - writing.atMillis >= forgottenMillis) {
      writing = null
    }
    return Effect.zipRight(unreadable.worked, worked)
  })

  return {
    isOpen: away.isOpen,
    lastError: () => writing?.error ?? reading?.error ?? null,
    writeFailed: (error, refused) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        writing = { error, atMillis: now }
        refusals += refused
        return away.failed(error)
      }),
    wrote: Effect.suspend(() => {
      writing = null
      return worked
    }),
    watched: (effect) =>
      Effect.tapBoth(effect, {
        // Whoever fails for another reason was answered.
        onFailure: (error) => (error instanceof DatabaseError ? readFailed(error) : read),
        onSuccess: () => read
      })
  }
}
