import { FairQueue, type Ticket } from "./FairQueue.ts"
import type { Flow } from "./FairShare.ts"

/** What one turn of the event loop gives to what waits, without what it refuses. */
const sliceMillis = 1
/** So many turns in a row give nothing, while each of them brings more. */
const mostIdleTurns = 8

/** How an item's turn came. */
export interface Turn {
  readonly nowMillis: number
  /** Since it was added. */
  readonly waitedMillis: number
  /** Since the one was added that has waited longest: it, or one of another flow. */
  readonly longestMillis: number
  /** It is the first that runs in this turn of the event loop. */
  readonly isFirst: boolean
  /** Nobody else of its flow waits. */
  readonly isOnly: boolean
}

/**
 * Runs items in the order in which they come, of each flow in turn, a slice of them in a turn of the event loop: whatever else the loop has to
 * do is done in between, and how long an item has waited says how much the loop is behind. What still waits elsewhere is
 * brought in first: node accepts one connection a turn, and nobody sees how long those in the system's queue wait. Whole, because these are the moves of one queue.
 */
export class RunQueue<A> {
  /** Returns false for what it refuses, which must cost little. */
  readonly #run: (item: A, turn: Turn) => boolean
  /** Whether the turn that ends has brought something, so that the next may bring more. Asked once a turn. */
  readonly #isComing: () => boolean
  readonly #waiting = new FairQueue<A>()
  #ran = 0
  #isHeld = false
  #isScheduled = false
  #idleTurns = 0

  constructor(run: (item: A, turn: Turn) => boolean, isComing: () => boolean) {
    this.#run = run
    this.#isComing = isComing
  }

  /** The ticket is its place, which it may `leave`. */
  add(item: A, flow: Flow = null): Ticket<A> {
    const ticket = this.#waiting.add(item, flow, performance.now())
    this.#schedule()
    return ticket
  }

  leave(ticket: Ticket<A>): void {
    this.#waiting.leave(ticket)
  }

  /** Whether one of the flow waits. */
  has(flow: Flow): boolean {
    return this.#waiting.has(flow)
  }

  /** How many have their turn before one that the flow would add now; of those that it holds none does. */
  ahead(flow: Flow): number {
    return this.#isHeld ? 0 : this.#waiting.ahead(flow)
  }

  /** Runs nothing until `release`. */
  hold(): void {
    this.#isHeld = true
  }

  release(): void {
    this.#isHeld = false
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isHeld || this.#waiting.length === 0) return
    this.#isScheduled = true
    setImmediate(this.#turn)
  }

  readonly #turn = () => {
    if (this.#isComing() && this.#idleTurns < mostIdleTurns) {
      this.#idleTurns++
      setImmediate(this.#turn)
      return
    }
    this.#idleTurns = 0
    this.#runSlice(performance.now() + sliceMillis)
  }

  #runSlice(endsAt: number): void {
    const now = performance.now()
    if (this.#isHeld || now >= endsAt) return this.#endSlice()
    const oldest = this.#waiting.oldestSince()
    const next = this.#waiting.take()
    if (next === null || oldest === null) return this.#endSlice()
    this.#ran++
    const hasBegun = this.#run(next.item, {
      nowMillis: now,
      waitedMillis: now - next.since,
      longestMillis: now - oldest,
      isFirst: this.#ran === 1,
      isOnly: !this.#waiting.has(next.flow)
    })
    const goOn = () => this.#runSlice(hasBegun ? endsAt : endsAt + performance.now() - now)
    // What has begun goes on in ticks of its own, which count.
    process.nextTick(goOn)
  }

  #endSlice(): void {
    this.#ran = 0
    this.#isScheduled = false
    this.#schedule()
  }
}
