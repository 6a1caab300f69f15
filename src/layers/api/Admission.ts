import type { Turn } from "./RunQueue.ts"

/** So often it is decided anew whether there is an overload. */
const intervalMillis = 100
/** One is noticed after so many intervals in a row, unless it grows: what a pause of the process left is worked off by then. */
const noticedAfter = 5
/** After one it is known what stands: within this time the next is noticed after one interval. */
const rememberedMillis = 10_000
/** When one is noticed, what has waited so many times the target is refused. */
const latest = 2
/** So few at once, those that wait among them, wait for each other and are never refused. */
const few = 128
/** It stands while nobody waited less than this part of the target: newcomers are refused so as to keep just the target. */
const standing = 0.5
/** It is over so long after it stood last: where it comes and goes, each time it is noticed anew somebody waits for that. */
const overAfterMillis = 1_000

/** What is asked of a turn. */
type Waited = Pick<Turn, "isFirst" | "longestMillis" | "nowMillis" | "waitedMillis">

/**
 * Decides which requests are begun, by measured delay and not by their number: a model that takes minutes costs the
 * service nothing meanwhile. There is an overload when in an interval nobody waited less than the target, and the last
 * waited longer than the first, or in some intervals in a row: a queue that empties now and then is a burst, however long
 * it is, and one that a pause of the process left becomes shorter. While it lasts, who comes is refused at once where those that wait
 * already take longer than the target, at the rate of the last interval; who came before it was noticed and has waited too
 * long is refused too. The others are begun, so that the service does as much as it can, and nothing of it late; the first in each turn
 * of the event loop is begun always, or nothing would be where refusals take all the time. As CoDel finds queues that
 * stand (RFC 8289), with the rule for servers of "Fail at Scale" (Maurer, ACM Queue 13(8), 2015). Time is passed in.
 */
export class Admission {
  readonly #targetMillis: number
  #intervalBeganAt = Number.NEGATIVE_INFINITY
  #leastWaited = 0
  #firstWaited = 0
  #lastWaited = 0
  #begun = 0
  #begunPerMilli = 0
  /** Intervals in a row in which the queue stood. */
  #stood = 0
  #overloadBeganAt = Number.NEGATIVE_INFINITY
  #overloadEndsAt = Number.NEGATIVE_INFINITY

  /** `targetMillis` is how long a request may wait before it is begun; 0 is no limit. */
  constructor(targetMillis: number) {
    this.#targetMillis = targetMillis === 0 ? Number.POSITIVE_INFINITY : targetMillis
  }

  /**
   * Whether a request that comes now may wait for its turn behind so many, as one of those in flight. Who is the first of a key
   * waits behind a few others, each of another one.
   */
  takes(nowMillis: number, waiting: number, inFlight: number, isFirstOfKey = false): boolean {
    if (isFirstOfKey && waiting <= few) return true
    return inFlight <= few || nowMillis >= this.#overloadEndsAt || waiting <= this.#begunPerMilli * this.#targetMillis
  }

  /** Whether a request may be begun now, one of so many that are there. To be asked in the order in which they came. */
  admits({ isFirst, longestMillis, nowMillis, waitedMillis }: Waited, inFlight: number): boolean {
    // Who has few that wait does not wait behind the others: the queue stands all the same.
    if (nowMillis >= this.#intervalBeganAt + intervalMillis) this.#beginInterval(nowMillis, longestMillis)
    else this.#leastWaited = Math.min(this.#leastWaited, longestMillis)
    this.#lastWaited = longestMillis
    const isTimely = waitedMillis <= latest * this.#targetMillis || nowMillis >= this.#overloadEndsAt
    const isAdmitted = isFirst || inFlight <= few || isTimely || nowMillis - waitedMillis >= this.#overloadBeganAt
    if (isAdmitted) this.#begun++
    return isAdmitted
  }

  #beginInterval(nowMillis: number, longestMillis: number): void {
    const tookMillis = nowMillis - this.#intervalBeganAt
    const isOverload = nowMillis < this.#overloadEndsAt
    const mostWaited = isOverload ? this.#targetMillis * standing : this.#targetMillis
    // Without a request for a whole interval nobody has waited.
    const leastWaited = tookMillis < 2 * intervalMillis ? this.#leastWaited : 0
    this.#stood = leastWaited > mostWaited ? this.#stood + 1 : 0
    const isKnown = nowMillis < this.#overloadEndsAt + rememberedMillis
    const isGrowing = this.#lastWaited - this.#firstWaited > this.#targetMillis
    if (this.#stood >= (isKnown || isGrowing ? 1 : noticedAfter)) {
      if (!isOverload) this.#overloadBeganAt = nowMillis
      this.#overloadEndsAt = nowMillis + overAfterMillis
    }
    this.#begunPerMilli = this.#begun / tookMillis
    this.#begun = 0
    this.#intervalBeganAt = nowMillis
    this.#leastWaited = longestMillis
    this.#firstWaited = longestMillis
  }
}
