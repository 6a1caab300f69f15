import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Position } from "../../domain/basics/Ids.ts"
import type { LoggedCommit } from "../../domain/learning/Fold.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { Catalog, ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { LifecycleShape } from "../../services/running/Lifecycle.ts"
import type { DatabaseError } from "../../services/storage/Database.ts"

/** Reloads of the configuration, which all replicas of a router make together: the log says when. */
export interface Reloads {
  /** Looks for a request to reload in a commit that came while this process runs. */
  readonly saw: (commit: LoggedCommit) => void
  /** Does what the log and SIGHUP ask for, for ever. */
  readonly run: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (options: {
  readonly log: LearningLogShape
  readonly catalog: ModelCatalogShape
  readonly lifecycle: LifecycleShape
  /** Notes in the audit that a signal asked for it, at that position of the log. */
  readonly onHangup: (position: Position) => Effect.Effect<void, DatabaseError>
  /** Told of each catalogue that a reload brought. */
  readonly onReloaded: (catalog: Catalog) => Effect.Effect<void>
}) {
  const { catalog, lifecycle, log, onHangup, onReloaded } = options
  // Each holds one: what comes while it is full asks for the same.
  const requests = yield* Queue.sliding<void>(1)
  const hangups = yield* Queue.sliding<void>(1)
  lifecycle.onReload(() => hangups.unsafeOffer())

  const reload = Queue.take(requests).pipe(
    Effect.zipRight(catalog.reload),
    Effect.flatMap(onReloaded),
    // The catalogue has logged what is wrong with it.
    Effect.ignore
  )
  const tellReplicas = Queue.take(hangups).pipe(
    Effect.zipRight(Effect.flatMap(log.append([{ type: "reload" }]), onHangup)),
    Effect.catchAll((error) =>
      Effect.logError(
        `the reload did not reach the log, or the audit: ${error.message}; send SIGHUP again once the database is back`
      )
    )
  )
  return {
    saw: ({ events }) => {
      if (events.some((event) => event.type === "reload")) requests.unsafeOffer()
    },
    run: Effect.all([Effect.forever(reload), Effect.forever(tellReplicas)], { concurrency: 2, discard: true })
  } satisfies Reloads
})
