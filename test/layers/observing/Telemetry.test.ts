import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"
import * as Scope from "effect/Scope"
import type { Decision } from "../../../src/domain/routing/Decision.ts"
import { RouterId } from "../../../src/domain/basics/Ids.ts"
import * as TelemetryMetrics from "../../../src/layers/observing/Telemetry.ts"
import { Lifecycle } from "../../../src/services/running/Lifecycle.ts"
import { FlushTimeout, ShutdownReport } from "../../../src/services/running/ShutdownReport.ts"
import { Telemetry } from "../../../src/services/observing/Telemetry.ts"
import { exposition } from "../../support/exposition.ts"
import { recordOf, small } from "../../support/learningRecords.ts"
import { lifecycleWith } from "../../support/lifecycle.ts"
import { until } from "../../support/traffic.ts"

/** As an exporter that knows nothing of us sees it. */
const exported = (name: string): number | undefined => {
  for (const { metricKey, metricState } of Metric.unsafeSnapshot()) {
    if (metricKey.name === name && MetricState.isGaugeState(metricState)) return Number(metricState.value)
  }
  return undefined
}

const phaseNow = () => {
  return Metric.unsafeSnapshot().flatMap(({ metricKey, metricState }) =>
    metricKey.name === "conduit_lifecycle_phase" && MetricState.isGaugeState(metricState) && metricState.value === 1
      ? metricKey.tags.map(({ value }) => value)
      : []
  )
}

describe("Telemetry", () => {
  it.scoped("reads a gauge at every snapshot, whoever takes it", () =>
    Effect.gen(function* () {
      const telemetry = yield* Telemetry
      let value = 1
      yield* telemetry.gauge("test_read", "a value", () => value, { of: "a" })
      yield* telemetry.gauge("test_read", "a value", () => 10 * value, { of: "b" })
      for (value of [3, 4]) {
        const { value: shown } = exposition(telemetry.render())
        assert.deepStrictEqual([shown("test_read", { of: "a" }), shown("test_read", { of: "b" })], [value, 10 * value])
        assert.include([value, 10 * value], exported("test_read"))
      }
    }).pipe(Effect.provide(TelemetryMetrics.layer))
  )

  it.scoped(
    "asks the newest owner of a gauge, goes back to the one before, and keeps the last value of the last one",
    () =>
      Effect.gen(function* () {
        const telemetry = yield* Telemetry
        const open = (read: () => number) =>
          Effect.gen(function* () {
            const scope = yield* Scope.make()
            yield* Scope.extend(telemetry.gauge("test_owned", "a value", read), scope)
            return Scope.close(scope, Exit.void)
          })
        let asked = 0
        let first = 1
        const closeFirst = yield* open(() => {
          asked++
          return first
        })
        const closeSecond = yield* open(() => 2)
        assert.strictEqual(exported("test_owned"), 2)
        yield* closeSecond
        assert.strictEqual(exported("test_owned"), 1)
        first = 5
        yield* closeFirst
        asked = 0
        first = 6
        assert.strictEqual(exported("test_owned"), 5)
        assert.strictEqual(asked, 0)
        const closeThird = yield* open(() => 7)
        assert.strictEqual(exported("test_owned"), 7)
        yield* closeThird
      }).pipe(Effect.provide(TelemetryMetrics.layer))
  )

  it.scoped("shows the others when one gauge cannot be read", () =>
    Effect.gen(function* () {
      const telemetry = yield* Telemetry
      let isBroken = false
      yield* telemetry.gauge("test_broken", "a value", () => {
        if (isBroken) throw new Error("broken")
        return 4
      })
      assert.strictEqual(exposition(telemetry.render()).value("test_broken"), 4)
      isBroken = true
      const shown = exposition(telemetry.render())
      assert.strictEqual(shown.value("test_broken"), 4)
      assert.strictEqual(shown.sum("conduit_build_info"), 1)
    }).pipe(Effect.provide(TelemetryMetrics.layer))
  )

  it.scoped("tells how late the event loop is", () =>
    Effect.gen(function* () {
      const telemetry = yield* Telemetry
      const late = (percentile: string) =>
        exposition(telemetry.render()).value("conduit_event_loop_delay_seconds", { percentile })
      // The monitor has to look before and after it.
      yield* Effect.promise(() =>
        until(
          "a delay of the event loop is seen",
          () => {
            const blockedUntil = performance.now() + 150
            while (performance.now() < blockedUntil);
            return late("100") >= 0.1
          },
          20_000,
          50
        )
      )
      const { value } = exposition(telemetry.render())
      // Seconds, on a busy machine too.
      assert.isBelow(late("100"), 100)
      assert.isAtMost(late("50"), late("99"))
      assert.isAtMost(late("99"), late("100"))
      assert.isAbove(value("process_resident_memory_bytes"), 10_000_000)
      assert.isAbove(value("nodejs_heap_used_bytes"), 1_000_000)
      assert.approximately(value("process_start_time_seconds"), Date.now() / 1000 - process.uptime(), 2)
      const cpu = value("process_cpu_seconds_total")
      assert.isAbove(cpu, 0.1)
      assert.isAtLeast(exposition(telemetry.render()).value("process_cpu_seconds_total"), cpu)
    }).pipe(Effect.provide(TelemetryMetrics.layer))
  )

  it.effect("follows the life of the process, its shutdown to the end", () => {
    const seen: Array<ReadonlyArray<string>> = []
    const look = Effect.sync(() => void seen.push(phaseNow()))
    const service = Layer.scopedDiscard(
      Effect.gen(function* () {
        const report = yield* ShutdownReport
        yield* look
        yield* Effect.addFinalizer(() =>
          Effect.gen(function* () {
            report.learning.unpersisted = 7
            const onTimeout = () => new FlushTimeout({ limitMs: 1 })
            assert.strictEqual(exported("conduit_learning_unpersisted"), 0)
            yield* report.phase(
              "persist",
              { limit: Duration.seconds(1), onTimeout },
              Effect.zipRight(look, Effect.fail(onTimeout()))
            )
            assert.strictEqual(exported("conduit_learning_unpersisted"), 7)
          })
        )
      })
    ).pipe(Layer.provide(TelemetryMetrics.lifecycleLayer))
    return Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const telemetry = yield* Telemetry
      const errorsBefore = exposition(telemetry.render()).value("conduit_shutdown_errors_total", {
        error: "FlushTimeout"
      })
      const running = yield* Effect.fork(lifecycle.run(service))
      yield* lifecycle.ready
      yield* look
      yield* lifecycle.shutdown
      yield* running.await
      yield* look
      assert.deepStrictEqual(seen, [["starting"], ["running"], ["persist"], ["stopped"]])
      const { samples, value } = exposition(telemetry.render())
      assert.strictEqual(value("conduit_shutdown_errors_total", { error: "FlushTimeout" }), errorsBefore + 1)
      assert.strictEqual(value("conduit_shutdown_errors_total", { error: "DrainTimeout" }), 0)
      assert.deepStrictEqual(
        samples("conduit_shutdown_phase_duration_seconds").map(({ labels }) => labels["phase"]),
        ["persist"]
      )
    }).pipe(Effect.provide(Layer.merge(lifecycleWith({ shutdownTimeout: "5 seconds" }), TelemetryMetrics.layer)))
  })

  it.scoped("takes the entropy of draws alone, as a moving mean", () =>
    Effect.gen(function* () {
      const telemetry = yield* Telemetry
      const { decision } = recordOf(RouterId("entropy"))
      const [a, b] = decision.candidates
      const drawn = (reason: Decision["reason"], first: number): Decision => ({
        ...decision,
        reason,
        candidates: [
          { ...a!, eligible: true, propensity: first },
          { ...b!, eligible: true, propensity: 1 - first }
        ]
      })
      const entropy = () => exposition(telemetry.render()).value("conduit_policy_entropy")
      telemetry.decided(drawn("best", 0.5), 0.001)
      assert.approximately(entropy(), 1, 1e-9)
      for (const reason of ["pinned", "session", "only_eligible", "static"] as const) {
        telemetry.decided(drawn(reason, 1), 0.001)
      }
      assert.approximately(entropy(), 1, 1e-9)
      telemetry.decided(drawn("explore", 1), 0.001)
      assert.approximately(entropy(), 0.5, 1e-9)
      for (let i = 0; i < 1000; i++) telemetry.decided(drawn("best", 0.9), 0.001)
      assert.approximately(entropy(), 0.469, 0.001)
    }).pipe(Effect.provide(TelemetryMetrics.layer))
  )

  it.scoped("counts answers of another model than the one that was asked, by the asked one", () =>
    Effect.gen(function* () {
      const telemetry = yield* Telemetry
      const { decision, outcome } = recordOf(RouterId("served"))
      assert.isNotNull(outcome)
      const counted = () =>
        exposition(telemetry.render()).value("conduit_served_by_other_total", { model: outcome.model })
      const before = counted()
      telemetry.settled(decision, { ...outcome, details: null })
      telemetry.settled(decision, { ...outcome, details: { servedModel: "another" } })
      assert.strictEqual(counted() - before, 1)
    }).pipe(Effect.provide(TelemetryMetrics.layer))
  )

  it.scoped("counts each request once, and makes no series of what clients make up", () =>
    Effect.gen(function* () {
      const telemetry = yield* Telemetry
      const { decision, outcome } = recordOf(RouterId("counting"))
      const route = "/v1/counted"
      const request = (method: string) => {
        telemetry.decided(decision, 0.0001)
        telemetry.called(small, "ok", 0.3)
        if (outcome !== null) telemetry.settled(decision, outcome)
        telemetry.requestEnded(route, method, 200, 0.3)
      }
      const shown = () => exposition(telemetry.render())
      const attempts = ({ value }: ReturnType<typeof shown>) =>
        value("conduit_provider_attempts_total", { model: small, outcome: "ok" })
      const before = shown()
      request("POST")
      request("BREW-0")
      const first = shown()
      for (let i = 1; i <= 1_000; i++) request(i % 2 === 0 ? "POST" : `BREW-${i}`)
      const last = shown()
      assert.deepStrictEqual([...last.series], [...first.series])
      assert.strictEqual(last.value("conduit_requests_total", { route, method: "POST", status: "200" }), 501)
      assert.strictEqual(last.value("conduit_requests_total", { route, method: "other", status: "200" }), 501)
      assert.strictEqual(last.value("conduit_request_duration_seconds_count", { route }), 1_002)
      assert.strictEqual(attempts(last) - attempts(before), 1_002)
    }).pipe(Effect.provide(TelemetryMetrics.layer))
  )
})
