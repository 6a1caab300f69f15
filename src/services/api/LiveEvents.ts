import * as Schema from "effect/Schema"
import { scopes } from "../../domain/access/ApiKey.ts"
import { DecisionEntry, ModelList } from "./Responses.ts"

/** What the service is doing, for who watches it. */
export const ServiceState = Schema.Struct({
  scopes: Schema.NullOr(Schema.Array(Schema.Literal(...scopes))).annotations({
    description: "What the asking key may do; null where nobody needs one."
  }),
  version: Schema.String,
  phase: Schema.String.annotations({
    description: "`starting`, `running`, `settle`, `drain`, `persist`, `close`, `flush` or `stopped`."
  }),
  stopping: Schema.Boolean.annotations({ description: "A shutdown was requested." }),
  in_flight: Schema.Number.annotations({ description: "Requests that are being answered by this replica." }),
  started_at: Schema.String,
  algorithm: Schema.String.annotations({ description: "As configured." }),
  preference: Schema.String.annotations({ description: "Of requests that state none." })
}).annotations({ identifier: "ServiceState" })
export type ServiceState = typeof ServiceState.Type

/**
 * The events of `GET /v1/events`, each by its name: what it has as data. Each is sent at the beginning and whenever it
 * is no longer what was sent last.
 */
export const liveEvents = {
  service: ServiceState,
  models: ModelList,
  /** Those among the newest that are new, or of which an outcome or a judgement came; newest first. */
  decisions: Schema.Array(DecisionEntry),
  /** Why there are no decisions now; null once there are again. */
  trouble: Schema.Struct({ message: Schema.NullOr(Schema.String) })
} as const

export type LiveEvents = { readonly [Name in keyof typeof liveEvents]: (typeof liveEvents)[Name]["Type"] }
