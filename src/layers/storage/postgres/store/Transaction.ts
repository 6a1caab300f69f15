import * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlError from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as ParseResult from "effect/ParseResult"
import type { RouterId } from "../../../../domain/basics/Ids.ts"
import { DatabaseError } from "../../../../services/storage/Database.ts"
import { sqlState, toDatabaseError } from "../DatabaseError.ts"

/**
 * Whatever the default of the server, the database or the role is: what a statement waited for is what it then sees. And
 * whatever session a pooler gives: the locks of a process that stands still are not held for longer.
 */
export const readCommitted =
  "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '5s'"
/** All statements see the same rows. */
export const snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

/** One transaction, whose first round trip is BEGIN with all the statements of `first`; `use` is given their rows. */
export const transactAfter = <A, E>(
  sql: SqlClient.SqlClient,
  { begin, first }: { readonly begin: string; readonly first: ReadonlyArray<string> },
  use: (rows: ReadonlyArray<ReadonlyArray<unknown>>) => Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError.SqlError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const connection = yield* sql.reserve
      const run = (text: string) => connection.executeUnprepared(text, [], undefined)
      // Several statements answer an array for each of them, those of `begin` empty ones.
      const began = Effect.map(run([begin, ...first].join("; ")), (rows) =>
        first.length === 0 ? [] : rows.slice(-first.length)
      )
      const exit = yield* began.pipe(
        Effect.flatMap((rows) => restore(use(rows))),
        Effect.provideService(SqlClient.TransactionConnection, [connection, 0]),
        Effect.exit
      )
      if (Exit.isSuccess(exit)) yield* run("COMMIT")
      // What failed is told, not that it could not be undone: then the connection is gone, and the transaction with it.
      else yield* Effect.ignore(run("ROLLBACK"))
      return yield* exit
    }).pipe(Effect.scoped)
  ).pipe(Effect.withSpan("sql.transaction", { kind: "client", captureStackTrace: false }))

/** Runs the effect in a transaction. */
export const transact =
  (sql: SqlClient.SqlClient, begin: string) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | SqlError.SqlError> =>
    transactAfter(sql, { begin, first: [] }, () => effect)

/** What statements and the decoding of their rows fail with. */
export type StoreError = SqlError.SqlError | ParseResult.ParseError | DatabaseError

/** Another transaction was first, or a deadlock was broken: nothing was done, and the same may work at once. */
export const isConflict = (error: StoreError): boolean => sqlState(error)?.startsWith("40") === true

const mostTries = 5

/** What conflicts with another transaction is done again at once, as a whole: one statement or one transaction. */
export const repeated = <A>(effect: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreError> =>
  Effect.retry(effect, { times: mostTries - 1, while: isConflict })

/** Fails as the service says. */
export const guarded =
  (operation: string) =>
  <A>(effect: Effect.Effect<A, StoreError>): Effect.Effect<A, DatabaseError> =>
    Effect.mapError(repeated(effect), toDatabaseError(operation))

export const unknownRouter = (operation: string, routerId: RouterId) =>
  new DatabaseError({ operation, reason: "unexpected", detail: `there is no router ${routerId}` })
