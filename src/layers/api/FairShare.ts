/** Whose a request is, as far as room and turns are shared out: the owner of its key; null where nobody has keys, or a known one. */
export type Flow = string | null

/** Each may hold so many times what is free then: alone nine tenths of all, and a tenth is there for whoever comes. */
const mostOfFree = 9

/** Why there is no room: nothing is free, or what is free is the others'. */
export type NoRoom = "full" | "share"

/**
 * Room for so many things, or bytes, which flows share: none can take all of it, and what is not used by some the others may
 * use. A flow that holds nothing may have whatever is free. Dynamic thresholds of shared buffers (Choudhury and Hahne,
 * IEEE/ACM Transactions on Networking 6(2), 1998).
 */
export class FairShare {
  readonly #held = new Map<string, number>()
  #free: number

  constructor(total: number) {
    this.#free = total
  }

  /** A total of which one flow alone can have so much. */
  static for(alone: number): number {
    return Math.ceil(alone * (1 + 1 / mostOfFree))
  }

  /** Null where it is held now, until it is given back. */
  take(flow: Flow, amount: number): NoRoom | null {
    const free = this.#free - amount
    if (free < 0) return "full"
    if (flow !== null) {
      const held = this.#held.get(flow) ?? 0
      if (held > 0 && held + amount > mostOfFree * free) return "share"
      this.#held.set(flow, held + amount)
    }
    this.#free = free
    return null
  }

  giveBack(flow: Flow, amount: number): void {
    this.#free += amount
    if (flow === null) return
    const held = (this.#held.get(flow) ?? 0) - amount
    if (held > 0) this.#held.set(flow, held)
    else this.#held.delete(flow)
  }
}
