import * as Effect from "effect/Effect"
import * as Episode from "../../../domain/observing/Episode.ts"

/** It may fail for some requests and work for others: it works again when it has not failed for so long. */
const quietMillis = 10_000

/** Decisions that the learning failed to make. On the request path: what does not fail costs nothing. */
export interface WithoutLearning {
  readonly failed: (cause: unknown) => void
  readonly worked: () => void
}

export const make = ({
  nowMillis,
  say
}: {
  readonly nowMillis: () => number
  readonly say: (line: Effect.Effect<void>) => void
}): WithoutLearning => {
  const episode = Episode.make({ quietMillis })
  return {
    failed: (cause) => {
      if (!episode.failed(nowMillis())) return
      say(Effect.logError("the learning failed: the order of the configuration decides", cause))
    },
    worked: () => {
      if (!episode.isOpen()) return
      const past = episode.worked(nowMillis())
      if (past === null) return
      say(
        Effect.logInfo(
          `the learning decides again after ${past.seconds.toFixed(1)}s: ${past.failures} decision(s) were made without it`
        )
      )
    }
  }
}
