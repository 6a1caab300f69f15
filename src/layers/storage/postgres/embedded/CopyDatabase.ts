import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Pg from "pg"
import type { DatabaseError } from "../../../../services/storage/Database.ts"
import { toDatabaseError } from "../DatabaseError.ts"
import type { PoolOptions } from "../Pool.ts"
import { makeServers } from "../Servers.ts"
import { migrate } from "../Start.ts"

const rowsAtOnce = 100
const connectTimeout = Duration.seconds(10)

/** Rows as text, which every version writes and reads alike. */
interface Line {
  readonly line: string
}

/**
 * Copies every table into an empty database, in one transaction: all is there afterwards, or nothing. Both get the newest
 * schema first, so that a row is the same in both. Answers the number of rows.
 */
export const copyDatabase = (from: Redacted.Redacted, to: Redacted.Redacted): Effect.Effect<number, DatabaseError> =>
  Effect.gen(function* () {
    yield* migrate(optionsFor(from))
    yield* migrate(optionsFor(to))
    const [source, target] = yield* Effect.all([connect(from), connect(to)])
    yield* source("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    yield* target("BEGIN")
    const tables = yield* source<{ name: string }>(
      `SELECT quote_ident(relname) AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
       AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'conduit_migrations' ORDER BY relname`
    )
    let total = 0
    for (const { name } of tables) total += yield* copyTable(source, target, name)
    yield* target("COMMIT")
    yield* target("ANALYZE")
    return total
  }).pipe(Effect.scoped)

type Ask = <Row extends Pg.QueryResultRow>(
  text: string,
  values?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, DatabaseError>

const optionsFor = (url: Redacted.Redacted): PoolOptions => ({
  servers: makeServers(url, connectTimeout),
  size: 1,
  applicationName: "conduit-carry-over",
  connectTimeout,
  statementTimeout: Duration.minutes(10),
  lockTimeout: Duration.seconds(10)
})

const connect = (url: Redacted.Redacted): Effect.Effect<Ask, DatabaseError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const client = new Pg.Client({ connectionString: Redacted.value(url) })
          client.on("error", () => undefined)
          await client.connect()
          return client
        },
        catch: toDatabaseError("carry over")
      }),
      (client) => Effect.promise(() => client.end().catch(() => undefined))
    ),
    (client): Ask =>
      <Row extends Pg.QueryResultRow>(text: string, values: ReadonlyArray<unknown> = []) =>
        Effect.tryPromise({
          try: () => client.query<Row>(text, [...values]),
          catch: toDatabaseError("carry over")
        }).pipe(
          Effect.map(({ rows }) => rows),
          Effect.disconnect
        )
  )

const copyTable = (source: Ask, target: Ask, table: string): Effect.Effect<number, DatabaseError> =>
  Effect.gen(function* () {
    // What a trigger would note is copied too.
    yield* target(`ALTER TABLE ${table} DISABLE TRIGGER USER`)
    yield* source(`DECLARE lines NO SCROLL CURSOR FOR SELECT t::text AS line FROM ${table} t`)
    let count = 0
    while (true) {
      const lines = yield* source<Line>(`FETCH ${rowsAtOnce} FROM lines`)
      if (lines.length === 0) break
      yield* target(
        `INSERT INTO ${table} OVERRIDING SYSTEM VALUE
         SELECT (r.whole).* FROM (SELECT line::${table} AS whole FROM unnest($1::text[]) AS line OFFSET 0) r`,
        [lines.map(({ line }) => line)]
      )
      count += lines.length
    }
    yield* source("CLOSE lines")
    yield* target(`ALTER TABLE ${table} ENABLE TRIGGER USER`)
    const identities = yield* target<{ column: string; name: string }>(
      `SELECT attname AS column, quote_ident(attname) AS name FROM pg_attribute
       WHERE attrelid = $1::regclass AND attidentity <> ''`,
      [table]
    )
    for (const { column, name } of identities) {
      yield* target(
        `SELECT setval(pg_get_serial_sequence($1, $2), max(${name})) FROM ${table} HAVING max(${name}) IS NOT NULL`,
        [table, column]
      )
    }
    return count
  })
