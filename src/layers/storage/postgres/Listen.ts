import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as StreamEmit from "effect/StreamEmit"
import * as net from "node:net"
import * as Pg from "pg"
import type { Position, RouterId } from "../../../domain/basics/Ids.ts"
import { DatabaseError } from "../../../services/storage/Database.ts"
import { toDatabaseError } from "./DatabaseError.ts"
import type { PoolOptions } from "./Pool.ts"
import { configOf, type Route } from "./Servers.ts"

/** What commits notify, with router and position. */
export const channel = "conduit_log"

const closeLimitMs = 200
const reconnect = Schedule.exponential(Duration.millis(100)).pipe(Schedule.union(Schedule.spaced(Duration.seconds(5))))

/**
 * The positions that commits of this router notify, over a connection of its own that is made again when it is lost. Ends
 * where a pooler stands between, which would pass nothing on.
 */
export const listen = (options: PoolOptions, routerId: RouterId): Stream.Stream<Position> =>
  Stream.asyncPush<Position, DatabaseError>((emit) => connected(options, routerId, emit), {
    bufferSize: 64,
    strategy: "sliding"
  }).pipe(
    Stream.retry(reconnect),
    Stream.catchAll(() => Stream.empty)
  )

const connected = (
  options: PoolOptions,
  routerId: RouterId,
  emit: StreamEmit.EmitOpsPush<DatabaseError, Position>
): Effect.Effect<void, DatabaseError, Scope.Scope> =>
  Effect.gen(function* () {
    const route = yield* Effect.tryPromise(() => options.servers.choose()).pipe(
      Effect.mapError(toDatabaseError("listen"))
    )
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => makeClient(options, route)),
      close
    )
    const lost = (detail: string) =>
      void emit.fail(new DatabaseError({ operation: "listen", reason: "connection", detail }))
    client.on("error", (error) => lost(error.message))
    client.on("end", () => lost("the connection ended"))
    client.on("notification", ({ payload }) => {
      const [id, position] = (payload ?? "").split(" ")
      if (id === routerId) emit.single(Number(position))
    })
    const ask = (text: string) => Effect.tryPromise(() => client.query<{ pid: number }>(text))
    const isDirect = yield* Effect.tryPromise(() => client.connect()).pipe(
      Effect.tapError(() => Effect.sync(() => options.servers.forget())),
      Effect.zipRight(ask("SELECT pg_backend_pid() AS pid")),
      // A pooler invents the process number that it tells its clients.
      Effect.map(({ rows }) => "processID" in client && rows[0]?.pid === client.processID),
      Effect.tap((direct) => (direct ? ask(`LISTEN ${channel}`) : Effect.void)),
      Effect.mapError(toDatabaseError("listen"))
    )
    if (isDirect) return
    yield* Effect.logInfo(
      "The database is behind a connection pooler, which passes no notification on: commits of other replicas are polled for"
    )
    emit.end()
  })

const makeClient = (options: PoolOptions, route: Route): Pg.Client =>
  new Pg.Client({
    ...configOf(route),
    // Whoever terminates the backends of the pool terminates this one.
    application_name: options.applicationName,
    connectionTimeoutMillis: Duration.toMillis(options.connectTimeout),
    query_timeout: Duration.toMillis(options.statementTimeout),
    keepAlive: true,
    stream: () => new net.Socket()
  })

/** Says goodbye and does not wait for the answer: what is released next has limits of its own. */
const close = (client: Pg.Client): Effect.Effect<void> =>
  Effect.sync(() => {
    const cut = () => void client.connection.stream.destroy()
    setTimeout(cut, closeLimitMs).unref()
    void client.end().then(cut, cut)
  })
