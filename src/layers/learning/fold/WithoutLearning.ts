import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Episode from "../../../domain/observing/Episode.ts"

/** It may fail for some requests and work for others: it works again when it has not failed for so long. */
const quietMillis = 10_000

/** Decisions that the learning failed to make. On the request path: what does not fail costs nothing. */
export interface WithoutLearning {
  readonly failed: (cause: unknown) => void
  readonly worked: () => void
}

export const make: Effect.Effect<WithoutLearning> = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const runtime = yield* Effect.runtime<never>()
  const log = (line: Effect.Effect<void>) => Runtime.runSync(runtime)(line)
  const episode = Episode.make({ quietMillis })
  return {
    failed: (cause) => {
      if (!episode.failed(clock.unsafeCurrentTimeMillis())) return
      log(Effect.logError("the learning failed: the order of the configuration decides", cause))
    },
    worked: () => {
      if (!episode.isOpen()) return
      const past = episode.worked(clock.unsafeCurrentTimeMillis())
      if (past === null) return
      log(
        Effect.logInfo(
          `the learning decides again after ${past.seconds.toFixed(1)}s: ${past.failures} decision(s) were made without it`
        )
      )
    }
  }
})
