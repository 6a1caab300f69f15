import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Episode from "../../../domain/observing/Episode.ts"
import { DatabaseError, isAway } from "../../../services/storage/Database.ts"

/** A write that failed without anything left to write is forgotten when reads work, after so long. */
const forgottenMillis = 10_000

/** Whether the database is away, noticed by whoever asks it: one episode, which the log says at its beginning and end. */
export interface Outage {
  readonly isOpen: () => boolean
  readonly lastError: () => DatabaseError | null
  readonly writeFailed: (error: DatabaseError, refused: number) => Effect.Effect<void>
  readonly wrote: Effect.Effect<void>
  /** Reads that say how they went. */
  readonly watched: <A, E>(read: Effect.Effect<A, DatabaseError | E>) => Effect.Effect<A, DatabaseError | E>
}

export const makeOutage = (pending: {
  readonly isEmpty: () => boolean
  readonly implicitCount: () => number
}): Outage => {
  const away = Episode.make({ quietMillis: 0 })
  const unreadable = Episode.make({ quietMillis: 0 })
  let writing: { readonly error: DatabaseError; readonly atMillis: number } | null = null
  let reading: { readonly error: DatabaseError; readonly inARow: number } | null = null
  let refusals = 0

  const failed = (error: DatabaseError, now: number, isWorthIt: boolean) =>
    away.failed(now, isWorthIt)
      ? Effect.logWarning(`The database is away, outcomes wait in memory and feedback is refused: ${error.message}`)
      : Effect.void

  const worked = (now: number) => {
    const past = writing === null && reading === null ? away.worked(now) : null
    if (past === null) return Effect.void
    const refused = refusals
    refusals = 0
    return Effect.logInfo(
      `The database is back after ${past.seconds.toFixed(1)}s: ` +
        `${past.failures} failed attempt(s), ${pending.implicitCount()} outcome(s) waited, ${refused} submission(s) were refused`
    )
  }

  const readFailed = (error: DatabaseError, now: number) => {
    if (isAway(error) || error.reason === "authentication") {
      reading = { error, inARow: (reading?.inARow ?? 0) + 1 }
      // One may be a connection that had died; the next poll is on another.
      return failed(error, now, reading.inARow > 1)
    }
    return unreadable.failed(now)
      ? Effect.logWarning(`The learning log cannot be read, what others learn is missing here: ${error.message}`)
      : Effect.void
  }

  const read = (now: number) => {
    reading = null
    // Nobody writes, so no write will show that it works again. Of a database that can only be read, reads show nothing.
    if (writing !== null && isAway(writing.error) && pending.isEmpty() && now - writing.atMillis >= forgottenMillis) {
      writing = null
    }
    const past = unreadable.worked(now)
    const again =
      past === null
        ? Effect.void
        : Effect.logInfo(
            `The learning log is read again after ${past.seconds.toFixed(1)}s: ${past.failures} failed attempt(s)`
          )
    return Effect.zipRight(again, worked(now))
  }

  return {
    isOpen: away.isOpen,
    lastError: () => writing?.error ?? reading?.error ?? null,
    writeFailed: (error, refused) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        writing = { error, atMillis: now }
        refusals += refused
        return failed(error, now, true)
      }),
    wrote: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      writing = null
      return worked(now)
    }),
    watched: (effect) =>
      effect.pipe(
        Effect.tapBoth({
          onFailure: (error) =>
            Effect.flatMap(Clock.currentTimeMillis, (now) =>
              // Whoever fails for another reason was answered.
              error instanceof DatabaseError ? readFailed(error, now) : read(now)
            ),
          onSuccess: () => Effect.flatMap(Clock.currentTimeMillis, read)
        })
      )
  }
}
