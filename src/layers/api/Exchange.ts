import type * as Effect from "effect/Effect"
import type * as Http from "node:http"
import type { InFlightRequest } from "../../services/running/InFlight.ts"
import type { Caller } from "../../services/routing/Router.ts"
import type { AnyError } from "./ErrorTable.ts"
import type { Reply } from "./Reply.ts"

/** One request as a handler sees it. */
export interface Exchange {
  readonly request: Http.IncomingMessage
  readonly response: Http.ServerResponse
  readonly requestId: string
  readonly caller: Caller
  /** What stands for `{id}` in the path, or the empty string. */
  readonly id: string
  readonly inFlight: InFlightRequest | undefined
  /** To be told of what ends an answer that has begun. */
  readonly onBroken: (error: AnyError) => void
}

/** Null: the response has been written already, as a stream. */
export type Handler = (exchange: Exchange) => Effect.Effect<Reply | null, AnyError>
