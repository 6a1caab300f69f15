import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TLSSocket } from "node:tls"
import * as Pg from "pg"
import { Database, type DatabaseError } from "../../../services/storage/Database.ts"
import {
  DatabaseInspection,
  type DatabaseInspectionShape,
  type DatabaseLink,
  type DatabaseSchema,
  type DatabaseServer,
  type KnownRouter
} from "../../../services/storage/DatabaseInspection.ts"
import { DatabaseTools } from "../../../services/storage/DatabaseTools.ts"
import { PostgresServer } from "../../../services/storage/PostgresServer.ts"
import { toDatabaseError } from "./DatabaseError.ts"
import { type BoundedPool, endPoolSoon, makePool } from "./Pool.ts"
import { tryNotifications } from "./Listen.ts"
import { serviceIndexes, serviceTables, tablesOfRouters } from "./ServiceTables.ts"
import { newestMigration } from "./Start.ts"
import { makeServers } from "./Servers.ts"
import { makeStore } from "./Store.ts"
import { makeTools } from "./Tools.ts"

/** Connects with the first question, not before. */
export const layer: Layer.Layer<DatabaseInspection, never, PostgresServer> = Layer.scoped(
  DatabaseInspection,
  Effect.gen(function* () {
    const { url } = yield* PostgresServer
    const servers = makeServers(url, connectTimeout)
    const bounded = yield* Effect.acquireRelease(
      Effect.sync(() =>
        makePool({
          servers,
          size: 1,
          applicationName: `conduit-doctor-${process.pid}`,
          connectTimeout,
          statementTimeout: Duration.seconds(5),
          lockTimeout: Duration.seconds(3)
        })
      ),
      endPoolSoon
    )
    return DatabaseInspection.of({
      url,
      address: servers.address,
      link: linkOf(bounded),
      server: serverOf(bounded),
      clock: clockOf(bounded),
      notifications: tryNotifications(bounded.options),
      schema: schemaOf(bounded),
      learningTables: learningTablesOf(bounded),
      routersWithout: routersWithout(bounded),
      removeRouter: removeRouter(bounded),
      store: storeOf(bounded)
    })
  })
)

const connectTimeout = Duration.seconds(3)

type Row<A> = { [Key in keyof A]: A[Key] }

const rows = <A extends Pg.QueryResultRow>(
  { options, pool }: BoundedPool,
  text: string,
  values: ReadonlyArray<unknown> = []
): Effect.Effect<ReadonlyArray<A>, DatabaseError> =>
  Effect.tryPromise({
    try: () => pool.query<A>(text, [...values]),
    catch: toDatabaseError(`query ${options.servers.address}`)
  }).pipe(Effect.map((result) => result.rows))

const linkOf = ({ options, pool }: BoundedPool): Effect.Effect<DatabaseLink, DatabaseError> =>
  Effect.acquireUseRelease(
    Effect.tryPromise({ try: () => pool.connect(), catch: toDatabaseError(`connect to ${options.servers.address}`) }),
    (client) =>
      Effect.sync(() => {
        const stream =
          "connection" in client && client.connection instanceof Pg.Connection ? client.connection.stream : null
        return {
          tls: !(stream instanceof TLSSocket) ? "none" : stream.authorized ? "verified" : "not verified",
          backend: "processID" in client && typeof client.processID === "number" ? client.processID : null
        } as const
      }),
    (client) => Effect.sync(() => client.release())
  )

const serverOf = (bounded: BoundedPool): Effect.Effect<DatabaseServer | null, DatabaseError> =>
  rows<Row<DatabaseServer>>(
    bounded,
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
       current_setting('server_version_num')::int AS number, current_setting('server_encoding') AS encoding,
       pg_backend_pid() AS backend, current_user::text AS role,
       pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS "readOnly",
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) AS slots,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS "roleLimit",
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS "databaseLimit",
       (SELECT count(*)::int FROM pg_stat_activity
        WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
          AND pid <> pg_backend_pid()
          AND NOT (datname = current_database() AND application_name LIKE 'conduit-%')) AS others,
       EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS set(text)
         WHERE s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
           AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
           AND set.text LIKE 'statement_timeout=%') AS "isLimited",
       (SELECT count(*)::int FROM pg_stat_replication) AS standbys,
       (SELECT extract(epoch FROM max(flush_lag))::float8 FROM pg_stat_replication) AS "lagSeconds",
       current_setting('synchronous_standby_names') AS "synchronousNames",
       current_setting('synchronous_commit') AS "synchronousCommit"`
  ).pipe(Effect.map(([row]) => row ?? null))

const clockOf = (bounded: BoundedPool) =>
  Effect.gen(function* () {
    const sentMs = yield* Clock.currentTimeMillis
    const sentNanos = yield* Clock.currentTimeNanos
    const [row] = yield* rows<{ ms: number }>(
      bounded,
      "SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms"
    )
    const tookMs = Number((yield* Clock.currentTimeNanos) - sentNanos) / 1e6
    return { tookMs, aheadMs: (row?.ms ?? sentMs) - (sentMs + tookMs / 2) }
  })

const migrations = "conduit_migrations"

/** Whether this role could migrate: it makes tables in the schema, and alters those that are there. */
const migrating = (bounded: BoundedPool) =>
  rows<{ known: boolean; readable: boolean; may: boolean }>(
    bounded,
    `SELECT to_regclass('${migrations}') IS NOT NULL AS known,
       coalesce(has_table_privilege(to_regclass('${migrations}'), 'SELECT'), false) AS readable,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AND coalesce((
         SELECT bool_and(pg_has_role(c.relowner, 'USAGE')) FROM pg_class c
         WHERE c.oid IN (SELECT to_regclass(t.name)::oid FROM unnest($1::text[]) AS t(name))), true) AS may`,
    [[migrations, ...serviceTables]]
  )

const missingRights = (bounded: BoundedPool) =>
  rows<Row<DatabaseSchema["missingRights"][number]>>(
    bounded,
    `SELECT t.name AS "table", r.name AS "right"
     FROM unnest($1::text[]) WITH ORDINALITY AS t(name, i)
     CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS r(name, i)
     WHERE to_regclass(t.name) IS NOT NULL AND NOT has_table_privilege(to_regclass(t.name), r.name)
       AND (t.name <> '${migrations}' OR r.name = 'SELECT')
     ORDER BY t.i, r.i`,
    [[migrations, ...serviceTables]]
  )

const missing = (bounded: BoundedPool) =>
  rows<{ name: string }>(
    bounded,
    "SELECT t.name FROM unnest($1::text[]) WITH ORDINALITY AS t(name, i) WHERE to_regclass(t.name) IS NULL ORDER BY t.i",
    [[...serviceTables, ...serviceIndexes]]
  )

const schemaOf = (bounded: BoundedPool): Effect.Effect<DatabaseSchema, DatabaseError> =>
  Effect.gen(function* () {
    const [state] = yield* migrating(bounded)
    const absent = (yield* missing(bounded)).map(({ name }) => name)
    const lacking = yield* missingRights(bounded)
    const [row] =
      state?.readable === true
        ? yield* rows<{ version: number | null }>(bounded, `SELECT max(migration_id) AS version FROM ${migrations}`)
        : []
    const isHidden = state?.known === true && !state.readable
    return {
      version: isHidden ? null : (row?.version ?? 0),
      newest: newestMigration,
      mayMigrate: state?.may === true,
      hasTables: serviceTables.some((table) => !absent.includes(table)),
      absent,
      missingRights: lacking
    }
  })

const learningTablesOf = (bounded: BoundedPool) =>
  rows<{ there: boolean; readable: boolean }>(
    bounded,
    `SELECT bool_and(to_regclass(t.name) IS NOT NULL) AS there,
       bool_and(has_table_privilege(to_regclass(t.name), 'SELECT')) AS readable
     FROM unnest(ARRAY['routers', 'learning_log', 'bandit_snapshots']) AS t(name)`
  ).pipe(Effect.map(([row]) => ({ there: row?.there === true, readable: row?.readable === true })))

const routersWithout =
  (bounded: BoundedPool): DatabaseInspectionShape["routersWithout"] =>
  (prefix) =>
    rows<Row<KnownRouter>>(bounded, "SELECT id, remembered FROM routers WHERE id NOT LIKE $1 ORDER BY created_at, id", [
      `${prefix}%`
    ])

const removeRouter =
  (bounded: BoundedPool): DatabaseInspectionShape["removeRouter"] =>
  (id) => {
    const parts = tablesOfRouters.map(
      (table) => `of_${table} AS (DELETE FROM ${table} WHERE router_key IN (SELECT key FROM gone))`
    )
    const deletions = ["gone AS (DELETE FROM routers WHERE id = $1 RETURNING key)", ...parts].join(", ")
    return Effect.asVoid(rows(bounded, `WITH ${deletions} SELECT count(*) FROM gone`, [id]))
  }

const storeOf = ({ pool }: BoundedPool): DatabaseInspectionShape["store"] =>
  Layer.build(PgClient.layerFromPool({ acquire: Effect.succeed(pool) })).pipe(
    Effect.mapError(toDatabaseError("connect")),
    Effect.map((context) => {
      const sql = Context.get(context, SqlClient.SqlClient)
      return Context.make(Database, { ...makeStore(sql), changes: () => Stream.empty }).pipe(
        Context.add(DatabaseTools, makeTools(sql))
      )
    })
  )
