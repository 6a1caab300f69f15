/** What one turn of the event loop gives to what waits, without what it refuses. */
const sliceMillis = 1
/** So many turns in a row give nothing, while each of them brings more. */
const mostIdleTurns = 8

/** How an item's turn came. */
export interface Turn {
  readonly nowMillis: number
  /** Since it was added. */
  readonly waitedMillis: number
  /** It is the first that runs in this turn of the event loop. */
  readonly isFirst: boolean
}

interface Waiting<A> {
  readonly item: A
  readonly since: number
}

/**
 * Runs items in the order in which they come, a slice of them in a turn of the event loop: whatever else the loop has to
 * do is done in between, and how long an item has waited says how much the loop is behind. What still waits elsewhere is
 * brought in first: node accepts one connection a turn, and nobody sees how long those in the system's queue wait. Whole, because these are the moves of one queue.
 */
export class RunQueue<A> {
  /** Returns false for what it refuses, which must cost little. */
  readonly #run: (item: A, turn: Turn) => boolean
  /** Whether the turn that ends has brought something, so that the next may bring more. Asked once a turn. */
  readonly #isComing: () => boolean
  #waiting: Array<Waiting<A>> = []
  #next = 0
  #isHeld = false
  #isScheduled = false
  #idleTurns = 0

  constructor(run: (item: A, turn: Turn) => boolean, isComing: () => boolean) {
    this.#run = run
    this.#isComing = isComing
  }

  add(item: A): void {
    this.#waiting.push({ item, since: performance.now() })
    this.#schedule()
  }

  /** How many wait for their turn; of those that it holds none does. */
  get length(): number {
    return this.#isHeld ? 0 : this.#waiting.length - this.#next
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
    if (this.#isScheduled || this.#isHeld || this.#next === this.#waiting.length) return
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
    const first = this.#waiting[this.#next]
    if (first === undefined || this.#isHeld || now >= endsAt) return this.#endSlice()
    this.#next++
    const hasBegun = this.#run(first.item, {
      nowMillis: now,
      waitedMillis: now - first.since,
      isFirst: this.#next === 1
    })
    const next = () => this.#runSlice(hasBegun ? endsAt : endsAt + performance.now() - now)
    // What has begun goes on in ticks of its own, which count.
    process.nextTick(next)
  }

  #endSlice(): void {
    this.#waiting = this.#waiting.slice(this.#next)
    this.#next = 0
    this.#isScheduled = false
    this.#schedule()
  }
}
