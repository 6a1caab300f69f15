import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as ShutdownReportJson from "../../../src/layers/running/ShutdownReportJson.ts"
import { PersistTimeout } from "../../../src/services/learning/BanditState.ts"
import { ShutdownReport } from "../../../src/services/running/ShutdownReport.ts"

const limit = Duration.seconds(3)
const onTimeout = () => new PersistTimeout({ limitMs: 3000, unpersisted: 7 })
const facts = { signal: "SIGTERM", signals: 1, durationSeconds: 0.5, failed: false }

/** As finalizers run: uninterruptibly, in a fiber that is interrupted already. */
const asFinalizer = <A>(effect: Effect.Effect<A>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.onInterrupt(Effect.never, () => effect))
    yield* Effect.yieldNow()
    yield* Fiber.interrupt(fiber)
  })

const hangs = {
  "that never ends": Effect.never,
  "that never ends and ignores interruption": Effect.uninterruptible(Effect.never),
  "that waits for a promise that never settles": Effect.promise(() => new Promise<void>(() => {}))
}

describe("ShutdownReportJson", () => {
  for (const [name, hang] of Object.entries(hangs)) {
    it.effect(`ends a step ${name} at its limit, with the step's own error`, () =>
      Effect.gen(function* () {
        const report = yield* ShutdownReport
        const fiber = yield* Effect.fork(asFinalizer(report.phase("persist", { limit, onTimeout }, hang)))
        yield* TestClock.adjust(Duration.millis(2_999))
        assert.deepStrictEqual((yield* report.entries).phases, [])
        yield* TestClock.adjust(Duration.millis(1))
        yield* Fiber.join(fiber)
        const { errors, phases } = yield* report.entries
        assert.deepStrictEqual(phases, [{ phase: "persist", outcome: "timeout", took_ms: 3000, limit_ms: 3000 }])
        assert.deepInclude(errors[0], { _tag: "PersistTimeout", phase: "persist", unpersisted: 7, limitMs: 3000 })
      }).pipe(Effect.provide(ShutdownReportJson.layer))
    )
  }

  it.effect("gives what runs and what comes two seconds after a second signal", () =>
    Effect.gen(function* () {
      const report = yield* ShutdownReport
      const both = Effect.zipRight(
        report.phase("persist", { limit: Duration.seconds(60), onTimeout }, Effect.uninterruptible(Effect.never)),
        report.phase("close", { limit: Duration.seconds(60), onTimeout }, Effect.never)
      )
      const fiber = yield* Effect.fork(asFinalizer(both))
      yield* TestClock.adjust("10 seconds")
      report.force()
      yield* TestClock.adjust("2 seconds")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      const { phases } = yield* report.entries
      assert.deepStrictEqual(
        phases.map(({ outcome, took_ms }) => ({ outcome, took_ms })),
        [
          { outcome: "timeout", took_ms: 12_000 },
          { outcome: "timeout", took_ms: 2_000 }
        ]
      )
    }).pipe(Effect.provide(ShutdownReportJson.layer))
  )

  it.effect("records a bug in a step and goes on", () =>
    Effect.gen(function* () {
      const report = yield* ShutdownReport
      const isOk = yield* report.phase("drain", { limit, onTimeout }, Effect.die(new Error("boom")))
      assert.isFalse(isOk)
      assert.isTrue(yield* report.phase("persist", { limit, onTimeout }, Effect.void))
      const { errors, phases } = yield* report.entries
      assert.deepStrictEqual(
        phases.map((entry) => entry.outcome),
        ["failed", "ok"]
      )
      assert.include(errors[0]?.message, "boom")
    }).pipe(Effect.provide(ShutdownReportJson.layer))
  )

  it.effect("names every phase in order and keeps the sums, whatever has run", () =>
    Effect.gen(function* () {
      const report = yield* ShutdownReport
      report.requests.in_flight_at_signal = 3
      report.requests.accepted_during_settle = 2
      report.requests.drained = 4
      report.backlog(() => ({ pending: 5, dropped: 0 }))
      const last = report.render(facts)
      assert.deepStrictEqual(
        last.phases.map((entry) => entry.phase),
        ["settle", "drain", "persist", "close", "flush"]
      )
      assert.strictEqual(last.requests.interrupted, 1)
      assert.deepInclude(last.learning, { pending: 5, persisted: 0, unpersisted: 5 })
      assert.deepInclude(last, { outcome: "dirty", exit_code: 3 })
    }).pipe(Effect.provide(ShutdownReportJson.layer))
  )

  it.effect("answers the table of outcomes and exit codes", () =>
    Effect.gen(function* () {
      const report = yield* ShutdownReport
      const verdict = (over: Partial<typeof facts>) => {
        const { exit_code, outcome } = report.render({ ...facts, ...over })
        return [outcome, exit_code]
      }
      assert.deepStrictEqual(verdict({}), ["clean", 0])
      assert.deepStrictEqual(verdict({ failed: true }), ["failed", 1])
      assert.deepStrictEqual(verdict({ signals: 2 }), ["forced", 2])
      report.backlog(() => ({ pending: 1, dropped: 0 }))
      assert.deepStrictEqual(verdict({}), ["dirty", 3])
      assert.deepStrictEqual(verdict({ signals: 2 }), ["forced", 3])
      report.backlog(() => ({ pending: 0, dropped: 2 }))
      assert.deepStrictEqual(verdict({}), ["dirty", 3])
      report.backlog(() => ({ pending: 0, dropped: 0 }))
      report.error("close", onTimeout())
      assert.deepStrictEqual(verdict({}), ["dirty", 2])
    }).pipe(Effect.provide(ShutdownReportJson.layer))
  )
})
