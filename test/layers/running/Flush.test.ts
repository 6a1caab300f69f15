import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as Flush from "../../../src/layers/running/Flush.ts"
import { Lifecycle } from "../../../src/services/running/Lifecycle.ts"
import { ShutdownReport } from "../../../src/services/running/ShutdownReport.ts"
import { lifecycleWith } from "../../support/lifecycle.ts"

const lifecycle = lifecycleWith({ shutdownTimeout: "1 second" })

class First extends Context.Tag("test/First")<First, string>() {}
class Second extends Context.Tag("test/Second")<Second, string>() {}

const flushes = Effect.map(
  Effect.flatMap(ShutdownReport, (report) => report.entries),
  ({ errors, phases }) => ({
    phases: phases.map(({ limit_ms, outcome, phase, took_ms }) => [phase, outcome, took_ms, limit_ms]),
    errors: errors.map(({ _tag, phase }) => [_tag, phase])
  })
)

describe("Flush", () => {
  it.effect("releases its parts at once, so that those that hang take nothing of the others' time", () =>
    Effect.gen(function* () {
      const ended: Array<string> = []
      const held = <I>(tag: Context.Tag<I, string>, name: string, release: Effect.Effect<void>) =>
        Layer.scoped(
          tag,
          Effect.acquireRelease(Effect.succeed(name), () =>
            Effect.zipRight(
              release,
              Effect.sync(() => ended.push(name))
            )
          )
        )
      const parts = Layer.mergeAll(
        held(First, "never", Effect.never),
        held(Second, "slow", Effect.sleep("400 millis")),
        Layer.scopedDiscard(Effect.addFinalizer(() => Effect.uninterruptible(Effect.never))),
        Layer.scopedDiscard(Effect.addFinalizer(() => Effect.die("broken")))
      )
      const stopped = yield* Effect.scoped(Layer.build(Flush.layer(parts))).pipe(Effect.fork)
      yield* TestClock.adjust("399 millis")
      assert.deepStrictEqual(ended, [])
      assert.strictEqual((yield* Lifecycle).phase(), "flush")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(ended, ["slow"])
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(stopped)
      assert.deepStrictEqual(yield* flushes, {
        phases: [["flush", "timeout", 500, 500]],
        errors: [["FlushTimeout", "flush"]]
      })
    }).pipe(Effect.provide(lifecycle))
  )

  it.effect("hands on what its parts provide, and has its phase where one of them cannot be built", () =>
    Effect.gen(function* () {
      const parts = Layer.merge(Layer.succeed(First, "one"), Layer.succeed(Second, "two"))
      const names = yield* Effect.all([First, Second]).pipe(Effect.provide(Flush.layer(parts)))
      assert.deepStrictEqual(names, ["one", "two"])
      const failed = yield* Effect.flip(
        Effect.scoped(Layer.build(Flush.layer(Layer.merge(parts, Layer.fail("refused")))))
      )
      assert.strictEqual(failed, "refused")
      const { errors, phases } = yield* flushes
      assert.deepStrictEqual(errors, [])
      assert.deepStrictEqual(
        phases.map(([phase, outcome]) => [phase, outcome]),
        [
          ["flush", "ok"],
          ["flush", "ok"]
        ]
      )
    }).pipe(Effect.provide(lifecycle))
  )
})
