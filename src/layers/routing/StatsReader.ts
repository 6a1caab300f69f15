import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { savings } from "../../domain/stats/Savings.ts"
import type { DatabaseShape } from "../../services/storage/Database.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import { type RouterShape, StatsBusy } from "../../services/routing/Router.ts"

/** Savings look at each request beside each model: at so many pairs, drawn from all of them. About a fifth of a second. */
const mostPairs = 60_000

/** Waiting for others included; each statement has a limit of its own. */
const limit = Duration.seconds(20)

/** Of one owner, at work or waiting. */
const mostAsked = 64

/** Whose additions take turns, so that of each owner one at most waits among those of the others. */
interface Owner {
  readonly places: Effect.Semaphore
  readonly turn: Effect.Semaphore
}

/**
 * One at a time: an addition over a long window holds a connection for seconds, and requests need theirs. Owners take
 * turns: however much one asks for, another waits for one addition of each.
 */
export const make = ({
  catalog,
  database,
  log
}: {
  readonly catalog: Pick<ModelCatalogShape, "current">
  readonly database: Pick<DatabaseShape, "stats" | "savings">
  readonly log: Pick<LearningLogShape, "router">
}): RouterShape["stats"] => {
  const one = Effect.unsafeMakeSemaphore(1)
  // As many as there are keys.
  const owners = new Map<string | null, Owner>()
  const ownerOf = (name: string | null) => {
    const known = owners.get(name) ?? {
      places: Effect.unsafeMakeSemaphore(mostAsked),
      turn: Effect.unsafeMakeSemaphore(1)
    }
    owners.set(name, known)
    return known
  }
  const add: RouterShape["stats"] = (query) =>
    Effect.gen(function* () {
      const rows = yield* database.stats(log.router.id, query)
      if (query.model !== null || !query.savings) return { ...rows, savings: null }
      const models = Math.max(rows.byModel.length, catalog.current().models.length)
      const sampled = Math.min(1, mostPairs / Math.max(1, rows.totals.requests * models))
      const found = yield* database.savings(log.router.id, query, sampled)
      return { ...rows, savings: { ...savings(found), sampled: found.sampled } }
    }).pipe(one.withPermits(1))
  return (query) => {
    const { places, turn } = ownerOf(query.owner)
    return add(query).pipe(
      turn.withPermits(1),
      Effect.timeoutFail({ duration: limit, onTimeout: () => new StatsBusy() }),
      places.withPermitsIfAvailable(1),
      Effect.flatMap(Option.match({ onNone: () => new StatsBusy(), onSome: (found) => Effect.succeed(found) }))
    )
  }
}
