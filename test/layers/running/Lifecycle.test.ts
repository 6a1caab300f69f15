import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { PersistFailed, PersistTimeout } from "../../../src/services/learning/BanditState.ts"
import { PoolCloseTimeout } from "../../../src/services/storage/Database.ts"
import { Lifecycle } from "../../../src/services/running/Lifecycle.ts"
import {
  DrainTimeout,
  FlushTimeout,
  type PhaseName,
  type ShutdownError,
  ShutdownReport
} from "../../../src/services/running/ShutdownReport.ts"
import { lifecycleWith } from "../../support/lifecycle.ts"

const timeouts: Record<PhaseName, ShutdownError> = {
  settle: new DrainTimeout({ limitMs: 0, requests: [] }),
  drain: new DrainTimeout({ limitMs: 30_000, requests: [] }),
  persist: new PersistTimeout({ limitMs: 3_000, unpersisted: 0 }),
  close: new PoolCloseTimeout({ limitMs: 10_000, busy: [], terminated: 0 }),
  flush: new FlushTimeout({ limitMs: 500 })
}

/** A layer whose release is one phase, as every layer of the service has it. */
const released = (
  name: PhaseName,
  seconds: number,
  effect: Effect.Effect<void, ShutdownError>,
  events?: Array<string>
) =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const report = yield* ShutdownReport
      events?.push(`+${name}`)
      yield* Effect.addFinalizer(() =>
        Effect.zipRight(
          Effect.sync(() => events?.push(`-${name}`)),
          report.phase(name, { limit: Duration.seconds(seconds), onTimeout: () => timeouts[name] }, effect)
        )
      )
    })
  )

const chain = (effects: Partial<Record<PhaseName, Effect.Effect<void, ShutdownError>>>, events?: Array<string>) =>
  released("drain", 30, effects.drain ?? Effect.void, events).pipe(
    Layer.provide(released("persist", 3, effects.persist ?? Effect.void, events)),
    Layer.provide(released("close", 10, effects.close ?? Effect.void, events)),
    Layer.provide(released("flush", 0.5, effects.flush ?? Effect.void, events))
  )

describe("Lifecycle", () => {
  it.effect("releases in the order of the chain: drain, persist, close, flush", () => {
    const events: Array<string> = []
    return Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const running = yield* Effect.fork(lifecycle.run(chain({}, events)))
      yield* lifecycle.ready
      const report = yield* lifecycle.shutdown
      yield* Fiber.join(running)
      assert.deepStrictEqual(events, [
        "+flush",
        "+close",
        "+persist",
        "+drain",
        "-drain",
        "-persist",
        "-close",
        "-flush"
      ])
      assert.deepInclude(report, { outcome: "clean", exit_code: 0, signals: 0 })
      assert.deepStrictEqual(
        report.phases.map((entry) => entry.outcome),
        ["skipped", "ok", "ok", "ok", "ok"]
      )
    }).pipe(Effect.provide(lifecycleWith({ shutdownTimeout: "45 seconds" })))
  })

  it.effect("closes the pool although persisting hangs", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      yield* Effect.fork(lifecycle.run(chain({ persist: Effect.uninterruptible(Effect.never) })))
      yield* lifecycle.ready
      const ending = yield* Effect.fork(lifecycle.shutdown)
      yield* TestClock.adjust("3 seconds")
      const report = yield* Fiber.join(ending)
      assert.deepStrictEqual(
        report.phases.map((entry) => entry.outcome),
        ["skipped", "ok", "timeout", "ok", "ok"]
      )
      assert.strictEqual(report.exit_code, 2)
    }).pipe(Effect.provide(lifecycleWith({ shutdownTimeout: "45 seconds" })))
  )

  it.effect("persists although the drain fails", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      yield* Effect.fork(lifecycle.run(chain({ drain: Effect.fail(timeouts.drain) })))
      yield* lifecycle.ready
      const report = yield* lifecycle.shutdown
      assert.deepStrictEqual(
        report.phases.map((entry) => entry.outcome),
        ["skipped", "timeout", "ok", "ok", "ok"]
      )
      assert.deepStrictEqual(
        report.errors.map((error) => error._tag),
        ["DrainTimeout"]
      )
    }).pipe(Effect.provide(lifecycleWith({ shutdownTimeout: "45 seconds" })))
  )

  it.effect("ends within the sum of the limits when everything hangs", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const hang = Effect.uninterruptible(Effect.never)
      yield* Effect.fork(lifecycle.run(chain({ drain: hang, persist: hang, close: hang, flush: hang })))
      yield* lifecycle.ready
      const ending = yield* Effect.fork(lifecycle.shutdown)
      for (const limit of ["30 seconds", "3 seconds", "10 seconds", "500 millis"] as const) {
        assert.isNull(ending.unsafePoll())
        yield* TestClock.adjust(limit)
      }
      const report = yield* Fiber.join(ending)
      assert.strictEqual(report.duration_seconds, 43.5)
      assert.deepStrictEqual(
        report.phases.map((entry) => entry.outcome),
        ["skipped", "timeout", "timeout", "timeout", "timeout"]
      )
    }).pipe(Effect.provide(lifecycleWith({ shutdownTimeout: "45 seconds" })))
  )

  it.effect("gives up on a finalizer outside the phases after the whole limit", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const hanging = Layer.scopedDiscard(Effect.addFinalizer(() => Effect.never))
      yield* Effect.fork(lifecycle.run(hanging))
      yield* lifecycle.ready
      const ending = yield* Effect.fork(lifecycle.shutdown)
      yield* TestClock.adjust("6 seconds")
      const report = yield* Fiber.join(ending)
      assert.deepInclude(report, { outcome: "dirty", exit_code: 2 })
      assert.include(report.errors[0]?.message, "a finalizer did not end")
    }).pipe(Effect.provide(lifecycleWith({ shutdownTimeout: "5 seconds" })))
  )

  it.effect("is clean when it is stopped while it starts", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const starting = yield* Deferred.make<void>()
      const never = Layer.scopedDiscard(Effect.zipRight(Deferred.succeed(starting, undefined), Effect.never))
      yield* Effect.fork(lifecycle.run(Layer.provide(never, released("close", 10, Effect.void))))
      yield* Deferred.await(starting)
      const report = yield* lifecycle.shutdown
      assert.deepInclude(report, { outcome: "clean", exit_code: 0 })
      assert.strictEqual(report.phases[3]?.outcome, "ok")
    }).pipe(Effect.provide(lifecycleWith({ shutdownTimeout: "5 seconds" })))
  )

  it.effect("fails with exit code 1 and says why when the service cannot start", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const error = new PersistFailed({ reason: "connection", detail: "no database at db.example", unpersisted: 0 })
      const report = yield* lifecycle.run(Layer.fail(error))
      assert.deepInclude(report, { outcome: "failed", exit_code: 1 })
      assert.include(report.errors[0]?.message, "db.example")
      assert.strictEqual(report, yield* lifecycle.shutdown)
    }).pipe(Effect.provide(lifecycleWith({ shutdownTimeout: "5 seconds" })))
  )

  it.effect("runs the hooks, bounded, and gives every caller the same report", () => {
    const events: Array<string> = []
    return Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      yield* lifecycle.onShutdownStart(Effect.sync(() => void events.push("start")))
      yield* lifecycle.onShutdownStart(Effect.never)
      yield* lifecycle.onShutdownComplete((report) => Effect.sync(() => void events.push(report.outcome)))
      yield* Effect.fork(lifecycle.run(chain({}, events)))
      yield* lifecycle.ready
      const callers = yield* Effect.fork(Effect.all([lifecycle.shutdown, lifecycle.shutdown], { concurrency: 2 }))
      yield* TestClock.adjust("1 second")
      const [one, other] = yield* Fiber.join(callers)
      assert.strictEqual(one, other)
      assert.deepStrictEqual(events.slice(-6), ["start", "-drain", "-persist", "-close", "-flush", "dirty"])
      assert.deepStrictEqual(
        one.errors.map((error) => error._tag),
        ["HookTimeout"]
      )
    }).pipe(Effect.provide(lifecycleWith({ shutdownTimeout: "45 seconds" })))
  })

  it.effect("calls every listener of the shutdown and ends it although one throws, and says that it failed", () => {
    const events: Array<string> = []
    return Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      lifecycle.onStopping(() => void events.push("first"))
      lifecycle.onStopping(() => {
        throw new Error("no such thing")
      })
      lifecycle.onStopping(() => void events.push("third"))
      const running = yield* Effect.fork(lifecycle.run(chain({})))
      yield* lifecycle.ready
      const report = yield* lifecycle.shutdown
      yield* Fiber.join(running)
      assert.deepStrictEqual(events, ["first", "third"])
      assert.deepInclude(report, { outcome: "failed", exit_code: 1 })
      assert.deepStrictEqual(
        report.phases.map((entry) => entry.outcome),
        ["skipped", "ok", "ok", "ok", "ok"]
      )
      assert.include(report.errors[0]?.message, "no such thing")
    }).pipe(Effect.provide(lifecycleWith({ shutdownTimeout: "45 seconds" })))
  })

  it.effect("calls every listener of a reload although one throws, then ends as after any failure", () => {
    const events: Array<string> = []
    return Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const running = yield* Effect.fork(lifecycle.run(chain({})))
      yield* lifecycle.ready
      process.emit("SIGHUP")
      // What came before anybody listened is not forgotten.
      lifecycle.onReload(() => void events.push("first"))
      assert.deepStrictEqual(events, ["first"])
      lifecycle.onReload(() => {
        throw new Error("no such thing")
      })
      lifecycle.onReload(() => void events.push("third"))
      process.emit("SIGHUP")
      assert.deepStrictEqual(events, ["first", "first", "third"])
      const report = yield* Fiber.join(running)
      assert.deepInclude(report, { outcome: "failed", exit_code: 1, signals: 0 })
      assert.include(report.errors[0]?.message, "no such thing")
    }).pipe(Effect.provide(lifecycleWith({ shutdownTimeout: "45 seconds", hearsSignals: true })))
  })
})
