import { promiseFor, type UsedTokens } from "../../../domain/access/BudgetLoan.ts"
import { together } from "../../../domain/access/PeriodPacing.ts"
import type { Charge } from "../../../domain/learning/BudgetPacing.ts"
import type { KeyLimits } from "../../../domain/access/ApiKey.ts"
import { type Bounded, type ExpectedCost, LimitReached, type Meter } from "../../../services/routing/Metering.ts"
import type { BudgetKeeper } from "./BudgetKeeper.ts"
import * as Headers from "./LimitHeaders.ts"
import type { Places } from "./Places.ts"
import type { Count, RateWindows } from "./RateWindows.ts"

export interface MeterParts {
  /** Of a key, for messages and names of counters; null where only the router has a budget. */
  readonly key: { readonly owner: string; readonly label: string; readonly limits: KeyLimits } | null
  readonly budgets: ReadonlyArray<BudgetKeeper>
  readonly windows: RateWindows
  readonly places: Places
  readonly usedTokens: UsedTokens
  readonly tell: (headers: Readonly<Record<string, string>>) => void
  readonly wallMillis: () => number
  readonly onRefused: (bounded: NonNullable<Bounded>) => void
}

const minute = 60

/**
 * One request as its key's limits and budgets see it: it takes a place, is counted, has its cost put aside, and gives back what it
 * did not need. It may be left at any point, also while an answer of Redis or the database is on its way.
 * Whole, because what it gives back depends on how far it came.
 */
export class RequestMeter implements Meter {
  readonly #parts: MeterParts
  #state: "new" | "entering" | "in" | "left" = "new"
  #inputTokens = 0
  #promised: { readonly model: string; readonly usd: number } | null = null
  #spentUsd: number | null = null

  constructor(parts: MeterParts) {
    this.#parts = parts
  }

  enter(inputTokens: number, entered: (bounded: Bounded) => void): void {
    const { key, places } = this.#parts
    if (this.#state !== "new") return
    this.#state = "entering"
    if (key === null) return this.#entered(null, entered)
    const { concurrentRequests: most } = key.limits
    if (!places.take(key.owner, most)) {
      this.#state = "left"
      return this.#refused(this.#reached("concurrent_requests", most ?? 0, "replica", 1), entered)
    }
    this.#inputTokens = Math.ceil(inputTokens)
    this.#countRequest((bounded) => {
      if (bounded !== null) return this.#entered(bounded, entered)
      this.#countTokens((bounded) => this.#entered(bounded, entered))
    })
  }

  charge(): Charge | null {
    return together(this.#parts.budgets.flatMap((budget) => budget.charge() ?? []))
  }

  reserve(cost: ExpectedCost, reserved: (bounded: Bounded) => void): void {
    const { budgets, usedTokens } = this.#parts
    if (budgets.length === 0) return reserved(null)
    const usd = promiseFor(cost, usedTokens.most(cost.model))
    this.#reserveFrom(0, usd, (bounded) => {
      if (bounded === null) this.#promised = { model: cost.model, usd }
      this.#tellBudget()
      if (this.#state === "left") return this.#giveBack()
      if (bounded === null) reserved(null)
      else this.#refused(bounded, reserved)
    })
  }

  used(tokens: number, costUsd: number | null, outputTokens: number | null): void {
    const { budgets, key, usedTokens, windows } = this.#parts
    if (key !== null && key.limits.tokensPerMinute !== null && tokens !== this.#inputTokens) {
      windows.add(`${key.owner}:tokens`, tokens - this.#inputTokens, () => undefined)
    }
    const promised = this.#promised
    if (promised === null) return
    this.#promised = null
    this.#spentUsd = costUsd ?? 0
    if (outputTokens !== null) usedTokens.saw(promised.model, outputTokens)
    for (const budget of budgets) {
      budget.settle(promised.usd, this.#spentUsd)
      budget.paid(this.#spentUsd)
    }
  }

  stored(isStored: boolean): void {
    const usd = this.#spentUsd
    if (usd === null) return
    this.#spentUsd = null
    for (const budget of this.#parts.budgets) budget.stored(usd, isStored)
  }

  leave(): void {
    const before = this.#state
    this.#state = "left"
    // While it enters, the answer that is on its way gives the place back.
    if (before !== "in") return
    this.#giveUpPlace()
    this.#giveBack()
  }

  #entered(bounded: Bounded, entered: (bounded: Bounded) => void): void {
    if (this.#state === "left") return this.#giveUpPlace()
    if (bounded === null) {
      this.#state = "in"
      return entered(null)
    }
    this.#state = "left"
    this.#giveUpPlace()
    this.#refused(bounded, entered)
  }

  #refused(bounded: NonNullable<Bounded>, refuse: (bounded: Bounded) => void): void {
    this.#parts.onRefused(bounded)
    refuse(bounded)
  }

  #countRequest(counted: (bounded: Bounded) => void): void {
    const { key, tell, windows } = this.#parts
    const most = key?.limits.requestsPerMinute ?? null
    if (key === null || most === null) return counted(null)
    windows.add(`${key.owner}:requests`, 1, (count) => {
      tell(Headers.ofWindow("requests", most, count))
      counted(count.count > most ? this.#reachedIn("requests_per_minute", most, count) : null)
    })
  }

  /** A request that is refused gives its tokens back: they were not used. */
  #countTokens(counted: (bounded: Bounded) => void): void {
    const { key, tell, windows } = this.#parts
    const most = key?.limits.tokensPerMinute ?? null
    if (key === null || most === null) return counted(null)
    const name = `${key.owner}:tokens`
    windows.add(name, this.#inputTokens, (count) => {
      tell(Headers.ofWindow("tokens", most, count))
      if (count.count <= most) return counted(null)
      windows.add(name, -this.#inputTokens, () => undefined)
      counted(this.#reachedIn("tokens_per_minute", most, count))
    })
  }

  #reserveFrom(index: number, usd: number, reserved: (bounded: Bounded) => void): void {
    const { budgets } = this.#parts
    const budget = budgets[index]
    if (budget === undefined) return reserved(null)
    budget.reserve(usd, (bounded) => {
      if (bounded === null) return this.#reserveFrom(index + 1, usd, reserved)
      for (const before of budgets.slice(0, index)) before.settle(usd, 0)
      reserved(bounded)
    })
  }

  #giveUpPlace(): void {
    const { key, places } = this.#parts
    if (key !== null) places.giveUp(key.owner, key.limits.concurrentRequests)
  }

  #giveBack(): void {
    const promised = this.#promised
    if (promised === null) return
    this.#promised = null
    for (const budget of this.#parts.budgets) budget.settle(promised.usd, 0)
  }

  #tellBudget(): void {
    const { budgets, tell, wallMillis } = this.#parts
    const all = budgets.flatMap((budget) => budget.left() ?? [])
    const [least] = all.sort((a, b) => a.usd - b.usd)
    if (least !== undefined) tell(Headers.ofBudget(least.usd, least.resetsAtMillis - wallMillis()))
  }

  #reachedIn(limit: LimitReached["limit"], most: number, { counted, endsInMillis }: Count): LimitReached {
    return this.#reached(limit, most, counted, Math.min(minute, Math.max(1, endsInMillis / 1000)))
  }

  #reached(
    limit: LimitReached["limit"],
    most: number,
    counted: LimitReached["counted"],
    retryAfterSeconds: number
  ): LimitReached {
    return new LimitReached({ key: this.#parts.key?.label ?? "", limit, most, counted, retryAfterSeconds })
  }
}
