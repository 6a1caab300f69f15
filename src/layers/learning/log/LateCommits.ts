import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Episode from "../../../domain/observing/Episode.ts"

/** Submissions whose commit takes too long: one episode, which the log tells at its beginning and its end. */
export interface LateCommits {
  readonly gaveUp: Effect.Effect<void>
  readonly wasInTime: Effect.Effect<void>
}

export const makeLateCommits = (limitSeconds: number): LateCommits => {
  const late = Episode.make({ quietMillis: 0 })
  return {
    gaveUp: Effect.flatMap(Clock.currentTimeMillis, (now) =>
      late.failed(now)
        ? Effect.logWarning(
            `A commit takes more than ${limitSeconds}s: what waits for it is answered 503, and may be stored all the same`
          )
        : Effect.void
    ),
    wasInTime: Effect.suspend(() =>
      late.isOpen()
        ? Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const past = late.worked(now)
            return past === null
              ? Effect.void
              : Effect.logInfo(
                  `Commits are in time again after ${past.seconds.toFixed(1)}s: ${past.failures} submission(s) were not waited for`
                )
          })
        : Effect.void
    )
  }
}
