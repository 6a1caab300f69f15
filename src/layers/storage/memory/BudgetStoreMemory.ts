import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { RouterId } from "../../../domain/basics/Ids.ts"
import {
  type BudgetStoreShape,
  type BudgetSubject,
  type Spending,
  subjectName
} from "../../../services/storage/BudgetStore.ts"
import type { RouterState } from "./RouterState.ts"

interface Loan {
  /** What all rows had cost when the replica began. */
  readonly beginUsd: number
  /** What all rows have cost by now. */
  readonly spentSinceStart: () => number
  readonly usd: number
  readonly endsAtMillis: number
}

/**
 * Adds up the decisions that there are, at each question. All are of one process, which is its only replica. Whole, because each
 * method reads the same loans.
 */
export const makeBudgetStore = (routers: ReadonlyMap<RouterId, RouterState>): BudgetStoreShape => {
  const loans = new Map<string, Map<string, Loan>>()

  const costs = function* (subject: BudgetSubject) {
    for (const [id, router] of routers) {
      if (subject.type === "router" && subject.routerId !== id) continue
      for (const { record } of router.decisions.values()) {
        const { createdAtMillis, owner } = record.decision
        if (subject.type === "key" && (owner === null || !subject.owners.includes(owner))) continue
        yield { createdAtMillis, usd: record.outcome?.costUsd ?? 0 }
      }
    }
  }
  const spentSince = (subject: BudgetSubject, millis: number) => {
    let usd = 0
    for (const cost of costs(subject)) if (cost.createdAtMillis >= millis) usd += cost.usd
    return usd
  }

  const spending = (subject: BudgetSubject, now: number): Spending => {
    const date = new Date(now)
    const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
    let lentUsd = 0
    for (const loan of loans.get(subjectName(subject))?.values() ?? []) if (loan.endsAtMillis > now) lentUsd += loan.usd
    return {
      spentDayUsd: spentSince(subject, Date.UTC(year, month, day)),
      spentMonthUsd: spentSince(subject, Date.UTC(year, month, 1)),
      lentUsd,
      dayEndsAtMillis: Date.UTC(year, month, day + 1),
      monthEndsAtMillis: Date.UTC(year, month + 1, 1)
    }
  }

  return {
    spendings: (subjects) =>
      Effect.map(Clock.currentTimeMillis, (now) => subjects.map((subject) => spending(subject, now))),
    giveBack: (replica, claims) =>
      Effect.sync(() => {
        for (const { claimedUsd, subject } of claims) {
          const loan = loans.get(subject)?.get(replica)
          if (loan === undefined) continue
          const paidUsd = loan.spentSinceStart() - loan.beginUsd
          const usd = Math.min(loan.usd, Math.max(0, claimedUsd - paidUsd))
          loans.get(subject)?.set(replica, { ...loan, usd })
        }
      }),
    borrow: ({ claimedUsd, isNew, replica, seconds, subject, usdPerDay, usdPerMonth, wantedUsd }) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const name = subjectName(subject)
        const all = loans.get(name) ?? new Map<string, Loan>()
        loans.set(name, all)
        let othersUsd = 0
        for (const [other, loan] of all) if (other !== replica && loan.endsAtMillis > now) othersUsd += loan.usd
        const before = spending(subject, now)
        const free = Math.min(
          (usdPerDay ?? Infinity) - before.spentDayUsd - othersUsd,
          (usdPerMonth ?? Infinity) - before.spentMonthUsd - othersUsd
        )
        const allUsd = spentSince(subject, 0)
        const beginUsd = isNew ? allUsd : (all.get(replica)?.beginUsd ?? allUsd)
        const paidUsd = allUsd - beginUsd
        const outstandingUsd = Math.max(0, claimedUsd - paidUsd)
        const grantedUsd = Math.max(outstandingUsd, Math.min(outstandingUsd + wantedUsd, free))
        all.set(replica, {
          beginUsd,
          spentSinceStart: () => spentSince(subject, 0),
          usd: grantedUsd,
          endsAtMillis: now + seconds * 1000
        })
        return { ...before, grantedUsd, paidUsd, lentUsd: othersUsd + grantedUsd }
      })
  }
}
