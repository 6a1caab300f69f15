import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { RouterId } from "../../../../domain/basics/Ids.ts"
import { DatabaseError, type DatabaseShape, type RouterRow } from "../../../../services/storage/Database.ts"
import { guarded, type StoreError, unknownRouter } from "./Transaction.ts"

/** The router of that name; without a name the remembered one. */
export const selectRouter = (
  sql: SqlClient.SqlClient,
  id: Option.Option<RouterId>
): Effect.Effect<Option.Option<RouterRow>, StoreError> =>
  sql<{ id: string; seed: string; position: number }>`
    SELECT id, seed, position::float8 AS position FROM routers
    WHERE ${Option.isSome(id) ? sql`id = ${id.value}` : sql`remembered`}`.pipe(
    Effect.map(([row]) =>
      Option.map(Option.fromNullable(row), ({ id, position, seed }) => ({ id: RouterId(id), seed, position }))
    )
  )

export const makeRouters = (sql: SqlClient.SqlClient): Pick<DatabaseShape, "router" | "position"> => ({
  router: Effect.fn("Database.router")(function* (id) {
    const found = yield* selectRouter(sql, id)
    if (Option.isSome(found)) return found.value
    yield* Option.isSome(id)
      ? sql`INSERT INTO routers (id, seed) VALUES (${id.value}, gen_random_uuid()::text) ON CONFLICT DO NOTHING`
      : sql`INSERT INTO routers (id, seed, remembered)
            VALUES ('router-' || left(gen_random_uuid()::text, 8), gen_random_uuid()::text, true) ON CONFLICT DO NOTHING`
    const made = yield* selectRouter(sql, id)
    if (Option.isSome(made)) return made.value
    return yield* new DatabaseError({
      operation: "router",
      reason: "unexpected",
      detail: "the router could not be made"
    })
  }, guarded("router")),

  position: Effect.fn("Database.position")(function* (routerId) {
    const found = yield* selectRouter(sql, Option.some(routerId))
    return Option.isSome(found) ? found.value.position : yield* unknownRouter("position", routerId)
  }, guarded("position"))
})
