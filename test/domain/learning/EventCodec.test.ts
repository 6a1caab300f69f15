import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { decodeEvents, encodeEvents } from "../../../src/domain/learning/EventCodec.ts"
import { DecisionId, ModelId } from "../../../src/domain/basics/Ids.ts"
import type { LearningEvent } from "../../../src/domain/learning/LearningEvent.ts"
import { decisionId, modelEvent, qualityEvent, runEvent } from "../../support/learningEvents.ts"

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
  FastCheck.record({
    type: FastCheck.constant("model" as const),
    model,
    priorQuality: nullable(unit),
    priorSd: FastCheck.double({ min: 0.01, max: 1, noNaN: true })
  }),
  FastCheck.record({
    type: FastCheck.constant("model" as const),
    model,
    priorQuality: nullable(unit),
    upstream: FastCheck.string({ unit: "grapheme", maxLength: 40 })
  }),
  FastCheck.record({ type: FastCheck.constant("reset" as const), model }),
  FastCheck.record({
    type: FastCheck.constant("verdict" as const),
    model,
    verdict: FastCheck.constantFrom("confirm" as const, "dismiss" as const),
    by: FastCheck.string({ unit: "grapheme", maxLength: 40 })
  }),
  FastCheck.record({ type: FastCheck.constant("availability" as const), model, enabled: FastCheck.boolean() }),
  FastCheck.record({ type: FastCheck.constant("reload" as const) }),
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
      qualityEvent(1, "a", [1, 0.5], 1, { task: "math", previous: { quality: 0, weight: 1, position: 7 } }),
      { type: "availability", model: ModelId("a"), enabled: false },
      { type: "reload" }
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

  it("reads a payload that was written before there was availability and reload", () => {
    const hex =
      "010205736d616c6c046d617468040001000000000000e03f0101019b76daa8017000800000000000000002020000803f0000003f010000000000001440000000000000e03f0201019b76daa8017000800000000000000000010000803f07000000000000f03f000000000000e03f0003018c1003b2"
    const model = ModelId("small")
    const decisionId = DecisionId("019b76da-a801-7000-8000-000000000000")
    assert.deepStrictEqual(Either.getOrThrow(decodeEvents(Buffer.from(hex, "hex"))), [
      { type: "model", model, priorQuality: 0.5 },
      {
        type: "run",
        decisionId,
        model,
        task: "math",
        features: Float32Array.of(1, 0.5),
        ok: true,
        logOutputTokens: 5,
        latencyScore: 0.5
      },
      {
        type: "quality",
        decisionId,
        model,
        task: null,
        features: Float32Array.of(1),
        decidedAt: 7,
        quality: 1,
        weight: 0.5,
        previous: null
      },
      { type: "reset", model }
    ])
  })

  it("writes a prior without a deviation as it did before there was one, so that older replicas can read it", () => {
    const before = encodeEvents([modelEvent("small", 0.5)])
    assert.strictEqual(before[8], 1)
    assert.strictEqual(before[9], 0)
    const known = encodeEvents([{ ...modelEvent("small", 0.5), priorSd: 0.085 }])
    assert.strictEqual(known.length, before.length + 8)
    assert.strictEqual(known[9], 6)
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
