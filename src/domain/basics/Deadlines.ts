import { DenseSet, type Placed } from "./DenseSet.ts"

/** Something that happens at a time, unless it is cancelled before. */
export interface Deadline {
  readonly cancel: () => void
}

/** The time that deadlines go by. */
export interface Timer {
  readonly nowMillis: () => number
  /** Calls back after so many milliseconds, unless the function that it answers is called before. */
  readonly sleep: (millis: number, wake: () => void) => () => void
}

/** A later timer of node would fire at once; waking too early is in vain, and harmless. */
const longestMillis = 2_147_483_647

/** Time limits of many things with one timer: a timer each costs more than what most of them limit. */
export class Deadlines {
  readonly #timer: Timer
  readonly #waiting = new DenseSet<ArmedDeadline>()
  /** For the nearest; one that has ended meanwhile only wakes it in vain. */
  #sleeping: { readonly untilMillis: number; readonly stop: () => void } | null = null

  constructor(timer: Timer) {
    this.#timer = timer
  }

  /** Runs it when the time is up. */
  after(millis: number, run: () => void): Deadline {
    const untilMillis = this.#timer.nowMillis() + Math.max(0, Math.round(millis))
    const waiting = new ArmedDeadline(untilMillis, run, this.#waiting)
    this.#waiting.add(waiting)
    this.#sleep(untilMillis)
    return waiting
  }

  /** None of them happens any more. */
  stop(): void {
    this.#sleeping?.stop()
    this.#waiting.clear()
  }

  #sleep(untilMillis: number): void {
    if (this.#sleeping !== null && this.#sleeping.untilMillis <= untilMillis) return
    this.#sleeping?.stop()
    const millis = Math.min(longestMillis, Math.max(0, untilMillis - this.#timer.nowMillis()))
    // A timer that wakes before this has returned is over then.
    let isOver = false
    const stop = this.#timer.sleep(millis, () => {
      isOver = true
      this.#sleeping = null
      this.#ring()
    })
    if (!isOver) this.#sleeping = { untilMillis, stop }
  }

  #ring(): void {
    const now = this.#timer.nowMillis()
    let next = Number.POSITIVE_INFINITY
    for (const one of this.#waiting) {
      if (one.untilMillis <= now) one.ring()
      else if (one.place !== -1) next = Math.min(next, one.untilMillis)
    }
    if (next < Number.POSITIVE_INFINITY) this.#sleep(next)
  }
}

class ArmedDeadline implements Deadline, Placed {
  place = -1
  readonly untilMillis: number
  readonly #run: () => void
  readonly #all: DenseSet<ArmedDeadline>

  constructor(untilMillis: number, run: () => void, all: DenseSet<ArmedDeadline>) {
    this.untilMillis = untilMillis
    this.#run = run
    this.#all = all
  }

  ring(): void {
    if (this.#all.delete(this)) this.#run()
  }

  cancel(): void {
    this.#all.delete(this)
  }
}
