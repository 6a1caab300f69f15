import type * as Clock from "effect/Clock"
import { Interrupted } from "../../services/routing/Router.ts"
import type { InFlightShape } from "../../services/running/InFlight.ts"
import type { Admission } from "./Admission.ts"
import type { Exchange } from "./Exchange.ts"
import { Overloaded } from "./HttpErrors.ts"
import { LoopTurns } from "./LoopTurns.ts"
import { pathOf } from "./RouteFinder.ts"
import { RunQueue, type Turn } from "./RunQueue.ts"

const tooMany = new Overloaded({ detail: "too many requests at once" })
const tooLate = new Overloaded({ detail: "more is asked than can be answered in time" })

export interface IntakeOptions {
  readonly clock: Clock.Clock
  readonly inFlight: InFlightShape
  readonly admission: Admission
  readonly maxInFlight: number
  readonly isStopping: () => boolean
  /** How many connections have been accepted so far. */
  readonly accepted: () => number
  /** Answers what is not counted, such as a probe, and what has been observed. */
  readonly dispatch: (exchange: Exchange) => void
  /** Hears of each exchange that is counted before it is dispatched. */
  readonly observe: (exchange: Exchange) => void
  /** Hears of each that is refused; `isRejected` is because of the drain. */
  readonly onRefused: (exchange: Exchange, isRejected: boolean) => void
}

/**
 * Decides of each exchange that arrives whether it is served or refused, and knows those that are open. One that is
 * counted waits for its turn, which is short while there is no overload. It takes all at first; `hold`, `release` and
 * `drain` are the steps of a shutdown, in this order. Whole, because each asks what is open.
 */
export class Intake {
  readonly #options: IntakeOptions
  readonly #turns: LoopTurns
  readonly #queue: RunQueue<Exchange>
  readonly #open = new Set<Exchange>()
  #turnMillis = 0
  #isDraining = false

  constructor(options: IntakeOptions) {
    this.#options = options
    let seen = options.accepted()
    const isAccepting = () => seen !== (seen = options.accepted())
    this.#queue = new RunQueue((exchange, turn) => this.#serve(exchange, turn), isAccepting)
    this.#turns = new LoopTurns(
      (turnMillis) => {
        this.#turnMillis = turnMillis
      },
      () => options.inFlight.count() > 0
    )
  }

  take(exchange: Exchange): void {
    const { admission, dispatch, inFlight, maxInFlight } = this.#options
    if (exchange.target !== null && !exchange.target.path.counted) return dispatch(exchange)
    // Who has just been accepted could not know: only what comes on connections that were in use is refused.
    if (this.#isDraining && !exchange.isFirst) return this.#refuse(exchange, new Interrupted())
    if (inFlight.count() >= maxInFlight) return this.#refuse(exchange, tooMany)
    if (!admission.takes(performance.now(), this.#queue.length, inFlight.count()))
      return this.#refuse(exchange, tooLate)
    this.#turns.run()
    this.#begin(exchange)
    this.#queue.add(exchange)
  }

  /** Keeps what comes, until `release`: to serve it while the last connections are accepted would hold those up. */
  hold(): void {
    this.#queue.hold()
  }

  release(): void {
    this.#queue.release()
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

  /** Returns whether it is served, and not refused. */
  #serve(exchange: Exchange, turn: Turn): boolean {
    const { admission, dispatch, inFlight, observe } = this.#options
    if (exchange.isOver) return false
    // A request that was read in this turn may have come with the beginning of the last one.
    const waitedMillis = turn.waitedMillis + this.#turnMillis
    const isAdmitted = admission.admits({ ...turn, waitedMillis }, inFlight.count())
    if (isAdmitted) {
      observe(exchange)
      dispatch(exchange)
    } else this.#refuse(exchange, tooLate)
    return isAdmitted
  }

  #refuse(exchange: Exchange, error: Interrupted | Overloaded): void {
    this.#options.onRefused(exchange, error instanceof Interrupted)
    exchange.fail(error)
  }

  /** From here until its response is closed and its work has ended, the exchange is in flight, also while it waits. */
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
