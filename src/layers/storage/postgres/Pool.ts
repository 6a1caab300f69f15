import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import * as Pg from "pg"
import type { TelemetryShape } from "../../../services/observing/Telemetry.ts"

/** Limits of one pool's sessions. */
export interface PoolOptions {
  readonly url: Redacted.Redacted
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

/** What a URL says about the name would take precedence, and backends are found by ours. */
export const withoutName = (url: string): string =>
  url.replace(/([?&])application_name=[^&]*&?/, "$1").replace(/[?&]$/, "")

/** Where the server is, without user and password. */
export const addressOf = (url: Redacted.Redacted): string => {
  const text = Redacted.value(url)
  if (!URL.canParse(text)) return "the configured address"
  const { host, pathname, searchParams } = new URL(text)
  return `${host === "" ? (searchParams.get("host") ?? "") : host}${pathname}`
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
  const pool = new Pg.Pool({
    connectionString: withoutName(Redacted.value(options.url)),
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
  })
  // An idle connection that dies is replaced; without a listener it would end the process.
  pool.on("error", () => undefined)
  // A client whose query never ended (its time-out is the client's own) would make the next user wait behind it.
  pool.on("release", (_error, client) => {
    if ("readyForQuery" in client && client.readyForQuery !== true) void client.end().catch(() => undefined)
  })
  return {
    pool,
    options,
    destroy: Effect.sync(() => {
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
  Effect.async<ReadonlyArray<BusyBackend>>((resume) => {
    const socket = new net.Socket()
    const client = new Pg.Client({
      stream: () => socket,
      connectionString: withoutName(Redacted.value(options.url)),
      application_name: `${options.applicationName}-close`,
      connectionTimeoutMillis: Duration.toMillis(options.connectTimeout)
    })
    client.on("error", () => undefined)
    const work = client
      .connect()
      .then(() =>
        client.query<{ query: string; age_ms: number; terminated: boolean }>(
          `SELECT query, extract(epoch FROM clock_timestamp() - coalesce(xact_start, query_start, backend_start))::float8 * 1000 AS age_ms,
                  pg_terminate_backend(pid) AS terminated
           FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()`,
          [options.applicationName]
        )
      )
      .then(({ rows }) =>
        rows
          .filter((row) => row.terminated)
          .map((row) => ({ query: withoutValues(row.query), ageMs: Math.round(row.age_ms) }))
      )
    const stop = () => socket.destroy()
    work.then(
      (busy) => {
        stop()
        resume(Effect.succeed(busy))
      },
      () => {
        stop()
        resume(Effect.succeed([]))
      }
    )
    return Effect.sync(() => void stop())
  })
