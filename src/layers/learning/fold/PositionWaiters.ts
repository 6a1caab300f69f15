import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Position } from "../../../domain/basics/Ids.ts"

/** The longest that an answer waits for its own effect to be visible. */
const limit = Duration.seconds(1)

/** Fibers that wait for a log position to be folded. */
export interface PositionWaiters {
  readonly reached: (position: Position) => void
  /** Completes when the target is reached, or at the limit. */
  readonly until: (target: Position, position: () => Position) => Effect.Effect<void>
}

export const make = (): PositionWaiters => {
  const waiters = new Set<{ readonly target: Position; readonly done: () => void }>()
  const reachedAt = (target: Position, position: () => Position) =>
    Effect.async<void>((resume) => {
      if (position() >= target) return resume(Effect.void)
      const waiter = { target, done: () => resume(Effect.void) }
      waiters.add(waiter)
      return Effect.sync(() => void waiters.delete(waiter))
    })
  return {
    reached: (position) => {
      for (const waiter of waiters) {
        if (waiter.target > position) continue
        waiters.delete(waiter)
        waiter.done()
      }
    },
    until: (target, position) =>
      Effect.suspend(() =>
        position() >= target ? Effect.void : Effect.raceFirst(reachedAt(target, position), Effect.sleep(limit))
      )
  }
}
