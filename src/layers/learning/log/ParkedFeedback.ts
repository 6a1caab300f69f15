import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { FeedbackSubmission } from "../../../domain/learning/Feedback.ts"
import type { RouterId } from "../../../domain/basics/Ids.ts"
import type { DatabaseError, DatabaseShape } from "../../../services/storage/Database.ts"
import type { Signal } from "./Signal.ts"

const interval = Duration.seconds(1)
/** For what another replica parked and did not join: it may be gone. */
const idleInterval = Duration.seconds(30)
/** How many looks a second follow a feedback that was parked here. */
const eagerLooks = 60
const batchSize = 500

/** Joins parked feedback to its decision once that is stored, while the scope is open. */
export const joinParkedFeedback = (options: {
  readonly routerId: RouterId
  readonly database: DatabaseShape
  readonly parked: Signal
  readonly join: (joined: ReadonlyArray<FeedbackSubmission>) => Effect.Effect<unknown, DatabaseError>
}): Effect.Effect<void, never, Scope.Scope> => {
  const { database, join, parked, routerId } = options
  const look = Effect.disconnect(database.joinable(routerId, batchSize)).pipe(
    Effect.flatMap((joined) => (joined.length === 0 ? Effect.void : join(joined))),
    // The database is away: the committer says so, and the feedback is stored.
    Effect.ignore
  )
  return Effect.gen(function* () {
    let seen = parked.count()
    let looks = 0
    while (true) {
      yield* look
      if (looks > 0) {
        looks--
        yield* Effect.sleep(interval)
      } else {
        yield* parked.afterAtMost(seen, idleInterval)
      }
      if (parked.count() !== seen) looks = eagerLooks
      seen = parked.count()
    }
  }).pipe(Effect.forkScoped, Effect.asVoid)
}
