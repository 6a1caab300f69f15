import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Position } from "../../../domain/basics/Ids.ts"
import type { Learning } from "../../../domain/learning/LearnedState.ts"
import type { LoggedCommit } from "../../../domain/learning/Fold.ts"
import type { LearningEvent } from "../../../domain/learning/LearningEvent.ts"
import type { LearningLogShape } from "../../../services/learning/LearningLog.ts"
import type { FoldedCommits, LogReaderShape } from "../../../services/learning/LogReader.ts"
import type { TelemetryShape } from "../../../services/observing/Telemetry.ts"
import type { ShutdownReportShape } from "../../../services/running/ShutdownReport.ts"
import { type DatabaseError, isAway } from "../../../services/storage/Database.ts"
import * as LiveFold from "./LiveFold.ts"
import * as Refolding from "./Refolding.ts"
import * as Snapshots from "./Snapshots.ts"

const eventsPerProgressLine = 100_000
/** Between two tries to fold a log again that went back. */
const refoldRetry = Schedule.exponential(Duration.millis(100)).pipe(
  Schedule.union(Schedule.spaced(Duration.seconds(2)))
)

/** The state in memory, which follows the log. */
export interface Following {
  readonly live: LiveFold.LiveFold
  readonly snapshots: Snapshots.Snapshots
  /** Folds the log to its end, as it is now. */
  readonly catchUp: Effect.Effect<void, DatabaseError>
  /** Folds what comes, for ever. */
  readonly run: (onCommit: (commit: LoggedCommit) => Effect.Effect<void>) => Effect.Effect<never>
}

/** Restores the newest state, folds the log to its end, and tells the log what it has not heard of yet. */
export const start = Effect.fnUntraced(function* (options: {
  readonly log: LearningLogShape
  readonly reader: LogReaderShape
  readonly telemetry: TelemetryShape
  readonly report: ShutdownReportShape
  readonly isDebug: boolean
  /** How long a start waits for a database that is away. */
  readonly deadline: Duration.Duration
  /** What of the configuration the log does not know. */
  readonly unknown: (learned: Learning) => ReadonlyArray<LearningEvent>
}) {
  const { deadline, isDebug, log, reader, telemetry } = options
  const routerId = log.router.id
  const patiently = retryWhileAway(deadline)

  const restored = yield* patiently(reader.restore(routerId))
  const live = LiveFold.make({ restored, telemetry, isDebug })
  const snapshots = yield* Snapshots.make({ log, fingerprint: reader.policy.fingerprint, live })

  const { dropAhead, refold, tellUnknown } = Refolding.make({ ...options, live, snapshots })
  const onFolded = makeProgress(live, snapshots)
  const catchUp: Effect.Effect<void, DatabaseError> = Effect.suspend(() =>
    live.isUsable()
      ? Effect.flatMap(log.position, (end) => reader.foldUntil(routerId, live.fold(), end, onFolded(end)))
      : Effect.void
  ).pipe(Effect.catchTags({ FoldStopped: LiveFold.logStopped, LogRewound: refold }))

  yield* patiently(dropAhead(restored, restored.end))
  // A try whose answer got lost may have told it all the same: the next one reads that first.
  yield* patiently(
    Effect.gen(function* () {
      yield* catchUp
      if (yield* tellUnknown) yield* catchUp
    })
  )

  return {
    live,
    snapshots,
    catchUp,
    run: (onCommit) =>
      Effect.suspend(() =>
        log.follow(live.mark(), (commit) => Effect.zipRight(live.apply(commit), onCommit(commit)))
      ).pipe(
        Effect.catchTag("LogRewound", (rewound) => Effect.ignore(Effect.retry(refold(rewound), refoldRetry))),
        Effect.forever
      )
  } satisfies Following
})

/** Takes what was folded while a start catches up, and logs now and then how far it is. */
const makeProgress = (live: LiveFold.LiveFold, snapshots: Snapshots.Snapshots) => {
  let events = 0
  let announced = 0
  return (end: Position) => (folded: FoldedCommits) =>
    Effect.gen(function* () {
      events += folded.commits.reduce((sum, commit) => sum + commit.events.length, 0)
      yield* live.folded(folded)
      if (events - announced < eventsPerProgressLine) return
      announced = events
      yield* Effect.logInfo(
        `folding the learning log: ${events} events so far, at position ${live.position()} of ${end}`
      )
      // Who stops a start that takes too long stops the next one later.
      yield* snapshots.trySave
    })
}

/** Each try is bounded by the log and its database. */
const retryWhileAway =
  (deadline: Duration.Duration) =>
  <A>(effect: Effect.Effect<A, DatabaseError>): Effect.Effect<A, DatabaseError> =>
    Effect.retry(effect, {
      schedule: Schedule.exponential(Duration.millis(100)).pipe(
        Schedule.union(Schedule.spaced(Duration.seconds(2))),
        Schedule.upTo(deadline)
      ),
      while: isAway
    })
