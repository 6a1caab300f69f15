import { assert, describe, it } from "@effect/vitest"
import { uniform } from "../../../src/domain/basics/Rng.ts"
import { binDigits, binEdges, binOf, binsIn, binsOf, percentilesIn } from "../../../src/domain/stats/Times.ts"

describe("Times", () => {
  it("puts a time into the bin whose edges are around it", () => {
    assert.deepStrictEqual([0, 0.99, 1, 2, 1e9].map(binOf), [0, 0, 1, 9, binEdges.length])
    for (let i = 0; i < 1000; i++) {
      const ms = 2 ** (20 * uniform(`${i}`))
      const bin = binOf(ms)
      assert.isTrue((binEdges[bin - 1] ?? 0) <= ms && ms < (binEdges[bin] ?? Infinity), String(ms))
    }
  })

  it("reads counts from the digits of a sum", () => {
    const times = [0.5, 3, 3, 3, 700, 2 ** 21]
    const sum = times.reduce((sum, ms) => sum + 10n ** BigInt(binDigits * binOf(ms)), 0n)
    assert.deepStrictEqual(
      [...binsIn(sum.toString())],
      [...binsOf(times)].sort(([a], [b]) => a - b)
    )
    assert.deepStrictEqual([...binsIn("0")], [])
  })

  it("tells percentiles within the width of a bin", () => {
    assert.isNull(percentilesIn(new Map()))
    const one = percentilesIn(binsOf([812]))
    assert.closeTo(one?.p50 ?? 0, 812, 0.05 * 812)
    assert.strictEqual(one?.p50, one?.p99)
    const times = Array.from({ length: 5000 }, (_, i) => 20 * Math.exp(5 * uniform(`${i}`))).sort((a, b) => a - b)
    const found = percentilesIn(binsOf(times))
    for (const [name, share] of [
      ["p50", 0.5],
      ["p90", 0.9],
      ["p95", 0.95],
      ["p99", 0.99]
    ] as const) {
      const truth = times[Math.round(share * (times.length - 1))] ?? 0
      assert.closeTo(found?.[name] ?? 0, truth, 0.03 * truth, name)
    }
  })
})
