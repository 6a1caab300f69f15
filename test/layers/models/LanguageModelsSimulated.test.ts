import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { simulatedModels } from "../../../src/domain/simulation/SimulatedModel.ts"
import * as LanguageModelsSimulated from "../../../src/layers/models/LanguageModelsSimulated.ts"
import { effectfulModels } from "../../support/effectful.ts"
import { chatBody, languageModelsContract } from "../../support/languageModelsContract.ts"

const model = simulatedModels[0]!

languageModelsContract("LanguageModelsSimulated", LanguageModelsSimulated.layer, model)

describe("LanguageModelsSimulated", () => {
  it.effect("takes simulated time, and gives a slow reader everything that is due at once", () =>
    Effect.gen(function* () {
      const models = yield* effectfulModels
      const body = chatBody({ mock: { text: "one two three four", delay_ms: 1000, token_ms: 1000 } })
      const opening = yield* Effect.fork(models.stream(model, body, { timeoutMs: 2000 }))
      yield* TestClock.adjust("1999 millis")
      assert.isTrue((yield* Fiber.poll(opening))._tag === "None")
      yield* TestClock.adjust("1 millis")
      const stream = yield* Fiber.join(opening)
      assert.strictEqual((yield* stream.next).length, 2)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* stream.next).length, 4)
    }).pipe(Effect.scoped, Effect.provide(LanguageModelsSimulated.layer))
  )

  it.effect("refuses a gate, which nobody could open", () =>
    Effect.gen(function* () {
      const models = yield* effectfulModels
      const error = yield* Effect.flip(models.complete(model, chatBody({ mock: { gate: "g" } }), { timeoutMs: 10 }))
      assert.strictEqual(error.reason, "rejected")
    }).pipe(Effect.provide(LanguageModelsSimulated.layer))
  )
})
