import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { monotonicMs } from "../../../services/running/MonotonicTime.ts"
import type { Batch, CommitterState } from "./CommitterState.ts"
import { makeLosses, makeOverflow } from "./Losses.ts"
import type { Outage } from "./Outage.ts"
import type { Signal } from "./Signal.ts"
import { storeBatch, type StoreOptions } from "./StoreBatch.ts"
import { type LossListener, tellStored, tellUnstored } from "./Verdicts.ts"

export interface CommitterOptions extends StoreOptions {
  readonly state: CommitterState
  /** Notified after each commit, and when nothing is left to do. */
  readonly settled: Signal
  readonly outage: Outage
  /** Told of each outcome that can never be stored. */
  readonly onLost: () => void
}

export const makeCommitter = (options: CommitterOptions): Effect.Effect<Committer> =>
  Effect.map(
    Effect.all([Effect.clock, Effect.runtime<never>()]),
    ([clock, runtime]) => new Committer(options, clock, Runtime.runFork(runtime))
  )

/**
 * Stores what is pending, as the state says, a commit at a time: a step says what is next, and a notification, the end of a
 * wait or of a commit makes the next step. A fiber runs only for the commit itself: twenty a second, each with fibers that
 * wait and race, would cost more than their rows. Whole, because these are the moves of one machine.
 */
export class Committer {
  readonly #options: CommitterOptions
  readonly #clock: Clock.Clock
  readonly #fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.RuntimeFiber<A, E>
  readonly #listener: LossListener
  readonly #overflow: ReturnType<typeof makeOverflow>
  #isRunning = false
  /** A step is about to be made. */
  #isAwake = false
  #waiting: Fiber.RuntimeFiber<void> | null = null
  #committing: Fiber.RuntimeFiber<void> | null = null

  constructor(
    options: CommitterOptions,
    clock: Clock.Clock,
    fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.RuntimeFiber<A, E>
  ) {
    this.#options = options
    this.#clock = clock
    this.#fork = fork
    this.#listener = { losses: makeLosses(), onLost: options.onLost }
    this.#overflow = makeOverflow(options.state)
  }

  /** Until the scope closes; a commit that is on its way then is not waited for. */
  get run(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => {
        this.#isRunning = true
        this.notify()
      }),
      () => Effect.sync(() => this.#stop())
    )
  }

  /** The state may say something else now. What comes in the same turn is taken together. */
  notify(): void {
    if (this.#isAwake || this.#committing !== null || !this.#isRunning) return
    this.#isAwake = true
    queueMicrotask(() => this.#step())
  }

  /** Completes when nothing is pending; makes the committer hurry meanwhile. */
  get flush(): Effect.Effect<void> {
    const { settled, state } = this.#options
    const emptied: Effect.Effect<void> = Effect.suspend(() =>
      state.isEmpty ? Effect.void : Effect.zipRight(settled.after(settled.count()), emptied)
    )
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        state.hurry()
        this.notify()
      }),
      () => emptied,
      () => Effect.sync(() => state.relax())
    )
  }

  #stop(): void {
    this.#isRunning = false
    this.#stopWaiting()
    this.#committing?.unsafeInterruptAsFork(FiberId.none)
  }

  #stopWaiting(): void {
    this.#waiting?.unsafeInterruptAsFork(FiberId.none)
    this.#waiting = null
  }

  #step(): void {
    this.#isAwake = false
    if (!this.#isRunning || this.#committing !== null) return
    this.#stopWaiting()
    if (this.#overflow.hasNews()) this.#fork(this.#overflow.log)
    const { settled, state } = this.#options
    const now = monotonicMs(this.#clock)
    const next = state.next(now)
    if (next.type === "commit") return this.#commit(next.batch)
    settled.notify()
    if (next.type === "wait") this.#wait(Math.max(0, next.untilMillis - now))
  }

  #wait(millis: number): void {
    const waiting = this.#fork(Effect.sleep(Duration.millis(millis)))
    this.#waiting = waiting
    waiting.addObserver((exit) => {
      if (Exit.isSuccess(exit)) this.notify()
    })
  }

  #commit(batch: Batch): void {
    const committing = this.#fork(this.#attempt(batch))
    this.#committing = committing
    committing.addObserver(() => {
      this.#committing = null
      this.#options.settled.notify()
      this.notify()
    })
  }

  #attempt(batch: Batch): Effect.Effect<void> {
    const { outage, state } = this.#options
    const listener = this.#listener
    const worked = Effect.zipRight(listener.losses.worked, outage.wrote)
    return Effect.matchEffect(storeBatch(this.#options, batch), {
      // Before it is told: an outage that is over says how many waited.
      onSuccess: (committed) => Effect.map(worked, () => tellStored(state.stored(committed))),
      onFailure: (error) =>
        error.reason === "constraint"
          ? Effect.zipRight(worked, tellUnstored(listener, state.refused(error)))
          : Effect.flatMap(tellUnstored(listener, state.away(error, monotonicMs(this.#clock))), (refused) =>
              outage.writeFailed(error, refused)
            )
    })
  }
}
