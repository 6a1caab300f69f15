import { assert, describe, it } from "@effect/vitest"
import { FairShare, type Flow } from "../../../src/layers/api/FairShare.ts"

/** Takes single places until there is no room for it. */
const most = (room: FairShare, flow: Flow): number => {
  let count = 0
  while (room.take(flow, 1) === null) count++
  return count
}

describe("FairShare", () => {
  it("gives all to who is nobody's", () => {
    const room = new FairShare(100)
    assert.strictEqual(most(room, null), 100)
    assert.strictEqual(room.take("a", 1), "full")
  })

  it("leaves a tenth for others where one takes what it can, and shares alike among those that do", () => {
    const room = new FairShare(100)
    assert.strictEqual(most(room, "a"), 90)
    assert.strictEqual(room.take("a", 1), "share")
    assert.strictEqual(most(room, "b"), 9)
    // Who has nothing yet gets what is left.
    assert.isNull(room.take("c", 1))
    assert.strictEqual(room.take("d", 1), "full")

    const even = new FairShare(1_000)
    const flows = ["a", "b", "c", "d"]
    const held = new Map<string, number>()
    for (let i = 0; i < 1_000; i++) {
      for (const flow of flows) if (even.take(flow, 1) === null) held.set(flow, (held.get(flow) ?? 0) + 1)
    }
    for (const flow of flows) assert.closeTo(held.get(flow) ?? 0, 1_000 * (9 / 37), 2)
  })

  it("has room again for what is given back", () => {
    const room = new FairShare(10)
    assert.strictEqual(most(room, "a"), 9)
    room.giveBack("a", 4)
    assert.strictEqual(most(room, "b"), 4)
    room.giveBack("b", 4)
    room.giveBack("a", 5)
    assert.strictEqual(most(room, null), 10)
  })

  it("has a single place for everybody", () => {
    const room = new FairShare(1)
    assert.isNull(room.take("a", 1))
    assert.strictEqual(room.take("b", 1), "full")
    room.giveBack("a", 1)
    assert.isNull(room.take("b", 1))
  })

  it("is large enough where one alone needs so much", () => {
    for (const bytes of [1, 9, 1_000, 32 * 1024 * 1024]) {
      const room = new FairShare(FairShare.for(bytes))
      const chunk = Math.ceil(bytes / 7)
      for (let sent = 0; sent < bytes; sent += chunk) {
        assert.isNull(room.take("a", Math.min(chunk, bytes - sent)))
      }
    }
  })
})
