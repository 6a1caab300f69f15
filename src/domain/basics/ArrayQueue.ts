/** So many places of what has gone are kept at most, unless as many still wait. */
const sparePlaces = 1024

/**
 * A queue in an array. Not a list of links: what has gone would lead to what came later, and keep it once it has become old
 * to the garbage collector (see `DenseSet`).
 */
export class ArrayQueue<A> {
  #items: Array<A | undefined> = []
  #first = 0

  get length(): number {
    return this.#items.length - this.#first
  }

  get first(): A | undefined {
    return this.#items[this.#first]
  }

  push(item: A): void {
    this.#items.push(item)
  }

  shift(): A | undefined {
    const item = this.#items[this.#first]
    if (this.#first === this.#items.length) return undefined
    this.#items[this.#first++] = undefined
    if (this.#first === this.#items.length) {
      this.#items = []
      this.#first = 0
    } else if (this.#first > sparePlaces && this.#first > this.length) {
      this.#items = this.#items.slice(this.#first)
      this.#first = 0
    }
    return item
  }
}
