import { assert, describe, it } from "@effect/vitest"
import { RetryEstimate } from "../../../src/layers/api/RetryEstimate.ts"

/** What the last of so many refusals is told, where so many begin and are refused each second, for ten seconds. */
const told = (begunEach: number, refusedEach: number): number => {
  const estimate = new RetryEstimate()
  let last = 0
  for (let second = 0; second < 10; second++) {
    for (let i = 0; i < begunEach; i++) estimate.began(second * 1_000 + (i * 1_000) / begunEach)
    for (let i = 0; i < refusedEach; i++) last = estimate.refused(second * 1_000 + 999)
  }
  return last
}

describe("RetryEstimate", () => {
  it("is how many are refused for each that begins", () => {
    assert.closeTo(told(1_000, 3_000), 3, 1)
    assert.strictEqual(told(1_000, 10), 1)
    assert.closeTo(told(100, 2_000), 20, 4)
  })

  it("is a second at the first refusal, and never above a minute", () => {
    assert.strictEqual(new RetryEstimate().refused(0), 1)
    assert.strictEqual(told(0, 1_000), 60)
  })

  it("forgets what is long past", () => {
    const estimate = new RetryEstimate()
    for (let i = 0; i < 1_000; i++) estimate.refused(0)
    assert.strictEqual(estimate.refused(60_000), 1)
  })
})
