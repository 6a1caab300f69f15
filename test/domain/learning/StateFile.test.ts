import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { RouterId } from "../../../src/domain/basics/Ids.ts"
import { decode, encode } from "../../../src/domain/learning/StateFile.ts"

const file = FastCheck.record({
  routerId: FastCheck.constantFrom("r", "chat-prod:1", "x".repeat(64)).map((id) => RouterId(id)),
  fingerprint: FastCheck.string({ unit: "grapheme", maxLength: 60 }),
  position: FastCheck.nat({ max: Number.MAX_SAFE_INTEGER }),
  state: FastCheck.uint8Array({ maxLength: 400 })
})

describe("StateFile", () => {
  it.prop("reads back what it wrote", [file], ([file]) => {
    assert.deepStrictEqual(Either.getOrThrow(decode(encode(file))), file)
  })

  it.prop("refuses any bytes that it did not write", [FastCheck.uint8Array({ maxLength: 300 })], ([bytes]) => {
    assert.isTrue(Either.isLeft(decode(bytes)))
  })

  it("refuses a file with any bit changed or any byte missing", () => {
    const bytes = encode({ routerId: RouterId("r"), fingerprint: "f", position: 300, state: Uint8Array.of(1, 2, 3) })
    for (let length = 0; length < bytes.length; length++)
      assert.isTrue(Either.isLeft(decode(bytes.subarray(0, length))))
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice()
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      assert.isTrue(Either.isLeft(decode(damaged)), `bit ${bit}`)
    }
  })
})
