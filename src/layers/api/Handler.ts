import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type { TracingShape } from "../../services/observing/Tracing.ts"
import { type BodyError, type BodyLimits, readJson } from "./Body.ts"
import type { AnyError } from "./ErrorTable.ts"
import type { Exchange } from "./Exchange.ts"
import type { Reply } from "./Reply.ts"

/** Serves a route that needs no haste: read, decode, ask a service, present. Null after a stream that it has written. */
export type Handler = (exchange: Exchange) => Effect.Effect<Reply | null, AnyError>

/** Reads and decodes the body, as a step of the request's trace. */
export type ReadBody = <A, E extends AnyError>(
  exchange: Exchange,
  decode: (body: unknown) => Either.Either<A, E>
) => Effect.Effect<A, E | BodyError>

export const bodyReader =
  (limits: BodyLimits, tracing: Pick<TracingShape, "within">): ReadBody =>
  (exchange, decode) =>
    tracing.within(
      "decode",
      Effect.flatMap(
        Effect.async<unknown, BodyError>((resume) => {
          const stop = readJson(exchange, limits, resume)
          return stop === null ? Effect.void : Effect.sync(stop)
        }),
        decode
      )
    )
