import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** The requests that are being served: a request is over when its response is closed and its fiber has ended. */
export interface InFlightShape {
  /** Counts a request from now on. */
  readonly begin: (request: {
    readonly id: string
    readonly route: string
    readonly startedAtMillis: number
  }) => InFlightRequest
  readonly count: () => number
  readonly list: () => ReadonlyArray<InFlightRequest>
  /** Completes when nothing is in flight. */
  readonly awaitEmpty: Effect.Effect<void>
  /** Interrupts every fiber that is left; they answer for themselves. Does not wait. */
  readonly interruptAll: Effect.Effect<void>
}

export class InFlight extends Context.Tag("conduit/services/InFlight")<InFlight, InFlightShape>() {}

export interface InFlightRequest {
  readonly id: string
  readonly route: string
  readonly startedAtMillis: number
  /** The model that was called last, which is the one it waits for. */
  model: string | null
  /** The shutdown, not the client, ended it. */
  interrupted: boolean
  /** The fiber that serves it; told once, by the fiber itself. */
  readonly servedBy: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => void
  /** Its response is closed. */
  readonly closed: () => void
}
