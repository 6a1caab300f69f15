import * as Effect from "effect/Effect"

/** Tells all who wait that something happened; who asks with an older count is told at once. */
export interface Signal {
  readonly count: () => number
  readonly notify: () => void
  readonly after: (count: number) => Effect.Effect<void>
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
      })
  }
}
