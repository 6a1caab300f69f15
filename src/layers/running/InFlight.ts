import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import { DenseSet, type Placed } from "../../domain/basics/DenseSet.ts"
import { InFlight, type InFlightRequest, type InFlightShape } from "../../services/running/InFlight.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { ShutdownReport } from "../../services/running/ShutdownReport.ts"

/** Counts for the report too: what was in flight at the signal, came during settle, was drained or had to be interrupted. */
export const layer: Layer.Layer<InFlight, never, Lifecycle | ShutdownReport> = Layer.effect(
  InFlight,
  Effect.gen(function* () {
    const lifecycle = yield* Lifecycle
    const { requests } = yield* ShutdownReport
    const open = new DenseSet<Open>()
    let waiting: Array<Deferred.Deferred<void>> = []

    lifecycle.onStopping(() => {
      requests.in_flight_at_signal = open.size
    })

    const ended = (request: Open) => {
      if (!open.delete(request)) return
      request.onEnd()
      if (lifecycle.stopping() && !request.interrupted) requests.drained++
      if (open.size > 0) return
      for (const deferred of waiting) Deferred.unsafeDone(deferred, Effect.void)
      waiting = []
    }

    return InFlight.of({
      begin: (asked) => {
        const request = new Open(asked, ended)
        open.add(request)
        if (lifecycle.stopping()) requests.accepted_during_settle++
        return request
      },
      count: () => open.size,
      list: () => Array.from(open).sort((a, b) => a.startedAtMillis - b.startedAtMillis),
      awaitEmpty: Effect.suspend(() => {
        if (open.size === 0) return Effect.void
        const deferred = Deferred.unsafeMake<void>(FiberId.none)
        waiting.push(deferred)
        return Deferred.await(deferred)
      }),
      interruptAll: Effect.sync(() => {
        for (const request of open) {
          // One may have ended by another's end.
          if (request.place === -1) continue
          request.interrupted = true
          request.interrupt()
        }
      })
    })
  })
)

class Open implements InFlightRequest, Placed {
  place = -1
  model: string | null = null
  interrupted = false
  readonly id: string
  readonly route: string
  readonly startedAtMillis: number
  readonly interrupt: () => void
  readonly onEnd: () => void
  readonly #ended: (request: Open) => void
  /** Its response is the first; a client that has left does not end the work that it caused. */
  #held = 1

  constructor(
    { id, interrupt, onEnd, route, startedAtMillis }: Parameters<InFlightShape["begin"]>[0],
    ended: (request: Open) => void
  ) {
    this.id = id
    this.route = route
    this.startedAtMillis = startedAtMillis
    this.interrupt = interrupt
    this.onEnd = onEnd
    this.#ended = ended
  }

  hold(): void {
    this.#held++
  }

  release(): void {
    this.#held--
    if (this.#held === 0) this.#ended(this)
  }
}
