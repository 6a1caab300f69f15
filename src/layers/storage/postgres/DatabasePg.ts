import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { Database, DatabaseError, isAway } from "../../../services/storage/Database.ts"
import { DatabaseTools } from "../../../services/storage/DatabaseTools.ts"
import { PostgresServer } from "../../../services/storage/PostgresServer.ts"
import { Settings } from "../../../services/running/Settings.ts"
import { ShutdownReport } from "../../../services/running/ShutdownReport.ts"
import { Telemetry } from "../../../services/observing/Telemetry.ts"
import { closePool } from "./Close.ts"
import { toDatabaseError } from "./DatabaseError.ts"
import { listen } from "./Listen.ts"
import { type BoundedPool, makePool, observePool, type PoolOptions } from "./Pool.ts"
import { awaitDatabase, isUpToDate, migrate } from "./Start.ts"
import { makeServers } from "./Servers.ts"
import { makeStore } from "./Store.ts"
import { makeTools } from "./Tools.ts"

let poolsOfThisProcess = 0
/** Also for who waits until a connection is free: of one only, longer than any statement before it takes. */
const connectTimeoutOf = (isSingleSession: boolean) => Duration.seconds(isSingleSession ? 10 : 2)

interface Options {
  /** Whether tables are made in a database that has none of Conduit's. */
  readonly creates: boolean
}

export const layerWith = ({
  creates
}: Options): Layer.Layer<
  Database | DatabaseTools,
  DatabaseError,
  PostgresServer | ShutdownReport | Settings | Telemetry
> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const server = yield* PostgresServer
      const report = yield* ShutdownReport
      const { database, shutdown } = yield* Settings
      // Backends are found by this name, so it is of this pool alone.
      const startedAt = yield* Clock.currentTimeMillis
      const unique = (Hash.string(`${process.pid}-${startedAt}-${poolsOfThisProcess++}`) >>> 0).toString(16)
      const connectTimeout = connectTimeoutOf(server.isSingleSession)
      const options: PoolOptions = {
        servers: makeServers(server.url, connectTimeout),
        size: server.poolSize,
        applicationName: `conduit-${process.pid}-${unique}`,
        connectTimeout,
        statementTimeout: Duration.seconds(5),
        lockTimeout: Duration.seconds(3)
      }
      const made = makePool(options)
      // Before the pool is made to close at release: its last numbers are those of a closed pool.
      yield* observePool(made, yield* Telemetry)
      // Released after everything that uses the database, which stands above it in the chain.
      const bounded = yield* Effect.acquireRelease(Effect.succeed(made), (pool) =>
        closePool(pool, server, shutdown.closeTimeout, report)
      )
      const giveUpAt = startedAt + Duration.toMillis(database.connectDeadline)
      const untilGivenUp = Effect.map(Clock.currentTimeMillis, (now) => Duration.millis(Math.max(0, giveUpAt - now)))
      // A database that goes away in the middle of it is waited for again.
      yield* untilGivenUp.pipe(
        Effect.flatMap((left) => awaitDatabase(bounded, left)),
        Effect.zipRight(
          Effect.unlessEffect(
            Effect.zipRight(creates ? Effect.void : refuseForeign(bounded), migrate(options)),
            isUpToDate(bounded)
          )
        ),
        Effect.retry({
          schedule: Schedule.spaced(Duration.millis(100)),
          while: (error) =>
            Effect.map(untilGivenUp, (left) => isAway(error) && Duration.greaterThan(left, Duration.zero))
        })
      )
      const client = yield* Layer.build(PgClient.layerFromPool({ acquire: Effect.succeed(bounded.pool) })).pipe(
        Effect.mapError(toDatabaseError("connect"))
      )
      return yield* Effect.map(SqlClient.SqlClient, (sql) =>
        Context.make(Database, {
          ...leavingReadOnly(makeStore(sql), options),
          changes: (routerId) => (server.isSingleSession ? Stream.empty : listen(options, routerId))
        }).pipe(Context.add(DatabaseTools, makeTools(sql)))
      ).pipe(Effect.provide(client))
    })
  )

export const layer = layerWith({ creates: true })

/** A server that was the primary and is one no more keeps its connections: those are left for the new one's. */
const leavingReadOnly = (store: ReturnType<typeof makeStore>, { servers }: PoolOptions): typeof store => ({
  ...store,
  commit: (commit) =>
    Effect.tapError(store.commit(commit), ({ reason }) =>
      reason === "read_only" ? Effect.sync(() => servers.leave()) : Effect.void
    )
})

const refuseForeign = ({ options, pool }: BoundedPool): Effect.Effect<void, DatabaseError> => {
  const operation = `open ${options.servers.address}`
  return Effect.tryPromise({
    try: () => pool.query<{ known: boolean }>("SELECT to_regclass('conduit_migrations') IS NOT NULL AS known"),
    catch: toDatabaseError(operation)
  }).pipe(
    Effect.flatMap(({ rows }) =>
      rows[0]?.known === true
        ? Effect.void
        : new DatabaseError({
            operation,
            reason: "unexpected",
            detail: "it holds nothing of Conduit: set DATABASE_URL as the service has it, or start the service once"
          })
    ),
    Effect.disconnect
  )
}
