import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { planConstants } from "../../domain/learning/CommitPlan.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import * as EpisodeLog from "../../services/observing/EpisodeLog.ts"
import { type DatabaseError, type DatabaseShape, isAway } from "../../services/storage/Database.ts"

/** So much is not in the sums yet, and read row by row by whoever asks for statistics. */
const interval = Duration.seconds(5)
const batch = 2_000
/** Others want the database too. */
const pause = Duration.millis(50)

/** Adds up what was decided, judged and deleted, for statistics, while the scope is open. */
export const run = ({
  catalog,
  database,
  log
}: {
  readonly catalog: Pick<ModelCatalogShape, "current">
  readonly database: Pick<DatabaseShape, "addUp">
  readonly log: Pick<LearningLogShape, "router">
}): Effect.Effect<void, never, Scope.Scope> => {
  let toldReferenceUsd: number | null = null

  const refusals = EpisodeLog.make({
    began: (error: DatabaseError) =>
      Effect.logWarning(`Decisions are not added up, statistics get slower and stay right: ${error.message}`),
    ended: ({ failures, seconds }) =>
      Effect.logInfo(`Decisions are added up again after ${seconds}s: ${failures} failed attempt(s)`)
  })

  const step = Effect.gen(function* () {
    const costReferenceUsd = catalog.current().costReferenceUsd
    const { isDone } = yield* Effect.disconnect(
      database.addUp(log.router.id, {
        batch,
        costReferenceUsd,
        isReferenceNew: costReferenceUsd !== toldReferenceUsd,
        latencyReferenceSeconds: planConstants.latencyReferenceSeconds,
        nowMillis: yield* Clock.currentTimeMillis
      })
    )
    toldReferenceUsd = costReferenceUsd
    return isDone
  })

  const round = step.pipe(
    Effect.tap((isDone) => (isDone ? Effect.void : Effect.sleep(pause))),
    Effect.repeat({ until: (isDone) => isDone }),
    Effect.zipRight(refusals.worked),
    // That a database is away is logged already.
    Effect.catchAll((error) => refusals.failed(error, !isAway(error)))
  )

  return Effect.forever(Effect.zipRight(Effect.sleep(interval), round)).pipe(Effect.forkScoped, Effect.asVoid)
}
