import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { Position, RouterId } from "../../../domain/basics/Ids.ts"
import type { Standings } from "../../../domain/learning/FeedbackSource.ts"
import { monotonicMs } from "../../../services/running/MonotonicTime.ts"
import { type Committed, DatabaseError, type DatabaseShape } from "../../../services/storage/Database.ts"
import type { Parts } from "./CommitQueue.ts"
import type { Batch, CommitterState, Verdict } from "./CommitterState.ts"
import { makeLosses, makeOverflow } from "./Losses.ts"
import type { LogTip } from "./LogTip.ts"
import type { Outage } from "./Outage.ts"
import type { Signal } from "./Signal.ts"

/** Where commits go, and who is told of them. */
export interface CommitterOptions {
  readonly replica: string
  readonly routerId: RouterId
  readonly database: DatabaseShape
  readonly tip: LogTip
  readonly maxParked: number
  readonly standings: () => Standings
  /** Told of each commit that is stored. */
  readonly onCommitted: (committed: Committed) => void
  readonly state: CommitterState
  /** Notified after each commit, and when nothing is left to do. */
  readonly settled: Signal
  readonly outage: Outage
  /** Told of each outcome that can never be stored. */
  readonly onLost: () => void
  /** Says each commit. */
  readonly isDebug: boolean
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
  readonly #losses = makeLosses()
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
    const worked = Effect.zipRight(this.#losses.worked, outage.wrote)
    return Effect.matchEffect(this.#store(batch), {
      // Before it is told: an outage that is over says how many waited.
      onSuccess: (committed) =>
        Effect.map(worked, () => {
          for (const verdict of state.stored(committed)) tellStored(verdict)
        }),
      onFailure: (error) =>
        error.reason === "constraint"
          ? Effect.zipRight(worked, this.#tell(state.refused(error)))
          : Effect.flatMap(this.#tell(state.away(error, monotonicMs(this.#clock))), (refused) =>
              outage.writeFailed(error, refused)
            )
    })
  }

  #store(batch: Batch): Effect.Effect<Committed, DatabaseError> {
    const { database, isDebug, maxParked, replica, routerId, standings, tip } = this.#options
    return Effect.suspend(() => {
      const parts = partsOf(batch)
      const startedMillis = monotonicMs(this.#clock)
      const { commitId } = batch
      return Effect.tap(
        database.commit({ ...parts, commitId, replica, routerId, maxParked, standings: standings() }),
        (committed) => {
          const { payload, position } = committed
          if (payload === null) tip.heard(position)
          else tip.stored({ position, commitId, payload })
          this.#tellOf(committed)
          return isDebug ? logStored(position, parts, monotonicMs(this.#clock) - startedMillis) : Effect.void
        }
      )
    }).pipe(
      // What cannot even be encoded will not be stored by trying again.
      Effect.catchAllDefect((defect) =>
        Effect.fail(
          new DatabaseError({ operation: "commit", reason: "constraint", detail: Cause.pretty(Cause.die(defect)) })
        )
      )
    )
  }

  /** It is stored, whatever becomes of those who are told. */
  #tellOf(committed: Committed): void {
    try {
      this.#options.onCommitted(committed)
    } catch (bug) {
      this.#fork(Effect.logError("a commit is stored, and who was told of it failed", Cause.die(bug)))
    }
  }

  /** Tells everybody; answers how many submissions were refused by it. */
  #tell(verdicts: ReadonlyArray<Verdict>): Effect.Effect<number> {
    const losses = this.#losses
    const { onLost } = this.#options
    return Effect.gen(function* () {
      let refused = 0
      for (const verdict of verdicts) {
        if (verdict.type === "submission") {
          const isTold = yield* Deferred.complete(verdict.submission.done, verdict.result)
          if (isTold && Either.isLeft(verdict.result)) refused++
          continue
        }
        verdict.outcome.onSettled?.(verdict.error === null)
        if (verdict.error === null) continue
        onLost()
        yield* losses.lost(verdict.outcome.record.decision.id, verdict.error)
      }
      return refused
    })
  }
}

const tellStored = (verdict: Verdict): void => {
  if (verdict.type === "outcome") verdict.outcome.onSettled?.(true)
  else Deferred.unsafeDone(verdict.submission.done, verdict.result)
}

const partsOf = ({ outcomes, submissions }: Batch): Parts => {
  const decisions = outcomes.map(({ record }) => record)
  if (submissions.length === 0) return { decisions, reports: [], feedback: [], events: [], joined: [] }
  const all = submissions.map(({ parts }) => parts)
  return {
    decisions: [...decisions, ...all.flatMap((parts) => parts.decisions)],
    reports: all.flatMap((parts) => parts.reports),
    feedback: all.flatMap((parts) => parts.feedback),
    events: all.flatMap((parts) => parts.events),
    joined: all.flatMap((parts) => parts.joined)
  }
}

const logStored = (position: Position, parts: Parts, tookMillis: number) =>
  Effect.logDebug("stored", {
    latency_ms: Math.round(tookMillis * 1000) / 1000,
    position,
    decisions: parts.decisions.length,
    reports: parts.reports.length,
    feedback: parts.feedback.length + parts.joined.length,
    events: parts.events.length
  })
