import { assert, describe, it } from "@effect/vitest"
import { Deadlines } from "../../../src/domain/basics/Deadlines.ts"

/** A timer whose time is passed by hand. */
const byHand = () => {
  let now = 1000
  const timers = new Set<{ readonly at: number; readonly wake: () => void }>()
  const deadlines = new Deadlines({
    nowMillis: () => now,
    sleep: (millis, wake) => {
      const timer = { at: now + millis, wake }
      timers.add(timer)
      return () => timers.delete(timer)
    }
  })
  const pass = (millis: number) => {
    const until = now + millis
    for (;;) {
      const next = [...timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      timers.delete(next)
      now = Math.max(now, next.at)
      next.wake()
    }
    now = until
  }
  return { deadlines, pass, timers: () => timers.size }
}

describe("Deadlines", () => {
  it("happen at their time, in whatever order they were set, with one timer for all", () => {
    const { deadlines, pass, timers } = byHand()
    const rung: Array<string> = []
    deadlines.after(300, () => rung.push("c"))
    deadlines.after(100, () => rung.push("a"))
    deadlines.after(200.4, () => rung.push("b"))
    assert.strictEqual(timers(), 1)
    pass(99)
    assert.deepStrictEqual(rung, [])
    pass(1)
    assert.deepStrictEqual(rung, ["a"])
    assert.strictEqual(timers(), 1)
    pass(200)
    assert.deepStrictEqual(rung, ["a", "b", "c"])
    assert.strictEqual(timers(), 0)
  })

  it("do not happen once they are cancelled, and keep no timer when none is left", () => {
    const { deadlines, pass, timers } = byHand()
    const rung: Array<string> = []
    const first = deadlines.after(100, () => rung.push("first"))
    deadlines.after(200, () => rung.push("second"))
    first.cancel()
    first.cancel()
    pass(1000)
    assert.deepStrictEqual(rung, ["second"])
    assert.strictEqual(timers(), 0)
  })

  it("may cancel another that is due at the same time", () => {
    const { deadlines, pass } = byHand()
    const rung: Array<string> = []
    const both = [
      deadlines.after(10, () => (rung.push("first"), both[1]?.cancel())),
      deadlines.after(10, () => (rung.push("second"), both[0]?.cancel()))
    ]
    pass(20)
    assert.strictEqual(rung.length, 1)
  })

  it("may set others when they happen, and one that is past happens next", () => {
    const { deadlines, pass } = byHand()
    const rung: Array<string> = []
    deadlines.after(10, () => {
      deadlines.after(5, () => rung.push("later"))
      deadlines.after(-5, () => rung.push("past"))
    })
    pass(20)
    assert.deepStrictEqual(rung, ["past", "later"])
  })

  it("may be further away than a timer of node reaches", () => {
    const { deadlines, pass } = byHand()
    let rung = 0
    deadlines.after(3_000_000_000, () => rung++)
    pass(2_900_000_000)
    assert.strictEqual(rung, 0)
    pass(100_000_000)
    assert.strictEqual(rung, 1)
  })

  it("happen no more after the stop", () => {
    const { deadlines, pass, timers } = byHand()
    let rung = 0
    deadlines.after(10, () => rung++)
    deadlines.stop()
    pass(100)
    assert.deepStrictEqual([rung, timers()], [0, 0])
  })
})
