import type * as Clock from "effect/Clock"
import { Interrupted } from "../../services/routing/Router.ts"
import type { InFlightShape } from "../../services/running/InFlight.ts"
import type { Admission } from "./Admission.ts"
import type { Exchange } from "./Exchange.ts"
import { Overloaded } from "./HttpErrors.ts"
import { LoopTurns } from "./LoopTurns.ts"
import { pathOf } from "./RouteFinder.ts"

const tooMany = new Overloaded({ detail: "too many requests at once" })
const tooLate = new Overloaded({ detail: "more is asked than can be answered in time" })

export interface IntakeOptions {
  readonly clock: Clock.Clock
  readonly inFlight: InFlightShape
  readonly admission: Admission
  readonly maxInFlight: number
  readonly isStopping: () => boolean
  /** Answers what is not counted, such as a probe, and what has been observed. */
  readonly dispatch: (exchange: Exchange) => void
  /** Hears of each exchange that is counted before it is dispatched. */
  readonly observe: (exchange: Exchange) => void
  /** Hears of each that is refused; `isRejected` is because of the drain. */
  readonly onRefused: (exchange: Exchange, isRejected: boolean) => void
}

/**
 * Decides of each exchange that arrives whether it is served, refused or kept for a moment, and knows those that are
 * open. It takes all at first; `hold`, `release` and `drain` are the steps of a shutdown, in this order.
 */
export class Intake {
  readonly #options: IntakeOptions
  readonly #turns: LoopTurns
  readonly #open = new Set<Exchange>()
  /** Requests that come while the last connections are accepted: to serve them at once would hold those up. */
  #waiting: Array<Exchange> | null = null
  #isDraining = false

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#turns = new LoopTurns(
      (nowMillis, turnMillis) => options.admission.turned(nowMillis, turnMillis),
      () => options.inFlight.count() > 0
    )
  }

  take(exchange: Exchange): void {
    if (this.#waiting !== null) {
      this.#waiting.push(exchange)
      return
    }
    const { admission, dispatch, inFlight, maxInFlight, observe } = this.#options
    if (exchange.target === null || exchange.target.path.counted) {
      // Who has just been accepted could not know: only what comes on connections that were in use is refused.
      if (this.#isDraining && !exchange.isFirst) return this.#refuse(exchange, new Interrupted())
      const count = inFlight.count()
      if (count >= maxInFlight) return this.#refuse(exchange, tooMany)
      if (!admission.admits(performance.now(), count)) return this.#refuse(exchange, tooLate)
      this.#turns.run()
      this.#begin(exchange)
      observe(exchange)
    }
    dispatch(exchange)
  }

  /** Keeps what comes, until `release`. */
  hold(): void {
    this.#waiting = []
  }

  release(): void {
    const kept = this.#waiting ?? []
    this.#waiting = null
    // Who has left meanwhile would never be heard to leave.
    for (const exchange of kept) if (!exchange.request.socket.destroyed) this.take(exchange)
  }

  /** From now on connections that were in use are refused more. */
  drain(): void {
    this.#isDraining = true
  }

  /** Whoever is being answered learns from the answer that this connection ends. */
  endConnections(): void {
    for (const { response } of this.#open) response.shouldKeepAlive = false
  }

  /** Cuts those that are open for so long. */
  expire(afterMillis: number): void {
    const now = this.#options.clock.unsafeCurrentTimeNanos()
    // In the order in which they began.
    for (const exchange of this.#open) {
      if (Number(now - exchange.startedNanos) / 1e6 < afterMillis) break
      exchange.expire()
    }
  }

  #refuse(exchange: Exchange, error: Interrupted | Overloaded): void {
    this.#options.onRefused(exchange, error instanceof Interrupted)
    exchange.fail(error)
  }

  /** From here until its response is closed and its work has ended, the exchange is in flight. */
  #begin(exchange: Exchange): void {
    const { clock, inFlight, isStopping } = this.#options
    const { request, requestId, response } = exchange
    exchange.inFlight = inFlight.begin({
      id: requestId,
      route: `${request.method ?? "GET"} ${pathOf(request.url ?? "/").slice(0, 100)}`,
      startedAtMillis: clock.unsafeCurrentTimeMillis(),
      interrupt: () => exchange.interrupt()
    })
    this.#open.add(exchange)
    onClosed(exchange, () => {
      this.#open.delete(exchange)
      exchange.closed()
    })
    if (isStopping()) response.shouldKeepAlive = false
  }
}

/**
 * Calls `closed` once, when the response is closed or its connection is: a response that waits behind another one of
 * the same connection has no socket yet, and is told nothing when that closes.
 */
const onClosed = ({ request: { socket }, response }: Exchange, closed: () => void) => {
  if (response.socket !== null) {
    response.once("close", closed)
    return
  }
  const once = () => {
    response.off("close", once)
    socket.off("close", once)
    closed()
  }
  response.on("close", once)
  // As many requests as the client pipelines, which node bounds by what it buffers.
  socket.setMaxListeners(0).on("close", once)
}
