/** A number of USD below which nothing is told apart: costs are doubles, and sums of them. */
const grain = 1e-9

/**
 * What a replica may spend of one budget: lent to it by the database, promised to requests, and given up when their rows are
 * stored, which add it to what is spent there. Promises are kept synchronously, so a request pays no round trip while
 * the loan lasts. Times are milliseconds of a clock that never goes back.
 */
export class BudgetLoan {
  #lentUsd = 0
  #outstandingUsd = 0
  #endsAtMillis = Number.NEGATIVE_INFINITY
  #isUsed = false

  /** Promised or spent, and in no row yet. */
  get outstandingUsd(): number {
    return Math.max(0, this.#outstandingUsd)
  }

  get isIdle(): boolean {
    return this.#lentUsd <= grain && this.outstandingUsd <= grain
  }

  /** Promises so much to a request, if the loan has it. */
  take(usd: number, nowMillis: number): boolean {
    if (nowMillis >= this.#endsAtMillis || this.#outstandingUsd + usd > this.#lentUsd + grain) return false
    this.#outstandingUsd += usd
    this.#isUsed = true
    return true
  }

  /** A promise turned out to be another sum: 0 where nothing was spent. */
  settle(promisedUsd: number, spentUsd: number): void {
    this.#outstandingUsd += spentUsd - promisedUsd
  }

  /** What was spent is in a row now, so it is lent no more. */
  stored(spentUsd: number): void {
    this.#outstandingUsd -= spentUsd
    this.#lentUsd = Math.max(0, this.#lentUsd - spentUsd)
  }

  /** So much is lent now. `meanwhileUsd` was stored since it was asked for, and is not lent any more. */
  lent(usd: number, meanwhileUsd: number, endsAtMillis: number): void {
    this.#lentUsd = Math.max(0, usd - meanwhileUsd)
    this.#endsAtMillis = endsAtMillis
  }

  /** Whether it has to be asked for again: it ends soon, or nobody has used the rest of it since the last time. */
  needsVisit(nowMillis: number, soonMillis: number): boolean {
    const isUnused = !this.#isUsed && this.#lentUsd > this.outstandingUsd + grain
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
