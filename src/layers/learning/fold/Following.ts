import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Position } from "../../../domain/basics/Ids.ts"
import type { Learning } from "../../../domain/learning/LearnedState.ts"
import type { LoggedCommit } from "../../../domain/learning/Fold.ts"
import type { LearningEvent } from "../../../domain/learning/LearningEvent.ts"
import type { LearningLogShape } from "../../../services/learning/LearningLog.ts"
import type { FoldedCommits, LogReaderShape, LogRewound, Restored } from "../../../services/learning/LogReader.ts"
import type { TelemetryShape } from "../../../services/observing/Telemetry.ts"
import type { ShutdownReportShape } from "../../../services/running/ShutdownReport.ts"
import { type DatabaseError, isAway } from "../../../services/storage/Database.ts"
import * as LiveFold from "./LiveFold.ts"
import * as Snapshots from "./Snapshots.ts"

const eventsPerProgressLine = 100_000
/** Between two tries to fold a log again that went back. */
const refoldRetry = Schedule.exponential(Duration.millis(100)).pipe(
  Schedule.union(Schedule.spaced(Duration.seconds(2)))
)
/** A log that goes back again and again shall not fill the shutdown report. */
const maxRewindsReported = 10

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
  const { deadline, isDebug, log, reader, report, telemetry, unknown } = options
  const routerId = log.router.id
  const patiently = retryWhileAway(deadline)

  const restored = yield* patiently(reader.restore(routerId))
  const live = LiveFold.make({ restored, telemetry, isDebug })
  const snapshots = yield* Snapshots.make({ log, fingerprint: reader.policy.fingerprint, live })

  let rewinds = 0
  let rewoundTo = ""
  const logRewound = (rewound: LogRewound) =>
    Effect.suspend(() => {
      // A try that failed sees the same again.
      if (rewoundTo === `${rewound.folded} ${rewound.common}`) return Effect.void
      rewoundTo = `${rewound.folded} ${rewound.common}`
      telemetry.logRewound(rewound.lost)
      if (rewinds++ < maxRewindsReported) report.error(null, rewound)
      return Effect.logError(
        `The learning log went back, and the state is folded again from what it has: ${rewound.message}`
      )
    })

  /** A start would use it once the log has passed it, though what it holds is not in the log. */
  const dropAhead = (restored: Restored, position: Position) =>
    restored.isAhead && !restored.isIncomplete
      ? Effect.flatMap(log.dropSnapshotsAfter(position), (dropped) =>
          Effect.logWarning(`Deleted ${dropped} snapshot(s) that are ahead of position ${position} of the log`)
        )
      : Effect.void

  /** Answers whether there was anything. */
  const tellUnknown = Effect.suspend(() => {
    const events = live.isUsable() ? unknown(live.learned()) : []
    return events.length === 0 ? Effect.succeed(false) : Effect.as(log.append(events), true)
  })

  /** Takes another state, folded from what the log has now, in the place of the one that has more. */
  const refold = (rewound: LogRewound): Effect.Effect<void, DatabaseError> =>
    Effect.gen(function* () {
      yield* logRewound(rewound)
      const next = yield* reader.restore(routerId, rewound.common)
      yield* reader
        .foldUntil(routerId, next.fold, yield* log.position)
        .pipe(Effect.catchTag("FoldStopped", LiveFold.logStopped))
      live.replace(next)
      snapshots.replaced()
      yield* dropAhead(next, rewound.common)
      yield* tellUnknown
      yield* snapshots.trySave
      yield* Effect.logInfo(`The learning log is folded again, up to position ${live.position()}`)
    }).pipe(Effect.catchTag("LogRewound", refold))

  let events = 0
  let announced = 0
  const onFolded = (end: Position) => (folded: FoldedCommits) =>
    Effect.suspend(() => {
      events += folded.commits.reduce((sum, commit) => sum + commit.events.length, 0)
      const isAnnounced = events - announced >= eventsPerProgressLine
      if (isAnnounced) announced = events
      return Effect.zipRight(live.folded(folded), isAnnounced ? logProgress(end) : Effect.void)
    })
  const logProgress = (end: Position) =>
    Effect.zipRight(
      Effect.logInfo(`folding the learning log: ${events} events so far, at position ${live.position()} of ${end}`),
      // Who stops a start that takes too long stops the next one later.
      snapshots.trySave
    )

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
        log
          .follow(live.mark())
          .pipe(Stream.runForEach((commit) => Effect.zipRight(live.apply(commit), onCommit(commit))))
      ).pipe(
        Effect.catchTag("LogRewound", (rewound) => Effect.ignore(Effect.retry(refold(rewound), refoldRetry))),
        Effect.forever
      )
  } satisfies Following
})

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
