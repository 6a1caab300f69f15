import * as Effect from "effect/Effect"
import * as EpisodeLog from "../../../services/observing/EpisodeLog.ts"

/** Submissions whose commit takes longer than anybody waits for it. */
export interface LateCommits {
  readonly gaveUp: Effect.Effect<void>
  readonly wasInTime: Effect.Effect<void>
}

export const makeLateCommits = (limitSeconds: number): LateCommits => {
  const episode = EpisodeLog.make<void>({
    began: () =>
      Effect.logWarning(
        `A commit takes more than ${limitSeconds}s: what waits for it is answered 503, and may be stored all the same`
      ),
    ended: ({ failures, seconds }) =>
      Effect.logInfo(`Commits are in time again after ${seconds}s: ${failures} submission(s) were not waited for`)
  })
  return { gaveUp: episode.failed(), wasInTime: episode.worked }
}
