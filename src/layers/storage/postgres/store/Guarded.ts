import type * as SqlError from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type * as ParseResult from "effect/ParseResult"
import type { RouterId } from "../../../../domain/basics/Ids.ts"
import { DatabaseError } from "../../../../services/storage/Database.ts"
import { toDatabaseError } from "../DatabaseError.ts"

/** What statements and the decoding of their rows fail with. */
export type StoreError = SqlError.SqlError | ParseResult.ParseError | DatabaseError

/** Fails as the service says. */
export const guarded =
  (operation: string) =>
  <A>(effect: Effect.Effect<A, StoreError>): Effect.Effect<A, DatabaseError> =>
    Effect.mapError(effect, toDatabaseError(operation))

export const unknownRouter = (operation: string, routerId: RouterId) =>
  new DatabaseError({ operation, reason: "unexpected", detail: `there is no router ${routerId}` })
