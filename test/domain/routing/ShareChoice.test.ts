import { assert, describe, it } from "@effect/vitest"
import { rules } from "../../../src/domain/learning/algorithms/Rules.ts"
import { defaultParameters, make } from "../../../src/domain/learning/bandit/Hierarchical.ts"
import { ModelId } from "../../../src/domain/basics/Ids.ts"
import type { Option } from "../../../src/domain/routing/Choice.ts"
import { chooseByShares } from "../../../src/domain/routing/ShareChoice.ts"

const option = (model: string, mean: number, sd: number, eligible = true): Option => ({
  model: ModelId(model),
  eligible,
  excludedBy: eligible ? null : "disabled",
  mean,
  sd,
  rise: 0,
  probeShare: 0,
  quality: mean,
  qualitySd: sd,
  costUsd: 0.001,
  latencySeconds: 1
})
const options = [option("b", 0.6, 0.01), option("a", 0.5, 0.2), option("out", 0.9, 0.1, false), option("c", 0.4, 0.02)]
const state = make(defaultParameters, 2)
const eligible = options.filter(({ eligible }) => eligible)

const chosenBy = (name: keyof typeof rules, n: number, candidates = options, control = 0.01) =>
  chooseByShares({ candidates, control, seed: "s", key: `k${n}`, decisionId: `d${n}` }, (some) =>
    rules[name](some, state)
  )

describe("chooseByShares", () => {
  it("chooses each model as often as its propensity says, by every rule", () => {
    const n = 20_000
    for (const name of ["ucb", "epsilon-greedy", "squarecb", "random"] as const) {
      const counts = new Map<string, number>()
      const { candidates } = chosenBy(name, 0)
      for (let i = 0; i < n; i++) {
        const { chosen } = chosenBy(name, i)
        counts.set(chosen, (counts.get(chosen) ?? 0) + 1)
      }
      let chiSquare = 0
      let sum = 0
      for (const { model, propensity } of candidates) {
        sum += propensity
        if (propensity > 0) chiSquare += ((counts.get(model) ?? 0) - n * propensity) ** 2 / (n * propensity)
        else assert.isFalse(counts.has(model), name)
      }
      assert.closeTo(sum, 1, 1e-5)
      // Two degrees of freedom: 18 is one in eight thousand.
      assert.isBelow(chiSquare, 18, name)
    }
  })

  it("does not depend on the order of the candidates, and says what it did", () => {
    for (let n = 0; n < 50; n++) {
      const [one, other] = [chosenBy("squarecb", n), chosenBy("squarecb", n, options.toReversed())]
      assert.deepStrictEqual(other.chosen, one.chosen)
      assert.strictEqual(other.propensity, one.propensity)
      if (one.reason === "best") assert.strictEqual(one.chosen as string, "b")
      assert.strictEqual(one.exploration, one.reason !== "best")
    }
    const single = chosenBy("random", 1, [option("only", 0.5, 0.1), option("out", 1, 0, false)])
    assert.deepInclude(single, { reason: "only_eligible", propensity: 1, exploration: false })
    assert.throws(() => chosenBy("random", 1, [option("out", 1, 0, false)]), RangeError)
    assert.deepStrictEqual(
      new Set([1, 2, 3].map((n) => chosenBy("random", n, options, 1).reason)),
      new Set(["control"])
    )
  })

  it("has rules with the shares that they promise", () => {
    assert.deepStrictEqual(rules.ucb(eligible, state), [0, 1, 0], "the uncertain one has the largest bound")
    const greedy = rules["epsilon-greedy"](eligible, state)
    assert.closeTo(greedy[0]!, 0.95 + 0.05 / 3, 1e-12)
    assert.closeTo(greedy[1]!, 0.05 / 3, 1e-12)
    assert.deepStrictEqual(rules.random(eligible, state), [1 / 3, 1 / 3, 1 / 3])
    const gaps = rules.squarecb(eligible, state)
    assert.closeTo(gaps[1]!, 1 / (3 + 10 * 0.1), 1e-9)
    assert.closeTo(
      gaps.reduce((sum, share) => sum + share, 0),
      1,
      1e-12
    )
    const broken = rules.ucb([option("a", Number.NaN, 0.1), option("b", 0.1, 0.1)], state)
    assert.deepStrictEqual(broken, [0, 1])
  })
})
