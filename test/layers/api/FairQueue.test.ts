import { assert, describe, it } from "@effect/vitest"
import { FairQueue } from "../../../src/layers/api/FairQueue.ts"
import type { Flow } from "../../../src/layers/api/FairShare.ts"

const taken = (queue: FairQueue<number>): ReadonlyArray<number> => {
  const items: Array<number> = []
  for (let next = queue.take(); next !== null; next = queue.take()) items.push(next.item)
  return items
}
const filled = (counts: ReadonlyArray<readonly [Flow, number]>) => {
  const queue = new FairQueue<number>()
  const tickets = counts.map(([flow, count], i) =>
    Array.from({ length: count }, (_, j) => queue.add(100 * i + j, flow, 10 * i + j))
  )
  return { queue, tickets }
}

describe("FairQueue", () => {
  it("keeps the order of one flow", () => {
    assert.deepStrictEqual(taken(filled([[null, 4]]).queue), [0, 1, 2, 3])
  })

  it("takes one of each flow in turn, however many one has", () => {
    const { queue } = filled([
      ["a", 4],
      ["b", 1],
      ["c", 2]
    ])
    assert.strictEqual(queue.length, 7)
    assert.deepStrictEqual(taken(queue), [0, 100, 200, 1, 201, 2, 3])
    assert.strictEqual(queue.length, 0)
  })

  it("begins behind the others with a flow that comes back", () => {
    const { queue } = filled([
      ["a", 3],
      ["b", 1]
    ])
    assert.deepStrictEqual([queue.take()?.item, queue.take()?.item], [0, 100])
    queue.add(101, "b", 20)
    assert.deepStrictEqual(taken(queue), [1, 101, 2])
  })

  it("tells how many have their turn before one that comes", () => {
    const { queue } = filled([
      ["a", 50],
      ["b", 3]
    ])
    assert.strictEqual(queue.ahead("a"), 53)
    assert.strictEqual(queue.ahead("b"), 3 + 4)
    assert.strictEqual(queue.ahead("c"), 2)
    assert.strictEqual(filled([["a", 50]]).queue.ahead("a"), 50)
    assert.strictEqual(new FairQueue<number>().ahead("a"), 0)
  })

  it("gives up the places of those that leave, once", () => {
    const { queue, tickets } = filled([
      ["a", 3],
      ["b", 2]
    ])
    const [[first, second] = [], [other] = []] = tickets
    for (const ticket of [first, first, other]) if (ticket !== undefined) queue.leave(ticket)
    assert.strictEqual(queue.length, 3)
    assert.strictEqual(queue.ahead("b"), 1 + 2)
    assert.deepStrictEqual(taken(queue), [1, 101, 2])
    if (second !== undefined) queue.leave(second)
    assert.strictEqual(queue.length, 0)
    assert.strictEqual(queue.ahead("a"), 0)
  })

  it("tells since when the oldest waits that is there", () => {
    const { queue, tickets } = filled([
      ["a", 2],
      ["b", 2]
    ])
    assert.strictEqual(queue.oldestSince(), 0)
    for (const ticket of tickets[0] ?? []) queue.leave(ticket)
    assert.strictEqual(queue.oldestSince(), 10)
    taken(queue)
    assert.isNull(queue.oldestSince())
  })
})
