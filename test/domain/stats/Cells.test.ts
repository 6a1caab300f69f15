import { assert, describe, it } from "@effect/vitest"
import { cellsOf } from "../../../src/domain/stats/Cells.ts"

const window = { fromMillis: 1_767_225_612_345, untilMillis: 1_767_225_612_345 + 90 * 86_400_000 }
const length = ({ fromMillis, untilMillis }: typeof window) => untilMillis - fromMillis

describe("Cells", () => {
  it("are the whole window, or the asked part of its time, in order and within it", () => {
    assert.deepStrictEqual(cellsOf(window, 1), [window])
    for (const every of [2, 3, 25, 2250]) {
      const cells = cellsOf(window, every)
      const covered = cells.reduce((sum, cell) => sum + length(cell), 0)
      assert.closeTo((covered * every) / length(window), 1, 0.01, String(every))
      assert.isAtMost(cells.length, 513)
      assert.isTrue(
        cells.every((cell) => cell.fromMillis >= window.fromMillis && cell.untilMillis <= window.untilMillis)
      )
      assert.isTrue(cells.slice(1).every((cell, i) => cell.fromMillis >= (cells[i]?.untilMillis ?? 0)))
    }
  })

  it("have every instant of a run with the same probability", () => {
    const every = 4
    const counts = [0, 0, 0, 0]
    for (const { fromMillis } of cellsOf({ fromMillis: 0, untilMillis: 512 * 4 * 1000 }, every)) {
      counts[(fromMillis / 1000) % every]!++
    }
    for (const count of counts) assert.closeTo(count, 128, 4 * Math.sqrt(512 * 0.25 * 0.75))
  })
})
