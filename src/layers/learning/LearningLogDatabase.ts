import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Judged } from "../../domain/learning/CommitPlan.ts"
import * as LogMark from "../../domain/learning/LogMark.ts"
import { isStored } from "../../domain/learning/Feedback.ts"
import { RouterId } from "../../domain/basics/Ids.ts"
import { type Committed, Database, type DatabaseError } from "../../services/storage/Database.ts"
import { Ids } from "../../services/running/Ids.ts"
import { LearningLog } from "../../services/learning/LearningLog.ts"
import { LogFields } from "../../services/observing/LogFields.ts"
import { Settings } from "../../services/running/Settings.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { runCommitter, steadyMillis } from "./log/Committer.ts"
import { CommitterState } from "./log/CommitterState.ts"
import { follow } from "./log/Follow.ts"
import { makeNewestPosition } from "./log/NewestPosition.ts"
import { makeOutage } from "./log/Outage.ts"
import { makeOwnCommits } from "./log/OwnCommits.ts"
import { joinParkedFeedback } from "./log/ParkedFeedback.ts"
import { runPruner } from "./log/Pruner.ts"
import { makeSignal } from "./log/Signal.ts"
import { durable, makeSubmit } from "./log/Submissions.ts"

/** Of outcomes, and of submissions, in one commit. */
const batchSize = 500

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
    const submit = yield* makeSubmit(state, work)
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
      ...durable(submit, (submission, { id, status }) => {
        // A repetition has the id of the first one.
        if (isStored(status) && id === submission.id) telemetry.feedbackStored(status === "parked")
        if (status === "parked") parked.notify()
      }),

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
