import { costOf, type Price } from "./Cost.ts"
import { plainUsage } from "./Usage.ts"

/** A turn of a conversation as one model would answer it. Tokens as this model counts them. */
export interface Turn {
  /** All that was said before, the answers too: what a cache may hold. */
  readonly prefixTokens: number
  readonly newTokens: number
  /** Expected of the answer. */
  readonly outputTokens: number
  /** Chance that the model's provider reads the prefix from its cache, [0, 1]. */
  readonly hit: number
  /** Expected number of turns after this one. */
  readonly furtherTurns: number
}

export interface TurnCost {
  /** What this turn is expected to cost, USD. */
  readonly nowUsd: number
  /** What a later one would where the model goes on, with the prefix cached. */
  readonly warmUsd: number
  /** The mean of both over this turn and those that are expected: what taking the model here costs a turn. */
  readonly usd: number
}

/** Providers forget what nobody reads for so long. */
export const cacheLivesMillis = 5 * 60_000

/**
 * How many turns a choice is expected to hold. Less than conversations last: what is better about a model in this turn may not
 * be in the next.
 */
export const furtherTurns = 3

/** Shorter prompts are cached by none of the large providers. */
const leastCachedTokens = 1024

const priced = (price: Price, cached: number, fresh: number, output: number): number | null => {
  const input = cached + fresh
  const isCached = input >= leastCachedTokens
  return costOf(price, {
    ...plainUsage(input, output),
    cachedTokens: isCached ? cached : 0,
    writtenTokens: isCached ? fresh : 0
  })
}

/**
 * What a turn costs, given what is cached: the one cold read of a switch is weighed against what the rest of the conversation
 * saves. Null without a price.
 */
export const turnCost = (price: Price, turn: Turn): TurnCost | null => {
  const { furtherTurns: further, hit, newTokens, outputTokens, prefixTokens } = turn
  const cached = hit * prefixTokens
  const nowUsd = priced(price, cached, prefixTokens - cached + newTokens, outputTokens)
  const warmUsd = priced(price, prefixTokens + newTokens + outputTokens, newTokens, outputTokens)
  if (nowUsd === null || warmUsd === null) return null
  return { nowUsd, warmUsd, usd: (nowUsd + further * warmUsd) / (1 + further) }
}

/**
 * What a session has been charged, and what it would have been had it stayed with the model that answered first. A session
 * that may cost x more than staying can go back at any time: what going back would cost is always kept in reserve.
 */
export interface Bill {
  readonly paidUsd: number
  readonly stayUsd: number
}

export const noBill: Bill = { paidUsd: 0, stayUsd: 0 }

/** What going back to the first model would cost beyond a turn with its cache. */
export const returnUsd = (price: Price, turn: Turn): number | null => {
  const prefixTokens = turn.prefixTokens + turn.newTokens + turn.outputTokens
  const next = { ...turn, prefixTokens, furtherTurns: 0 }
  const cold = turnCost(price, { ...next, hit: 0 })
  const warm = turnCost(price, { ...next, hit: 1 })
  return cold === null || warm === null ? null : Math.max(0, cold.nowUsd - warm.nowUsd)
}

/** Whether a turn on another model than the first keeps the bill within `budget` above that of staying, with the way back. */
export const mayLeave = (
  bill: Bill,
  budget: number,
  costs: { readonly nowUsd: number; readonly stayUsd: number; readonly returnUsd: number }
): boolean => bill.paidUsd + costs.nowUsd + costs.returnUsd <= (1 + budget) * (bill.stayUsd + costs.stayUsd)
