import { assert, describe, it } from "@effect/vitest"
import * as Binary from "../../../src/domain/basics/Binary.ts"

describe("Binary", () => {
  it("writes one and the same NaN, whatever bits it has in memory", () => {
    const bits = new DataView(new ArrayBuffer(8))
    const written = [0x7ff80000, 0xfff80000, 0x7ff80001].map((high) => {
      bits.setUint32(0, high)
      const value = bits.getFloat64(0)
      const one = Binary.writer()
      Binary.writeFloat64(one, value)
      Binary.writeFloat64s(one, Float64Array.of(value, 1.5))
      return Buffer.from(Binary.written(one)).toString("hex")
    })
    assert.deepStrictEqual(new Set(written), new Set(["000000000000f87f000000000000f87f000000000000f83f"]))
  })
})
