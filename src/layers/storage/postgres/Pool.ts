import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import * as Pg from "pg"
import { ServerPool } from "./ServerPool.ts"
import { configOf, type Servers } from "./Servers.ts"
import type { TelemetryShape } from "../../../services/observing/Telemetry.ts"

/** Limits of one pool's sessions. */
export interface PoolOptions {
  readonly servers: Servers
  readonly size: number
  readonly applicationName: string
  readonly connectTimeout: Duration.Duration
  /** For one statement, in the server and, a little longer, in the client. */
  readonly statementTimeout: Duration.Duration
  readonly lockTimeout: Duration.Duration
}

export interface BoundedPool {
  readonly pool: Pg.Pool
  readonly options: PoolOptions
  /** Cuts every socket that is left, connecting ones too, so that nothing keeps the process alive. */
  readonly destroy: Effect.Effect<void>
}

/** A pool in which nothing waits for ever. */
export const makePool = (options: PoolOptions): BoundedPool => {
  const sockets = new Set<net.Socket>()
  const stream = () => {
    const socket = new net.Socket()
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    return socket
  }
  const statementMs = Duration.toMillis(options.statementTimeout)
  const config: Pg.PoolConfig = {
    max: options.size,
    application_name: options.applicationName,
    connectionTimeoutMillis: Duration.toMillis(options.connectTimeout),
    query_timeout: statementMs + 500,
    keepAlive: true,
    stream,
    // By a query: PgBouncer refuses them as start-up parameters. Nothing relies on them for being correct.
    onConnect: (client) =>
      client.query(
        `SET statement_timeout = ${statementMs}; SET lock_timeout = ${Duration.toMillis(options.lockTimeout)}; ` +
          `SET idle_in_transaction_session_timeout = ${statementMs}; SET default_transaction_isolation = 'read committed'`
      )
  }
  const pool = new ServerPool(config, options.servers)
  // An idle connection that dies is replaced; without a listener it would end the process.
  pool.on("error", () => undefined)
  return {
    pool,
    options,
    destroy: Effect.sync(() => {
      options.servers.destroy()
      for (const socket of sockets) socket.destroy()
    })
  }
}

/** Its numbers as gauges, until the scope closes. */
export const observePool = (
  { options, pool }: BoundedPool,
  telemetry: TelemetryShape
): Effect.Effect<void, never, Scope.Scope> => {
  const connections = (state: string, read: () => number) =>
    telemetry.gauge("conduit_database_pool_connections", "Connections to PostgreSQL", read, { state })
  return Effect.all(
    [
      connections("idle", () => pool.idleCount),
      connections("busy", () => pool.totalCount - pool.idleCount),
      telemetry.gauge("conduit_database_pool_waiting", "Queries that wait for a connection", () => pool.waitingCount),
      telemetry.gauge("conduit_database_pool_size", "Connections that the pool may have", () => options.size)
    ],
    { discard: true }
  )
}

/** Ends the pool when its busy connections are done, without limit. */
export const endPool = ({ pool }: BoundedPool): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    pool.end(() => resume(Effect.void))
  })

/** For a pool of which nobody needs an answer any more: what is busy half a second later is cut. */
export const endPoolSoon = (bounded: BoundedPool): Effect.Effect<void> =>
  endPool(bounded).pipe(
    Effect.disconnect,
    Effect.interruptible,
    Effect.timeoutOption(Duration.millis(500)),
    Effect.zipRight(bounded.destroy)
  )

/** A backend that was terminated: its query without values. */
export interface BusyBackend {
  readonly query: string
  readonly ageMs: number
}

const withoutValues = (query: string): string =>
  query
    .replace(/'(?:[^']|'')*'?/g, "?")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 200)

/** Terminates every backend of the pool's application name over a connection of its own; closing a socket would not. */
export const terminateBackends = ({ options }: BoundedPool): Effect.Effect<ReadonlyArray<BusyBackend>> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new net.Socket()),
    (socket) =>
      Effect.tryPromise(async () => {
        const client = new Pg.Client({
          ...configOf(await options.servers.choose()),
          stream: () => socket,
          application_name: `${options.applicationName}-close`,
          connectionTimeoutMillis: Duration.toMillis(options.connectTimeout)
        })
        client.on("error", () => undefined)
        await client.connect()
        const { rows } = await client.query<{ query: string; age_ms: number; terminated: boolean }>(
          `SELECT query, extract(epoch FROM clock_timestamp() - coalesce(xact_start, query_start, backend_start))::float8 * 1000 AS age_ms,
                  pg_terminate_backend(pid) AS terminated
           FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()`,
          [options.applicationName]
        )
        return rows
          .filter((row) => row.terminated)
          .map((row) => ({ query: withoutValues(row.query), ageMs: Math.round(row.age_ms) }))
      }),
    (socket) => Effect.sync(() => void socket.destroy())
  ).pipe(Effect.catchAll(() => Effect.succeed([])))
