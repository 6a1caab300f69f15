import { assert, describe, it } from "@effect/vitest"
import { BudgetKeeper } from "../../../../src/layers/routing/metering/BudgetKeeper.ts"
import type { Lent, Loan } from "../../../../src/services/storage/BudgetStore.ts"

/** A keeper whose questions are answered by hand. */
const keeper = (usdPerDay: number) => {
  const asked: Array<{ readonly loan: Loan; readonly lent: (answer: Lent | null) => void }> = []
  const budget = new BudgetKeeper(
    { type: "key", owners: ["test"] },
    { usdPerDay, usdPerMonth: null, paced: false },
    {
      replica: "replica",
      nowMillis: () => 0,
      wallMillis: () => 0,
      borrow: (loan, lent) => void asked.push({ loan, lent }),
      onShare: () => {}
    }
  )
  const answered: Array<string> = []
  const reserve = (usd: number) => budget.reserve(usd, (bounded) => answered.push(bounded?._tag ?? "reserved"))
  const answer = (lent: Partial<Lent>) => {
    const question = asked.shift()
    if (question === undefined) throw new Error("nothing was asked")
    question.lent({
      grantedUsd: 0,
      paidUsd: 0,
      spentDayUsd: 0,
      spentMonthUsd: 0,
      lentUsd: 0,
      dayEndsAtMillis: 1_000_000,
      monthEndsAtMillis: 1_000_000,
      ...lent
    })
    return question.loan.wantedUsd
  }
  return { answered, answer, reserve }
}

describe("BudgetKeeper", () => {
  it("asks once for all that wait meanwhile, and refuses what there is not", () => {
    const { answer, answered, reserve } = keeper(1)
    reserve(0.25)
    reserve(0.5)
    reserve(0.5)
    assert.closeTo(answer({ grantedUsd: 0.25, lentUsd: 0.25 }), 0.25, 1e-12)
    assert.deepStrictEqual(answered, ["reserved"])
    assert.closeTo(answer({ grantedUsd: 1, lentUsd: 1 }), 1, 1e-12)
    assert.deepStrictEqual(answered, ["reserved", "reserved", "BudgetSpent"])
  })

  it("lends the last of it, though sums of doubles are a little off", () => {
    const { answer, answered, reserve } = keeper(1)
    reserve(0.05)
    reserve(0.05)
    // One minus nine tenths minus five hundredths is less than five hundredths.
    answer({ grantedUsd: 0.05, lentUsd: 0.05, spentDayUsd: 0.9 })
    answer({ grantedUsd: 0.1 - 2e-17, lentUsd: 0.1, spentDayUsd: 0.9 })
    assert.deepStrictEqual(answered, ["reserved", "reserved"])
  })
})
