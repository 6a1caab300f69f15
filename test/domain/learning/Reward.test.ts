import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { costReferenceUsd, costUsd, expectedRequestCostUsd } from "../../../src/domain/routing/Cost.ts"
import { reward } from "../../../src/domain/learning/Reward.ts"
import { compose, costScore, latencyScore, logOutputTokens } from "../../../src/domain/routing/Score.ts"
import { preferences } from "../../../src/domain/routing/Weights.ts"

const fixture: {
  readonly reward: ReadonlyArray<Record<"q" | "cost" | "latency" | "scaled_cref_0.0005_lref_2", number>>
} = JSON.parse(readFileSync(new URL("../fixtures/bandit_reference.json", import.meta.url), "utf8"))

const reference = { costUsd: 5e-4, latencySeconds: 2 }
const outcome = { ok: true, aborted: false, costUsd: 1e-3, latencyMs: 1500, firstTokenMs: null }
const price = (inputUsdPerMTok: number | null, outputUsdPerMTok: number | null) => ({
  inputUsdPerMTok,
  outputUsdPerMTok
})

describe("Reward", () => {
  it("reproduces the reference", () => {
    assert.isAbove(fixture.reward.length, 0)
    for (const row of fixture.reward) {
      const actual = reward(
        { ...outcome, costUsd: row.cost, latencyMs: row.latency * 1000 },
        { quality: row.q },
        preferences.balanced,
        reference
      )
      assert.closeTo(actual ?? Number.NaN, row["scaled_cref_0.0005_lref_2"], 1e-15)
    }
  })

  it("is nothing while nobody judged the answer, 0 for a failure, and counts a stream's first token", () => {
    const judged = { quality: 1 }
    assert.isNull(reward(outcome, null, preferences.balanced, reference))
    assert.isNull(reward({ ...outcome, ok: false, aborted: true }, judged, preferences.balanced, reference))
    assert.strictEqual(reward({ ...outcome, ok: false }, judged, preferences.balanced, reference), 0)
    const stream = reward({ ...outcome, latencyMs: 60_000, firstTokenMs: 0 }, judged, preferences.speed, reference)
    assert.closeTo(stream ?? Number.NaN, 0.4 + 0.1 / 3 + 0.5, 1e-12)
    const unpriced = reward({ ...outcome, costUsd: null, latencyMs: 0 }, judged, preferences.cost, reference)
    assert.closeTo(unpriced ?? Number.NaN, 0.4 + 0.25 + 0.1, 1e-12)
  })
})

describe("Cost", () => {
  it("is tokens times price, and unknown with a price", () => {
    assert.closeTo(costUsd(price(1, 5), 1000, 200) ?? Number.NaN, 0.002, 1e-18)
    assert.strictEqual(costUsd(price(0, 0), 1000, 200), 0)
    assert.isNull(costUsd(price(1, null), 1000, 200))
    assert.isNull(costUsd(price(null, 1), 1000, 200))
  })

  it("is compared with the geometric mean of the known prices above 0", () => {
    const [low, high] = [price(0.1, 0.1), price(10, 10)]
    assert.closeTo(expectedRequestCostUsd(low) ?? Number.NaN, 8e-5, 1e-18)
    assert.closeTo(costReferenceUsd([low, price(null, null), high, price(0, 0)]), 8e-4, 1e-15)
    assert.strictEqual(costReferenceUsd([]), 1e-4)
  })
})

describe("Score", () => {
  const prediction = { quality: 0.8, qualitySd: 0.05, qualityRise: 0.1, outputTokens: 400, latencyScore: 0.25 }
  const input = {
    prediction,
    price: price(1, 2),
    inputTokens: 200,
    maxTokens: null,
    weights: preferences.balanced,
    costReferenceUsd: 1e-3
  }

  it("is quality, cost and latency by their weights, and only quality is uncertain", () => {
    const { costUsd, mean, rise, sd } = compose(input)
    assert.closeTo(costUsd ?? Number.NaN, 1e-3, 1e-18)
    assert.closeTo(mean, 0.7 * 0.8 + 0.2 * 0.5 + 0.1 * 0.25, 1e-15)
    assert.closeTo(sd, 0.7 * 0.05, 1e-15)
    assert.closeTo(rise, 0.7 * 0.1, 1e-15)
  })

  it("expects no more output than the caller allows", () => {
    assert.closeTo(compose({ ...input, maxTokens: 100 }).costUsd ?? Number.NaN, 4e-4, 1e-18)
    assert.closeTo(compose({ ...input, maxTokens: 4000 }).costUsd ?? Number.NaN, 1e-3, 1e-18)
  })

  it("counts an unknown price as the reference, which is neither free nor dear", () => {
    const unknown = compose({ ...input, price: price(null, null) })
    assert.isNull(unknown.costUsd)
    assert.closeTo(unknown.mean, compose(input).mean, 1e-12)
    assert.strictEqual(costScore(0, 1e-3), 1)
  })

  it("turns tokens and seconds into what is learned", () => {
    assert.strictEqual(logOutputTokens(0), 0)
    assert.closeTo(logOutputTokens(300), 5.703782474656201, 1e-15)
    assert.strictEqual(latencyScore(2, 2), 0.5)
  })
})
