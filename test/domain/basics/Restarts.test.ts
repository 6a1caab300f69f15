import { assert, describe, it } from "@effect/vitest"
import { deathsAllowed, restartDelay } from "../../../src/domain/basics/Restarts.ts"

describe("Restarts", () => {
  it("wait twice as long after each death within a minute, and end with the sixth", () => {
    const deaths = [0, 1_000, 2_000, 3_000, 4_000, 5_000]
    const delays = deaths.map((_, i) => restartDelay(deaths.slice(0, i + 1)))
    assert.deepStrictEqual(delays, [100, 200, 400, 800, 1_600, null])
  })

  it("forget what is a minute old", () => {
    const hourly = Array.from({ length: 3 * deathsAllowed }, (_, hour) => hour * 3_600_000)
    assert.strictEqual(restartDelay(hourly), 100)
    assert.strictEqual(restartDelay([0, 1, 2, 3, 4, 60_004]), 100)
    assert.strictEqual(restartDelay([0, 1, 2, 3, 4, 60_003]), 200)
  })
})
