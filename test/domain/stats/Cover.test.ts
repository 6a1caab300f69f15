import { assert, describe, it } from "@effect/vitest"
import { coverOf, hourMillis } from "../../../src/domain/stats/Cover.ts"
import { stepsOf } from "../../../src/domain/stats/Stats.ts"

const at = (hours: number) => hours * hourMillis

describe("Cover", () => {
  it("covers whole hours, and whole days where no step divides them", () => {
    const window = { fromMillis: at(10.5), untilMillis: at(100.25) }
    const { rest, summed, sums } = coverOf(window, [0, at(24), at(48), at(72), at(96)], 0)
    assert.deepStrictEqual(sums, [
      { hours: 1, from: 11, until: 24 },
      { hours: 24, from: 24, until: 96 },
      { hours: 1, from: 96, until: 100 }
    ])
    assert.deepStrictEqual(summed, { fromMillis: at(11), untilMillis: at(100) })
    assert.deepStrictEqual(rest, [
      { fromMillis: at(10.5), untilMillis: at(11) },
      { fromMillis: at(100), untilMillis: at(100.25) }
    ])
    assert.deepStrictEqual(coverOf(window, [at(10), at(11)], 0).sums, [{ hours: 1, from: 11, until: 100 }])
  })

  it("leaves what no sum has, and all where a step divides an hour", () => {
    const window = { fromMillis: at(0), untilMillis: at(48) }
    assert.deepStrictEqual(coverOf(window, [0], at(23.5)).rest, [{ fromMillis: 0, untilMillis: at(24) }])
    for (const [steps, from] of [
      [[0, at(0.5)], 0],
      [[0], Infinity],
      [[0], at(47.5)]
    ] as const) {
      assert.deepStrictEqual(coverOf(window, steps, from), { sums: [], summed: null, rest: [window] })
    }
  })

  it("never counts an instant twice, and misses none", () => {
    for (const [from, until, summedFrom] of [
      [3.2, 3.9, 0],
      [3.2, 4.1, 0],
      [0, 24, 0],
      [23, 25, 0],
      [5.5, 2160.75, 100.3],
      [0.1, 50, 60]
    ] as const) {
      const { stepsMillis } = stepsOf(at(from), at(until))
      const { rest, sums } = coverOf({ fromMillis: at(from), untilMillis: at(until) }, stepsMillis, at(summedFrom))
      const spans = [
        ...rest,
        ...sums.map((range) => ({ fromMillis: at(range.from), untilMillis: at(range.until) }))
      ].sort((a, b) => a.fromMillis - b.fromMillis)
      assert.deepStrictEqual(
        [spans[0]?.fromMillis, ...spans.slice(1).map((span) => span.fromMillis)],
        [at(from), ...spans.slice(0, -1).map((span) => span.untilMillis)]
      )
      assert.strictEqual(spans.at(-1)?.untilMillis, at(until))
    }
  })
})
