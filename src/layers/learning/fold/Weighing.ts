import type { ModelId } from "../../../domain/basics/Ids.ts"
import type { Option } from "../../../domain/routing/Choice.ts"
import {
  cacheLivesMillis,
  furtherTurns,
  mayLeave,
  noBill,
  returnUsd,
  type Turn,
  turnCost
} from "../../../domain/routing/ConversationCost.ts"
import type { DecidedTurn } from "../../../domain/routing/Decision.ts"
import type { Model } from "../../../domain/routing/Model.ts"
import type { DecideInput } from "../../../services/learning/BanditState.ts"
import type { Catalog } from "../../../services/models/ModelCatalog.ts"
import type { SessionTurn } from "../../../services/routing/Sessions.ts"

/** A turn of a session whose models are compared by what the conversation costs with what their providers have cached. */
export interface Weighing {
  /** By how much of the bill of staying it may cost more. */
  readonly budget: number
  /** What is known of the turns before; null in the first one. */
  readonly before: SessionTurn | null
  /** Whose provider may still have the prefix in its cache. */
  readonly warm: ModelId | null
  readonly input: DecideInput
}

/** Null where sessions keep their model, and for a request that is in no session. */
export const weighingOf = ({ policy }: Catalog, input: DecideInput): Weighing | null => {
  const { createdAtMillis, request, session } = input
  if (policy.switchBudget === undefined || request.pinned !== null) return null
  if (request.sessionId === null && session === null) return null
  const before = session?.turn ?? null
  const isAlive = before !== null && createdAtMillis - before.atMillis < cacheLivesMillis
  return { budget: policy.switchBudget, before, warm: isAlive ? (session?.model ?? null) : null, input }
}

type Cached = Pick<Turn, "prefixTokens" | "hit" | "furtherTurns">

export const turnOn = ({ before, input, warm }: Weighing, model: Model): Cached => ({
  prefixTokens: Math.min(before?.prefixTokens ?? 0, input.inputTokens(model)),
  hit: warm === model.id ? input.cacheHits(model.id) : 0,
  furtherTurns
})

/** What the first model of the session costs in this turn had it answered all of them, and the way back to it. */
export interface Staying {
  readonly stayUsd: number
  readonly returnUsd: number
}

export const stayingWith = (weighing: Weighing, first: Model, outputTokens: number): Staying | null => {
  const { input, warm } = weighing
  const cached = turnOn(weighing, first)
  const turn = { ...cached, newTokens: input.inputTokens(first) - cached.prefixTokens, outputTokens }
  const stay = turnCost(first, { ...turn, hit: warm === null ? 0 : input.cacheHits(first.id) })
  const back = returnUsd(first, turn)
  return stay === null || back === null ? null : { stayUsd: stay.nowUsd, returnUsd: back }
}

/**
 * Excludes what would make the session cost more than staying by more than its budget, the way back included; nothing while its
 * first model cannot answer.
 */
export const withinBudget = (
  { before, budget }: Weighing,
  staying: Staying | null,
  options: ReadonlyArray<Option>
): ReadonlyArray<Option> => {
  if (before === null || staying === null) return options
  if (!options.some(({ eligible, model }) => eligible && model === before.first)) return options
  return options.map((option) => {
    const { costUsd, eligible, model } = option
    if (!eligible || model === before.first) return option
    const isWithin = costUsd !== null && mayLeave(before.bill, budget, { nowUsd: costUsd, ...staying })
    return isWithin ? option : { ...option, eligible: false, excludedBy: "switch_budget" as const }
  })
}

/** What the next turn has to know of this one. */
export const decidedTurn = (
  { before, warm }: Weighing,
  staying: Staying | null,
  chosen: Pick<Option, "model" | "costUsd">
): DecidedTurn => {
  const { paidUsd, stayUsd } = before?.bill ?? noBill
  const now = chosen.costUsd ?? 0
  return {
    first: before?.first ?? chosen.model,
    bill: { paidUsd: paidUsd + now, stayUsd: stayUsd + (before === null ? now : (staying?.stayUsd ?? now)) },
    isWarm: warm === chosen.model && before !== null && before.prefixTokens >= leastWarmTokens
  }
}

/** Above what any provider needs to cache, however it counts. */
const leastWarmTokens = 2048
