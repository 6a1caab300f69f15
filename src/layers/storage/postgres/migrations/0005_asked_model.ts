import * as Effect from "effect/Effect"
import * as SqlClient from "@effect/sql/SqlClient"

/** The name that a caller gave instead of a model's, where it is an alias; null for most, and for all rows before it. */
export const askedModel = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE decisions ADD COLUMN asked_model text`
})
