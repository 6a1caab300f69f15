import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { ModelCatalog } from "../../../src/services/models/ModelCatalog.ts"
import * as Experience from "../../../src/layers/routing/Experience.ts"
import { request } from "../../support/banditParts.ts"
import { catalogWith, failure, model } from "../../support/scriptedModels.ts"

const a = model("a")
const b = model("b")
const images = request({ needs: ["vision"] })
const unable = failure("a", "unsupported", { status: 400, lacks: "vision" })

const experience = Effect.gen(function* () {
  return Experience.make(yield* Effect.clock, yield* ModelCatalog)
}).pipe(Effect.provide(catalogWith([a, b])))

describe("Experience", () => {
  it.effect("corrects the estimate of tokens by what a model counts, for long prompts and within bounds", () =>
    Effect.gen(function* () {
      const known = yield* experience
      assert.strictEqual(known.inputTokens(a, 1000), 1000)
      for (let i = 0; i < 30; i++) known.counted(a.id, 1000, 1500)
      assert.approximately(known.inputTokens(a, 1000), 1500, 1)
      assert.strictEqual(known.inputTokens(b, 1000), 1000)
      // What stands around a short prompt is not its text.
      for (let i = 0; i < 30; i++) known.counted(b.id, 10, 100)
      assert.strictEqual(known.inputTokens(b, 1000), 1000)
      for (let i = 0; i < 100; i++) known.counted(b.id, 100, 1_000_000)
      assert.approximately(known.inputTokens(b, 1000), 5000, 1)
    })
  )

  it.effect("remembers for an hour what a model refused and another one answered, or until it answers itself", () =>
    Effect.gen(function* () {
      const known = yield* experience
      known.answered(b, images, [unable])
      assert.strictEqual(known.lacks(a, images), "vision")
      assert.isNull(known.lacks(b, images))
      assert.isNull(known.lacks(a, request()))
      // Who names the model insists on it.
      assert.isNull(known.lacks(a, { ...images, pinned: a.id }))
      known.answered(a, images, [])
      assert.isNull(known.lacks(a, images))
      known.answered(b, images, [unable])
      yield* TestClock.adjust("61 minutes")
      assert.isNull(known.lacks(a, images))
    })
  )

  it.effect("lets the configuration have the last word about a model", () =>
    Effect.gen(function* () {
      const known = yield* experience
      known.answered(b, images, [unable])
      const able = model("a", { abilities: { vision: { can: true, source: "configuration" } } })
      assert.isNull(known.lacks(able, images))
      const listed = model("a", { abilities: { vision: { can: true, source: "families" } } })
      assert.strictEqual(known.lacks(listed, images), "vision")
    })
  )

  it.effect("asks the same model once more only for what it can spell otherwise, and once", () =>
    Effect.gen(function* () {
      const known = yield* experience
      const refused = (parameter: string) => failure("a", "unsupported", { status: 400, parameter })
      const body = { max_tokens: 5, seed: 1 }
      assert.isFalse(known.refused(a, body, refused("seed")))
      assert.isFalse(known.refused(a, body, refused("temperature")))
      assert.isTrue(known.refused(a, body, refused("max_tokens")))
      assert.isFalse(known.refused(a, body, refused("max_tokens")))
      assert.deepStrictEqual(known.limits(a, body).adjustments, [{ field: "max_tokens", to: "max_completion_tokens" }])
      assert.isFalse(known.refused(a, body, refused("stream_options")))
      assert.isTrue(known.refused(a, { stream: true }, refused("stream_options")))
      assert.isFalse(known.limits(b, { stream: true }).streamUsage)
    })
  )
})
