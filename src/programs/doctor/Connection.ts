import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Pg from "pg"
import { TLSSocket } from "node:tls"
import { toDatabaseError } from "../../layers/storage/postgres/DatabaseError.ts"
import { addressOf, type BoundedPool, endPoolSoon, makePool } from "../../layers/storage/postgres/Pool.ts"
import type { DatabaseError } from "../../services/storage/Database.ts"

/** One connection to the database, with the limits of the service's own. */
export const connection = (url: Redacted.Redacted): Effect.Effect<BoundedPool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      makePool({
        url,
        size: 1,
        applicationName: `conduit-doctor-${process.pid}`,
        connectTimeout: Duration.seconds(3),
        statementTimeout: Duration.seconds(5),
        lockTimeout: Duration.seconds(3)
      })
    ),
    endPoolSoon
  )

export const rows = <Row extends Pg.QueryResultRow>(
  { options, pool }: BoundedPool,
  text: string,
  values: ReadonlyArray<unknown> = []
): Effect.Effect<ReadonlyArray<Row>, DatabaseError> =>
  Effect.tryPromise({
    try: () => pool.query<Row>(text, [...values]),
    catch: toDatabaseError(`query ${addressOf(options.url)}`)
  }).pipe(Effect.map((result) => result.rows))

/** What the connection itself tells. */
export interface Link {
  readonly tls: "none" | "verified" | "not verified"
  /** The number that the other end gave to the connection when it was made; null if it gave none. */
  readonly backend: number | null
}

export const link = ({ options, pool }: BoundedPool): Effect.Effect<Link, DatabaseError> =>
  Effect.acquireUseRelease(
    Effect.tryPromise({ try: () => pool.connect(), catch: toDatabaseError(`connect to ${addressOf(options.url)}`) }),
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

/** The server's clock, and what a round trip takes. */
export const clockOf = (bounded: BoundedPool) =>
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
