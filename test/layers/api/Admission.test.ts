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
  pauses: { readonly every: number; readonly millis: number } | null = null
): Outcome => {
  const latencies: Array<number> = []
  const refusals: Array<number> = []
  const turns: Array<number> = []
  const queue: Array<{ readonly came: number; readonly readAt: number }> = []
  let running: Array<{ readonly came: number; readonly readyAt: number }> = []
  let [begun, mostInFlight, cameUntil, now, pausedAt] = [0, 0, from, from, from]
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
    if (pauses !== null && now - pausedAt >= pauses.every) {
      pausedAt = now
      now += pauses.millis
    }
    now = Math.max(now, startedAt + 0.1)
    turns.push(now - startedAt)
  }
  return { endsAt: now, begun, latencies, refusals, turns, mostInFlight }
}

const admits = (admission: Admission, nowMillis: number, waitedMillis: number, isFirst = false) =>
  admission.admits({ nowMillis, waitedMillis, longestMillis: waitedMillis, isFirst }, 129)
/** Whoever is begun has waited a second, in so many intervals as it takes for an overload to be noticed at 500. */
const overloaded = () => {
  const admission = new Admission(targetMillis)
  for (let now = 0; now < 500; now += 50) assert.isTrue(admits(admission, now, 1_000))
  assert.isFalse(admits(admission, 500, 1_000))
  return admission
}
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

  it("refuses nothing below the peak, nor for the pauses of a process, whose queue needs its time to empty", () => {
    const pauses = { every: 2_000, millis: 200 }
    const { latencies, refusals } = simulate(new Admission(targetMillis), 0, () => 0.7 * capacity, 30_000, pauses)
    assert.lengthOf(refusals, 0)
    assert.isBelow(quantile(latencies, 0.5), 50)
  })

  it("begins a burst however long some of it waits, where the queue empties in between", () => {
    const admission = new Admission(targetMillis)
    const burst = (now: number) => (now % 1_000 < 60 ? 2 * capacity : 0.4 * capacity)
    const { latencies, refusals } = simulate(admission, 0, burst, 20_000)
    assert.lengthOf(refusals, 0)
    assert.isAbove(quantile(latencies, 0.99), modelMillis + 2 * targetMillis)
  })

  it("refuses only what has waited twice the target, when for five intervals everybody has waited longer than that", () => {
    const admission = overloaded()
    assert.isFalse(admits(admission, 510, 51))
    assert.isTrue(admits(admission, 520, 50))
    assert.isFalse(admits(admission, 550, 51))
    assert.isFalse(admits(admission, 600, 1_000))
    // It is over a second after it stood last.
    for (let now = 650; now < 1_600; now += 50) assert.isTrue(admits(admission, now, 0))
    assert.isFalse(admits(admission, 1_599, 1_100))
    assert.isTrue(admits(admission, 1_600, 1_000))
  })

  it("notices at the end of one interval what grows in it", () => {
    const grown = (last: number) => {
      const admission = new Admission(targetMillis)
      for (const [now, waited] of [
        [0, 30],
        [90, last]
      ] as const)
        assert.isTrue(admits(admission, now, waited))
      return !admits(admission, 100, 80)
    }
    assert.deepStrictEqual([30, 55, 56].map(grown), [false, false, true])
  })

  it("begins anew to count them where somebody waited less", () => {
    const admission = new Admission(targetMillis)
    for (let now = 0; now < 5_000; now += 50) assert.isTrue(admits(admission, now, now % 400 === 0 ? 20 : 1_000))
  })

  it("notices the next one after one interval, for ten seconds", () => {
    const admission = overloaded()
    for (let now = 550; now < 11_000; now += 50) assert.isTrue(admits(admission, now, 0))
    for (let now = 11_000; now < 11_100; now += 50) assert.isTrue(admits(admission, now, 1_000))
    assert.isFalse(admits(admission, 11_100, 1_000))
    for (let now = 11_150; now < 23_000; now += 50) assert.isTrue(admits(admission, now, 0))
    for (let now = 23_000; now < 23_450; now += 50) assert.isTrue(admits(admission, now, 1_000))
    assert.isFalse(admits(admission, 23_500, 1_000))
  })

  it("refuses who comes behind more than are begun in the target's time, until a second after the overload stood last", () => {
    const admission = new Admission(targetMillis)
    /** So many in the interval that begins then, each after so long. */
    const begins = (from: number, count: number, waitedMillis: number) => {
      for (let i = 0; i < count; i++) assert.isTrue(admits(admission, from + (i * 100) / count, waitedMillis))
    }
    for (let from = 0; from < 500; from += 100) begins(from, 40, 30)
    assert.isTrue(admission.takes(499, 1_000, 129))
    begins(500, 40, 30)
    // 0.4 a millisecond are 10 in 25 ms.
    assert.isFalse(admission.takes(599, 11, 129))
    assert.isTrue(admission.takes(599, 10, 129))
    assert.isTrue(admission.takes(599, 1_000, 128))
    // What the newcomers that are taken wait does not end it.
    for (let from = 600; from < 3_000; from += 100) begins(from, 20, 13)
    assert.isFalse(admission.takes(2_999, 6, 129))
    assert.isTrue(admission.takes(2_999, 5, 129))
    for (let from = 3_000; from < 4_000; from += 100) begins(from, 20, 12)
    assert.isFalse(admission.takes(3_999, 1_000, 129))
    assert.isTrue(admission.takes(4_000, 1_000, 129))
  })

  it("begins what was taken during an overload, however long it waits", () => {
    const admission = overloaded()
    assert.isFalse(admits(admission, 550, 1_000))
    assert.isTrue(admits(admission, 1_300, 800))
    assert.isFalse(admits(admission, 1_300, 801))
  })

  it("begins the first of each turn, whatever it has waited", () => {
    const admission = overloaded()
    assert.isFalse(admits(admission, 520, 1_000))
    assert.isTrue(admits(admission, 520, 1_000, true))
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
    const admission = overloaded()
    assert.isFalse(admits(admission, 550, 1_000))
    assert.isFalse(admits(admission, 1_499, 1_000))
    assert.isTrue(admits(admission, 1_750, 1_000))
  })

  it("refuses nothing where it is switched off", () => {
    const admission = new Admission(0)
    for (let now = 0; now < 10_000; now += 50) assert.isTrue(admits(admission, now, 10_000))
  })
})
