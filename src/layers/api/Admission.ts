/** So few requests at once are never refused: they wait for each other, not in a queue. */
const floor = 128
/** How far the mean delay looks back: far enough that a pause alone is no overload, of which the next turns recover. */
const meanMillis = 200
/** An overload begins when the mean is so many times the target, or so many turns in a row are too long and get longer. */
const onset = 2
const growingTurns = 3
/** How often the rate is changed while there is an overload. */
const intervalMillis = 100
/** What is kept at least of the rate that led to it, so that what has piled up can go, and later in an interval. */
const firstCut = 0.1
const nextCut = 0.5
/** What an interval without overload adds, and after how many that refused nothing there is no limit any more. */
const growth = 1.1
const calmIntervals = 10
/** How much of the rate may be used at once. */
const burstMillis = 50

/**
 * Decides which requests are begun, by measured delay and not by their number: a model that takes minutes costs the
 * service nothing meanwhile. The delay is how long a turn of the event loop takes, which every request waits for several
 * times. As CoDel does for packets (RFC 8289), what counts is a delay that stays: while it is above the target, the rate
 * at which requests are begun is lowered, and else raised again. Time is passed in; it reads no clock.
 */
export class Admission {
  readonly #targetMillis: number
  readonly #delay: LoopDelay
  readonly #bucket: TokenBucket
  /** Requests a millisecond; infinite while there is no overload. */
  #rate = Number.POSITIVE_INFINITY
  #interval: Interval
  #calmIntervals = 0

  /** `targetMillis` is how long a turn of the event loop may take; 0 is no limit. */
  constructor(nowMillis: number, targetMillis: number) {
    this.#targetMillis = targetMillis === 0 ? Number.POSITIVE_INFINITY : targetMillis
    this.#delay = new LoopDelay(nowMillis, this.#targetMillis)
    this.#bucket = new TokenBucket(nowMillis)
    this.#interval = new Interval(nowMillis)
  }

  /** Whether a request may begin now, with so many begun and not ended. */
  admits(nowMillis: number, inFlight: number): boolean {
    const isFree = this.#rate === Number.POSITIVE_INFINITY
    const isAdmitted = inFlight < floor || isFree || this.#bucket.take(nowMillis, this.#rate)
    if (isAdmitted) this.#interval.admitted++
    else this.#interval.refused++
    return isAdmitted
  }

  /** A turn of the event loop has ended, which took so long. */
  turned(nowMillis: number, turnMillis: number): void {
    this.#delay.add(nowMillis, turnMillis)
    const interval = this.#interval
    const isFree = this.#rate === Number.POSITIVE_INFINITY
    const isOver = nowMillis - interval.since >= intervalMillis
    if (isFree ? this.#delay.isRising : isOver && this.#delay.mean > this.#targetMillis) {
      this.#slowDown(nowMillis, isFree ? firstCut : nextCut, interval)
    } else if (isOver && !isFree) this.#speedUp(interval)
    else if (!isOver) return
    this.#interval = new Interval(nowMillis)
  }

  #slowDown(nowMillis: number, leastKept: number, { admitted, since }: Interval): void {
    const begun = Math.max(1, admitted) / Math.max(1, nowMillis - since)
    this.#rate = Math.min(this.#rate, begun) * Math.max(leastKept, Math.min(1, this.#targetMillis / this.#delay.mean))
    this.#calmIntervals = 0
  }

  #speedUp({ refused }: Interval): void {
    this.#rate *= growth
    this.#calmIntervals = refused === 0 ? this.#calmIntervals + 1 : 0
    if (this.#calmIntervals >= calmIntervals) this.#rate = Number.POSITIVE_INFINITY
  }
}

/** How long turns take: their mean over time, the newest counting most, and whether they get longer and longer. */
class LoopDelay {
  mean = 0
  readonly #targetMillis: number
  #last = 0
  #growing = 0
  #at: number

  constructor(nowMillis: number, targetMillis: number) {
    this.#at = nowMillis
    this.#targetMillis = targetMillis
  }

  add(nowMillis: number, turnMillis: number): void {
    const share = 1 - Math.exp((this.#at - nowMillis) / meanMillis)
    this.mean += share * (turnMillis - this.mean)
    this.#growing = turnMillis > this.#targetMillis && turnMillis >= this.#last ? this.#growing + 1 : 0
    this.#last = turnMillis
    this.#at = nowMillis
  }

  get isRising(): boolean {
    return this.mean > onset * this.#targetMillis || this.#growing >= growingTurns
  }
}

class TokenBucket {
  #tokens = 0
  #filledAt: number

  constructor(nowMillis: number) {
    this.#filledAt = nowMillis
  }

  /** `rate` is tokens a millisecond. */
  take(nowMillis: number, rate: number): boolean {
    const most = Math.max(1, rate * burstMillis)
    this.#tokens = Math.min(most, this.#tokens + rate * (nowMillis - this.#filledAt))
    this.#filledAt = nowMillis
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}

/** What was decided since `since`. */
class Interval {
  admitted = 0
  refused = 0
  readonly since: number

  constructor(since: number) {
    this.since = since
  }
}
