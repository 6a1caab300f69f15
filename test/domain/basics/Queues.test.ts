import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { ArrayQueue } from "../../../src/domain/basics/ArrayQueue.ts"
import { DenseSet, type Placed } from "../../../src/domain/basics/DenseSet.ts"

describe("DenseSet", () => {
  it("has what a Set has, whatever is added and deleted", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(7))), (moves) => {
        const members = Array.from({ length: 8 }, (): Placed => ({ place: -1 }))
        const dense = new DenseSet<Placed>()
        const known = new Set<Placed>()
        for (const [adds, at] of moves) {
          const member = members[at]!
          if (adds) {
            dense.add(member)
            known.add(member)
          } else assert.strictEqual(dense.delete(member), known.delete(member))
          assert.strictEqual(dense.size, known.size)
          assert.isTrue(Array.from(dense).every((one) => known.has(one)))
        }
        dense.clear()
        assert.isTrue(members.every(({ place }) => place === -1))
      })
    )
  })

  it("is walked through as it was, while members go", () => {
    const [a, b] = [{ place: -1 }, { place: -1 }]
    const dense = new DenseSet<Placed>()
    dense.add(a)
    dense.add(b)
    const seen: Array<Placed> = []
    for (const member of dense) {
      seen.push(member)
      dense.delete(a)
      dense.delete(b)
    }
    assert.deepStrictEqual(seen, [a, b])
    assert.strictEqual(dense.size, 0)
  })
})

describe("ArrayQueue", () => {
  it("gives what came in its order, however much waits", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 3000 }))), (moves) => {
        const queue = new ArrayQueue<number>()
        const taken: Array<number> = []
        let next = 0
        for (const [pushes, shifts] of moves) {
          for (let i = 0; i < pushes; i++) queue.push(next++)
          for (let i = 0; i < shifts; i++) {
            const { first } = queue
            const shifted = queue.shift()
            if (shifted !== first) return false
            if (shifted !== undefined) taken.push(shifted)
          }
          if (queue.length !== next - taken.length) return false
        }
        return taken.every((value, i) => value === i)
      }),
      { numRuns: 30 }
    )
  })
})
