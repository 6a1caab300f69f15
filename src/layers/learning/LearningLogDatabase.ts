import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Judged } from "../../domain/learning/CommitPlan.ts"
import * as LogMark from "../../domain/learning/LogMark.ts"
import { isStored, type FeedbackSubmission } from "../../domain/learning/Feedback.ts"
import { RouterId } from "../../domain/basics/Ids.ts"
import { type Committed, Database, DatabaseError, type FeedbackResult } from "../../services/storage/Database.ts"
import { Ids } from "../../services/running/Ids.ts"
import { LearningLog } from "../../services/learning/LearningLog.ts"
import { LogFields } from "../../services/observing/LogFields.ts"
import { Settings } from "../../services/running/Settings.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { noParts, type Parts } from "./log/CommitQueue.ts"
import { runCommitter, steadyMillis } from "./log/Committer.ts"
import { CommitterState } from "./log/CommitterState.ts"
import { follow } from "./log/Follow.ts"
import { makeLateCommits } from "./log/LateCommits.ts"
import { makeNewestPosition } from "./log/NewestPosition.ts"
import { makeOutage } from "./log/Outage.ts"
import { makeOwnCommits } from "./log/OwnCommits.ts"
import { joinParkedFeedback } from "./log/ParkedFeedback.ts"
import { runPruner } from "./log/Pruner.ts"
import { makeSignal } from "./log/Signal.ts"

/** Of outcomes, and of submissions, in one commit. */
const batchSize = 500
/** Submissions that wait for the database; more are refused. */
const maxWaiting = 10_000

const refused = (detail: string) => new DatabaseError({ operation: "commit", reason: "timeout", detail })

/** A submission waits no longer for the database; retries within that time are the committer's. */
const submissionLimit = Duration.seconds(5)

const tookTooLong = new DatabaseError({
  operation: "commit",
  reason: "timeout",
  detail: `it took more than ${Duration.toSeconds(submissionLimit)} s`,
  mayBeStored: true
})

/** Over `Database`, whichever it is: group commits, one at a time, and a reader that is told of commits and polls. */
export const layerWith = (options: {
  /** Commits that nobody told of are seen at the latest after this. */
  readonly pollInterval: Duration.Duration
}): Layer.Layer<LearningLog, DatabaseError, Database | Settings | Ids | Telemetry> =>
  Layer.scoped(LearningLog, make(options.pollInterval))

const make = (pollInterval: Duration.Duration) =>
  Effect.gen(function* () {
    const database = yield* Database
    const ids = yield* Ids
    const telemetry = yield* Telemetry
    const settings = yield* Settings
    const { learning } = settings
    const clock = yield* Effect.clock
    const router = yield* database.router(Option.flatMap(learning.routerId, RouterId.option))
    ;(yield* LogFields).routerId = router.id

    const state = new CommitterState(
      {
        batchSize,
        maxOutcomes: learning.maxPending,
        flushMs: Duration.toMillis(learning.flushInterval)
      },
      () => ids.uuidV7(clock.unsafeCurrentTimeMillis())
    )
    const oldestAgeMillis = () => {
      const { oldestMillis } = state
      return oldestMillis === null ? null : steadyMillis(clock) - oldestMillis
    }
    const work = makeSignal()
    const settled = makeSignal()
    const newest = makeNewestPosition(router.position)
    const own = makeOwnCommits()
    const outage = makeOutage(state)
    const late = makeLateCommits(Duration.toSeconds(submissionLimit))
    const parked = makeSignal()
    yield* telemetry.gauge(
      "conduit_learning_oldest_pending_seconds",
      "Age of the oldest outcome that is not stored yet",
      () => (oldestAgeMillis() ?? 0) / 1000
    )

    const judgedListeners: Array<(judged: Judged) => void> = []
    const onCommitted = ({ joined, judged }: Committed) => {
      if (joined > 0) telemetry.feedbackJoined(joined)
      for (const one of judged) for (const listener of judgedListeners) listener(one)
    }
    /** A repetition has the id of the first one. */
    const countStored = (submission: FeedbackSubmission, { id, status }: FeedbackResult) => {
      if (isStored(status) && id === submission.id) telemetry.feedbackStored(status === "parked")
      if (status === "parked") parked.notify()
    }

    const submit = (parts: Partial<Parts>): Effect.Effect<Committed, DatabaseError> =>
      Effect.gen(function* () {
        if (state.submissionCount >= maxWaiting) {
          return yield* refused(`${maxWaiting} submissions wait for the database already`)
        }
        const done = yield* Deferred.make<Committed, DatabaseError>()
        const submission = state.submit({ ...noParts, ...parts }, done)
        work.notify()
        return yield* Effect.raceFirst(
          Effect.tap(Deferred.await(done), () => late.wasInTime),
          Effect.flatMap(Effect.sleep(submissionLimit), () => {
            submission.abandoned = true
            return Effect.zipRight(late.gaveUp, Effect.fail(tookTooLong))
          })
        )
      })

    // Nobody may wait for a committer that has stopped: this runs after it was interrupted.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        for (const verdict of state.refuseSubmissions(refused("the learning log has stopped"))) {
          if (verdict.type === "submission") yield* Deferred.complete(verdict.submission.done, verdict.result)
        }
      })
    )
    const committer = yield* runCommitter({
      routerId: router.id,
      database,
      state,
      work,
      settled,
      newest,
      own,
      outage,
      maxParked: learning.maxParked,
      onCommitted,
      onLost: () => telemetry.dropped(1)
    })
    yield* telemetry.gauge("conduit_database_up", "Whether the database answers, as far as known: 1 or 0", () =>
      outage.isOpen() ? 0 : 1
    )
    yield* joinParkedFeedback({ routerId: router.id, database, parked, join: (joined) => submit({ joined }) })

    yield* runPruner({ routerId: router.id, database, settings, onExpired: telemetry.feedbackExpired })
    yield* database.changes(router.id).pipe(
      Stream.runForEach((position) => Effect.sync(() => newest.heard(position))),
      Effect.forkScoped
    )

    return LearningLog.of({
      router: { id: router.id, seed: router.seed },

      offer: (record, onSettled) => {
        const { dropped, isNews } = state.offer(record, steadyMillis(clock), onSettled)
        for (const outcome of dropped) outcome.onSettled?.(false)
        if (dropped.length > 0) telemetry.dropped(dropped.length)
        if (isNews || dropped.length > 0) work.notify()
      },
      record: Effect.fn("LearningLog.record")((record) =>
        Effect.map(submit({ decisions: [record] }), ({ position }) => position)
      ),
      feedback: Effect.fn("LearningLog.feedback")(function* (submission) {
        const { feedback, position } = yield* submit({ feedback: [submission] })
        const [result] = feedback
        if (result === undefined) return yield* refused("the database answered for another commit")
        countStored(submission, result)
        return { ...result, position }
      }),
      feedbackAll: Effect.fn("LearningLog.feedbackAll")(function* (submissions) {
        const { feedback, position } = yield* submit({ feedback: submissions })
        if (feedback.length !== submissions.length) {
          return yield* refused("the database answered for another commit")
        }
        for (const [index, submission] of submissions.entries()) {
          const result = feedback[index]
          if (result !== undefined) countStored(submission, result)
        }
        return { results: feedback, position }
      }),
      report: Effect.fn("LearningLog.report")(function* (report) {
        const { position, reports } = yield* submit({ reports: [report] })
        const [result] = reports
        return result === undefined
          ? yield* refused("the database answered for another commit")
          : { ...result, position }
      }),
      append: Effect.fn("LearningLog.append")((events) => Effect.map(submit({ events }), ({ position }) => position)),

      onJudged: (listener) => {
        judgedListeners.push(listener)
      },
      pendingDecision: (id) => state.unstored.get(id),
      pendingOfSession: (session) => state.unstored.ofSession(session),
      follow: (from) =>
        follow({
          routerId: router.id,
          database,
          newest,
          own,
          isCommitting: () => state.isCommitting,
          settled,
          outage,
          pollInterval,
          from: typeof from === "number" ? LogMark.make(from) : from
        }),
      position: Effect.tap(database.position(router.id), (position) => Effect.sync(() => newest.heard(position))),
      newestKnown: newest.current,
      flush: committer.flush,
      backlog: () => ({
        pending: state.outcomeCount,
        dropped: state.droppedCount,
        oldestPendingMillis: oldestAgeMillis(),
        lastError: outage.lastError()
      }),
      saveSnapshot: (fingerprint, snapshot, last) => database.saveSnapshot(router.id, fingerprint, snapshot, last),
      dropSnapshotsAfter: (position) => database.dropSnapshotsAfter(router.id, position)
    })
  })

export const layer = layerWith({ pollInterval: Duration.millis(500) })
