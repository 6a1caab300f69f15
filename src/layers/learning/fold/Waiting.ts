import * as Effect from "effect/Effect"
import type { Position } from "../../../domain/basics/Ids.ts"

/** The longest that an answer waits for its own effect to be visible. */
const limitMs = 1000

/** Fibers that wait for a log position to be folded. */
export interface Waiting {
  readonly reached: (position: Position) => void
  readonly until: (target: Position, position: () => Position) => Effect.Effect<void>
}

export const make = (): Waiting => {
  const waiters = new Set<{ readonly target: Position; readonly done: () => void }>()
  return {
    reached: (position) => {
      for (const waiter of waiters) {
        if (waiter.target <= position) waiter.done()
      }
    },
    until: (target, position) =>
      Effect.async<void>((resume) => {
        if (position() >= target) return resume(Effect.void)
        const done = () => {
          clearTimeout(timer)
          waiters.delete(waiter)
          resume(Effect.void)
        }
        const waiter = { target, done }
        const timer = setTimeout(done, limitMs)
        waiters.add(waiter)
        return Effect.sync(() => {
          clearTimeout(timer)
          waiters.delete(waiter)
        })
      })
  }
}
