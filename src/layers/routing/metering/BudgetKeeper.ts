import { BudgetLoan, loanFor } from "../../../domain/access/BudgetLoan.ts"
import { PeriodPacing } from "../../../domain/access/PeriodPacing.ts"
import type { Charge } from "../../../domain/learning/BudgetPacing.ts"
import { type Bounded, BudgetSpent, BudgetUnavailable } from "../../../services/routing/Metering.ts"
import {
  type BudgetSubject,
  type Claim,
  type Lent,
  type Loan,
  subjectName
} from "../../../services/storage/BudgetStore.ts"

/** A replica that has crashed gives back what it had by then. */
const loanSeconds = 15
/** A loan that ends sooner is asked for again. */
const soonMillis = 5_000
/** So long who has just been refused is refused again without a question. */
const refusedMillis = 250
/** USD that nothing is told apart below. */
const grain = 1e-9
/** More that wait for an answer are refused. */
const mostWaiting = 10_000

export interface BudgetLimits {
  readonly usdPerDay: number | null
  readonly usdPerMonth: number | null
  /** It is spread over its period: the dearer an answer, the more its score loses while more is spent than that allows. */
  readonly paced: boolean
}

export interface BudgetParts {
  readonly replica: string
  /** Monotonic milliseconds. */
  readonly nowMillis: () => number
  readonly wallMillis: () => number
  /** Asks the database; null where it does not answer. */
  readonly borrow: (loan: Loan, lent: (answer: Lent | null) => void) => void
  /** Told of a share of the budget that is spent, the first time in its period. */
  readonly onShare: (whose: string, period: "day" | "month", percent: 80 | 100, lent: Lent) => void
}

interface PendingReservation {
  readonly usd: number
  readonly reserved: (bounded: Bounded) => void
}

/**
 * One budget on this replica: a loan, and those who wait for a larger one. One question at a time; all that wait meanwhile
 * share the next. Whole, because these are the moves of one loan.
 */
export class BudgetKeeper {
  readonly #subject: BudgetSubject
  readonly #parts: BudgetParts
  readonly #loan = new BudgetLoan()
  #limits: BudgetLimits
  #waiting: Array<PendingReservation> = []
  #isAsking = false
  /** What is promised meanwhile could be paid before it is claimed. */
  #isBeginning = false
  #last: Lent | null = null
  #refusedUntilMillis = Number.NEGATIVE_INFINITY
  readonly #announced = new Set<string>()
  readonly #pacing = new PeriodPacing()

  constructor(subject: BudgetSubject, limits: BudgetLimits, parts: BudgetParts) {
    this.#subject = subject
    this.#limits = limits
    this.#parts = parts
  }

  /** Limits may be changed while requests are under way. */
  limitTo(limits: BudgetLimits): void {
    this.#limits = limits
  }

  /** What is left, as far as is known here, and when it is more again; null before anything was asked. */
  left(): { readonly usd: number; readonly resetsAtMillis: number } | null {
    const last = this.#last
    if (last === null) return null
    const { freeUsd, resetsAtMillis } = this.#binding(last)
    return { usd: Math.max(0, freeUsd), resetsAtMillis }
  }

  /** What the choice of a request that comes now is charged for money; null where the budget is not paced. */
  charge(): Charge | null {
    if (!this.#limits.paced) return null
    const last = this.#last
    if (last === null) return this.#pacing.asked(null, this.#parts.wallMillis())
    const { freeUsd, resetsAtMillis, spentUsd } = this.#binding(last)
    const usd = Math.max(0, freeUsd) + this.#loan.unclaimedUsd
    return this.#pacing.asked({ usd, spentUsd, resetsAtMillis }, this.#parts.wallMillis())
  }

  /** What the last choice was charged for money; null where the budget is not paced, or nothing was chosen yet. */
  get charged(): Charge | null {
    return this.#limits.paced ? this.#pacing.charge : null
  }

  /** A request has cost so much. */
  paid(usd: number): void {
    this.#pacing.spent(usd)
  }

  reserve(usd: number, reserved: (bounded: Bounded) => void): void {
    const now = this.#parts.nowMillis()
    if (this.#waiting.length === 0 && !this.#isBeginning && this.#loan.take(usd, now)) return reserved(null)
    if (now < this.#refusedUntilMillis && this.#last !== null) return reserved(this.#spent(this.#last))
    if (this.#waiting.length >= mostWaiting) return reserved(new BudgetUnavailable({ whose: this.#whose }))
    this.#waiting.push({ usd, reserved })
    this.#ask()
  }

  settle(promisedUsd: number, spentUsd: number): void {
    this.#loan.settle(promisedUsd, spentUsd)
  }

  stored(spentUsd: number, isStored: boolean): void {
    this.#loan.stored(spentUsd, isStored)
  }

  /** To be called now and then: renews a loan, or gives back what nobody has used. */
  visit(): void {
    if (this.#isAsking) return
    if (this.#loan.needsVisit(this.#parts.nowMillis(), soonMillis)) this.#ask()
  }

  /** What it claims of the loan that it has; null where it has none. */
  claim(): Claim | null {
    return this.#last === null ? null : { subject: this.#whose, claimedUsd: this.#loan.claimedUsd }
  }

  get #whose(): string {
    return subjectName(this.#subject)
  }

  #ask(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    const isNew = !this.#loan.isOutstanding
    if (isNew) this.#loan.begin()
    this.#isBeginning = isNew
    const askedUsd = this.#waiting.reduce((sum, { usd }) => sum + usd, 0)
    const left = this.left()
    const loan: Loan = {
      subject: this.#subject,
      replica: this.#parts.replica,
      claimedUsd: this.#loan.claimedUsd,
      isNew,
      wantedUsd: askedUsd === 0 ? 0 : loanFor(askedUsd, left?.usd ?? null),
      usdPerDay: this.#limits.usdPerDay,
      usdPerMonth: this.#limits.usdPerMonth,
      seconds: loanSeconds
    }
    this.#parts.borrow(loan, (lent) => {
      this.#isAsking = false
      this.#isBeginning = false
      if (lent === null) this.#unanswered()
      else this.#answered(lent)
    })
  }

  /** Those who came meanwhile are served as well, as far as it goes, or share the next question. */
  #answered(lent: Lent): void {
    const now = this.#parts.nowMillis()
    this.#last = lent
    this.#loan.lent(lent.grantedUsd, lent.paidUsd, now + loanSeconds * 1000)
    this.#tellShares(lent)
    const { freeUsd, limitUsd, period } = this.#binding(lent)
    const isAtEnd = freeUsd <= grain
    const waiting = this.#waiting
    this.#waiting = []
    let isRefused = false
    for (const one of waiting) {
      if (this.#loan.take(one.usd, now)) one.reserved(null)
      else if (one.usd <= freeUsd + grain) this.#waiting.push(one)
      else {
        isRefused = true
        one.reserved(this.#spent(lent))
      }
    }
    if (isRefused && isAtEnd) this.#refusedUntilMillis = now + refusedMillis
    // What is left may never be enough for another request. One that costs more than there is says nothing of the others.
    if (isRefused && freeUsd <= limitUsd * (1 - 80 / 100)) {
      for (const percent of [80, 100] as const) this.#tellShare(period, percent, lent)
    }
    if (this.#waiting.length > 0) this.#ask()
  }

  #unanswered(): void {
    const now = this.#parts.nowMillis()
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) {
      one.reserved(this.#loan.take(one.usd, now) ? null : new BudgetUnavailable({ whose: this.#whose }))
    }
  }

  /** The period that has less left, after all that is spent and lent. */
  #binding(lent: Lent) {
    const { usdPerDay, usdPerMonth } = this.#limits
    const day = (usdPerDay ?? Infinity) - lent.spentDayUsd - lent.lentUsd
    const month = (usdPerMonth ?? Infinity) - lent.spentMonthUsd - lent.lentUsd
    return month < day
      ? {
          period: "month" as const,
          freeUsd: month,
          limitUsd: usdPerMonth ?? 0,
          spentUsd: lent.spentMonthUsd,
          resetsAtMillis: lent.monthEndsAtMillis
        }
      : {
          period: "day" as const,
          freeUsd: day,
          limitUsd: usdPerDay ?? 0,
          spentUsd: lent.spentDayUsd,
          resetsAtMillis: lent.dayEndsAtMillis
        }
  }

  #spent(lent: Lent): BudgetSpent {
    const { limitUsd, period, resetsAtMillis, spentUsd } = this.#binding(lent)
    // What is put aside is given back when the requests under way have ended.
    const isPutAside = spentUsd < limitUsd
    const untilReset = Math.max(1, (resetsAtMillis - this.#parts.wallMillis()) / 1000)
    return new BudgetSpent({
      whose: this.#whose,
      period,
      limitUsd,
      spentUsd,
      resetsAtMillis,
      retryAfterSeconds: isPutAside ? Math.min(5, untilReset) : untilReset
    })
  }

  #tellShares(lent: Lent): void {
    const { usdPerDay, usdPerMonth } = this.#limits
    for (const [period, limit, spent] of [
      ["day", usdPerDay, lent.spentDayUsd],
      ["month", usdPerMonth, lent.spentMonthUsd]
    ] as const) {
      for (const percent of [80, 100] as const) {
        if (limit !== null && spent + grain >= (limit * percent) / 100) this.#tellShare(period, percent, lent)
      }
    }
  }

  /** Once in each period. */
  #tellShare(period: "day" | "month", percent: 80 | 100, lent: Lent): void {
    const mark = `${period} ${period === "day" ? lent.dayEndsAtMillis : lent.monthEndsAtMillis} ${percent}`
    if (this.#announced.has(mark)) return
    if (this.#announced.size > 100) this.#announced.clear()
    this.#announced.add(mark)
    this.#parts.onShare(this.#whose, period, percent, lent)
  }
}
