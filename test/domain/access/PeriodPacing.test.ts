import { assert, describe, it } from "@effect/vitest"
import { PeriodPacing, together } from "../../../src/domain/access/PeriodPacing.ts"
import { penalty } from "../../../src/domain/learning/BudgetPacing.ts"
import { seeded } from "../../support/learningEvents.ts"

const dayMillis = 86_400_000

/** A day of requests between a good, dear model and a cheap one, in replicas that know of each other by what is spent only. */
const day = (options: {
  readonly requests: number
  readonly replicas: number
  readonly budgetUsd: number
  readonly seed: string
}) => {
  const { budgetUsd, replicas, requests, seed } = options
  const random = seeded(seed)
  const pacings = Array.from({ length: replicas }, () => new PeriodPacing())
  const costs: Array<number> = []
  let spentUsd = 0
  let now = 0
  for (let i = 0; i < requests; i++) {
    // As Poisson's.
    now += (-Math.log(1 - random()) * dayMillis) / requests
    const pacing = pacings[Math.floor(random() * replicas)]!
    const left = { usd: budgetUsd - spentUsd, spentUsd, resetsAtMillis: Math.max(now + 1, dayMillis) }
    const charge = pacing.asked(left, now)
    const size = 0.5 + random()
    const prospects = [
      { quality: 0.5 + 0.4 * random(), costUsd: 0.0001 * size },
      { quality: 0.6 + 0.4 * random(), costUsd: 0.002 * size }
    ]
    const scores = prospects.map(({ costUsd, quality }) => quality - (charge === null ? 0 : penalty(charge, costUsd)))
    const { costUsd } = prospects[scores[0]! >= scores[1]! ? 0 : 1]!
    // What is left is not promised to anybody: a budget refuses beyond it.
    if (spentUsd + costUsd > budgetUsd) continue
    spentUsd += costUsd
    costs.push(costUsd)
    pacing.spent(costUsd)
  }
  const windows = costs.slice(500).map((_, i) => costs.slice(i, i + 500).reduce((sum, cost) => sum + cost, 0))
  return {
    spent: spentUsd / budgetUsd,
    answered: costs.length,
    worst: Math.max(...windows) / ((500 * budgetUsd) / requests)
  }
}

describe("PeriodPacing", () => {
  it("spends a budget that binds within two hundredths, and evenly, in one replica or several", () => {
    for (const replicas of [1, 3]) {
      for (const budgetUsd of [1.5, 3]) {
        const { answered, spent, worst } = day({
          requests: 5000,
          replicas,
          budgetUsd,
          seed: `${replicas} ${budgetUsd}`
        })
        const told = `${replicas} replica(s), ${budgetUsd} USD: ${spent} of it, the worst 500 ${worst}`
        assert.isAtLeast(spent, 0.98, told)
        assert.isAtMost(spent, 1.0001, told)
        assert.isAtMost(worst, 1.15, told)
        assert.isAtLeast(answered, 4900, told)
      }
    }
  })

  it("takes nothing off while there is more than anybody wants, nor before anything is known", () => {
    const rich = day({ requests: 1000, replicas: 1, budgetUsd: 100, seed: "rich" })
    assert.isBelow(rich.spent, 0.03)
    const pacing = new PeriodPacing()
    assert.isNull(pacing.asked(null, 0))
    assert.isNull(new PeriodPacing().asked({ usd: 1, spentUsd: 0, resetsAtMillis: 1000 }, 0))
    const charge = pacing.asked({ usd: 1, spentUsd: 0, resetsAtMillis: 1010 }, 10)
    assert.deepStrictEqual(charge, { multiplier: 0, budgetUsd: 10 / 1000 })
  })

  it("adds up what several budgets charge", () => {
    const both = together([
      { multiplier: 1, budgetUsd: 0.01 },
      { multiplier: 2, budgetUsd: 0.04 }
    ])
    assert.closeTo(penalty(both!, 0.02), 2 + 1, 1e-12)
    assert.isNull(together([]))
  })
})
