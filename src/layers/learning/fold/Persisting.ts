import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { PersistFailed, PersistTimeout } from "../../../services/learning/BanditState.ts"
import type { LearningLogShape } from "../../../services/learning/LearningLog.ts"
import {
  OutcomesDropped,
  type ShutdownError,
  type ShutdownReportShape
} from "../../../services/running/ShutdownReport.ts"
import type { DatabaseError } from "../../../services/storage/Database.ts"
import type { LiveFold } from "./LiveFold.ts"
import type { Snapshots } from "./Snapshots.ts"

/** The phase `persist` of a shutdown: stores what is pending, folds the log to its end and stores the state. */
export const persist = (options: {
  readonly log: LearningLogShape
  readonly live: LiveFold
  readonly snapshots: Snapshots
  /** Folds the log to its end. */
  readonly catchUp: Effect.Effect<void, DatabaseError>
  readonly report: ShutdownReportShape
  readonly limit: Duration.Duration
}): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { catchUp, limit, live, log, report, snapshots } = options
    const count = accounting(log, report)
    const { dropped } = report.learning
    if (dropped > 0) report.error(null, new OutcomesDropped({ dropped }))
    let failure = "it did not end"
    const noted = <E extends ShutdownError>(error: E): E => {
      failure = error.message
      return error
    }
    const steps = Effect.logInfo("Phase 2/3: Persisting bandit state").pipe(
      Effect.zipRight(flushed(log, limit, count)),
      Effect.zipRight(
        Effect.zipRight(catchUp, snapshots.save).pipe(
          Effect.mapError((error) => persistFailed(error, count().unpersisted))
        )
      ),
      Effect.mapError(noted),
      Effect.tapDefect((cause) => Effect.sync(() => (failure = Cause.pretty(cause).split("\n")[0] ?? failure)))
    )
    const ok = yield* report.phase(
      "persist",
      { limit, onTimeout: () => noted(persistTimedOut(log, limit, count().unpersisted)) },
      Effect.asVoid(steps)
    )
    count()
    report.learning.watermark = live.position()
    yield* ok
      ? live.isIncomplete() || !live.isUsable()
        ? Effect.logWarning(
            `What was learned since the start is in the learning log; ${live.isUsable() ? "the snapshots that could not be used were not replaced" : "its fold stopped, so no snapshot of it is stored"}`
          )
        : Effect.logInfo("Bandit state persisted successfully")
      : Effect.logError(`Failed to persist router state: ${failure}`)
  })

/** Keeps the report's numbers: what is counted as pending is persisted or not, at any moment. What is dropped now is lost. */
const accounting = (log: LearningLogShape, { learning }: ShutdownReportShape) => {
  const before = log.backlog()
  learning.dropped = before.dropped
  return () => {
    const { dropped, pending } = log.backlog()
    learning.unpersisted = pending + dropped - before.dropped
    learning.pending = Math.max(before.pending, learning.unpersisted)
    learning.persisted = learning.pending - learning.unpersisted
    return learning
  }
}

/** A time-out is nothing that the database said. */
const isAnswer = (error: DatabaseError | null): error is DatabaseError => error !== null && error.reason !== "timeout"

const persistFailed = (error: DatabaseError, unpersisted: number) =>
  new PersistFailed({ reason: error.reason, detail: error.message, unpersisted })

/** A second signal may cut the limit short: if the database answered errors until then, they are the reason. */
const persistTimedOut = (log: LearningLogShape, limit: Duration.Duration, unpersisted: number) => {
  const { lastError } = log.backlog()
  return isAnswer(lastError) && unpersisted > 0
    ? persistFailed(lastError, unpersisted)
    : new PersistTimeout({ limitMs: Duration.toMillis(limit), unpersisted })
}

/**
 * Stores what is pending. A database that answers errors is given up a little before the limit, so that the report can
 * name its reason; one that does not answer at all is left to the limit itself.
 */
const flushed = (
  log: LearningLogShape,
  limit: Duration.Duration,
  count: () => { readonly unpersisted: number }
): Effect.Effect<void, PersistFailed> => {
  const limitMs = Duration.toMillis(limit)
  const patienceMs = limitMs - Math.min(limitMs / 2, Math.max(100, limitMs / 10))
  const givenUp = Effect.sleep(Duration.millis(patienceMs)).pipe(
    Effect.flatMap(() => {
      const { lastError } = log.backlog()
      return isAnswer(lastError) ? Effect.fail(persistFailed(lastError, count().unpersisted)) : Effect.never
    })
  )
  return Effect.raceFirst(Effect.disconnect(log.flush), givenUp)
}
