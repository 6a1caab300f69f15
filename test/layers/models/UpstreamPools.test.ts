import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Flush from "../../../src/layers/running/Flush.ts"
import * as LanguageModelsHttp from "../../../src/layers/models/LanguageModelsHttp.ts"
import * as Telemetry from "../../../src/layers/observing/Telemetry.ts"
import { Telemetry as TelemetryTag } from "../../../src/services/observing/Telemetry.ts"
import * as UpstreamPools from "../../../src/layers/models/UpstreamPools.ts"
import { ModelCatalog } from "../../../src/services/models/ModelCatalog.ts"
import { ShutdownReport } from "../../../src/services/running/ShutdownReport.ts"
import { UpstreamPools as Pools } from "../../../src/services/models/UpstreamPools.ts"
import { defaults, Settings } from "../../../src/services/running/Settings.ts"
import { effectfulModels } from "../../support/effectful.ts"
import { changingCatalog } from "../../support/catalog.ts"
import { catalogAt, catalogOf, modelOf, simulatedCatalog } from "../../support/httpModels.ts"
import { chatBody } from "../../support/languageModelsContract.ts"
import { lifecycleWith } from "../../support/lifecycle.ts"
import { startMockLlm } from "../../support/mockLlm.ts"

const lifecycle = Layer.mergeAll(
  lifecycleWith({ shutdownTimeout: "1 second" }),
  Telemetry.layer,
  Layer.succeed(Settings, defaults)
)

describe("UpstreamPools", () => {
  it.live("closes its sockets in the flush phase", () =>
    Effect.gen(function* () {
      const mock = yield* startMockLlm()
      const models = LanguageModelsHttp.layer.pipe(
        Layer.provide(Flush.layer(UpstreamPools.layer)),
        Layer.provide(catalogOf(mock.baseUrl))
      )
      yield* Effect.flatMap(effectfulModels, (m) =>
        m.complete(modelOf("small", "small-8b"), chatBody(), { timeoutMs: 5000 })
      ).pipe(Effect.provide(models))
      const { errors, phases } = yield* Effect.flatMap(ShutdownReport, (report) => report.entries)
      assert.deepStrictEqual(errors, [])
      assert.deepStrictEqual(
        phases.filter(({ outcome }) => outcome !== "skipped").map(({ outcome, phase }) => [phase, outcome]),
        [["flush", "ok"]]
      )
    }).pipe(Effect.scoped, Effect.provide(lifecycle))
  )

  it.live("reports a call that does not end within the limit, and cuts it", () =>
    Effect.gen(function* () {
      const mock = yield* startMockLlm()
      const pools = Flush.layer(UpstreamPools.layer).pipe(Layer.provide(catalogOf(mock.baseUrl)))
      const call = yield* Effect.scoped(
        Effect.gen(function* () {
          const { pools: byName } = yield* Effect.map(Layer.build(pools), (context) => Context.get(context, Pools))
          const body = JSON.stringify(chatBody({ mock: { gate: "held" } }))
          const calling = yield* Effect.forkDaemon(
            Effect.either(
              Effect.tryPromise(() =>
                byName().get("local")!.request({ path: "/v1/chat/completions", method: "POST", body })
              )
            )
          )
          yield* mock.waiting(1, "held")
          return calling
        })
      )
      assert.strictEqual((yield* Fiber.join(call))._tag, "Left")
      const { errors } = yield* Effect.flatMap(ShutdownReport, (report) => report.entries)
      assert.deepStrictEqual(
        errors.map(({ _tag, phase }) => [_tag, phase]),
        [["FlushTimeout", "flush"]]
      )
      yield* mock.until(({ aborted }) => aborted === 1)
    }).pipe(Effect.scoped, Effect.provide(lifecycle))
  )

  it.live("opens a pool for a new address and closes the one that no provider has any more", () =>
    Effect.gen(function* () {
      const first = yield* startMockLlm()
      const second = yield* startMockLlm()
      const catalog = changingCatalog(catalogAt(first.baseUrl))
      const context = yield* Layer.build(
        LanguageModelsHttp.layer.pipe(Layer.provideMerge(UpstreamPools.layer), Layer.provideMerge(catalog.layer))
      )
      const { complete } = yield* Effect.provide(effectfulModels, context)
      const { pools } = Context.get(context, Pools)
      const call = complete(modelOf("small", "small-8b"), chatBody(), { timeoutMs: 5000 })
      yield* call
      const old = pools().get("local")
      assert.strictEqual(pools().get("local"), old)

      const held = yield* Effect.fork(
        complete(modelOf("small", "small-8b"), chatBody({ mock: { gate: "held" } }), { timeoutMs: 10_000 })
      )
      yield* first.waiting(1, "held")
      catalog.file.next = catalogAt(second.baseUrl)
      yield* Context.get(context, ModelCatalog).reload
      yield* call
      assert.notStrictEqual(pools().get("local"), old)
      assert.deepStrictEqual([first.requests().total, second.requests().total], [2, 1])
      // What was under way there ends whole; nothing new goes there.
      first.openGate("held")
      yield* Fiber.join(held)
      const refused = yield* Effect.tryPromise(() => old!.request({ path: "/", method: "GET" })).pipe(Effect.flip)
      assert.match(String(refused.error), /clos|destroy/i)
    }).pipe(Effect.scoped, Effect.provide(lifecycle))
  )

  it.live("counts a retired pool until its last call has ended, and closes it once only", () =>
    Effect.gen(function* () {
      const first = yield* startMockLlm()
      const second = yield* startMockLlm()
      const catalog = changingCatalog(catalogAt(first.baseUrl))
      const { render } = yield* TelemetryTag
      const connections = (state: string) =>
        Number(new RegExp(`^conduit_upstream_connections{state="${state}"} (\\d+)$`, "m").exec(render())?.[1])
      let closes = 0
      yield* Effect.scoped(
        Effect.gen(function* () {
          const context = yield* Layer.build(Flush.layer(UpstreamPools.layer).pipe(Layer.provideMerge(catalog.layer)))
          const { pools } = Context.get(context, Pools)
          const body = JSON.stringify(chatBody({ mock: { gate: "held" } }))
          const old = pools().get("local")!
          const held = yield* Effect.fork(
            Effect.tryPromise(async () => {
              const answer = await old.request({ path: "/v1/chat/completions", method: "POST", body })
              return [answer.statusCode, (await answer.body.text()).length > 0]
            })
          )
          yield* first.waiting(1, "held")
          const close = old.close.bind(old)
          Object.assign(old, { close: () => (closes++, close()) })
          catalog.file.next = catalogAt(second.baseUrl)
          yield* Context.get(context, ModelCatalog).reload
          assert.notStrictEqual(pools().get("local"), old)
          // Who has nothing to wait for would be gone by the next turn of the event loop.
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          assert.deepStrictEqual([connections("connected"), connections("running")], [1, 1])
          first.openGate("held")
          assert.deepStrictEqual(yield* Fiber.join(held), [200, true])
          const left = () => connections("connected") + connections("running")
          for (let i = 0; i < 1_000 && left() > 0; i++) yield* Effect.sleep("10 millis")
          assert.strictEqual(left(), 0)
          // By then it is forgotten.
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        })
      )
      assert.strictEqual(closes, 1)
      const { errors, phases } = yield* Effect.flatMap(ShutdownReport, (report) => report.entries)
      assert.deepStrictEqual(errors, [])
      assert.strictEqual(phases.find(({ phase }) => phase === "flush")?.outcome, "ok")
    }).pipe(Effect.scoped, Effect.provide(lifecycle))
  )

  it.live("has the flush phase without any provider, too", () =>
    Effect.gen(function* () {
      yield* Layer.build(Flush.layer(UpstreamPools.layer).pipe(Layer.provide(simulatedCatalog))).pipe(Effect.scoped)
      const { phases } = yield* Effect.flatMap(ShutdownReport, (report) => report.entries)
      assert.strictEqual(phases.find(({ phase }) => phase === "flush")?.outcome, "ok")
    }).pipe(Effect.provide(lifecycle))
  )
})
