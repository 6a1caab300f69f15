import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type RouterId, uuidV7Floor } from "../../../../domain/basics/Ids.ts"
import { hourMillis, hourQuarters, quarteredHours, quarterMillis } from "../../../../domain/stats/Cover.ts"
import type { AddUpOptions } from "../../../../services/storage/Database.ts"
import { type Parameters, parameters, run, type Statement } from "../Statement.ts"
import { readCommitted, type StoreError, transact } from "../store/Transaction.ts"
import { isFailure, measured, measureNames, noted, sumsOf, timeOf } from "./Measures.ts"

const lowest = "00000000-0000-0000-0000-000000000000"
const highest = "ffffffff-ffff-ffff-ffff-ffffffffffff"
/** For the first number of an advisory lock; the second one is the router. */
const lockClass = 727_002
/** Decisions of that much later have the new reference: by then all replicas' statements see it. */
const referenceDelayMillis = 30_000

/** From this hour on decisions are added to sums of quarter minutes too. */
const quarteredFrom = ({ nowMillis }: AddUpOptions) => Math.floor(nowMillis / hourMillis) - quarteredHours + 1

/** The rows are added to the sums of their hour and day, and lately of their quarter minute. `rows` are decisions, each with a `sign`. */
const addition = (given: Parameters, key: string, rows: string, options: AddUpOptions): ReadonlyArray<string> => [
  `measured_rows AS MATERIALIZED (SELECT d.*, ${timeOf("d.id", hourMillis)} AS hour, ${timeOf("d.id", quarterMillis)} AS quarter FROM (${measured(given, key, rows, options)}) d)`,
  `added AS (
    INSERT INTO decision_sums AS s (router_key, owner, hours, bucket, task, model, ${measureNames.join(", ")})
    SELECT ${key}, d.owner, w.hours, CASE WHEN w.hours = 0 THEN d.quarter ELSE d.hour - d.hour % w.hours END AS bucket,
      d.task, d.model, ${sumsOf("numeric")}
    FROM measured_rows d CROSS JOIN (VALUES (0), (1), (24)) AS w(hours)
    WHERE w.hours > 0 OR d.hour >= ${given.add("int", quarteredFrom(options))} GROUP BY d.owner, w.hours, bucket, d.task, d.model
    ON CONFLICT (router_key, owner, hours, bucket, task, model)
    DO UPDATE SET ${measureNames.map((name) => `${name} = s.${name} + excluded.${name}`).join(", ")}
    RETURNING s.owner, s.hours, s.bucket, s.task, s.model, s.requests)`,
  `added_failures AS (
    INSERT INTO failure_sums AS s (router_key, owner, hours, bucket, task, model, reason, count)
    SELECT ${key}, d.owner, w.hours, d.hour - d.hour % w.hours AS bucket, d.task, d.model, coalesce(d.error, ''), sum(d.sign)
    FROM measured_rows d CROSS JOIN (VALUES (1), (24)) AS w(hours) WHERE ${isFailure}
    GROUP BY d.owner, w.hours, bucket, d.task, d.model, coalesce(d.error, '')
    ON CONFLICT (router_key, owner, hours, bucket, task, model, reason) DO UPDATE SET count = s.count + excluded.count)`
]

/** The oldest changes of a decision say what it was; what it is now, its row says. */
const changesStatement = (routerKey: number, summedFrom: string, options: AddUpOptions): Statement => {
  const given = parameters()
  const key = given.add("int", routerKey)
  const text = `
    WITH ids AS MATERIALIZED (
      SELECT DISTINCT decision_id FROM (
        SELECT decision_id FROM decision_changes WHERE router_key = ${key} AND decision_id >= ${given.add("uuid", summedFrom)}
        ORDER BY decision_id LIMIT ${given.add("int", options.batch)}) changed),
    taken AS (
      DELETE FROM decision_changes c USING ids WHERE c.router_key = ${key} AND c.decision_id = ids.decision_id
      RETURNING c.decision_id, c.seq, c.before),
    noted AS MATERIALIZED (SELECT DISTINCT ON (decision_id) decision_id, before FROM taken ORDER BY decision_id, seq),
    ${addition(given, key, noted("noted"), options).join(",\n")}
    SELECT count(*)::float8 AS added, (SELECT count(*) FROM taken)::float8 AS noted,
      (SELECT json_agg(a)::text FROM added a WHERE requests = 0) AS emptied FROM noted`
  return { text, values: given.values }
}

/**
 * Decisions before those that are in the sums: all that was noted of them until now is in their rows. One statement sees one
 * state of the database, so what is noted later begins with the rows that it saw.
 */
const olderStatement = (routerKey: number, summedFrom: string, options: AddUpOptions): Statement => {
  const given = parameters()
  const key = given.add("int", routerKey)
  const from = given.add("uuid", summedFrom)
  const rows = `SELECT 1 AS sign, d.* FROM decisions d WHERE d.router_key = ${key} AND d.id < ${from} AND d.id >= (SELECT id FROM edge)`
  const text = `
    WITH edge AS MATERIALIZED (
      SELECT coalesce((SELECT id FROM decisions WHERE id < ${from} ORDER BY id DESC OFFSET ${given.add("int", options.batch - 1)} LIMIT 1),
        '${lowest}') AS id),
    seen AS (
      DELETE FROM decision_changes c USING edge
      WHERE c.router_key = ${key} AND c.decision_id < ${from} AND c.decision_id >= edge.id),
    ${addition(given, key, rows, options).join(",\n")},
    moved AS (UPDATE summing SET summed_from = (SELECT id FROM edge) WHERE router_key = ${key})
    SELECT count(*)::float8 AS added FROM measured_rows`
  return { text, values: given.values }
}

/** Sums of which all was taken back, as where decisions are past their retention; `emptied` are their keys as JSON. */
const removeEmptied = (sql: SqlClient.SqlClient, routerKey: number, emptied: string) =>
  Effect.forEach(["decision_sums", "failure_sums"], (table) =>
    sql.unsafe(
      `DELETE FROM ${table} s USING json_to_recordset($2::json) AS e(owner text, hours smallint, bucket integer, task text, model text)
       WHERE s.router_key = $1 AND s.owner = e.owner AND s.hours = e.hours AND s.bucket = e.bucket AND s.task = e.task
         AND s.model = e.model`,
      [routerKey, emptied]
    )
  )

/** The first one is for all decisions before it too. */
const toldReference = (
  sql: SqlClient.SqlClient,
  routerKey: number,
  { costReferenceUsd, nowMillis }: AddUpOptions
) => sql`
  INSERT INTO cost_references (router_key, since, cost_usd)
  SELECT ${routerKey}, CASE WHEN known.cost_usd IS NULL THEN ${lowest}::uuid ELSE ${uuidV7Floor(nowMillis + referenceDelayMillis)}::uuid END,
    ${costReferenceUsd}
  FROM (SELECT (SELECT cost_usd FROM cost_references WHERE router_key = ${routerKey} ORDER BY since DESC LIMIT 1) AS cost_usd) known
  WHERE known.cost_usd IS DISTINCT FROM ${costReferenceUsd}
  ON CONFLICT (router_key, since) DO UPDATE SET cost_usd = excluded.cost_usd`

/**
 * One step, in one transaction: a batch of what changed, and a batch of older decisions. Only one process at a time does so
 * for a router, others do nothing. Answers how many decisions it was, at most two batches.
 */
export const addUp = (
  sql: SqlClient.SqlClient,
  routerId: RouterId,
  options: AddUpOptions
): Effect.Effect<{ readonly added: number; readonly isDone: boolean }, StoreError> =>
  transact(
    sql,
    readCommitted
  )(
    Effect.gen(function* () {
      const [router] = yield* sql<{ key: number; locked: boolean }>`
        SELECT key, pg_try_advisory_xact_lock(${lockClass}, key) AS locked FROM routers WHERE id = ${routerId}`
      if (router === undefined) return { added: 0, isDone: true }
      if (options.isReferenceNew) yield* toldReference(sql, router.key, options)
      if (!router.locked) return { added: 0, isDone: true }
      const known = yield* sql<{
        from: string
      }>`SELECT summed_from AS "from" FROM summing WHERE router_key = ${router.key}`
      if (known.length === 0)
        yield* sql`INSERT INTO summing (router_key, summed_from) VALUES (${router.key}, ${highest})`
      const from = known[0]?.from ?? highest
      const changes = yield* run(sql, changesStatement(router.key, from, options))
      const [{ added, emptied, noted }] = yield* decodeChanges(changes)
      if (emptied !== null) yield* removeEmptied(sql, router.key, emptied)
      yield* sql`
        DELETE FROM decision_sums WHERE router_key = ${router.key} AND hours = 0
          AND bucket < ${quarteredFrom(options) * hourQuarters}`
      if (from === lowest) return { added, isDone: noted < options.batch }
      const older = yield* decodeOlder(yield* run(sql, olderStatement(router.key, from, options)))
      return { added: added + older[0].added, isDone: false }
    })
  )

const decodeChanges = Schema.decodeUnknown(
  Schema.Tuple(Schema.Struct({ added: Schema.Number, noted: Schema.Number, emptied: Schema.NullOr(Schema.String) }))
)
const decodeOlder = Schema.decodeUnknown(Schema.Tuple(Schema.Struct({ added: Schema.Number })))
