import { assert, describe, it } from "@effect/vitest"
import { BudgetLoan, loanFor, promiseFor, UsedTokens } from "../../../src/domain/access/BudgetLoan.ts"

describe("BudgetLoan", () => {
  it("promises what is lent and not a cent more, and ends", () => {
    const loan = new BudgetLoan()
    assert.isFalse(loan.take(0.1, 0))
    loan.lent(0.3, 0, 1_000)
    // Three tenths as doubles are more than 0.3.
    assert.deepStrictEqual(
      [loan.take(0.1, 0), loan.take(0.1, 0), loan.take(0.1, 0), loan.take(0.1, 0)],
      [true, true, true, false]
    )
    loan.settle(0.1, 0.02)
    assert.isTrue(loan.take(0.08, 0))
    loan.settle(0.08, 0)
    assert.isFalse(loan.take(0.01, 1_000))
  })

  it("claims the same whether a cost is a row already or not, and is idle when nothing is left of it", () => {
    const loan = new BudgetLoan()
    loan.lent(1, 0, 1_000)
    assert.isTrue(loan.take(0.4, 0))
    loan.settle(0.4, 0.6)
    const claimed = loan.claimedUsd
    loan.stored(0.6, true)
    assert.closeTo(loan.claimedUsd, claimed, 1e-12)
    assert.isFalse(loan.isOutstanding)
    assert.isTrue(loan.take(0.4, 0))
    assert.isFalse(loan.take(0.01, 0))
    // What is never stored is not claimed.
    loan.settle(0.4, 0.3)
    loan.stored(0.3, false)
    assert.isTrue(loan.take(0.4, 0))
    loan.settle(0.4, 0)

    loan.begin()
    assert.strictEqual(loan.claimedUsd, 0)
    loan.lent(0, 0, 1_000)
    assert.isTrue(loan.isIdle)
    // The rows are ahead of what is known here: they have paid, and the rest is lent.
    loan.lent(0.5, 0, 1_000)
    assert.isTrue(loan.take(0.5, 0))
    loan.lent(0, 0.5, 1_000)
    assert.isFalse(loan.take(0.01, 0))
    loan.stored(0.5, true)
    assert.isFalse(loan.take(0.01, 0))
  })

  it("is asked for again when it ends soon, or when nobody uses the rest of it", () => {
    const loan = new BudgetLoan()
    assert.isFalse(loan.needsVisit(0, 100))
    loan.lent(1, 0, 1_000)
    assert.isTrue(loan.needsVisit(0, 100))
    assert.isTrue(loan.take(0.5, 0))
    assert.isFalse(loan.needsVisit(0, 100))
    assert.isTrue(loan.needsVisit(0, 100))
    assert.isTrue(loan.take(0.5, 0))
    assert.isFalse(loan.needsVisit(0, 100))
    assert.isFalse(loan.needsVisit(0, 100))
    assert.isTrue(loan.needsVisit(900, 100))
  })

  it("is a slice of what is left while that is much, and exact near the end", () => {
    assert.strictEqual(loanFor(0.01, null), 0.01)
    assert.strictEqual(loanFor(0.01, 100), 2)
    assert.strictEqual(loanFor(0.05, 1), 0.05)
  })
})

describe("promiseFor", () => {
  const usdOf = (tokens: number) => tokens / 1000

  it("is bounded by what the model has really used, and by what it may use", () => {
    const cost = { expectedUsd: 0.2, usdOf, maxTokens: null }
    assert.strictEqual(promiseFor(cost, null), 0.2)
    assert.strictEqual(promiseFor(cost, 500), 0.5)
    assert.strictEqual(promiseFor({ ...cost, maxTokens: 100 }, 500), 0.1)
    // A huge limit freezes nothing.
    assert.strictEqual(promiseFor({ ...cost, maxTokens: 1_000_000 }, 500), 0.5)
    assert.strictEqual(promiseFor({ expectedUsd: null, usdOf: () => null, maxTokens: 10 }, 500), 0)
  })

  it("forgets a long answer bit by bit", () => {
    const used = new UsedTokens()
    assert.isNull(used.most("m"))
    used.saw("m", 1_000)
    used.saw("m", 10)
    assert.closeTo(used.most("m") ?? 0, 995, 1)
    for (let i = 0; i < 2_000; i++) used.saw("m", 10)
    assert.closeTo(used.most("m") ?? 0, 10, 1)
  })
})
