import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { RouterId } from "../../domain/basics/Ids.ts"
import { referenceLatencySeconds } from "../../domain/routing/Reference.ts"
import { routes } from "../../services/api/Routes.ts"
import { NotAnswered, StoredAnswers } from "../../services/api/StoredAnswers.ts"
import { DecisionNotFound, type RouterShape } from "../../services/routing/Router.ts"
import { Database, type DatabaseShape } from "../../services/storage/Database.ts"
import { type AnyError, toPublic } from "./ErrorTable.ts"
import * as Lookups from "./Lookups.ts"
import * as Stats from "./StatsHandler.ts"

/** Answers of one router; with what costs are compared, USD. */
export const layerOf = (routerId: RouterId, costUsd: number): Layer.Layer<StoredAnswers, never, Database> =>
  Layer.effect(
    StoredAnswers,
    Effect.map(Database, (database) => {
      const shownWith = { costUsd, latencySeconds: referenceLatencySeconds, paramsOf: () => undefined }
      const dependencies = { router: routerOf(database, routerId), reference: () => shownWith }
      const answer = (address: string): Effect.Effect<unknown, AnyError> => {
        const asked = { caller, url: address }
        const [path = ""] = address.split("?")
        if (path === routes.stats.path) return Stats.answer(dependencies.router, dependencies.reference, asked)
        if (path === routes.decisions.path) return Lookups.decisionList(dependencies, asked)
        const id = decodeURIComponent(path.slice(routes.decisions.path.length + 1))
        return Lookups.decisionEntryOf(dependencies, caller, id)
      }
      return StoredAnswers.of({
        get: (address) =>
          answer(address).pipe(
            Effect.map((found) => JSON.stringify(found)),
            Effect.mapError((error) => new NotAnswered({ detail: toPublic(error).message }))
          )
      })
    })
  )

const caller = { owner: null, readsAll: true } as const

const routerOf = (
  database: Pick<DatabaseShape, "decision" | "decisions" | "stats">,
  routerId: RouterId
): Pick<RouterShape, "decision" | "decisions" | "stats"> => ({
  stats: (query) => Effect.map(database.stats(routerId, query), (rows) => ({ ...rows, savings: null })),
  decisions: (query) => database.decisions(routerId, query),
  decision: (id) =>
    Effect.flatMap(
      database.decision(routerId, id),
      Option.match({ onNone: () => new DecisionNotFound({ decisionId: id }), onSome: Effect.succeed })
    )
})
