import * as Deferred from "effect/Deferred"
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
 * where a pooler stands between that passes nothing on. A hint: behind a pooler it may reach somebody else.
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
    yield* Effect.tryPromise(() => client.connect()).pipe(
      Effect.tapError(() => Effect.sync(() => options.servers.forget())),
      Effect.mapError(toDatabaseError("listen"))
    )
    if (yield* listens(client, options, route)) return
    yield* Effect.logInfo(
      "The database is behind a connection pooler, which passes no notification on: commits of other replicas are polled for"
    )
    emit.end()
  })

const trialLimit = Duration.seconds(1)

/**
 * Makes the client listen, and answers whether notifications reach it. A pooler invents the process number that it tells
 * its clients, so where there is none that is sure. Else it is tried: what somebody else notifies arrives, or does not.
 */
const listens = (client: Pg.Client, options: PoolOptions, route: Route): Effect.Effect<boolean, DatabaseError> =>
  Effect.gen(function* () {
    const { rows } = yield* Effect.tryPromise(() => client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid"))
    yield* Effect.tryPromise(() => client.query(`LISTEN ${channel}`))
    const isDirect = "processID" in client && rows[0]?.pid === client.processID
    return isDirect || (yield* Effect.scoped(hearsTrial(client, options, route)))
  }).pipe(Effect.mapError(toDatabaseError("listen")))

const hearsTrial = (client: Pg.Client, options: PoolOptions, route: Route) =>
  Effect.gen(function* () {
    const heard = yield* Deferred.make<boolean>()
    const trial = `trial ${options.applicationName}`
    const listener = ({ payload }: Pg.Notification) =>
      payload === trial ? Deferred.unsafeDone(heard, Effect.succeed(true)) : undefined
    yield* Effect.acquireRelease(
      Effect.sync(() => client.on("notification", listener)),
      () => Effect.sync(() => client.off("notification", listener))
    )
    // Over the same connection it would arrive in any case.
    const other = yield* Effect.acquireRelease(
      Effect.sync(() => makeClient(options, route)),
      close
    )
    other.on("error", () => undefined)
    yield* Effect.tryPromise(async () => {
      await other.connect()
      await other.query("SELECT pg_notify($1, $2)", [channel, trial])
    })
    return yield* Deferred.await(heard).pipe(
      Effect.timeoutTo({ duration: trialLimit, onSuccess: () => true, onTimeout: () => false })
    )
  })

/** Whether notifications arrive, seen by trying. */
export const tryNotifications = (options: PoolOptions): Effect.Effect<boolean, DatabaseError> =>
  Effect.gen(function* () {
    const route = yield* Effect.tryPromise(() => options.servers.choose())
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => makeClient(options, route)),
      close
    )
    client.on("error", () => undefined)
    yield* Effect.tryPromise(() => client.connect())
    return yield* listens(client, options, route)
  }).pipe(Effect.scoped, Effect.mapError(toDatabaseError("listen")))

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
