/** How many requests each key has under way on this replica; only of keys with such a limit. */
export class Places {
  readonly #taken = new Map<string, number>()

  /** Null is no limit, and nothing is counted. */
  take(owner: string, most: number | null): boolean {
    if (most === null) return true
    const taken = this.#taken.get(owner) ?? 0
    if (taken >= most) return false
    this.#taken.set(owner, taken + 1)
    return true
  }

  giveUp(owner: string, most: number | null): void {
    if (most === null) return
    const left = (this.#taken.get(owner) ?? 0) - 1
    if (left > 0) this.#taken.set(owner, left)
    else this.#taken.delete(owner)
  }
}
