import * as Effect from "effect/Effect"
import * as SqlClient from "@effect/sql/SqlClient"

/** What is known of an outcome besides its figures, as JSON; null for most, and for all rows before it. */
export const outcomeDetails = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE decisions ADD COLUMN details text`
})
