import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { Position, RouterId } from "../../../domain/basics/Ids.ts"
import { type Committed, DatabaseError, type DatabaseShape } from "../../../services/storage/Database.ts"
import type { Parts } from "./CommitQueue.ts"
import type { Batch, CommitterState, Verdict } from "./CommitterState.ts"
import { type Losses, makeLosses, makeOverflow } from "./Losses.ts"
import type { LogTip } from "./LogTip.ts"
import type { Outage } from "./Outage.ts"
import type { Signal } from "./Signal.ts"

export interface Committer {
  /** Completes when nothing is pending; makes the committer hurry meanwhile. */
  readonly flush: Effect.Effect<void>
}

/** Milliseconds of a clock that never goes back. */
export const steadyMillis = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos() / 1_000n) / 1_000

/** Where commits go, and who is told of them. */
interface Storing {
  readonly routerId: RouterId
  readonly database: DatabaseShape
  readonly tip: LogTip
  readonly maxParked: number
  /** Told of each commit that is stored. */
  readonly onCommitted: (committed: Committed) => void
}

interface Options extends Storing {
  readonly state: CommitterState
  /** Notified of work. */
  readonly work: Signal
  /** Notified after each commit, and when nothing is left to do. */
  readonly settled: Signal
  readonly outage: Outage
  /** Told of each outcome that can never be stored. */
  readonly onLost: () => void
}

/** One fiber that stores what is pending, as the state says. */
export const runCommitter = (options: Options): Effect.Effect<Committer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { onLost, outage, settled, state, work } = options
    const clock = yield* Effect.clock
    const losses = makeLosses()
    const overflow = makeOverflow(state)

    const store = makeStore(options)
    const tell = makeTell(losses, onLost)

    const attempt = (batch: Batch) =>
      Effect.gen(function* () {
        const result = yield* Effect.either(store(batch))
        if (Either.isLeft(result) && result.left.reason !== "constraint") {
          const refused = yield* tell(state.away(result.left, steadyMillis(clock)))
          return yield* outage.writeFailed(result.left, refused)
        }
        yield* Effect.zipRight(losses.worked, outage.wrote)
        yield* tell(Either.isRight(result) ? state.stored(result.right) : state.refused(result.left))
      })

    const step = Effect.gen(function* () {
      const seen = work.count()
      yield* overflow.log
      const next = state.next(steadyMillis(clock))
      if (next.type === "commit") yield* attempt(next.batch)
      settled.notify()
      if (next.type === "idle") yield* work.after(seen)
      if (next.type === "wait") {
        const left = Duration.millis(Math.max(0, next.untilMillis - steadyMillis(clock)))
        yield* Effect.raceFirst(work.after(seen), Effect.sleep(left))
      }
    })

    const emptied: Effect.Effect<void> = Effect.suspend(() =>
      state.isEmpty ? Effect.void : Effect.zipRight(settled.after(settled.count()), emptied)
    )
    const hurry = Effect.sync(() => {
      state.hurry()
      work.notify()
    })
    yield* Effect.forkScoped(Effect.forever(step))
    return {
      flush: Effect.acquireUseRelease(
        hurry,
        () => emptied,
        () => Effect.sync(() => state.relax())
      )
    }
  })

const makeStore =
  ({ database, maxParked, onCommitted, routerId, tip }: Storing) =>
  (batch: Batch): Effect.Effect<Committed, DatabaseError> => {
    const parts = partsOf(batch)
    const { commitId } = batch
    return database.commit({ ...parts, commitId, routerId, maxParked }).pipe(
      Effect.timed,
      Effect.tap(([took, { payload, position }]) => {
        if (payload === null) tip.heard(position)
        else tip.stored({ position, commitId, payload })
        return logStored(position, parts, took)
      }),
      Effect.map(([, committed]) => committed),
      // What cannot even be encoded will not be stored by trying again.
      Effect.catchAllDefect((defect) =>
        Effect.fail(
          new DatabaseError({ operation: "commit", reason: "constraint", detail: Cause.pretty(Cause.die(defect)) })
        )
      ),
      // It is stored, whatever becomes of those who are told.
      Effect.tap((committed) => Effect.ignoreLogged(Effect.try(() => onCommitted(committed)))),
      Effect.disconnect
    )
  }

/** Tells everybody; answers how many submissions were refused by it. */
const makeTell = (losses: Losses, onLost: () => void) => (verdicts: ReadonlyArray<Verdict>) =>
  Effect.gen(function* () {
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

const partsOf = ({ outcomes, submissions }: Batch): Parts => {
  const all = submissions.map(({ parts }) => parts)
  return {
    decisions: [...outcomes.map(({ record }) => record), ...all.flatMap((parts) => parts.decisions)],
    reports: all.flatMap((parts) => parts.reports),
    feedback: all.flatMap((parts) => parts.feedback),
    events: all.flatMap((parts) => parts.events),
    joined: all.flatMap((parts) => parts.joined)
  }
}

const logStored = (position: Position, parts: Parts, took: Duration.Duration) =>
  Effect.logDebug("stored", {
    latency_ms: Math.round(Duration.toMillis(took) * 1000) / 1000,
    position,
    decisions: parts.decisions.length,
    reports: parts.reports.length,
    feedback: parts.feedback.length + parts.joined.length,
    events: parts.events.length
  })
