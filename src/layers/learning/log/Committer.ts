import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Episode from "../../../domain/observing/Episode.ts"
import type { DecisionId, Position, RouterId } from "../../../domain/basics/Ids.ts"
import { type Committed, DatabaseError, type DatabaseShape } from "../../../services/storage/Database.ts"
import { type Batch, type Durable, noParts, type Parts, type Pending } from "./Pending.ts"
import type { NewestPosition } from "./NewestPosition.ts"
import type { Outage } from "./Outage.ts"
import type { OwnCommits } from "./OwnCommits.ts"
import type { Signal } from "./Signal.ts"

const batchSize = 500
const minRetryMs = 100
const maxRetryMs = 2_000

export interface Committer {
  /** Completes when nothing is pending; makes the committer hurry meanwhile. */
  readonly flush: Effect.Effect<void>
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
  readonly newest: NewestPosition
  readonly own: OwnCommits
  readonly outage: Outage
  readonly maxParked: number
  readonly flushInterval: Duration.Duration
  readonly newCommitId: () => string
  /** Told of each commit that is stored. */
  readonly committed: (committed: Committed) => void
  /** Told of each outcome that can never be stored. */
  readonly lost: () => void
}): Effect.Effect<Committer, never, Scope.Scope> => {
  const { committed, database, lost, maxParked, newCommitId, newest, outage, own, pending, routerId, stored, work } =
    options
  const flushMs = Duration.toMillis(options.flushInterval)
  let flushing = 0
  const losses = Episode.make({ quietMillis: 60_000 })
  /** Attempts that failed since the last one that did not. */
  let failures = 0
  let lastAttemptMillis = 0
  let droppedBefore = 0
  let isDropping = false

  const isUrgent = () => flushing > 0 || pending.durableCount() > 0

  /** How long the next attempt may wait; null if there is nothing to do. */
  const dueInMs = (now: number): number | null => {
    if (failures > 0) {
      const backoff = Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(failures - 1, 10))
      return pending.isEmpty() ? null : lastAttemptMillis + (isUrgent() ? minRetryMs : backoff) - now
    }
    if (pending.isEmpty()) return null
    if (isUrgent() || pending.implicitWaiting() >= batchSize) return 0
    return (pending.oldestMillis() ?? now) + flushMs - now
  }

  const commit = (commitId: string, parts: Parts): Effect.Effect<Committed, DatabaseError> =>
    database.commit({ ...parts, commitId, routerId, maxParked }).pipe(
      Effect.timed,
      Effect.tap(([took, stored]) => {
        const { payload, position } = stored
        if (payload !== null) own.add({ position, commitId, payload })
        newest.heard(position)
        return sayStored(position, parts, took)
      }),
      Effect.map(([, stored]) => stored),
      // What cannot even be encoded will not be stored by trying again.
      Effect.catchAllDefect((defect) =>
        Effect.fail(
          new DatabaseError({ operation: "commit", reason: "constraint", detail: Cause.pretty(Cause.die(defect)) })
        )
      ),
      // It is stored, whatever becomes of those who are told.
      Effect.tap((stored) => Effect.ignoreLogged(Effect.try(() => committed(stored)))),
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

  const failed = (error: DatabaseError) =>
    Effect.suspend(() => {
      failures++
      return Effect.flatMap(refuseWaiting(error), (refused) => outage.writeFailed(error, refused))
    })

  const recovered = Effect.suspend(() => {
    failures = 0
    return Effect.zipRight(sayStoredAgain, outage.wrote)
  })

  const sayLost = (id: DecisionId, cause: Cause.Cause<DatabaseError>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      losses.failed(now)
        ? Effect.logError("An outcome cannot be stored and is lost", { decision_id: id }, cause)
        : Effect.void
    )

  const sayStoredAgain = Effect.suspend(() =>
    losses.isOpen()
      ? Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const past = losses.worked(now)
          return past === null
            ? Effect.void
            : Effect.logInfo(`Outcomes are stored again: ${past.failures} were lost in ${past.seconds.toFixed(1)}s`)
        })
      : Effect.void
  )

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
      yield* sayLost(record.decision.id, exit.cause)
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
      yield* failed(error)
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
        lastAttemptMillis = yield* Clock.currentTimeMillis
        if (Either.isRight(result) || result.left.reason === "constraint") {
          yield* recovered
          return yield* result
        }
        yield* failed(result.left)
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
    lastAttemptMillis = yield* Clock.currentTimeMillis
    if (Exit.isSuccess(exit)) {
      yield* recovered
      pending.settle()
      yield* answer(batch.durable, exit.value)
      return stored.notify()
    }
    const failure = Cause.failureOption(exit.cause)
    if (failure._tag === "None") return
    if (failure.value.reason !== "constraint") return yield* failed(failure.value)
    yield* recovered
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
    isUrgent() && failures === 0
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
    )
  })
}

const sayStored = (position: Position, parts: Parts, took: Duration.Duration) =>
  Effect.logDebug("stored", {
    latency_ms: Math.round(Duration.toMillis(took) * 1000) / 1000,
    position,
    decisions: parts.decisions.length,
    reports: parts.reports.length,
    feedback: parts.feedback.length + parts.joined.length,
    events: parts.events.length
  })
