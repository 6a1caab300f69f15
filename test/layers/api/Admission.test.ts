import { assert, describe, it } from "@effect/vitest"
import { Admission } from "../../../src/layers/api/Admission.ts"

const targetTurnMillis = 25
const costMillis = 0.5
const refusalMillis = 0.05
const turnsOfARequest = 5

interface Outcome {
  readonly latencies: ReadonlyArray<number>
  readonly refused: number
  readonly turns: ReadonlyArray<number>
  readonly mostInFlight: number
}

/**
 * An event loop in virtual time: whatever has come is served in one turn, a request takes so much time in all and is
 * there for five turns and 20 ms of waiting. `perMilli` requests come each millisecond, evenly.
 */
const simulate = (
  admission: Admission,
  from: number,
  perMilli: (now: number) => number,
  millis: number,
  pause: { readonly at: number; readonly millis: number } | null = null
): Outcome => {
  const latencies: Array<number> = []
  const turns: Array<number> = []
  let running: Array<{ readonly came: number; left: number; readyAt: number }> = []
  let due = 0
  let refused = 0
  let mostInFlight = 0
  let paused = false
  for (let now = from; now < from + millis;) {
    let work = 0
    // What came during the last turn, when it came.
    const came = Math.floor(due)
    due -= came
    for (let i = 0; i < came; i++) {
      if (admission.admits(now, running.length)) running.push({ came: now, left: turnsOfARequest, readyAt: now })
      else {
        refused++
        work += refusalMillis
      }
    }
    mostInFlight = Math.max(mostInFlight, running.length)
    for (const one of running) {
      if (one.readyAt > now) continue
      one.left--
      work += costMillis / turnsOfARequest
      // It waits for its model once.
      if (one.left === 2) one.readyAt = now + 20
    }
    if (pause !== null && !paused && now - from >= pause.at) {
      paused = true
      work += pause.millis
    }
    const turn = Math.max(0.2, work)
    due += perMilli(now) * turn
    now += turn
    admission.turned(now, turn)
    turns.push(turn)
    for (const one of running) if (one.left === 0) latencies.push(now - one.came)
    running = running.filter(({ left }) => left > 0)
  }
  return { latencies, refused, turns, mostInFlight }
}

const quantile = (values: ReadonlyArray<number>, share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN
const peak = 1 / costMillis

describe("Admission", () => {
  for (const factor of [2, 4]) {
    it(`keeps what it begins quick at ${factor} times the peak, and does most of the work it could`, () => {
      const admission = new Admission(0, targetTurnMillis)
      const minute = simulate(admission, 0, () => factor * peak, 60_000)
      assert.isBelow(quantile(minute.latencies, 0.99), 1000)
      assert.isBelow(quantile(minute.turns, 0.99), 100)
      assert.isAbove(minute.latencies.length, (factor === 2 ? 0.6 : 0.4) * peak * 60_000)
      assert.isAbove(minute.refused, 0)
      assert.isBelow(minute.mostInFlight, 1_000 * factor)
    })

    it(`refuses nothing any more two seconds after ${factor} times the peak`, () => {
      const admission = new Admission(0, targetTurnMillis)
      simulate(admission, 0, () => factor * peak, 30_000)
      simulate(admission, 30_000, () => 0.7 * peak, 2_000)
      const after = simulate(admission, 32_000, () => 0.7 * peak, 10_000)
      assert.strictEqual(after.refused, 0)
      assert.isBelow(quantile(after.latencies, 0.99), 100)
    })
  }

  it("refuses nothing below the peak, nor for one long pause", () => {
    const admission = new Admission(0, targetTurnMillis)
    const { refused } = simulate(admission, 0, () => 0.7 * peak, 60_000, { at: 10_000, millis: 100 })
    assert.strictEqual(refused, 0)
  })

  it("refuses nothing while few are in flight, however long turns take", () => {
    const admission = new Admission(0, targetTurnMillis)
    for (let now = 0; now <= 10_000; now += 500) {
      admission.turned(now, 500)
      assert.isTrue(admission.admits(now, 100))
    }
    assert.isFalse(Array.from({ length: 1000 }, () => admission.admits(10_000, 1000)).every(Boolean))
  })

  it("refuses nothing where it is switched off", () => {
    const admission = new Admission(0, 0)
    for (let now = 0; now < 10_000; now += 500) {
      admission.turned(now, 500)
      assert.isTrue(admission.admits(now, 4000))
    }
  })
})
