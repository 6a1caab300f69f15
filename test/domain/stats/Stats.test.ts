import { assert, describe, it } from "@effect/vitest"
import { normal, uniform } from "../../../src/domain/basics/Rng.ts"
import { meanInterval, stepsOf, studentQuantile, wilson } from "../../../src/domain/stats/Stats.ts"

const hour = 3_600_000

describe("Stats", () => {
  it("knows the published quantiles of Student's distribution", () => {
    for (const [degrees, quantile] of [
      [3, 3.182],
      [5, 2.571],
      [10, 2.228],
      [31, 2.0395],
      [1000, 1.9623]
    ] as const) {
      assert.closeTo(studentQuantile(degrees), quantile, 0.01 * quantile, String(degrees))
    }
    assert.closeTo(studentQuantile(31), 2.03951, 1e-4)
  })

  it("gives a share the interval that Wilson published", () => {
    const some = wilson(15, 20)
    assert.closeTo(some?.low ?? 0, 0.5313, 1e-4)
    assert.closeTo(some?.high ?? 0, 0.8881, 1e-4)
    assert.strictEqual(wilson(0, 10)?.low, 0)
    assert.closeTo(wilson(10, 10)?.high ?? 0, 1, 1e-12)
    assert.isNull(wilson(0, 0))
    // Whatever rounding does, the share itself is inside.
    for (const cases of [1, 3, 6, 7, 30, 1e6]) {
      for (const share of [0, 1 / 3, 1]) {
        const successes = Math.round(cases * share)
        const { high, low } = wilson(successes, cases) ?? { low: 1, high: 0 }
        assert.isTrue(0 <= low && low <= successes / cases && successes / cases <= high && high <= 1, `of ${cases}`)
      }
    }
  })

  it("gives a mean no interval from fewer than four values", () => {
    const interval = meanInterval({ count: 4, mean: 2.5, variance: 5 / 3 })
    assert.closeTo(interval?.high ?? 0, 2.5 + 3.182 * Math.sqrt(5 / 12), 0.02)
    assert.closeTo((interval?.low ?? 0) + (interval?.high ?? 0), 5, 1e-12)
    assert.isNull(meanInterval({ count: 3, mean: 2, variance: 1 }))
    assert.isNull(meanInterval({ count: 1, mean: 2, variance: null }))
  })

  it("covers what is true in 95 of 100 cases", () => {
    const rounds = 2000
    let means = 0
    let shares = 0
    for (let round = 0; round < rounds; round++) {
      const values = Array.from({ length: 12 }, (_, i) => 3 + normal(`${round}|${i}`))
      const mean = values.reduce((a, b) => a + b, 0) / 12
      const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / 11
      const interval = meanInterval({ count: 12, mean, variance })
      if (interval !== null && interval.low <= 3 && 3 <= interval.high) means++
      const successes = values.filter((_, i) => uniform(`${round}|${i}|share`) < 0.1).length
      const share = wilson(successes, 12)
      if (share !== null && share.low <= 0.1 && 0.1 <= share.high) shares++
    }
    // Three standard deviations of a share of 0.95 of so many rounds are 0.015; Wilson's is discrete with few cases.
    assert.closeTo(means / rounds, 0.95, 0.015)
    assert.isAbove(shares / rounds, 0.93)
  })

  it("divides any window into at most a hundred steps of a round width that cover it", () => {
    const until = Date.UTC(2026, 0, 31, 9, 30, 7)
    for (const [length, width] of [
      [hour, 60_000],
      [3 * hour, 120_000],
      [24 * hour, hour],
      [7 * 24 * hour, 2 * hour],
      [30 * 24 * hour, 24 * hour],
      [90 * 24 * hour, 24 * hour],
      [until, 207 * 24 * hour],
      [1, 60_000]
    ] as const) {
      const { stepsMillis, widthMillis } = stepsOf(until - length, until)
      assert.strictEqual(widthMillis, width)
      assert.isAtMost(stepsMillis.length, 100)
      const [first = 0] = stepsMillis
      assert.isTrue(first <= until - length && first > until - length - width)
      assert.isTrue(stepsMillis.every((millis, i) => millis === first + i * width && millis % width === 0))
      const last = stepsMillis.at(-1) ?? 0
      assert.isTrue(last < until && last + width >= until)
    }
  })
})
