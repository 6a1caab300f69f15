/** First in, first out, each step O(1) amortised; an array's own shift would move all that wait. */
export interface Fifo<A> {
  readonly length: () => number
  readonly push: (item: A) => void
  readonly peek: () => A | undefined
  readonly shift: () => A | undefined
}

export const makeFifo = <A>(): Fifo<A> => {
  let items: Array<A> = []
  let head = 0
  return {
    length: () => items.length - head,
    push: (item) => {
      items.push(item)
    },
    peek: () => items[head],
    shift: () => {
      const item = items[head]
      if (head < items.length) head++
      if (head > 1024 && head * 2 > items.length) {
        items = items.slice(head)
        head = 0
      }
      return item
    }
  }
}
