import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"

/** Tells all who wait that something happened; who asks with an older count is told at once. */
export interface Signal {
  readonly count: () => number
  readonly notify: () => void
  readonly after: (count: number) => Effect.Effect<void>
  /** The same, but at the latest after `limit`. One fiber, where a race makes two more: it is waited for at each commit. */
  readonly afterAtMost: (count: number, limit: Duration.Duration) => Effect.Effect<void>
}

export const makeSignal = (): Signal => {
  let count = 0
  const waiting = new Set<() => void>()
  return {
    count: () => count,
    notify: () => {
      count++
      for (const tell of Array.from(waiting)) tell()
      waiting.clear()
    },
    after: (seen) =>
      Effect.async<void>((resume) => {
        if (count !== seen) return resume(Effect.void)
        const tell = () => resume(Effect.void)
        waiting.add(tell)
        return Effect.sync(() => void waiting.delete(tell))
      }),
    afterAtMost: (seen, limit) =>
      Effect.clockWith((clock) =>
        Effect.async<void>((resume) => {
          if (count !== seen) return resume(Effect.void)
          const sleeping = Effect.runFork(clock.sleep(limit))
          const tell = () => {
            waiting.delete(tell)
            sleeping.unsafeInterruptAsFork(FiberId.none)
            resume(Effect.void)
          }
          waiting.add(tell)
          sleeping.addObserver(tell)
          return Effect.sync(tell)
        })
      )
  }
}
