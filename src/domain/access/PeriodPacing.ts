import { ascend, type Charge, type Pacing } from "../learning/BudgetPacing.ts"

/** How fast the mean time between requests follows. */
const recent = 0.01
/** A replica that hardly spends anything yet counts for so much. */
const leastShare = 0.02

/**
 * Spreads what is left of a budget over what is left of its day or month: a request may cost what is left, times the share of the
 * time left that passes between two requests. What is left counts what was spent too much or too little already.
 */
export class PeriodPacing {
  #pacing: Pick<Pacing, "meanUsd" | "multiplier"> | null = null
  #targetUsd = 0
  #gapMillis: number | null = null
  #lastMillis: number | null = null
  /** What this replica has spent, and what all had when it began: its share of what is spent. */
  #ownUsd = 0
  #beganAtUsd: number | null = null

  /** A request has come: what its choice is charged for money; null before that is known. */
  asked(left: LeftOfPeriod | null, nowMillis: number): Charge | null {
    const gap = this.#lastMillis === null ? null : Math.max(1, nowMillis - this.#lastMillis)
    this.#lastMillis = nowMillis
    if (gap !== null) this.#gapMillis = this.#gapMillis === null ? gap : (1 - recent) * this.#gapMillis + recent * gap
    if (left === null || this.#gapMillis === null || left.usd <= 0) return null
    const leftMillis = Math.max(this.#gapMillis, left.resetsAtMillis - nowMillis)
    this.#targetUsd = (this.#share(left) * left.usd * this.#gapMillis) / leftMillis
    this.#pacing ??= { meanUsd: this.#targetUsd, multiplier: 0 }
    return this.charge
  }

  /** What the last choice was charged; null before that is known. */
  get charge(): Charge | null {
    return this.#pacing === null ? null : { multiplier: this.#pacing.multiplier, budgetUsd: this.#targetUsd }
  }

  /** A request has cost so much. */
  spent(usd: number): void {
    this.#ownUsd += usd
    if (this.#pacing !== null) this.#pacing = ascend(this.#pacing, this.#targetUsd, usd)
  }

  #share({ spentUsd, usd }: LeftOfPeriod): number {
    if (this.#beganAtUsd === null || spentUsd < this.#beganAtUsd) {
      this.#beganAtUsd = spentUsd
      this.#ownUsd = 0
    }
    const grainUsd = usd / 1000
    const others = spentUsd - this.#beganAtUsd - this.#ownUsd
    return others <= 0 ? 1 : Math.max(leastShare, (this.#ownUsd + grainUsd) / (this.#ownUsd + others + grainUsd))
  }
}

/** What is left of a budget in its day or month, USD. */
export interface LeftOfPeriod {
  readonly usd: number
  /** By all replicas. */
  readonly spentUsd: number
  readonly resetsAtMillis: number
}

/** Several budgets at once: each takes off its own. */
export const together = (charges: ReadonlyArray<Charge>): Charge | null => {
  const [first] = charges
  if (first === undefined || charges.length === 1) return first ?? null
  const budgetUsd = Math.min(...charges.map((charge) => charge.budgetUsd))
  return { budgetUsd, multiplier: charges.reduce((sum, one) => sum + (one.multiplier * budgetUsd) / one.budgetUsd, 0) }
}
