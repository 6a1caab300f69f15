import { assert, describe, it } from "@effect/vitest"
import { RunQueue } from "../../../src/layers/api/RunQueue.ts"

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve))
const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await turn()
}
const work = (millis: number) => {
  const until = performance.now() + millis
  while (performance.now() < until);
}
const never = () => false

describe("RunQueue", () => {
  it("runs what comes in its order, in the turn in which it came where there is time", async () => {
    const ran: Array<number> = []
    const queue = new RunQueue<number>((item) => ran.push(item) > 0, never)
    queue.add(1)
    queue.add(2)
    assert.deepStrictEqual(ran, [])
    await turns(2)
    assert.deepStrictEqual(ran, [1, 2])
    queue.add(3)
    await turns(2)
    assert.deepStrictEqual(ran, [1, 2, 3])
  })

  it("lets the event loop go round between slices, and counts what an item goes on to do in its tick", async () => {
    const ran: Array<number> = []
    const queue = new RunQueue<number>((item) => {
      process.nextTick(() => work(1.5))
      return ran.push(item) > 0
    }, never)
    for (let i = 0; i < 12; i++) queue.add(i)
    let most = 0
    for (let before = 0; ran.length < 12; before = ran.length) {
      most = Math.max(most, ran.length - before)
      await turn()
    }
    // What is begun goes on behind the question whether there is time for another.
    assert.isAtMost(most, 2)
    assert.deepStrictEqual(
      ran,
      Array.from({ length: 12 }, (_, i) => i)
    )
  })

  it("tells which is the first of its turn", async () => {
    const first: Array<number> = []
    const queue = new RunQueue<number>((item, { isFirst }) => {
      if (isFirst) first.push(item)
      return true
    }, never)
    queue.add(1)
    queue.add(2)
    await turns(2)
    queue.add(3)
    await turns(2)
    assert.deepStrictEqual(first, [1, 3])
  })

  it("does not count what is refused", async () => {
    const ran: Array<number> = []
    const queue = new RunQueue<number>((item) => {
      work(0.5)
      ran.push(item)
      return item === 10
    }, never)
    for (let i = 0; i <= 20; i++) queue.add(i)
    await turns(2)
    assert.lengthOf(ran, 21)
  })

  it("tells how long each has waited", async () => {
    const waited: Array<number> = []
    const queue = new RunQueue<number>((_, { waitedMillis }) => {
      waited.push(waitedMillis)
      work(5)
      return true
    }, never)
    for (let i = 0; i < 4; i++) queue.add(i)
    await turns(8)
    assert.lengthOf(waited, 4)
    waited.forEach((millis, i) => assert.isAtLeast(millis, 5 * i))
  })

  it("tells how many wait for their turn, of which those that it holds are none", async () => {
    const queue = new RunQueue<number>(() => true, never)
    assert.strictEqual(queue.ahead(null), 0)
    queue.add(1)
    queue.add(2)
    assert.strictEqual(queue.ahead(null), 2)
    queue.hold()
    assert.strictEqual(queue.ahead(null), 0)
    queue.release()
    assert.strictEqual(queue.ahead(null), 2)
    await turns(4)
    assert.strictEqual(queue.ahead(null), 0)
  })

  it("runs one of each flow in turn, without those that have left, and tells how long the oldest has waited", async () => {
    const ran: Array<string> = []
    const longest: Array<number> = []
    const queue = new RunQueue<string>((item, { longestMillis, waitedMillis }) => {
      longest.push(longestMillis)
      assert.isAtLeast(longestMillis, waitedMillis)
      return ran.push(item) > 0
    }, never)
    queue.hold()
    const busy = Array.from({ length: 50 }, (_, i) => queue.add(`busy ${i}`, "busy"))
    work(5)
    queue.add("quiet 0", "quiet")
    queue.add("quiet 1", "quiet")
    for (const ticket of busy.slice(0, 47)) queue.leave(ticket)
    queue.release()
    await turns(4)
    assert.deepStrictEqual(ran, ["busy 47", "quiet 0", "busy 48", "quiet 1", "busy 49"])
    assert.isAtLeast(longest[1] ?? 0, 5)
  })

  it("brings in first what still comes, for a few turns", async () => {
    const ran: Array<number> = []
    let coming = 3
    const queue = new RunQueue<number>(
      (item) => ran.push(item) > 0,
      () => coming-- > 0
    )
    queue.add(1)
    await turns(3)
    assert.deepStrictEqual(ran, [])
    await turns(2)
    assert.deepStrictEqual(ran, [1])

    coming = Number.POSITIVE_INFINITY
    queue.add(2)
    await turns(12)
    assert.deepStrictEqual(ran, [1, 2])
  })

  it("runs nothing while it is held, and then all in the order in which it came", async () => {
    const ran: Array<number> = []
    const queue = new RunQueue<number>((item) => ran.push(item) > 0, never)
    queue.add(1)
    queue.hold()
    queue.add(2)
    await turns(4)
    assert.deepStrictEqual(ran, [])
    queue.release()
    await turns(4)
    assert.deepStrictEqual(ran, [1, 2])
  })
})
