import { assert, describe, it } from "@effect/vitest"
import { isSampled, type Sampler } from "../../../src/domain/observing/Sampling.ts"
import { seeded } from "../../support/learningEvents.ts"

const idsOf = (seed: string, count: number) => {
  const random = seeded(seed)
  return Array.from({ length: count }, () =>
    Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join("")
  )
}

const root = (ratio: number): Sampler => ({ parentBased: false, ratio })

describe("Sampling", () => {
  it("records all at ratio 1, none at ratio 0, and of many about the ratio", () => {
    const ids = [...idsOf("sampling", 20_000), "0".repeat(32), "f".repeat(32)]
    const share = (ratio: number) => ids.filter((id) => isSampled(root(ratio), id, null)).length / ids.length
    assert.strictEqual(share(1), 1)
    assert.strictEqual(share(0), 0)
    for (const ratio of [0.01, 0.25, 0.5, 0.9]) assert.closeTo(share(ratio), ratio, 0.012)
  })

  it("is a function of the trace id: what a ratio records, each higher one does", () => {
    for (const id of idsOf("nested", 500)) {
      const by = [0.1, 0.3, 0.7, 1].map((ratio) => isSampled(root(ratio), id, null))
      assert.deepStrictEqual(by, by.toSorted())
      assert.deepStrictEqual(
        by,
        [0.1, 0.3, 0.7, 1].map((ratio) => isSampled(root(ratio), id, null))
      )
    }
  })

  it("has the threshold of the specification: the last 56 bits from 2^56 (1 - ratio) on", () => {
    const at = (last14: string) => isSampled(root(0.25), `${"a".repeat(18)}${last14}`, null)
    assert.isTrue(at("c0000000000000"))
    assert.isFalse(at("bfffffffffffff"))
  })

  it("follows the caller only where it is to", () => {
    const id = "f".repeat(32)
    for (const sampled of [true, false]) {
      assert.strictEqual(isSampled({ parentBased: true, ratio: 0 }, id, { sampled }), sampled)
      assert.strictEqual(isSampled({ parentBased: true, ratio: 1 }, id, { sampled }), sampled)
      assert.isFalse(isSampled(root(0), id, { sampled }))
      assert.isTrue(isSampled(root(1), id, { sampled }))
    }
    assert.isTrue(isSampled({ parentBased: true, ratio: 1 }, id, null))
  })
})
