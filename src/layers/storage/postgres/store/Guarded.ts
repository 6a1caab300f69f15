import type * as SqlError from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type * as ParseResult from "effect/ParseResult"
import type { RouterId } from "../../../../domain/basics/Ids.ts"
import { DatabaseError } from "../../../../services/storage/Database.ts"
import { sqlState, toDatabaseError } from "../DatabaseError.ts"

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
