import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

/** Time limits of many effects with one timer: what costs in `Effect.timeout` is a timer fiber for each. */
export interface Deadlines {
  /**
   * Interrupts the effect when the time is up, waits until it has ended, and fails with what `onTimeout` says then; an
   * effect that ends by itself meanwhile keeps its result.
   */
  readonly within: <A, E, E2>(
    millis: number,
    onTimeout: () => E2,
    effect: Effect.Effect<A, E>
  ) => Effect.Effect<A, E | E2>
  /** Runs it when the time is up, unless the function that is returned was called before. */
  readonly after: (millis: number, run: () => void) => () => void
}

interface Running {
  readonly untilMillis: number
  readonly stop: () => void
}

export const make = (clock: Clock.Clock): Effect.Effect<Deadlines, never, Scope.Scope> =>
  Effect.gen(function* () {
    const running = new Set<Running>()
    let timer: { readonly atMillis: number; readonly cancel: () => void } | null = null

    /** Sleeps until the nearest deadline; one that has ended meanwhile only wakes it in vain. */
    const arm = (atMillis: number) => {
      if (timer !== null && timer.atMillis <= atMillis) return
      timer?.cancel()
      const sleep = clock.sleep(Duration.millis(Math.max(0, atMillis - clock.unsafeCurrentTimeMillis())))
      timer = { atMillis, cancel: Effect.runCallback(sleep, { onExit: (exit) => Exit.isSuccess(exit) && ring() }) }
    }
    const ring = () => {
      timer = null
      const now = clock.unsafeCurrentTimeMillis()
      let next = Number.POSITIVE_INFINITY
      for (const one of running) {
        if (one.untilMillis <= now) one.stop()
        else next = Math.min(next, one.untilMillis)
      }
      if (next < Number.POSITIVE_INFINITY) arm(next)
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => timer?.cancel()))

    const untilMillis = (millis: number) => clock.unsafeCurrentTimeMillis() + Math.max(0, Math.round(millis))

    return {
      after: (millis, run) => {
        const entry: Running = {
          untilMillis: untilMillis(millis),
          stop: () => {
            running.delete(entry)
            run()
          }
        }
        running.add(entry)
        arm(entry.untilMillis)
        return () => running.delete(entry)
      },

      within: <A, E, E2>(millis: number, onTimeout: () => E2, effect: Effect.Effect<A, E>) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(Effect.forkDaemon(Effect.interruptible(effect)), (work) => {
            let timeUp = false
            const entry: Running = {
              untilMillis: untilMillis(millis),
              stop: () => {
                timeUp = true
                work.unsafeInterruptAsFork(work.id())
              }
            }
            running.add(entry)
            arm(entry.untilMillis)
            const ended = Effect.async<Exit.Exit<A, E>>((resume) => {
              work.addObserver((exit) => {
                running.delete(entry)
                resume(Effect.succeed(exit))
              })
            })
            return restore(ended).pipe(
              Effect.onInterrupt(() => Fiber.interrupt(work)),
              Effect.flatMap((exit): Effect.Effect<A, E | E2> =>
                timeUp && Exit.isInterrupted(exit) ? Effect.failSync(onTimeout) : exit
              )
            )
          })
        )
    }
  })
