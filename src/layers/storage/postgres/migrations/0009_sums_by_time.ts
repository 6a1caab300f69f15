import * as Effect from "effect/Effect"
import * as SqlClient from "@effect/sql/SqlClient"

/**
 * Sums of all owners are found by their time. Those of the last hours are of quarter minutes as well, with 0 as `hours` and the
 * quarter minute since 1970 as `bucket`. A program that does not know these adds to the others alone: then they differ, and the
 * rows are read.
 */
export const sumsByTime = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE INDEX decision_sums_time ON decision_sums (router_key, hours, bucket)`
})
