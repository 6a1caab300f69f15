import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { decodeEvents, encodeEvents } from "../../src/domain/EventCodec.ts"
import { ModelId } from "../../src/domain/Ids.ts"
import type { LearningEvent } from "../../src/domain/LearningEvent.ts"
import { decisionId, modelEvent, qualityEvent, runEvent } from "../support/learningEvents.ts"

const model = FastCheck.constantFrom("small", "org/large:free", "m".repeat(128)).map((id) => ModelId(id))
const unit = FastCheck.double({ min: 0, max: 1, noNaN: true })
const number = FastCheck.double({ noNaN: true })
const nullable = <A>(of: FastCheck.Arbitrary<A>) => FastCheck.option(of, { nil: null })
const position = FastCheck.nat({ max: Number.MAX_SAFE_INTEGER })
const call = {
  model,
  decisionId: FastCheck.nat({ max: 1_000_000 }).map(decisionId),
  task: nullable(FastCheck.string({ unit: "grapheme", maxLength: 40 })),
  features: FastCheck.float32Array({ maxLength: 60, noNaN: true })
}
const event: FastCheck.Arbitrary<LearningEvent> = FastCheck.oneof(
  FastCheck.record({ type: FastCheck.constant("model" as const), model, priorQuality: nullable(unit) }),
  FastCheck.record({ type: FastCheck.constant("reset" as const), model }),
  FastCheck.record({
    type: FastCheck.constant("run" as const),
    ...call,
    ok: FastCheck.boolean(),
    logOutputTokens: nullable(number),
    latencyScore: nullable(number)
  }),
  FastCheck.record({
    type: FastCheck.constant("quality" as const),
    ...call,
    decidedAt: position,
    quality: unit,
    weight: unit,
    previous: nullable(FastCheck.record({ quality: unit, weight: unit, position }))
  })
)

describe("EventCodec", () => {
  it.prop("reads back what it wrote, to the bit", [FastCheck.array(event, { maxLength: 20 })], ([events]) => {
    assert.deepStrictEqual(Either.getOrThrow(decodeEvents(encodeEvents(events))), events)
  })

  it.prop("refuses any bytes that it did not write", [FastCheck.uint8Array({ maxLength: 300 })], ([bytes]) => {
    assert.isTrue(Either.isLeft(decodeEvents(bytes)))
    assert.isTrue(Either.isLeft(decodeEvents(Uint8Array.of(1, ...bytes))))
  })

  it("refuses a payload with any bit changed or any byte missing", () => {
    const bytes = encodeEvents([
      modelEvent("a", 0.5),
      runEvent(1, "a", [1, 0.5], { task: "math" }),
      qualityEvent(1, "a", [1, 0.5], 1, { task: "math", previous: { quality: 0, weight: 1, position: 7 } })
    ])
    for (let length = 0; length < bytes.length; length++) {
      assert.isTrue(Either.isLeft(decodeEvents(bytes.subarray(0, length))))
    }
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice()
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      assert.isTrue(Either.isLeft(decodeEvents(damaged)), `bit ${bit}`)
    }
  })

  it("reads a payload that stands in the middle of a larger buffer", () => {
    const bytes = encodeEvents([modelEvent("a", null)])
    const buffer = new Uint8Array(bytes.length + 10)
    buffer.set(bytes, 3)
    assert.deepStrictEqual(Either.getOrThrow(decodeEvents(buffer.subarray(3, 3 + bytes.length))), [
      modelEvent("a", null)
    ])
  })

  it("takes less than 160 bytes for an event of 24 features", () => {
    const x = Array.from({ length: 24 }, (_, i) => i / 24)
    const events = Array.from({ length: 100 }, (_, i) => qualityEvent(i, "a-model", x, 0.5, { decidedAt: 100_000 }))
    assert.isBelow(encodeEvents(events).length, 160 * events.length)
  })
})
