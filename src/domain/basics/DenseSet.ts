/** What knows its place in the one set that it may be in; -1 while it is in none. */
export interface Placed {
  place: number
}

/**
 * A set without an order, for what comes and goes with every request. A `Set` or `Map` that is filled and emptied all the
 * time makes its table anew again and again, and each old table leads to the next: once one of them has become old to the
 * garbage collector, it keeps all that was in the later ones until a full collection, and with it whole requests.
 */
export class DenseSet<A extends Placed> implements Iterable<A> {
  readonly #members: Array<A> = []

  get size(): number {
    return this.#members.length
  }

  add(member: A): void {
    if (member.place !== -1) return
    member.place = this.#members.length
    this.#members.push(member)
  }

  /** Whether it was in. */
  delete(member: A): boolean {
    const { place } = member
    if (place === -1) return false
    const last = this.#members.pop()
    if (last !== undefined && last !== member) {
      this.#members[place] = last
      last.place = place
    }
    member.place = -1
    return true
  }

  clear(): void {
    for (const member of this.#members) member.place = -1
    this.#members.length = 0
  }

  /** Those that are in now, whatever becomes of them meanwhile. */
  [Symbol.iterator](): IterableIterator<A> {
    return this.#members.slice().values()
  }
}
