import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as EpisodeLog from "../../../services/observing/EpisodeLog.ts"
import type { RouterId } from "../../../domain/basics/Ids.ts"
import {
  type DatabaseError,
  type DatabaseShape,
  isAway,
  type Pruned,
  type PruneLimits
} from "../../../services/storage/Database.ts"
import type { SettingsShape } from "../../../services/running/Settings.ts"

const interval = Duration.minutes(3)
const batchSize = 1_000
const batchesPerRound = 200
const pause = Duration.millis(50)
/** The snapshots of a policy that is still in use are younger, unless nothing happened. */
const policyInUse = Duration.days(7)

/** Deletes what is past its retention, some of it every few minutes, while the scope is open. */
export const runPruner = (options: {
  readonly routerId: RouterId
  readonly database: DatabaseShape
  readonly settings: Pick<SettingsShape, "learning" | "retention">
  /** So much feedback is deleted whose decision has never appeared. */
  readonly onExpired: (parked: number) => void
}): Effect.Effect<void, never, Scope.Scope> => {
  const { database, onExpired, routerId, settings } = options

  const refusals = EpisodeLog.make({
    began: (error: DatabaseError) => Effect.logWarning(`What is past its retention is not deleted: ${error.message}`),
    ended: ({ failures, seconds }) =>
      Effect.logInfo(`What is past its retention is deleted again after ${seconds}s: ${failures} failed attempt(s)`)
  })

  const round = Effect.gen(function* () {
    const limits = limitsAt(settings, yield* Clock.currentTimeMillis)
    let total: Pruned = { decisions: 0, feedback: 0, prompts: 0, parked: 0, commits: 0 }
    for (let batches = 0; batches < batchesPerRound; batches++) {
      const gone = yield* Effect.disconnect(database.prune(routerId, limits, batchSize))
      if (gone.parked > 0) onExpired(gone.parked)
      total = {
        decisions: total.decisions + gone.decisions,
        feedback: total.feedback + gone.feedback,
        prompts: total.prompts + gone.prompts,
        parked: total.parked + gone.parked,
        commits: total.commits + gone.commits
      }
      if (Object.values(gone).every((count) => count < batchSize)) break
      yield* Effect.sleep(pause)
    }
    if (Object.values(total).some((count) => count > 0)) {
      yield* Effect.logInfo(
        `Deleted what is past its retention: ${total.decisions} decision(s), ${total.feedback} feedback, ` +
          `${total.prompts} prompt(s), ${total.parked} parked feedback, ${total.commits} commit(s) of the learning log`
      )
    }
    yield* refusals.worked
  }).pipe(
    // That a database is away is logged already.
    Effect.catchAll((error) => refusals.failed(error, !isAway(error)))
  )

  return Effect.forever(Effect.zipRight(Effect.sleep(interval), round)).pipe(Effect.forkScoped, Effect.asVoid)
}

const limitsAt = ({ learning, retention }: Pick<SettingsShape, "learning" | "retention">, now: number): PruneLimits => {
  const before = (age: Duration.Duration) => now - Duration.toMillis(age)
  return {
    decisionsBeforeMillis: before(Duration.max(retention.decisions, learning.feedbackExpiry)),
    promptsBeforeMillis: before(retention.prompts),
    parkedBeforeMillis: before(retention.parked),
    logBeforeMillis: before(retention.log),
    snapshotsSinceMillis: before(Duration.max(retention.log, policyInUse))
  }
}
