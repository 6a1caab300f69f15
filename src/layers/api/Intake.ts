import type * as Clock from "effect/Clock"
import { DenseSet } from "../../domain/basics/DenseSet.ts"
import { monotonicMs } from "../../services/running/MonotonicTime.ts"
import { Interrupted } from "../../services/routing/Router.ts"
import type { InFlightShape } from "../../services/running/InFlight.ts"
import type { Admission } from "./Admission.ts"
import type { RefusalReason } from "../../services/observing/Telemetry.ts"
import type { Exchange } from "./Exchange.ts"
import { FairShare, type Flow } from "./FairShare.ts"
import { Overloaded } from "./HttpErrors.ts"
import { LoopTurns } from "./LoopTurns.ts"
import { RetryEstimate } from "./RetryEstimate.ts"
import { pathOf } from "./RouteFinder.ts"
import { RunQueue, type Turn } from "./RunQueue.ts"

const details = {
  full: "too many requests at once",
  share: "too many requests of this key at once: a part of the room is kept for other keys",
  late: "more is asked than can be answered in time"
}

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
  readonly flowOf: (exchange: Exchange) => Flow
  /** Hears of each that is refused. */
  readonly onRefused: (exchange: Exchange, reason: RefusalReason) => void
}

/**
 * Decides of each exchange that arrives whether it is served or refused, and knows those that are open. One that is
 * counted waits for its turn, which is short while there is no overload; keys have their turns one after the other, and none
 * takes all places. It takes all at first; `hold`, `release` and
 * `drain` are the steps of a shutdown, in this order. Whole, because each asks what is open.
 */
export class Intake {
  readonly #options: IntakeOptions
  readonly #turns: LoopTurns
  readonly #queue: RunQueue<Exchange>
  readonly #places: FairShare
  readonly #estimate = new RetryEstimate()
  readonly #open = new DenseSet<Exchange>()
  #turnMillis = 0
  #isDraining = false

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#places = new FairShare(options.maxInFlight)
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
    const { admission, dispatch, flowOf, inFlight } = this.#options
    if (exchange.target !== null && !exchange.target.path.counted) return dispatch(exchange)
    // Who has just been accepted could not know: only what comes on connections that were in use is refused.
    if (this.#isDraining && !exchange.isFirst) return this.#reject(exchange)
    const flow = flowOf(exchange)
    exchange.flow = flow
    const isFirstOfKey = flow !== null && !this.#queue.has(flow)
    if (!admission.takes(performance.now(), this.#queue.ahead(flow), inFlight.count(), isFirstOfKey))
      return this.#refuse(exchange, "late")
    const noRoom = this.#places.take(flow, 1)
    if (noRoom !== null) return this.#refuse(exchange, noRoom)
    this.#turns.run()
    this.#begin(exchange)
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
    const now = monotonicMs(this.#options.clock)
    for (const exchange of this.#open) {
      if (now - exchange.startedMs >= afterMillis) exchange.expire()
    }
  }

  /** Returns whether it is served, and not refused. */
  #serve(exchange: Exchange, turn: Turn): boolean {
    const { admission, dispatch, inFlight, observe } = this.#options
    if (exchange.isOver) return false
    // A request that was read in this turn may have come with the beginning of the last one.
    const waitedMillis = turn.waitedMillis + this.#turnMillis
    const longestMillis = turn.longestMillis + this.#turnMillis
    const { isFirst, nowMillis } = turn
    const isTimely = admission.admits({ isFirst, nowMillis, waitedMillis, longestMillis }, inFlight.count())
    // Of a key that has sent no more than this it is not the fault.
    const isAdmitted = isTimely || (turn.isOnly && exchange.flow !== null)
    if (isAdmitted) {
      this.#estimate.began(turn.nowMillis)
      observe(exchange)
      dispatch(exchange)
    } else this.#refuse(exchange, "late")
    return isAdmitted
  }

  #reject(exchange: Exchange): void {
    this.#options.onRefused(exchange, "draining")
    exchange.fail(new Interrupted())
  }

  #refuse(exchange: Exchange, reason: keyof typeof details): void {
    this.#options.onRefused(exchange, reason)
    exchange.fail(overloaded(reason, this.#estimate.refused(performance.now())))
  }

  /** From here until its response is closed and its work has ended, the exchange is in flight, also while it waits for its turn. */
  #begin(exchange: Exchange): void {
    const { clock, inFlight, isStopping } = this.#options
    const { request, requestId, response } = exchange
    exchange.inFlight = inFlight.begin({
      id: requestId,
      route: `${request.method ?? "GET"} ${pathOf(request.url ?? "/").slice(0, 100)}`,
      startedAtMillis: clock.unsafeCurrentTimeMillis(),
      interrupt: () => exchange.interrupt(),
      onEnd: () => this.#places.giveBack(exchange.flow, 1)
    })
    this.#open.add(exchange)
    const place = this.#queue.add(exchange, exchange.flow)
    onClosed(exchange, () => {
      this.#queue.leave(place)
      this.#open.delete(exchange)
      exchange.closed()
    })
    if (isStopping()) response.shouldKeepAlive = false
  }
}

const refusals = new Map<string, Overloaded>()

/** One for all that are refused so, some 180 at most: to make an error takes a third of the time of a refusal. */
const overloaded = (reason: keyof typeof details, retryAfterSeconds: number): Overloaded => {
  const key = `${reason} ${retryAfterSeconds}`
  const known = refusals.get(key)
  if (known !== undefined) return known
  const error = new Overloaded({ detail: details[reason], retryAfterSeconds })
  refusals.set(key, error)
  return error
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
