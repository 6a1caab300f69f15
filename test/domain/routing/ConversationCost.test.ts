import { assert, describe, it } from "@effect/vitest"
import { mayLeave, noBill, returnUsd, type Turn, turnCost } from "../../../src/domain/routing/ConversationCost.ts"
import { noMoreRates, type Price } from "../../../src/domain/routing/Cost.ts"

const cheapReads: Price = {
  inputUsdPerMTok: 3,
  outputUsdPerMTok: 15,
  moreRates: { ...noMoreRates, cachedInputUsdPerMTok: 0.3, cacheWriteUsdPerMTok: 3.75 }
}
const turn: Turn = { prefixTokens: 10_000, newTokens: 500, outputTokens: 200, hit: 1, furtherTurns: 3 }

describe("ConversationCost", () => {
  it("is what is read, written and said at its own price, and on average over the turns to come", () => {
    const now = (10_000 * 0.3 + 500 * 3.75 + 200 * 15) / 1e6
    const cold = (10_500 * 3.75 + 200 * 15) / 1e6
    const warm = (10_700 * 0.3 + 500 * 3.75 + 200 * 15) / 1e6
    const found = turnCost(cheapReads, turn)!
    assert.closeTo(found.nowUsd, now, 1e-12)
    assert.closeTo(found.warmUsd, warm, 1e-12)
    assert.closeTo(found.usd, (now + 3 * warm) / 4, 1e-12)
    assert.closeTo(turnCost(cheapReads, { ...turn, hit: 0 })!.nowUsd, cold, 1e-12)
    assert.closeTo(turnCost(cheapReads, { ...turn, hit: 0.5 })!.nowUsd, (now + cold) / 2, 1e-12)
  })

  it("is the input's price where nothing is said of caches, and below what any provider caches", () => {
    const plain: Price = { inputUsdPerMTok: 3, outputUsdPerMTok: 15 }
    const expected = (10_500 * 3 + 200 * 15) / 1e6
    for (const hit of [0, 0.7, 1]) assert.closeTo(turnCost(plain, { ...turn, hit })!.nowUsd, expected, 1e-12)
    const short = { ...turn, prefixTokens: 400, newTokens: 100, outputTokens: 10 }
    assert.closeTo(turnCost(cheapReads, short)!.nowUsd, (500 * 3 + 10 * 15) / 1e6, 1e-12)
    assert.isNull(turnCost({ inputUsdPerMTok: null, outputUsdPerMTok: 1 }, turn))
    assert.isNull(returnUsd({ inputUsdPerMTok: null, outputUsdPerMTok: 1 }, turn))
  })

  it("charges a switch once: it pays after the turns in which the cheaper model makes up for the cold read", () => {
    const other: Price = { inputUsdPerMTok: 1, outputUsdPerMTok: 4 }
    const costs = (furtherTurns: number) => [
      turnCost(cheapReads, { ...turn, furtherTurns })!.usd,
      turnCost(
        { ...other, moreRates: { ...noMoreRates, cachedInputUsdPerMTok: 0.1 } },
        { ...turn, hit: 0, furtherTurns }
      )!.usd
    ]
    const [stayOnce = 0, leaveOnce = 0] = costs(0)
    const [stay = 0, leave = 0] = costs(3)
    assert.isBelow(stayOnce, leaveOnce)
    assert.isAbove(stay, leave)
  })

  it("keeps the way back in reserve, so that a session can always end within its budget", () => {
    const paid = { paidUsd: 1, stayUsd: 1 }
    assert.isTrue(mayLeave(paid, 0.1, { nowUsd: 1, stayUsd: 1, returnUsd: 0.2 }))
    assert.isFalse(mayLeave(paid, 0.1, { nowUsd: 1, stayUsd: 1, returnUsd: 0.21 }))
    assert.isFalse(mayLeave(noBill, 0, { nowUsd: 1, stayUsd: 1, returnUsd: 0.01 }))
    const next = { ...turn, prefixTokens: 10_700 }
    const back = (10_700 + 500) * 3.75 - (10_700 * 0.3 + 500 * 3.75)
    assert.closeTo(returnUsd(cheapReads, turn)!, back / 1e6, 1e-12)
    assert.closeTo(
      returnUsd(cheapReads, turn)!,
      turnCost(cheapReads, { ...next, hit: 0 })!.nowUsd - turnCost(cheapReads, next)!.nowUsd,
      1e-12
    )
  })
})
