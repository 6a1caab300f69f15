import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Episode from "../../domain/observing/Episode.ts"

/** Something that goes wrong for a while: logged at its beginning and at its end, however often it happens in between. */
export interface EpisodeLog<A> {
  /** Once more. What is not worth it yet is counted, and may be logged later. */
  readonly failed: (what: A, isWorthIt?: boolean) => Effect.Effect<void>
  readonly worked: Effect.Effect<void>
  readonly isOpen: () => boolean
}

export const make = <A>(options: {
  readonly began: (what: A) => Effect.Effect<void>
  readonly ended: (past: { readonly seconds: string; readonly failures: number }) => Effect.Effect<void>
  /** It is over only when it has not failed for so long. */
  readonly quietMillis?: number
}): EpisodeLog<A> => {
  const { began, ended, quietMillis = 0 } = options
  const episode = Episode.make({ quietMillis })
  return {
    isOpen: episode.isOpen,
    failed: (what, isWorthIt) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => (episode.failed(now, isWorthIt) ? began(what) : Effect.void)),
    worked: Effect.suspend(() =>
      episode.isOpen()
        ? Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const past = episode.worked(now)
            return past === null ? Effect.void : ended({ seconds: past.seconds.toFixed(1), failures: past.failures })
          })
        : Effect.void
    )
  }
}
