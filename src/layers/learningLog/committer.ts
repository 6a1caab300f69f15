import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { RouterId } from "../../domain/Ids.ts"
import { type Committed, DatabaseError, type DatabaseShape } from "../../services/Database.ts"
import { type Batch, type Durable, noParts, type Parts, type Pending } from "./pending.ts"
import type { News } from "./news.ts"
import type { Signal } from "./signal.ts"

const batchSize = 500
const minRetryMs = 100
const maxRetryMs = 2_000

export interface Committer {
  /** Completes when nothing is pending; makes the committer hurry meanwhile. */
  readonly flush: Effect.Effect<void>
  readonly lastError: () => DatabaseError | null
}

/** Since when and how often the database has not answered. */
interface Outage {
  readonly sinceMillis: number
  readonly error: DatabaseError
  attempts: number
  refused: number
}

/**
 * One fiber that stores what is pending, a batch at a time. While the database is away it keeps the batch, with its id
 * and its outcomes, and fails what somebody waits for.
 */
export const runCommitter = (options: {
  readonly routerId: RouterId
  readonly database: DatabaseShape
  readonly pending: Pending
  readonly work: Signal
  /** Told after each batch. */
  readonly stored: Signal
  readonly news: News
  readonly maxParked: number
  readonly flushInterval: Duration.Duration
  readonly newCommitId: () => string
  /** Told of each commit that is stored. */
  readonly committed: (committed: Committed) => void
  /** Told of each outcome that can never be stored. */
  readonly lost: () => void
}): Effect.Effect<Committer, never, Scope.Scope> => {
  const { committed, database, lost, maxParked, newCommitId, news, pending, routerId, stored, work } = options
  const flushMs = Duration.toMillis(options.flushInterval)
  let flushing = 0
  let outage: Outage | null = null
  let lastAttemptMillis = 0
  let droppedBefore = 0
  let isDropping = false

  const isUrgent = () => flushing > 0 || pending.durableCount() > 0

  /** How long the next attempt may wait; null if there is nothing to do. */
  const dueInMs = (now: number): number | null => {
    if (outage !== null) {
      const backoff = Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(outage.attempts - 1, 10))
      return pending.isEmpty() ? null : lastAttemptMillis + (isUrgent() ? minRetryMs : backoff) - now
    }
    if (pending.isEmpty()) return null
    if (isUrgent() || pending.implicitWaiting() >= batchSize) return 0
    return (pending.oldestMillis() ?? now) + flushMs - now
  }

  const commit = (commitId: string, parts: Parts): Effect.Effect<Committed, DatabaseError> =>
    database.commit({ ...parts, commitId, routerId, maxParked }).pipe(
      Effect.tap((stored) =>
        Effect.sync(() => {
          news.heard(stored.position)
          committed(stored)
        })
      ),
      // What cannot even be encoded will not be stored by trying again.
      Effect.catchAllDefect((defect) =>
        Effect.fail(
          new DatabaseError({ operation: "commit", reason: "constraint", detail: Cause.pretty(Cause.die(defect)) })
        )
      ),
      Effect.disconnect
    )

  const partsOf = (batch: Batch): Parts => {
    const all = batch.durable.map((one) => one.parts)
    return {
      decisions: [...batch.implicit.map((one) => one.record), ...all.flatMap((parts) => parts.decisions)],
      reports: all.flatMap((parts) => parts.reports),
      feedback: all.flatMap((parts) => parts.feedback),
      events: all.flatMap((parts) => parts.events),
      joined: all.flatMap((parts) => parts.joined)
    }
  }

  /** Each submission gets its own part of the answer. */
  const answer = (durable: ReadonlyArray<Durable>, committed: Committed) => {
    let feedbackAt = 0
    let reportsAt = 0
    return Effect.forEach(
      durable,
      ({ done, parts }) =>
        Deferred.succeed(done, {
          ...committed,
          feedback: committed.feedback.slice(feedbackAt, (feedbackAt += parts.feedback.length)),
          reports: committed.reports.slice(reportsAt, (reportsAt += parts.reports.length))
        }),
      { discard: true }
    )
  }

  const refuseWaiting = (error: DatabaseError) =>
    Effect.gen(function* () {
      let refused = 0
      for (const one of pending.batch()?.durable ?? []) if (yield* Deferred.fail(one.done, error)) refused++
      pending.keepImplicit()
      for (let next = pending.takeDurable(); next !== undefined; next = pending.takeDurable()) {
        if (yield* Deferred.fail(next.done, error)) refused++
      }
      return refused
    })

  const failed = (error: DatabaseError, now: number) =>
    Effect.gen(function* () {
      if (outage === null) {
        outage = { sinceMillis: now, error, attempts: 0, refused: 0 }
        yield* Effect.logWarning(
          `The database is away, outcomes wait in memory and feedback is refused: ${error.message}`
        )
      }
      outage = {
        ...outage,
        error,
        attempts: outage.attempts + 1,
        refused: outage.refused + (yield* refuseWaiting(error))
      }
    })

  const recovered = (now: number) =>
    Effect.suspend(() => {
      if (outage === null) return Effect.void
      const { attempts, refused, sinceMillis } = outage
      const waiting = pending.implicitCount()
      outage = null
      return Effect.logInfo(
        `The database is back after ${((now - sinceMillis) / 1000).toFixed(1)}s: ` +
          `${attempts} failed attempt(s), ${waiting} outcome(s) waited, ${refused} submission(s) were refused`
      )
    })

  /**
   * A batch that breaks a rule of the schema goes one by one, so that only what is bad is lost. The database may go away
   * meanwhile: then what somebody waits for fails, as ever, and the outcomes that are left wait for its return.
   */
  const oneByOne = Effect.gen(function* () {
    for (let next = pending.batch()?.implicit[0]; next !== undefined; next = pending.batch()?.implicit[0]) {
      const { record } = next
      const exit = yield* Effect.exit(untilReached(newCommitId(), { ...noParts, decisions: [record] }))
      pending.settleFirst(Exit.isFailure(exit))
      if (Exit.isSuccess(exit)) continue
      lost()
      yield* Effect.logError(`Outcome of decision ${record.decision.id} cannot be stored and is lost`, exit.cause)
    }
    for (const one of pending.batch()?.durable ?? []) {
      const exit = yield* Effect.exit(commit(newCommitId(), one.parts))
      if (Exit.isSuccess(exit)) {
        yield* answer([one], exit.value)
        continue
      }
      const error = Option.getOrNull(Cause.failureOption(exit.cause))
      if (error === null || error.reason === "constraint") {
        yield* Deferred.failCause(one.done, exit.cause)
        continue
      }
      lastAttemptMillis = yield* Clock.currentTimeMillis
      yield* failed(error, lastAttemptMillis)
      break
    }
    pending.settle()
    stored.notify()
  })

  /** Tries again while the database is away; fails only for what the record itself is guilty of. */
  const untilReached = (commitId: string, parts: Parts): Effect.Effect<Committed, DatabaseError> =>
    Effect.gen(function* () {
      while (true) {
        const result = yield* Effect.either(commit(commitId, parts))
        const now = yield* Clock.currentTimeMillis
        lastAttemptMillis = now
        if (Either.isRight(result) || result.left.reason === "constraint") {
          yield* recovered(now)
          return yield* result
        }
        yield* failed(result.left, now)
        yield* untilDue
      }
    })

  const attempt = Effect.gen(function* () {
    const batch = pending.batch() ?? pending.take(newCommitId(), batchSize)
    if (batch.implicit.length + batch.durable.length === 0) {
      pending.settle()
      return stored.notify()
    }
    const exit = yield* Effect.exit(commit(batch.commitId, partsOf(batch)))
    const now = yield* Clock.currentTimeMillis
    lastAttemptMillis = now
    if (Exit.isSuccess(exit)) {
      yield* recovered(now)
      pending.settle()
      yield* answer(batch.durable, exit.value)
      return stored.notify()
    }
    const failure = Cause.failureOption(exit.cause)
    if (failure._tag === "None") return
    if (failure.value.reason !== "constraint") return yield* failed(failure.value, now)
    yield* recovered(now)
    yield* oneByOne
  })

  const reportDropping = Effect.suspend(() => {
    const dropped = pending.overflowed()
    const isNow = dropped > droppedBefore
    if (isNow && !isDropping) {
      isDropping = true
      return Effect.logWarning("The queue of outcomes is full: the oldest are dropped and counted")
    }
    if (isDropping && pending.isEmpty()) {
      isDropping = false
      const lost = dropped - droppedBefore
      droppedBefore = dropped
      return Effect.logWarning(`The queue of outcomes has room again: ${lost} were dropped`)
    }
    return Effect.void
  })

  const untilDue = Effect.gen(function* () {
    while (true) {
      const seen = work.count()
      yield* reportDropping
      const due = dueInMs(yield* Clock.currentTimeMillis)
      if (due === null) yield* work.after(seen)
      else if (due > 0) yield* Effect.raceFirst(waitForUrgent(seen), Effect.sleep(Duration.millis(due)))
      else return
    }
  })

  const loop = Effect.forever(Effect.zipRight(untilDue, attempt))

  /** Outcomes alone do not end the wait: they fill the batch. */
  const waitForUrgent = (seen: number): Effect.Effect<void> =>
    isUrgent() && outage === null
      ? Effect.void
      : Effect.flatMap(work.after(seen), () =>
          isUrgent() || pending.implicitWaiting() >= batchSize ? Effect.void : waitForUrgent(work.count())
        )

  const emptied: Effect.Effect<void> = Effect.suspend(() => {
    if (pending.isEmpty()) return Effect.void
    const seen = stored.count()
    return Effect.zipRight(stored.after(seen), emptied)
  })

  return Effect.as(Effect.forkScoped(loop), {
    flush: Effect.acquireUseRelease(
      Effect.sync(() => {
        flushing++
        work.notify()
      }),
      () => emptied,
      () => Effect.sync(() => void flushing--)
    ),
    lastError: () => outage?.error ?? null
  })
}
