import { assert, describe, it } from "@effect/vitest"
import * as BudgetPacing from "../../../src/domain/learning/BudgetPacing.ts"
import { uniform } from "../../../src/domain/basics/Rng.ts"

const charge = (multiplier: number, budgetUsd = 1) => ({ multiplier, budgetUsd })

describe("BudgetPacing", () => {
  it("moves the multiplier by the dual's own arithmetic", () => {
    const path = [
      [1.05, 0.0005],
      [1.0975, 0.001475],
      [1.042625, 0.00190125],
      [1.14049375, 0.0033061875],
      [1.1334690625, 0.004640878125],
      [1.126795609375, 0.00590883421875],
      [1.320455828906, 0.009113392508],
      [1.254433037461, 0.011657722882],
      [1.191711385588, 0.013574836738],
      [1.132125816308, 0.014896094901]
    ]
    let pacing: Pick<BudgetPacing.Pacing, "meanUsd" | "multiplier"> = BudgetPacing.start(1)
    for (const [i, cost] of [2, 2, 0, 3, 1, 1, 5, 0, 0, 0].entries()) {
      pacing = BudgetPacing.ascend(pacing, 1, cost)
      assert.closeTo(pacing.meanUsd, path[i]![0]!, 1e-11)
      assert.closeTo(pacing.multiplier, path[i]![1]!, 1e-11)
    }
  })

  it("keeps between nothing and its limit, whatever is spent", () => {
    let pacing = BudgetPacing.start(0.01)
    for (let i = 0; i < 2000; i++) pacing = BudgetPacing.spent(pacing, 0.01, 5)
    assert.strictEqual(pacing.multiplier, 10)
    for (let i = 0; i < 20_000; i++) pacing = BudgetPacing.spent(pacing, 0.01, 0)
    assert.strictEqual(pacing.multiplier, 0)
    assert.strictEqual(BudgetPacing.chargeOf(BudgetPacing.start(0.01), 0.01).multiplier, 0)
  })

  it("charges at once for what was spent too much, and nothing for what was saved", () => {
    const over = BudgetPacing.spent(BudgetPacing.start(1), 1, 11)
    assert.closeTo(BudgetPacing.chargeOf(over, 1).multiplier - over.multiplier, 10 / 50, 1e-12)
    const under = BudgetPacing.spent(BudgetPacing.start(1), 1, 0)
    assert.strictEqual(BudgetPacing.chargeOf(under, 1).multiplier, under.multiplier)
  })

  it("charges by the cost, and as the budget where the cost is not known", () => {
    assert.strictEqual(BudgetPacing.penalty(charge(0), 100), 0)
    assert.strictEqual(BudgetPacing.penalty(charge(0.2, 0.5), 2), 0.8)
    assert.strictEqual(BudgetPacing.penalty(charge(0.2, 0.5), null), 0.2)
    assert.isTrue(BudgetPacing.isExplored(charge(0), 4) && BudgetPacing.isExplored(charge(0), null))
    assert.isFalse(BudgetPacing.isExplored(charge(0), 4.01))
  })

  it("spends what it may where a better answer costs more, in every stretch", () => {
    // Dear answers are better by a part that differs from request to request.
    const budget = 1
    let pacing = BudgetPacing.start(budget)
    const costs: Array<number> = []
    for (let i = 0; i < 6000; i++) {
      const gain = 0.4 * uniform(`gain ${i}`)
      const now = BudgetPacing.chargeOf(pacing, budget)
      const isDear = gain - BudgetPacing.penalty(now, 3) > -BudgetPacing.penalty(now, 0.2)
      costs.push(isDear ? 3 : 0.2)
      pacing = BudgetPacing.spent(pacing, budget, costs[i]!)
    }
    const mean = (from: number, to: number) => costs.slice(from, to).reduce((a, b) => a + b, 0) / (to - from)
    assert.closeTo(mean(0, 6000), budget, 0.02)
    for (let from = 0; from + 500 <= 6000; from += 50) assert.isAtMost(mean(from, from + 500), 1.1 * budget, `${from}`)
  })
})
