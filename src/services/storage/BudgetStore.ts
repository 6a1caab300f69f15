import type * as Effect from "effect/Effect"
import type { RouterId } from "../../domain/basics/Ids.ts"
import type { DatabaseError } from "./Database.ts"

/**
 * Budgets. What is spent is added up in the transactions that store decisions, so it equals the rows whatever crashes. What
 * replicas may spend beyond is lent to them, and ends by itself.
 */
export interface BudgetStoreShape {
  /** Makes a replica's loan as large as it asks for, as far as the budget goes: one atomic step. */
  readonly borrow: (asked: Loan) => Effect.Effect<Lent, DatabaseError>
  /** What there is of each budget now, in the same order; nothing is lent by that. */
  readonly spendings: (subjects: ReadonlyArray<BudgetSubject>) => Effect.Effect<ReadonlyArray<Spending>, DatabaseError>
  /** Makes the loans of a replica as small as what it has claimed and its rows have not paid yet. */
  readonly giveBack: (replica: string, claims: ReadonlyArray<Claim>) => Effect.Effect<void, DatabaseError>
}

/** As of `Loan`. */
export interface Claim {
  /** By `subjectName`. */
  readonly subject: string
  readonly claimedUsd: number
}

export interface Loan {
  readonly subject: BudgetSubject
  /** Of a process, unique. */
  readonly replica: string
  /** USD that the replica has promised or spent since it began. What its rows have not paid of that is lent in any case. */
  readonly claimedUsd: number
  /** It begins now, with nothing promised. */
  readonly isNew: boolean
  /** USD beyond that. */
  readonly wantedUsd: number
  readonly usdPerDay: number | null
  readonly usdPerMonth: number | null
  readonly seconds: number
}

/** All that the key's names own, or all of a router. */
export type BudgetSubject =
  | { readonly type: "key"; readonly owners: readonly [string, ...ReadonlyArray<string>] }
  | { readonly type: "router"; readonly routerId: RouterId }

export const subjectName = (subject: BudgetSubject): string =>
  subject.type === "key" ? `key ${subject.owners[0]}` : `router ${subject.routerId}`

/** USD. */
export interface Lent extends Spending {
  /** What is lent to the replica now, all of it. */
  readonly grantedUsd: number
  /** Of its claims, by rows. */
  readonly paidUsd: number
}

/** USD. Days and months are UTC, by the clock of the database. */
export interface Spending {
  /** By stored rows. */
  readonly spentDayUsd: number
  readonly spentMonthUsd: number
  /** Lent to all replicas: for requests under way, and for the next ones. */
  readonly lentUsd: number
  /** Unix milliseconds. */
  readonly dayEndsAtMillis: number
  readonly monthEndsAtMillis: number
}
