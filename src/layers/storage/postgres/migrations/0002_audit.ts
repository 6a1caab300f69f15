import * as Effect from "effect/Effect"
import * as SqlClient from "@effect/sql/SqlClient"

/**
 * What lists decisions: the primary key is the order of time, and serves every filter whose value is frequent. What is
 * selective by itself has a partial B-tree of those rows. The rest has one GIN together, whose compressed lists cost a
 * few bytes a row where a B-tree costs fifty; its list of what is new, which every query reads, is kept short.
 * Prompts stand apart, because they go earlier.
 */
export const audit = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE INDEX decisions_session ON decisions (session_id, id) WHERE session_id IS NOT NULL`
  yield* sql`CREATE INDEX decisions_not_ok ON decisions (id) WHERE ok IS NOT TRUE`
  yield* sql`
    CREATE INDEX decisions_unusual ON decisions ((CASE WHEN answered_by <> chosen THEN 'fallback' ELSE reason END), id)
    WHERE (CASE WHEN answered_by <> chosen THEN 'fallback' ELSE reason END) NOT IN ('best', 'session')`
  yield* sql`
    CREATE INDEX decisions_facets ON decisions USING gin ((ARRAY[coalesce(answered_by, chosen), algorithm, task, user_id]))
    WITH (gin_pending_list_limit = 256)`
  yield* sql`
    CREATE TABLE prompts (
      decision_id uuid PRIMARY KEY,
      router_key integer NOT NULL,
      prompt text NOT NULL
    )`
})
