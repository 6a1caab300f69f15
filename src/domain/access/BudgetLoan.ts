/** A number of USD below which nothing is told apart: costs are doubles, and sums of them. */
const grain = 1e-9

/**
 * What a replica may spend of one budget. It claims what it has promised to requests and what they have cost, since it began;
 * the database knows how much of that its rows have paid, by the same transactions, and lends the rest: so nothing is ever
 * counted twice or not at all, whichever of the two is ahead. Promises are kept synchronously: a request pays no round
 * trip while the loan lasts. Times are milliseconds of a clock that never goes back.
 */
export class BudgetLoan {
  /** Up to this may be claimed. */
  #limitUsd = 0
  #outstandingUsd = 0
  #storedUsd = 0
  #endsAtMillis = Number.NEGATIVE_INFINITY
  #isUsed = false

  /** All since the beginning: stored, and promised or spent and in no row yet. */
  get claimedUsd(): number {
    return this.#storedUsd + this.#outstandingUsd
  }

  /** Of the loan, what nobody has claimed. */
  get unclaimedUsd(): number {
    return Math.max(0, this.#limitUsd - this.claimedUsd)
  }

  get isOutstanding(): boolean {
    return this.#outstandingUsd > grain
  }

  /** Nothing is claimed, and nothing more may be. */
  get isIdle(): boolean {
    return !this.isOutstanding && this.#limitUsd <= this.claimedUsd + grain
  }

  /** Promises so much to a request, if the loan has it. */
  take(usd: number, nowMillis: number): boolean {
    if (nowMillis >= this.#endsAtMillis || this.claimedUsd + usd > this.#limitUsd + grain) return false
    this.#outstandingUsd += usd
    this.#isUsed = true
    return true
  }

  /** A promise turned out to be another sum: 0 where nothing was spent. */
  settle(promisedUsd: number, spentUsd: number): void {
    this.#outstandingUsd += spentUsd - promisedUsd
  }

  /** What was spent is in a row, or never will be. */
  stored(spentUsd: number, isStored: boolean): void {
    this.#outstandingUsd -= spentUsd
    if (isStored) this.#storedUsd += spentUsd
  }

  /** Counts anew, so that sums of doubles do not drift; only where nothing is outstanding. */
  begin(): void {
    this.#limitUsd = Math.max(0, this.#limitUsd - this.#storedUsd)
    this.#outstandingUsd = 0
    this.#storedUsd = 0
  }

  /** So much is lent beyond what rows have paid of the claims. */
  lent(usd: number, paidUsd: number, endsAtMillis: number): void {
    this.#limitUsd = usd + paidUsd
    this.#endsAtMillis = endsAtMillis
  }

  /** Whether it has to be asked for again: it ends soon, or nobody has used the rest of it since the last time. */
  needsVisit(nowMillis: number, soonMillis: number): boolean {
    const isUnused = !this.#isUsed && this.#limitUsd > this.claimedUsd + grain
    this.#isUsed = false
    return !this.isIdle && (isUnused || nowMillis + soonMillis >= this.#endsAtMillis)
  }
}

/** A budget with much left lends a slice of it, so that most requests ask nobody; near its end exactly what is asked. */
export const loanFor = (askedUsd: number, leftUsd: number | null): number => {
  const slice = leftUsd === null ? 0 : leftUsd / 50
  return slice > 10 * askedUsd ? slice : askedUsd
}

/**
 * The most output tokens that a model has used lately, by which promises are bounded: a request without `max_tokens`, or with a
 * huge one, does not freeze a budget. Old answers count less and less.
 */
export class UsedTokens {
  readonly #most = new Map<string, number>()

  saw(model: string, outputTokens: number): void {
    const before = this.#most.get(model) ?? 0
    this.#most.set(model, Math.max(outputTokens, before * 0.995))
  }

  most(model: string): number | null {
    return this.#most.get(model) ?? null
  }
}

/** What is put aside for a request, USD: what it may cost by what the model really uses, and no more than it may use. */
export const promiseFor = (
  cost: {
    readonly expectedUsd: number | null
    readonly usdOf: (outputTokens: number) => number | null
    readonly maxTokens: number | null
  },
  mostUsed: number | null
): number => {
  const usual = Math.max(cost.expectedUsd ?? 0, mostUsed === null ? 0 : (cost.usdOf(mostUsed) ?? 0))
  const most = cost.maxTokens === null ? null : cost.usdOf(cost.maxTokens)
  return most === null ? usual : Math.min(usual, most)
}
