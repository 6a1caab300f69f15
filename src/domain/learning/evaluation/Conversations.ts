import { Draws } from "../../basics/Rng.ts"
import {
  type Bill,
  furtherTurns,
  mayLeave,
  noBill,
  returnUsd,
  type Turn,
  turnCost,
  type TurnCost
} from "../../routing/ConversationCost.ts"
import { noMoreRates, type Price } from "../../routing/Cost.ts"
import { type Estimate, estimate } from "./Summary.ts"

/**
 * Conversations between two models whose providers cache prompts: one reads its cache at a tenth of the price and is paid for
 * writing it, the other at half. How much better the second is differs from conversation to conversation and from turn to
 * turn; the router knows that, and the prices. A tenth of the pauses is longer than the caches live.
 */
const prices: readonly [Price, Price] = [
  {
    inputUsdPerMTok: 3,
    outputUsdPerMTok: 15,
    moreRates: { ...noMoreRates, cachedInputUsdPerMTok: 0.3, cacheWriteUsdPerMTok: 3.75 }
  },
  { inputUsdPerMTok: 2.5, outputUsdPerMTok: 10, moreRates: { ...noMoreRates, cachedInputUsdPerMTok: 1.25 } }
]

/** How a model is chosen for a turn. */
export const conversationRules = ["blind", "stay", "turn", "conversation", "bounded"] as const
export type ConversationRule = (typeof conversationRules)[number]

export const ruleDescriptions = {
  blind: "as if nothing were cached",
  stay: "the first turn's model, always",
  turn: "by what this turn costs",
  conversation: "by what the rest of the conversation costs",
  bounded: "the same, and no conversation more than a tenth above staying"
} satisfies Record<ConversationRule, string>

const mostAbove = 0.1
/** Chance that a turn is the last but one. */
const ends = 0.15
const missesCache = 0.1
const firstPrefix = 3000

/** Means of a turn of all conversations, and of the conversations the largest share of staying that one has cost. */
export interface ConversationOutcome {
  readonly quality: number
  readonly usd: number
  readonly utility: number
  readonly switches: number
  readonly worstShareOfStaying: number
}

type Index = 0 | 1
const both: ReadonlyArray<Index> = [0, 1]

interface Said {
  readonly gain: number
  readonly prefixTokens: number
  readonly newTokens: number
  readonly outputTokens: number
  readonly isWarm: boolean
}

/** One conversation under way. */
interface Session {
  last: Index | null
  first: Index | null
  bill: Bill
}

const noCost: TurnCost = { nowUsd: 0, warmUsd: 0, usd: 0 }

const turnOf = (said: Said, model: Index, { last }: Session, further: number): Turn => ({
  ...said,
  hit: said.isWarm && last === model ? 1 : 0,
  furtherTurns: further
})

const costsOf = (said: Said, session: Session, further: number) =>
  both.map((model) => turnCost(prices[model], turnOf(said, model, session, further)) ?? noCost)

/** What staying with the first model would have cost in this turn. */
const stayUsd = (said: Said, model: Index): number =>
  turnCost(prices[model], { ...said, hit: said.isWarm ? 1 : 0, furtherTurns: 0 })?.nowUsd ?? 0

const choose = (rule: ConversationRule, session: Session, said: Said, priceOfMoney: number): Index => {
  const { first, last } = session
  if (rule === "stay" && last !== null) return last
  const further = rule === "conversation" || rule === "bounded" ? furtherTurns : 0
  const known = rule === "blind" ? { ...session, last: null } : session
  const blind = both.map((model) => {
    const price = { ...prices[model], moreRates: noMoreRates }
    return turnCost(price, turnOf(said, model, known, 0)) ?? noCost
  })
  const costs = rule === "blind" ? blind : costsOf(said, session, further)
  const scoreOf = (model: Index) => (model === 1 ? said.gain : 0) - priceOfMoney * (costs[model]?.usd ?? 0)
  const best: Index = scoreOf(1) > scoreOf(0) ? 1 : 0
  if (rule !== "bounded" || first === null || best === first) return best
  const way = {
    nowUsd: costs[best]?.nowUsd ?? 0,
    stayUsd: stayUsd(said, first),
    returnUsd: returnUsd(prices[first], turnOf(said, first, session, 0)) ?? 0
  }
  return mayLeave(session.bill, mostAbove, way) ? best : first
}

/** Plays so many conversations; the same seed says the same in all of them, whatever the rule. */
export const converse = (
  rule: ConversationRule,
  priceOfMoney: number,
  conversations: number,
  seed: string
): ConversationOutcome => {
  const sum = { quality: 0, usd: 0, switches: 0, turns: 0, worst: 0 }
  for (let c = 0; c < conversations; c++) {
    const draws = new Draws(`${seed}|${c}|`)
    const level = 0.06 * draws.normal("level")
    const session: Session = { last: null, first: null, bill: noBill }
    let prefixTokens = firstPrefix
    for (let t = 0; t === 0 || draws.uniform(`ends${t}`) >= ends || t === 1; t++) {
      const said: Said = {
        gain: level + 0.05 * draws.normal(`gain${t}`),
        prefixTokens,
        newTokens: Math.floor(Math.exp(6 + 0.8 * draws.normal(`new${t}`))),
        outputTokens: Math.floor(Math.exp(5.8 + 0.6 * draws.normal(`out${t}`))),
        isWarm: t > 0 && draws.uniform(`warm${t}`) >= missesCache
      }
      const model = choose(rule, session, said, priceOfMoney)
      const paid = costsOf(said, session, 0)[model]?.nowUsd ?? 0
      session.first ??= model
      session.bill = {
        paidUsd: session.bill.paidUsd + paid,
        stayUsd: session.bill.stayUsd + stayUsd(said, session.first)
      }
      sum.quality += model === 1 ? said.gain : 0
      sum.usd += paid
      sum.switches += session.last !== null && session.last !== model ? 1 : 0
      sum.turns += 1
      session.last = model
      prefixTokens += said.newTokens + said.outputTokens
    }
    sum.worst = Math.max(sum.worst, session.bill.paidUsd / session.bill.stayUsd)
  }
  const { quality, switches, turns, usd, worst } = sum
  return {
    quality: quality / turns,
    usd: usd / turns,
    utility: (quality - priceOfMoney * usd) / turns,
    switches: switches / turns,
    worstShareOfStaying: worst
  }
}

/** What one point of quality is given up for, a USD a turn. */
export const pricesOfMoney = [5, 10, 20] as const
/** Wide enough that every quality of the others is reached. */
const frontierPrices = [0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 60, 90] as const

/** The least bill with which a rule reaches at least that quality, also between two of its points; null where it does not. */
const billAt = (points: ReadonlyArray<ConversationOutcome>, quality: number): number | null => {
  const bills = points.flatMap((high, i) => {
    if (high.quality < quality) return []
    const low = points[i + 1]
    if (low === undefined || low.quality >= quality) return [high.usd]
    const share = (quality - low.quality) / (high.quality - low.quality)
    return [high.usd, low.usd + share * (high.usd - low.usd)]
  })
  return bills.length === 0 ? null : Math.min(...bills)
}

export interface ConversationReport {
  readonly priceOfMoney: number
  readonly rules: ReadonlyArray<{
    readonly rule: ConversationRule
    readonly utility: Estimate
    readonly usd: Estimate
    readonly quality: Estimate
    readonly switches: Estimate
    readonly worstShareOfStaying: number
    /** Percent of this rule's bill that choosing by the conversation needs for at least the same quality. */
    readonly billAtEqualQuality: Estimate | null
  }>
}

/** The rules on the same conversations, by the price of money. */
export const conversationReport = (seeds: number, conversations: number): ReadonlyArray<ConversationReport> => {
  const names = Array.from({ length: seeds }, (_, seed) => `${seed + 1}`)
  const frontiers = names.map((seed) =>
    frontierPrices.map((price) => converse("conversation", price, conversations, seed))
  )
  return pricesOfMoney.map((priceOfMoney) => ({
    priceOfMoney,
    rules: conversationRules.map((rule) => {
      const played = names.map((seed) => converse(rule, priceOfMoney, conversations, seed))
      const over = (valueOf: (one: ConversationOutcome) => number) => estimate(played.map(valueOf))
      const bills = played.flatMap(({ quality, usd }, seed) => {
        const bill = billAt(frontiers[seed] ?? [], quality)
        return bill === null ? [] : [(100 * bill) / usd]
      })
      return {
        rule,
        utility: over(({ utility }) => utility),
        usd: over(({ usd }) => usd),
        quality: over(({ quality }) => quality),
        switches: over(({ switches }) => switches),
        worstShareOfStaying: Math.max(...played.map((one) => one.worstShareOfStaying)),
        billAtEqualQuality: bills.length === 0 ? null : estimate(bills)
      }
    })
  }))
}
