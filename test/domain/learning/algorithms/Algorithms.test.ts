import { assert, describe, it } from "@effect/vitest"
import type { Answer, Asked, World } from "../../../../src/domain/learning/algorithms/Algorithm.ts"
import { algorithms, byName } from "../../../../src/domain/learning/algorithms/Algorithms.ts"
import { beta, gamma, student } from "../../../../src/domain/learning/algorithms/Draws.ts"
import { posterior } from "../../../../src/domain/learning/algorithms/NormalThompson.ts"
import { inverseGapShares } from "../../../../src/domain/learning/algorithms/SquareCb.ts"
import { upperBound } from "../../../../src/domain/learning/algorithms/Ucb1.ts"
import { ModelId } from "../../../../src/domain/basics/Ids.ts"
import { uniform } from "../../../../src/domain/basics/Rng.ts"

const world: World = {
  arms: ["low", "high", "middle"].map((model) => ({ model: ModelId(model), priorQuality: null })),
  dimension: 2,
  weights: { quality: 1, cost: 0, latency: 0 },
  costReferenceUsd: 1,
  latencyReferenceSeconds: 2,
  seed: "seed",
  budgetUsd: null,
  fixed: 2
}
const prices = [1, 4, 2].map((price) => ({ inputUsdPerMTok: price, outputUsdPerMTok: price }))
const means = [0.3, 0.8, 0.6]

const askedAt = (n: number, eligible: ReadonlyArray<number> = [0, 1, 2]): Asked => ({
  key: `${n}`,
  features: Float32Array.of(1, uniform(`x${n}`) - 0.5),
  task: null,
  inputTokens: 100,
  eligible,
  prices
})

const answerOf = (n: number, arm: number): Answer => {
  const quality = Math.min(1, Math.max(0, means[arm]! + 0.4 * (uniform(`y${n}|${arm}`) - 0.5)))
  return { arm, outputTokens: 100, latencySeconds: 1, costUsd: 0, quality, reward: quality }
}

/** The choices of a run in which every answer is judged at once. */
const choices = (name: string, count: number, seed = "seed"): ReadonlyArray<number> => {
  const { make, seesEverything } = byName.get(name)!
  const learner = make({ ...world, seed })
  return Array.from({ length: count }, (_, n) => {
    const asked = { ...askedAt(n), ...(seesEverything === true ? { rewards: means } : {}) }
    const arm = learner.choose(asked)
    learner.ran(asked, answerOf(n, arm))
    learner.judged(asked, answerOf(n, arm))
    return arm
  })
}

const share = (all: ReadonlyArray<number>, arm: number) => all.filter((one) => one === arm).length / all.length

describe("algorithms", () => {
  it("find the best model where they learn, and where they know everything", () => {
    const least: Record<string, number> = {
      h2: 0.9,
      h: 0.9,
      "beta-thompson": 0.75,
      "normal-thompson": 0.9,
      ucb1: 0.9,
      "epsilon-greedy": 0.85,
      linucb: 0.85,
      squarecb: 0.85,
      oracle: 1
    }
    for (const [name, expected] of Object.entries(least)) {
      assert.isAtLeast(share(choices(name, 600).slice(300), 1), expected, name)
    }
  })

  it("stay with what they are told where they do not", () => {
    assert.deepStrictEqual(choices("fixed", 4), [2, 2, 2, 2])
    assert.deepStrictEqual(choices("cheapest", 3), [0, 0, 0])
    assert.deepStrictEqual(choices("dearest", 3), [1, 1, 1])
    assert.deepStrictEqual(choices("round-robin", 4), [0, 1, 2, 0])
    for (const arm of [0, 1, 2]) assert.closeTo(share(choices("random", 3000), arm), 1 / 3, 0.04)
  })

  it("choose the same by the same seed and among those that can be chosen only", () => {
    for (const { make, name, seesEverything } of algorithms) {
      assert.deepStrictEqual(choices(name, 40), choices(name, 40), name)
      const learner = make(world)
      for (let n = 0; n < 60; n++) {
        const eligible = [[0], [1, 2], [0, 2], [2]][n % 4]!
        const asked = { ...askedAt(n, eligible), ...(seesEverything === true ? { rewards: means } : {}) }
        const arm = learner.choose(asked)
        assert.include(eligible, arm, name)
        learner.judged(asked, answerOf(n, arm))
      }
    }
    for (const name of ["beta-thompson", "random", "epsilon-greedy"]) {
      assert.notDeepEqual(choices(name, 40), choices(name, 40, "other"), name)
    }
  })

  it("have the shares, bounds and posteriors of their papers", () => {
    const shares = [
      [10, [0.6333333333333334, 0.2, 0.16666666666666666]],
      [100, [0.9262187088274045, 0.0434782608695652, 0.030303030303030304]]
    ] as const
    for (const [gap, expected] of shares) {
      for (const [k, p] of inverseGapShares([0.8, 0.6, 0.5], gap).entries()) assert.closeTo(p, expected[k]!, 1e-15)
    }
    const bounds = [1.5943596229741526, 1.7837127533066597, 2.423455711051267]
    for (const [k, [sum, n]] of (
      [
        [3, 5],
        [1.5, 3],
        [0.2, 1]
      ] as const
    ).entries()) {
      assert.closeTo(upperBound(sum, n, 9, 1.5), bounds[k]!, 1e-12)
    }
    assert.strictEqual(upperBound(0, 0, 9, 1.5), Infinity)
    // Prior 0.5 worth one answer; variance 0.09 worth four: by hand for answers 1, 1, 0.4.
    const { deviation, freedom, mean } = posterior({ n: 3, sum: 2.4, squares: 2.16 })
    assert.closeTo(mean, 2.9 / 4, 1e-12)
    assert.strictEqual(freedom, 7)
    assert.closeTo(deviation ** 2, (0.36 + 2.16 + 0.25 - 4 * (2.9 / 4) ** 2) / 7 / 4, 1e-12)
  })

  it("draw from the distributions that they name", () => {
    const n = 20_000
    const moments = (draw: (i: number) => number) => {
      const values = Array.from({ length: n }, (_, i) => draw(i))
      const mean = values.reduce((a, b) => a + b, 0) / n
      return { mean, variance: values.reduce((a, b) => a + (b - mean) ** 2, 0) / n }
    }
    for (const shape of [0.5, 1, 4.5]) {
      const { mean, variance } = moments((i) => gamma(shape, `g${i}`))
      assert.closeTo(mean, shape, 0.04 * Math.max(1, shape))
      assert.closeTo(variance, shape, 0.08 * Math.max(1, shape))
    }
    const { mean, variance } = moments((i) => beta(2, 5, `b${i}`))
    assert.closeTo(mean, 2 / 7, 0.005)
    assert.closeTo(variance, 10 / (49 * 8), 0.002)
    assert.closeTo(moments((i) => student(10, `t${i}`)).variance, 10 / 8, 0.06)
    // P(Beta(2, 1) > Beta(1, 2)) is 5/6 exactly.
    const wins = Array.from({ length: n }, (_, i) => beta(2, 1, `p${i}`) > beta(1, 2, `q${i}`)).filter(Boolean).length
    assert.closeTo(wins / n, 5 / 6, 0.01)
  })
})
