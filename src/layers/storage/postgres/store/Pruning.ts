import type * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlError from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { type RouterId, uuidV7Floor } from "../../../../domain/basics/Ids.ts"
import type { Pruned, PruneLimits } from "../../../../services/storage/Database.ts"

const key = "(SELECT key FROM routers WHERE id = $1)"

/** What another replica deletes at the same time is left to it. */
const batchOf = (table: string, id: string, condition: string) =>
  `WITH gone AS (DELETE FROM ${table} WHERE ${id} IN (
     SELECT ${id} FROM ${table} WHERE router_key = ${key} AND ${condition} LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING 1)
   SELECT count(*)::float8 AS gone FROM gone`

const prompts = batchOf("prompts", "decision_id", "decision_id < $2::uuid")
const feedback = batchOf("feedback", "id", "decision_id < $2::uuid AND NOT parked")
const parked = batchOf("feedback", "id", "id < $2::uuid AND parked")
const decisions = batchOf("decisions", "id", "id < $2::uuid")
/** Of the day that a budget of a month may still ask for none is deleted. */
const spent = `DELETE FROM budget_spent WHERE router_key = ${key}
  AND day < (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months')::date`
const eventless = batchOf("learning_log", "commit_id", "position IS NULL AND commit_id < $2::uuid")

/**
 * Always the oldest ones without a gap, or a refold would skip what lies before the oldest commit: so it waits for
 * another replica's deletion instead of skipping it. A policy with one snapshot covers nothing yet.
 */
const commits = `
  WITH covered AS (
    SELECT min(CASE WHEN kept < 2 THEN 0 ELSE watermark END) AS watermark FROM (
      SELECT count(*) AS kept, min(watermark) AS watermark FROM bandit_snapshots
      WHERE router_key = ${key} GROUP BY fingerprint HAVING max(saved_at) >= to_timestamp($4::float8 / 1000)) kept),
  oldest AS (
    SELECT position, commit_id FROM learning_log
    WHERE router_key = ${key} AND position <= (SELECT watermark FROM covered)
      AND position < (SELECT position FROM routers WHERE id = $1)
    ORDER BY position LIMIT $3),
  gone AS (
    DELETE FROM learning_log l USING oldest o WHERE l.commit_id = o.commit_id
      AND o.position < coalesce((SELECT min(position) FROM oldest WHERE commit_id >= $2::uuid), o.position + 1)
    RETURNING 1)
  SELECT count(*)::float8 AS gone FROM gone`

/** One batch of each kind. */
export const pruneBatch = (
  sql: SqlClient.SqlClient,
  routerId: RouterId,
  limits: PruneLimits,
  batch: number
): Effect.Effect<Pruned, SqlError.SqlError> => {
  const run = (statement: string, beforeMillis: number, ...more: ReadonlyArray<unknown>) =>
    Effect.map(
      sql.unsafe<{ gone: number }>(statement, [routerId, uuidV7Floor(beforeMillis), batch, ...more]),
      ([row]) => row?.gone ?? 0
    )
  return Effect.gen(function* () {
    yield* sql.unsafe(spent, [routerId])
    const deleted = {
      prompts: yield* run(prompts, limits.promptsBeforeMillis),
      feedback: yield* run(feedback, limits.decisionsBeforeMillis),
      parked: yield* run(parked, limits.parkedBeforeMillis),
      decisions: yield* run(decisions, limits.decisionsBeforeMillis)
    }
    const logged = yield* run(commits, limits.logBeforeMillis, limits.snapshotsSinceMillis)
    return { ...deleted, commits: logged + (yield* run(eventless, limits.logBeforeMillis)) }
  })
}
