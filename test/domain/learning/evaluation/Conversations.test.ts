import { assert, describe, it } from "@effect/vitest"
import { conversationReport, converse } from "../../../../src/domain/learning/evaluation/Conversations.ts"

describe("Conversations", () => {
  it("costs less for the same quality than a choice blind to the cache, and less than staying, at every price of money", () => {
    for (const { priceOfMoney, rules } of conversationReport(2, 300)) {
      const of = (rule: string) => rules.find((one) => one.rule === rule)!
      assert.isBelow(of("blind").billAtEqualQuality!.mean, 88, `blind at ${priceOfMoney}`)
      const stay = of("stay").billAtEqualQuality
      assert.isTrue(stay === null || stay.mean < 100, `stay at ${priceOfMoney}`)
      for (const rule of ["blind", "stay", "turn"]) {
        assert.isAbove(of("conversation").utility.mean, of(rule).utility.mean, `${rule} at ${priceOfMoney}`)
      }
      assert.isAtLeast(of("conversation").quality.mean, of("stay").quality.mean)
    }
  })

  it("never costs a conversation more than its budget above staying where switches are bounded", () => {
    for (const price of [1, 5, 20]) {
      assert.isAtMost(converse("bounded", price, 600, "bounded").worstShareOfStaying, 1.1 + 1e-9)
      assert.isAbove(converse("conversation", price, 600, "bounded").worstShareOfStaying, 1.1)
    }
    assert.strictEqual(converse("stay", 5, 200, "s").worstShareOfStaying, 1)
    assert.strictEqual(converse("stay", 5, 200, "s").switches, 0)
  })
})
