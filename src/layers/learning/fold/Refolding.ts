import * as Effect from "effect/Effect"
import type { Position } from "../../../domain/basics/Ids.ts"
import type { Learning } from "../../../domain/learning/LearnedState.ts"
import type { LearningEvent } from "../../../domain/learning/LearningEvent.ts"
import type { LearningLogShape } from "../../../services/learning/LearningLog.ts"
import type { LogReaderShape, LogRewound, Restored } from "../../../services/learning/LogReader.ts"
import type { TelemetryShape } from "../../../services/observing/Telemetry.ts"
import type { ShutdownReportShape } from "../../../services/running/ShutdownReport.ts"
import type { DatabaseError } from "../../../services/storage/Database.ts"
import * as LiveFold from "./LiveFold.ts"
import type { Snapshots } from "./Snapshots.ts"

/** A log that goes back again and again shall not fill the shutdown report. */
const maxReported = 10

/** What to do where the log is not, or not all, that the state was folded from. */
export interface Refolding {
  /** Takes another state, folded from what the log has now, in the place of the one that has more. */
  readonly refold: (rewound: LogRewound) => Effect.Effect<void, DatabaseError>
  /** Deletes the snapshots that are ahead of the position: a start would use one once the log has passed it. */
  readonly dropAhead: (restored: Restored, position: Position) => Effect.Effect<void, DatabaseError>
  /** Tells the log what it does not know; answers whether there was anything. */
  readonly tellUnknown: Effect.Effect<boolean, DatabaseError>
}

export const make = (options: {
  readonly log: LearningLogShape
  readonly reader: LogReaderShape
  readonly telemetry: TelemetryShape
  readonly report: ShutdownReportShape
  readonly live: LiveFold.LiveFold
  readonly snapshots: Snapshots
  readonly unknown: (learned: Learning) => ReadonlyArray<LearningEvent>
}): Refolding => {
  const { live, log, reader, report, snapshots, telemetry, unknown } = options
  const routerId = log.router.id
  let reported = 0
  /** A try that failed sees the same again. */
  let isLogged = false

  const logRewound = (rewound: LogRewound) =>
    Effect.suspend(() => {
      if (isLogged) return Effect.void
      isLogged = true
      telemetry.logRewound(rewound.lost)
      if (reported++ < maxReported) report.error(null, rewound)
      return Effect.logError(
        `The learning log went back, and the state is folded again from what it has: ${rewound.message}`
      )
    })

  const dropAhead: Refolding["dropAhead"] = (restored, position) =>
    restored.isAhead && !restored.isIncomplete
      ? Effect.flatMap(log.dropSnapshotsAfter(position), (dropped) =>
          Effect.logWarning(`Deleted ${dropped} snapshot(s) that are ahead of position ${position} of the log`)
        )
      : Effect.void

  const tellUnknown = Effect.suspend(() => {
    const events = live.isUsable() ? unknown(live.learned()) : []
    return events.length === 0 ? Effect.succeed(false) : Effect.as(log.append(events), true)
  })

  const refold: Refolding["refold"] = (rewound) =>
    Effect.gen(function* () {
      yield* logRewound(rewound)
      const next = yield* reader.restore(routerId, rewound.common)
      yield* reader
        .foldUntil(routerId, next.fold, yield* log.position)
        .pipe(Effect.catchTag("FoldStopped", LiveFold.logStopped))
      live.replace(next)
      snapshots.replaced()
      isLogged = false
      yield* dropAhead(next, rewound.common)
      yield* tellUnknown
      yield* snapshots.trySave
      yield* Effect.logInfo(`The learning log is folded again, up to position ${live.position()}`)
    }).pipe(Effect.catchTag("LogRewound", refold))

  return { refold, dropAhead, tellUnknown }
}
