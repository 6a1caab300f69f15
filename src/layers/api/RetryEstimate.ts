/** What is long past counts less: to a third after so long. */
const forgottenMillis = 5_000
const longestSeconds = 60

/**
 * When it is worth to ask again after a refusal: when as many have begun as were refused within a second, at the rate of both of
 * the last seconds. Where nothing begins it grows with each refusal. Time is passed in, monotonic milliseconds.
 */
export class RetryEstimate {
  #begun = 0
  #refused = 0
  #countedAt = 0

  began(nowMillis: number): void {
    this.#forget(nowMillis)
    this.#begun++
  }

  /** Counts one more, and returns whole seconds, 1 to 60. */
  refused(nowMillis: number): number {
    this.#forget(nowMillis)
    this.#refused++
    return Math.min(longestSeconds, Math.max(1, Math.round(this.#refused / (this.#begun + 1))))
  }

  #forget(nowMillis: number): void {
    const kept = Math.exp((this.#countedAt - nowMillis) / forgottenMillis)
    this.#begun *= kept
    this.#refused *= kept
    this.#countedAt = nowMillis
  }
}
