import * as PgClient from "@effect/sql-pg/PgClient"
import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlError from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { DatabaseError, isAway } from "../../../services/storage/Database.ts"
import { unmetRequirement } from "../../../services/storage/DatabaseRequirements.ts"
import { init } from "./migrations/0001_init.ts"
import { audit } from "./migrations/0002_audit.ts"
import { outcomeDetails } from "./migrations/0003_outcome_details.ts"
import { refused } from "./migrations/0004_refused.ts"
import { askedModel } from "./migrations/0005_asked_model.ts"
import { sums } from "./migrations/0006_sums.ts"
import { keys } from "./migrations/0007_keys.ts"
import { budgets } from "./migrations/0008_budgets.ts"
import { sumsByTime } from "./migrations/0009_sums_by_time.ts"
import { toDatabaseError } from "./DatabaseError.ts"
import { readCommitted, transact } from "./store/Transaction.ts"
import { type BoundedPool, endPoolSoon, makePool, type PoolOptions } from "./Pool.ts"

const migrations = {
  "0001_init": init,
  "0002_audit": audit,
  "0003_outcome_details": outcomeDetails,
  "0004_refused": refused,
  "0005_asked_model": askedModel,
  "0006_sums": sums,
  "0007_keys": keys,
  "0008_budgets": budgets,
  "0009_sums_by_time": sumsByTime
}
export const newestMigration = Object.keys(migrations).length
const table = "conduit_migrations"

/** Waits for a database that is not there yet, at most until the deadline; what waiting cannot cure fails at once. */
export const awaitDatabase = (
  { destroy, options, pool }: BoundedPool,
  deadline: Duration.Duration
): Effect.Effect<void, DatabaseError> => {
  const operation = `connect to ${options.servers.address}`
  const attempt = Effect.tryPromise({
    try: () =>
      pool.query<{ version: string; number: number; encoding: string }>(
        `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
           current_setting('server_encoding') AS encoding`
      ),
    catch: toDatabaseError(operation)
  }).pipe(
    Effect.flatMap(({ rows: [server] }) => {
      const unmet = server === undefined ? null : unmetRequirement(server)
      return unmet === null
        ? Effect.void
        : new DatabaseError({ operation, reason: "unexpected", detail: `${unmet.problem}: ${unmet.remedy}` })
    }),
    Effect.disconnect,
    // Nobody else uses the pool yet: a connection that is being made must not hold up its end.
    Effect.onInterrupt(() => destroy)
  )
  return Effect.gen(function* () {
    const giveUpAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(deadline)
    let delayMs = 100
    let announced = false
    while (true) {
      const failure = yield* attempt.pipe(
        Effect.as(null),
        Effect.catchAll((error) => Effect.succeed(error))
      )
      if (failure === null) return
      const now = yield* Clock.currentTimeMillis
      if (!isAway(failure) || now >= giveUpAt) return yield* failure
      if (!announced) {
        announced = true
        yield* Effect.logWarning(
          `Waiting up to ${Math.ceil((giveUpAt - now) / 1000)}s for the database at ${options.servers.address}: ${failure.detail}`
        )
      }
      yield* Effect.sleep(Duration.millis(Math.min(delayMs, giveUpAt - now)))
      delayMs = Math.min(delayMs * 2, 2_000)
    }
  })
}

// The migrator creates its table outside its lock, where two processes on an empty database collide: so it comes first.
const ensureTable = (sql: SqlClient.SqlClient) =>
  transact(
    sql,
    readCommitted
  )(
    Effect.zipRight(
      sql`SELECT pg_advisory_xact_lock(727001)`,
      sql`CREATE TABLE IF NOT EXISTS ${sql(table)} (
        migration_id integer PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), name text NOT NULL)`
    )
  )

/** The version of the schema; 0 if there is none. */
export const currentMigration = (sql: SqlClient.SqlClient) =>
  Effect.gen(function* () {
    const [found] = yield* sql<{ exists: boolean }>`SELECT to_regclass(${table}) IS NOT NULL AS exists`
    if (found?.exists !== true) return 0
    const [row] = yield* sql<{ id: number | null }>`SELECT max(migration_id) AS id FROM ${sql(table)}`
    return row?.id ?? 0
  })

/**
 * Whether there is nothing to migrate, which is usual; what goes wrong here is told by the migration. A table that is not
 * there is no error: that would cost the pool its connection.
 */
export const isUpToDate = ({ pool }: BoundedPool): Effect.Effect<boolean> =>
  Effect.tryPromise(async () => {
    const { rows } = await pool.query<{ known: boolean }>(`SELECT to_regclass('${table}') IS NOT NULL AS known`)
    if (rows[0]?.known !== true) return false
    const newest = await pool.query<{ id: number | null }>(`SELECT max(migration_id) AS id FROM ${table}`)
    return newest.rows[0]?.id === newestMigration
  }).pipe(
    Effect.orElseSucceed(() => false),
    Effect.disconnect
  )

const run = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const current = yield* currentMigration(sql)
  if (current > newestMigration) {
    return yield* new DatabaseError({
      operation: "migrate",
      reason: "schema_newer",
      detail: `the schema has version ${current}, this program knows ${newestMigration}: run a newer program`
    })
  }
  if (current === newestMigration) return
  yield* ensureTable(sql)
  yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations), table }).pipe(
    Effect.catchAllDefect((defect) =>
      defect instanceof Migrator.MigrationError || defect instanceof SqlError.SqlError
        ? Effect.fail(defect)
        : Effect.die(defect)
    )
  )
})

/**
 * Brings the schema up to date, all pending migrations in one transaction. Over connections of its own, whose limits are
 * long enough to wait for another process that migrates. Cutting them undoes what was not committed.
 */
export const migrate = (options: PoolOptions): Effect.Effect<void, DatabaseError> =>
  Effect.acquireUseRelease(
    Effect.sync(() =>
      makePool({ ...options, size: 1, statementTimeout: Duration.seconds(60), lockTimeout: Duration.seconds(60) })
    ),
    (bounded) =>
      run.pipe(
        Effect.provide(PgClient.layerFromPool({ acquire: Effect.succeed(bounded.pool) })),
        Effect.mapError(toDatabaseError("migrate")),
        // Do not wait for a cancellation that the embedded database cannot do.
        Effect.disconnect
      ),
    endPoolSoon
  )
