import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { greedy, program } from "../../examples/own-parts.ts"
import * as LexicalFeatures from "../../src/domain/routing/LexicalFeatures.ts"
import { Conduit, defaults, HttpSocket, Settings } from "../../src/index.ts"
import { DatabaseMemory, featuresContract, recordingModels, ruleContract } from "../../src/testing.ts"

const decisionBy = (rule: Parameters<typeof Conduit.layerWith>[0]["rule"]) => {
  const models = recordingModels(({ body }) => `you said ${JSON.stringify(body["messages"]).length} characters`)
  const Service = Conduit.layerWith({ database: DatabaseMemory.layer, models: models.layer, ...(rule && { rule }) })
  const settings = { ...defaults, http: { ...defaults.http, port: 0 } }
  return Effect.gen(function* () {
    const { url } = yield* HttpSocket
    const ask = (stream: boolean) =>
      Effect.promise(() =>
        fetch(`${url}/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ model: "auto", stream, messages: [{ role: "user", content: "Hello" }] })
        })
      )
    const whole = yield* ask(false)
    yield* Effect.promise(() => whole.text())
    const streamed = yield* Effect.flatMap(ask(true), (answer) => Effect.promise(() => answer.text()))
    const id = whole.headers.get("x-conduit-decision-id")
    const decision: any = yield* Effect.promise(async () => (await fetch(`${url}/v1/decisions/${id}`)).json())
    return { decision, streamed, calls: models.calls }
  }).pipe(Effect.provide(Service), Effect.provide(Layer.succeed(Settings, settings)), Effect.scoped)
}

describe("examples/own-parts", () => {
  it.live("answers by its own models, chosen by its own algorithm", () =>
    Effect.gen(function* () {
      const { completion, decision, status } = yield* program
      assert.strictEqual(status, 200)
      const { choices, model }: any = completion
      assert.strictEqual(choices[0].message.content, `${model} says hello`)
      const { candidates, policy }: any = decision
      assert.strictEqual(policy.algorithm, "greedy-tenth")
      const propensities = candidates.map((one: any) => one.propensity)
      assert.closeTo(Math.max(...propensities), 0.9 + 0.1 / candidates.length, 0.02)
    })
  )

  it.live("records what models were asked, whole and streamed", () =>
    Effect.gen(function* () {
      const { calls, streamed } = yield* decisionBy(undefined)
      assert.deepEqual(
        calls.map(({ isStream }) => isStream),
        [false, true]
      )
      assert.include(streamed, "you said")
      assert.include(streamed, "data: [DONE]")
    })
  )

  it.live("falls back to the order of the configuration where a rule gives shares that are none", () =>
    Effect.gen(function* () {
      const { decision } = yield* decisionBy({ name: "broken", shares: (options) => options.map(() => 1) })
      assert.strictEqual(decision.reason, "static")
    })
  )
})

describe("the contract of an own algorithm", () => {
  for (const { name, run } of ruleContract(greedy)) it(name, run)

  it("finds shares that do not sum to 1, and those that change", () => {
    const failures = (shares: Parameters<typeof ruleContract>[0]["shares"]) =>
      ruleContract({ name: "wrong", shares }).filter(({ run }) => {
        try {
          run()
          return false
        } catch {
          return true
        }
      }).length
    let calls = 0
    assert.isAbove(
      failures((options) => options.map(() => 1)),
      0
    )
    assert.isAbove(
      failures((options) => options.map((_, i) => (i === calls++ % options.length ? 1 : 0))),
      0
    )
  })
})

describe("the contract of own features", () => {
  for (const { name, run } of featuresContract(LexicalFeatures)) it(name, run)
})
