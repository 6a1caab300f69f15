import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Judged } from "../../domain/learning/CommitPlan.ts"
import { monotonicMs } from "../../services/running/MonotonicTime.ts"
import * as LogMark from "../../domain/learning/LogMark.ts"
import type { Standings } from "../../domain/learning/FeedbackSource.ts"
import { isStored } from "../../domain/learning/Feedback.ts"
import { RouterId } from "../../domain/basics/Ids.ts"
import {
  type Committed,
  Database,
  type DatabaseError,
  type DatabaseShape,
  type RouterRow
} from "../../services/storage/Database.ts"
import { Ids } from "../../services/running/Ids.ts"
import { LearningLog } from "../../services/learning/LearningLog.ts"
import { LogFields } from "../../services/observing/LogFields.ts"
import { Settings } from "../../services/running/Settings.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { makeCommitter } from "./log/Committer.ts"
import { CommitterState } from "./log/CommitterState.ts"
import { follow } from "./log/Follow.ts"
import { LogTip } from "./log/LogTip.ts"
import { makeOutage, type Outage } from "./log/Outage.ts"
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

/** Whole, because it is a composition, read from top to bottom. */
const make = (pollInterval: Duration.Duration) =>
  Effect.gen(function* () {
    const database = yield* Database
    const telemetry = yield* Telemetry
    const settings = yield* Settings
    const clock = yield* Effect.clock
    const { maxParked, routerId: named } = settings.learning
    const router = yield* database.router(Option.flatMap(named, RouterId.option))
    ;(yield* LogFields).routerId = router.id
    const shared = yield* sharedBy(database, router)
    const { outage, routerId, state, tip } = shared
    yield* observe(telemetry, shared, clock)

    const judgedListeners: Array<(judged: Judged) => void> = []
    let standings: () => Standings = nobody
    const committer = yield* makeCommitter({
      ...shared,
      isDebug: settings.log.level === "DEBUG",
      maxParked,
      standings: () => standings(),
      onCommitted: ({ joined, judged }: Committed) => {
        if (joined > 0) telemetry.feedbackJoined(joined)
        for (const one of judged) for (const listener of judgedListeners) listener(one)
      },
      onLost: () => telemetry.dropped(1)
    })
    // In this order: whoever still waits at the release is refused when the committer has stopped.
    const submit = yield* makeSubmit(state, committer)
    yield* committer.run
    const parked = makeSignal()
    yield* joinParkedFeedback({ routerId, database, parked, join: (joined) => submit({ joined }) })
    yield* runPruner({ routerId, database, settings, onExpired: telemetry.feedbackExpired })
    yield* database.changes(routerId).pipe(
      Stream.runForEach((position) => Effect.sync(() => tip.heard(position))),
      Effect.forkScoped
    )

    return LearningLog.of({
      replica: shared.replica,
      router: { id: routerId, seed: router.seed },
      offer: (record, onSettled) => {
        const { dropped, isNews } = state.offer(record, monotonicMs(clock), onSettled)
        for (const outcome of dropped) outcome.onSettled?.(false)
        if (dropped.length > 0) telemetry.dropped(dropped.length)
        if (isNews || dropped.length > 0) committer.notify()
      },
      ...durable(submit, (submission, { id, status }) => {
        // A repetition has the id of the first one.
        if (isStored(status) && id === submission.id) telemetry.feedbackStored(status === "parked")
        if (status === "parked") parked.notify()
      }),
      onJudged: (listener) => {
        judgedListeners.push(listener)
      },
      weighBy: (of) => {
        standings = of
      },
      pendingDecision: (id) => state.unstored.get(id),
      pendingOfSession: (session) => state.unstored.ofSession(session),
      follow: (from, onCommit) =>
        follow({ ...shared, pollInterval }, typeof from === "number" ? LogMark.make(from) : from, onCommit),
      position: Effect.tap(database.position(routerId), (position) => Effect.sync(() => tip.heard(position))),
      newestKnown: () => tip.newest,
      flush: committer.flush,
      backlog: () => ({
        pending: state.outcomeCount,
        dropped: state.droppedCount,
        oldestPendingMillis: oldestAgeMillis(state, clock),
        lastError: outage.lastError()
      }),
      saveSnapshot: (fingerprint, snapshot, last) => database.saveSnapshot(routerId, fingerprint, snapshot, last),
      dropSnapshotsAfter: (position) => database.dropSnapshotsAfter(routerId, position)
    })
  })

const noStandings: Standings = new Map()
const nobody = () => noStandings

/** What those who write the log and those who follow it share. */
const sharedBy = (database: DatabaseShape, router: RouterRow) =>
  Effect.gen(function* () {
    const ids = yield* Ids
    const { flushInterval, maxPending } = (yield* Settings).learning
    const clock = yield* Effect.clock
    const state = new CommitterState(
      { batchSize, maxOutcomes: maxPending, flushMs: Duration.toMillis(flushInterval) },
      () => ids.uuidV7(clock.unsafeCurrentTimeMillis())
    )
    return {
      replica: ids.uuidV7(clock.unsafeCurrentTimeMillis()),
      routerId: router.id,
      database,
      state,
      /** Notified when a commit has ended. */
      settled: makeSignal(),
      tip: new LogTip(router.position),
      outage: makeOutage(state)
    }
  })

const oldestAgeMillis = ({ oldestMillis }: CommitterState, clock: Clock.Clock): number | null =>
  oldestMillis === null ? null : monotonicMs(clock) - oldestMillis

const observe = Effect.fnUntraced(function* (
  telemetry: Telemetry["Type"],
  { outage, state }: { readonly outage: Outage; readonly state: CommitterState },
  clock: Clock.Clock
) {
  yield* telemetry.gauge(
    "conduit_learning_oldest_pending_seconds",
    "Age of the oldest outcome that is not stored yet",
    () => (oldestAgeMillis(state, clock) ?? 0) / 1000
  )
  yield* telemetry.gauge("conduit_database_up", "Whether the database answers, as far as known: 1 or 0", () =>
    outage.isOpen() ? 0 : 1
  )
})

export const layer = layerWith({ pollInterval: Duration.millis(500) })
