import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as DatabaseMemory from "../../src/layers/storage/memory/DatabaseMemory.ts"
import * as Conduit from "../../src/programs/Conduit.ts"
import { HttpSocket } from "../../src/services/api/HttpSocket.ts"
import { defaults, Settings } from "../../src/services/running/Settings.ts"
import { chat, request } from "../support/conduit.ts"
import { exposition } from "../support/exposition.ts"

const service = Conduit.layerWith({ database: DatabaseMemory.layer }).pipe(
  Layer.provide(
    Layer.succeed(Settings, {
      ...defaults,
      http: { ...defaults.http, port: 0 },
      models: { ...defaults.models, simulate: Option.some(true) }
    })
  ),
  Layer.provide(Logger.remove(Logger.defaultLogger))
)

const start = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(Layer.fresh(service), scope)
  return { url: Context.get(context, HttpSocket).url, stop: Scope.close(scope, Exit.void) }
})

const scrape = (url: string) => Effect.promise(async () => exposition((await request(`${url}/metrics`)).text))

describe("two services in one process", () => {
  it.live("share valid metrics; a gauge is the newest one's, and the other's again when that has stopped", () =>
    Effect.gen(function* () {
      const first = yield* start
      for (let i = 0; i < 3; i++) {
        const body = chat(`number ${i}`)
        const { status } = yield* Effect.promise(() => request(`${first.url}/v1/chat/completions`, { body }))
        assert.strictEqual(status, 200)
      }
      const position = (url: string) => Effect.map(scrape(url), ({ value }) => value("conduit_learning_position"))
      yield* Effect.repeat(position(first.url), { until: (at) => at >= 2, times: 500 })
      const learned = yield* position(first.url)

      const second = yield* start
      const fresh = yield* position(second.url)
      assert.isAbove(learned, fresh)
      const both = yield* Effect.all([scrape(first.url), scrape(second.url)])
      for (const { sum, value } of both) {
        assert.strictEqual(value("conduit_learning_position"), fresh)
        assert.strictEqual(sum("conduit_requests_total"), 3)
      }

      yield* second.stop
      assert.isAtLeast(yield* position(first.url), learned)
      assert.strictEqual((yield* scrape(first.url)).value("conduit_lifecycle_phase", { phase: "running" }), 1)
      yield* first.stop
    })
  )
})
