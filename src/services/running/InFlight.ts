import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** The requests that are being served: a request is over when its response is closed and its work has ended. */
export interface InFlightShape {
  /** Counts a request from now on. */
  readonly begin: (request: {
    readonly id: string
    readonly route: string
    readonly startedAtMillis: number
    /** Ends the request early: it answers for itself. */
    readonly interrupt: () => void
    readonly onEnd: () => void
  }) => InFlightRequest
  readonly count: () => number
  readonly list: () => ReadonlyArray<InFlightRequest>
  /** Completes when nothing is in flight. */
  readonly awaitEmpty: Effect.Effect<void>
  /** Interrupts every request that is left. Does not wait. */
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
  /** Work has begun that must end before the request is over, whatever becomes of its response. */
  readonly hold: () => void
  /** Its response is closed, or such work has ended: the request is over after the last of them. */
  readonly release: () => void
}
