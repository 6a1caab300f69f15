import type { Turn } from "./RunQueue.ts"

/** So often it is decided anew whether there is an overload. */
const intervalMillis = 100
/** While there is one, what has waited so many times the target is refused. */
const latest = 2
/** So few at once, those that wait among them, wait for each other and are never refused. */
const few = 128

/**
 * Decides which requests are begun, by measured delay and not by their number: a model that takes minutes costs the
 * service nothing meanwhile. There is an overload when in an interval nobody waited less than the target: a queue that
 * empties now and then is a burst, however long it is. While it lasts, who has waited too long is refused and the others
 * are begun, so that the service does as much as it can, and nothing of it late; the first in each turn of the event loop
 * is begun always, or nothing would be where refusals take all the time. As CoDel finds queues that stand (RFC 8289), with
 * the rule for servers of "Fail at Scale" (Maurer, ACM Queue 13(8), 2015). Time is passed in.
 */
export class Admission {
  readonly #targetMillis: number
  #intervalEndsAt = Number.NEGATIVE_INFINITY
  #leastWaited = 0
  #isOverload = false

  /** `targetMillis` is how long a request may wait before it is begun; 0 is no limit. */
  constructor(targetMillis: number) {
    this.#targetMillis = targetMillis === 0 ? Number.POSITIVE_INFINITY : targetMillis
  }

  /** Whether a request may be begun now, one of so many that are there. To be asked in the order in which they came. */
  admits({ isFirst, nowMillis, waitedMillis }: Turn, inFlight: number): boolean {
    if (nowMillis >= this.#intervalEndsAt) {
      // Without a request for a whole interval nobody has waited.
      this.#isOverload = nowMillis < this.#intervalEndsAt + intervalMillis && this.#leastWaited > this.#targetMillis
      this.#intervalEndsAt = nowMillis + intervalMillis
      this.#leastWaited = waitedMillis
    } else this.#leastWaited = Math.min(this.#leastWaited, waitedMillis)
    return isFirst || inFlight <= few || !this.#isOverload || waitedMillis <= latest * this.#targetMillis
  }
}
