import * as Effect from "effect/Effect"
import * as SqlClient from "@effect/sql/SqlClient"

/** Answers that decline are few among those that are ok: who lists them does not read all. */
export const refused = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE INDEX decisions_refused ON decisions (id) WHERE ok AND error = 'refused'`
})
