import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as EpisodeLog from "../../../services/observing/EpisodeLog.ts"

/** It may fail for some requests and work for others: it works again when it has not failed for so long. */
const quietMillis = 10_000

/** Decisions that the learning failed to make. On the request path: what does not fail costs nothing. */
export interface WithoutLearning {
  readonly failed: (cause: unknown) => void
  readonly worked: () => void
}

export const make: Effect.Effect<WithoutLearning> = Effect.map(Effect.runtime<never>(), (runtime) => {
  const episode = EpisodeLog.make({
    quietMillis,
    began: (cause: unknown) => Effect.logError("the learning failed: the order of the configuration decides", cause),
    ended: ({ failures, seconds }) =>
      Effect.logInfo(`the learning decides again after ${seconds}s: ${failures} decision(s) were made without it`)
  })
  return {
    failed: (cause) => Runtime.runSync(runtime)(episode.failed(cause)),
    worked: () => {
      if (episode.isOpen()) Runtime.runSync(runtime)(episode.worked)
    }
  }
})
