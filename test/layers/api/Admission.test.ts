import { assert, describe, it } from "@effect/vitest"
import { Admission } from "../../../src/layers/api/Admission.ts"

const targetMillis = 25
/** What a request costs to be read, begun and finished, or refused; it is finished when its model has answered. */
const cost = { read: 0.05, begin: 0.25, finish: 0.25, refuse: 0.07 }
const modelMillis = 20
const sliceMillis = 1
const capacity = 1 / (cost.read + cost.begin + cost.finish)

interface Outcome {
  readonly endsAt: number
  readonly begun: number
  readonly latencies: ReadonlyArray<number>
  readonly refusals: ReadonlyArray<number>
  readonly turns: ReadonlyArray<number>
  readonly mostInFlight: number
}

/** An event loop in virtual time, with a queue of which each turn runs a slice. `perMilli` requests come, evenly. */
const simulate = (
  admission: Admission,
  from: number,
  perMilli: (now: number) => number,
  millis: number,
  pause: { readonly at: number; readonly millis: number } | null = null
): Outcome => {
  const latencies: Array<number> = []
  const refusals: Array<number> = []
  const turns: Array<number> = []
  const queue: Array<{ readonly came: number; readonly readAt: number }> = []
  let running: Array<{ readonly came: number; readonly readyAt: number }> = []
  let [begun, mostInFlight, cameUntil, now, isPaused] = [0, 0, from, from, false]
  while (now < from + millis || queue.length + running.length > 0) {
    const startedAt = now
    const isOver = startedAt >= from + millis
    for (; !isOver && cameUntil + 1 / perMilli(cameUntil) <= startedAt; cameUntil += 1 / perMilli(cameUntil)) {
      now += cost.read
      if (admission.takes(now, queue.length, running.length + queue.length)) {
        queue.push({ came: cameUntil, readAt: now })
        continue
      }
      now += cost.refuse
      refusals.push(now - cameUntil)
    }
    const ready = running.filter(({ readyAt }) => readyAt <= startedAt)
    running = running.filter(({ readyAt }) => readyAt > startedAt)
    for (const { came } of ready) {
      now += cost.finish
      latencies.push(now - came)
    }
    let sliceEndsAt = now + sliceMillis
    for (
      let [next, isFirst] = [queue[0], true];
      next !== undefined && now < sliceEndsAt;
      [next, isFirst] = [queue[0], false]
    ) {
      queue.shift()
      if (
        admission.admits(
          { nowMillis: now, waitedMillis: now - next.readAt, longestMillis: now - next.readAt, isFirst },
          running.length + queue.length + 1
        )
      ) {
        now += cost.begin
        begun++
        running.push({ came: next.came, readyAt: now + modelMillis })
      } else {
        now += cost.refuse
        sliceEndsAt += cost.refuse
        refusals.push(now - next.came)
      }
    }
    mostInFlight = Math.max(mostInFlight, queue.length + running.length)
    if (pause !== null && !isPaused && now - from >= pause.at) {
      isPaused = true
      now += pause.millis
    }
    now = Math.max(now, startedAt + 0.1)
    turns.push(now - startedAt)
  }
  return { endsAt: now, begun, latencies, refusals, turns, mostInFlight }
}

const admits = (admission: Admission, nowMillis: number, waitedMillis: number, isFirst = false) =>
  admission.admits({ nowMillis, waitedMillis, longestMillis: waitedMillis, isFirst }, 129)
const quantile = (values: ReadonlyArray<number>, share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN

describe("Admission", () => {
  for (const factor of [2, 4]) {
    it(`answers or refuses quickly at ${factor} times the peak, and does most of the work it could`, () => {
      const half = simulate(new Admission(targetMillis), 0, () => factor * capacity, 30_000)
      assert.isBelow(quantile(half.latencies, 0.99), 1_000)
      assert.isBelow(quantile(half.refusals, 0.9), targetMillis)
      assert.isBelow(quantile(half.refusals, 0.99), 100)
      assert.isBelow(quantile(half.turns, 0.99), 100)
      // What is left when all are read, and the others are refused.
      const rest = 1 - factor * capacity * (cost.read + cost.refuse)
      const possible = rest / (cost.begin + cost.finish - cost.refuse)
      assert.isAbove(half.begun, 0.8 * possible * 30_000)
      assert.isBelow(half.mostInFlight, 2_000)
    })

    it(`refuses nothing any more two seconds after ${factor} times the peak`, () => {
      const admission = new Admission(targetMillis)
      const { endsAt } = simulate(admission, 0, () => factor * capacity, 10_000)
      const soon = simulate(admission, endsAt, () => 0.7 * capacity, 2_000)
      const after = simulate(admission, soon.endsAt, () => 0.7 * capacity, 10_000)
      assert.lengthOf(after.refusals, 0)
      assert.isBelow(quantile(after.latencies, 0.99), 100)
    })
  }

  it("refuses nothing below the peak, nor for one long pause", () => {
    const pause = { at: 10_000, millis: 100 }
    const { latencies, refusals } = simulate(new Admission(targetMillis), 0, () => 0.7 * capacity, 30_000, pause)
    assert.lengthOf(refusals, 0)
    assert.isBelow(quantile(latencies, 0.9), 50)
  })

  it("begins a burst however long some of it waits, where the queue empties in between", () => {
    const admission = new Admission(targetMillis)
    const burst = (now: number) => (now % 1_000 < 60 ? 2 * capacity : 0.4 * capacity)
    const { latencies, refusals } = simulate(admission, 0, burst, 20_000)
    assert.lengthOf(refusals, 0)
    assert.isAbove(quantile(latencies, 0.99), modelMillis + 2 * targetMillis)
  })

  it("refuses only what has waited twice the target, while for an interval everybody has waited longer than that", () => {
    const admission = new Admission(targetMillis)
    assert.isTrue(admits(admission, 0, 1_000))
    assert.isTrue(admits(admission, 99, 1_000))
    assert.isFalse(admits(admission, 100, 51))
    assert.isTrue(admits(admission, 120, 50))
    assert.isFalse(admits(admission, 150, 51))
    assert.isFalse(admits(admission, 200, 1_000))
    // It is over a second after it stood last.
    for (let now = 250; now < 1_200; now += 50) assert.isTrue(admits(admission, now, 0))
    assert.isFalse(admits(admission, 1_199, 1_100))
    assert.isTrue(admits(admission, 1_200, 1_000))
  })

  it("refuses who comes behind more than are begun in the target's time, until a second after the overload stood last", () => {
    const admission = new Admission(targetMillis)
    /** So many in the interval that begins then, each after so long. */
    const begins = (from: number, count: number, waitedMillis: number) => {
      for (let i = 0; i < count; i++) assert.isTrue(admits(admission, from + (i * 100) / count, waitedMillis))
    }
    begins(0, 40, 30)
    assert.isTrue(admission.takes(99, 1_000, 129))
    begins(100, 40, 30)
    // 0.4 a millisecond are 10 in 25 ms.
    assert.isFalse(admission.takes(199, 11, 129))
    assert.isTrue(admission.takes(199, 10, 129))
    assert.isTrue(admission.takes(199, 1_000, 128))
    // What the newcomers that are taken wait does not end it.
    for (let from = 200; from < 3_000; from += 100) begins(from, 20, 13)
    assert.isFalse(admission.takes(2_999, 6, 129))
    assert.isTrue(admission.takes(2_999, 5, 129))
    for (let from = 3_000; from < 4_000; from += 100) begins(from, 20, 12)
    assert.isFalse(admission.takes(3_999, 1_000, 129))
    assert.isTrue(admission.takes(4_000, 1_000, 129))
  })

  it("begins what was taken during an overload, however long it waits", () => {
    const admission = new Admission(targetMillis)
    admits(admission, 0, 1_000)
    assert.isFalse(admits(admission, 150, 1_000))
    assert.isTrue(admits(admission, 900, 750))
    assert.isFalse(admits(admission, 900, 751))
  })

  it("begins the first of each turn, whatever it has waited", () => {
    const admission = new Admission(targetMillis)
    admits(admission, 0, 1_000)
    assert.isFalse(admits(admission, 120, 1_000))
    assert.isTrue(admits(admission, 120, 1_000, true))
  })

  it("refuses nothing while few are there, however long they wait", () => {
    const admission = new Admission(targetMillis)
    for (let now = 0; now <= 10_000; now += 50) {
      assert.isTrue(
        admission.admits({ nowMillis: now, waitedMillis: 5_000, longestMillis: 5_000, isFirst: false }, 128)
      )
    }
    assert.isFalse(admits(admission, 10_010, 10_000))
  })

  it("begins some where refusing the others takes all the time", () => {
    const { begun, latencies } = simulate(new Admission(targetMillis), 0, () => 7 * capacity, 1_000)
    assert.isAbove(begun, 50)
    assert.lengthOf(latencies, begun)
  })

  it("forgets an overload after which nobody has come for a second", () => {
    const admission = new Admission(targetMillis)
    admits(admission, 0, 1_000)
    assert.isFalse(admits(admission, 150, 1_000))
    assert.isFalse(admits(admission, 1_149, 1_000))
    assert.isTrue(admits(admission, 1_400, 1_000))
  })

  it("refuses nothing where it is switched off", () => {
    const admission = new Admission(0)
    for (let now = 0; now < 10_000; now += 50) assert.isTrue(admits(admission, now, 10_000))
  })
})
