import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import { InFlight, type InFlightRequest } from "../../services/running/InFlight.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { ShutdownReport } from "../../services/running/ShutdownReport.ts"

/** Counts for the report too: what was in flight at the signal, came during settle, was drained or had to be interrupted. */
export const layer: Layer.Layer<InFlight, never, Lifecycle | ShutdownReport> = Layer.effect(
  InFlight,
  Effect.gen(function* () {
    const lifecycle = yield* Lifecycle
    const { requests } = yield* ShutdownReport
    const open = new Map<InFlightRequest, () => void>()
    let waiting: Array<Deferred.Deferred<void>> = []

    lifecycle.onStopping(() => {
      requests.in_flight_at_signal = open.size
    })

    const ended = (request: InFlightRequest, onEnd: () => void) => {
      if (!open.delete(request)) return
      onEnd()
      if (lifecycle.stopping() && !request.interrupted) requests.drained++
      if (open.size > 0) return
      for (const deferred of waiting) Deferred.unsafeDone(deferred, Effect.void)
      waiting = []
    }

    return InFlight.of({
      begin: ({ id, interrupt, onEnd, route, startedAtMillis }) => {
        // Its response is the first; a client that has left does not end the work that it caused.
        let held = 1
        const request: InFlightRequest = {
          id,
          route,
          startedAtMillis,
          model: null,
          interrupted: false,
          hold: () => {
            held++
          },
          release: () => {
            held--
            if (held === 0) ended(request, onEnd)
          }
        }
        open.set(request, interrupt)
        if (lifecycle.stopping()) requests.accepted_during_settle++
        return request
      },
      count: () => open.size,
      list: () => Array.from(open.keys()),
      awaitEmpty: Effect.suspend(() => {
        if (open.size === 0) return Effect.void
        const deferred = Deferred.unsafeMake<void>(FiberId.none)
        waiting.push(deferred)
        return Deferred.await(deferred)
      }),
      interruptAll: Effect.sync(() => {
        for (const [request, interrupt] of open) {
          request.interrupted = true
          interrupt()
        }
      })
    })
  })
)
