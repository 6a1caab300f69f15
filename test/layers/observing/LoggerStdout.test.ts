import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { RouterId } from "../../../src/domain/basics/Ids.ts"
import * as LoggerStdout from "../../../src/layers/observing/LoggerStdout.ts"
import { Lifecycle } from "../../../src/services/running/Lifecycle.ts"
import { LogFields } from "../../../src/services/observing/LogFields.ts"
import { Output } from "../../../src/services/running/Output.ts"
import { defaults, Settings, type SettingsShape } from "../../../src/services/running/Settings.ts"
import { FlushTimeout, ShutdownReport } from "../../../src/services/running/ShutdownReport.ts"
import { lifecycleWith } from "../../support/lifecycle.ts"

const logged = (
  program: Effect.Effect<unknown, never, Lifecycle | ShutdownReport>,
  options: { readonly log?: Partial<SettingsShape["log"]>; readonly isTerminal?: boolean } = {}
) => {
  const lines: Array<string> = []
  const fields = { routerId: null as RouterId | null }
  const layer = LoggerStdout.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        lifecycleWith({ shutdownTimeout: "1 second" }),
        Layer.succeed(LogFields, fields),
        Layer.succeed(Settings, { ...defaults, log: { ...defaults.log, ...options.log } }),
        Layer.succeed(Output, {
          descriptor: () => 1,
          isTerminal: options.isTerminal ?? false,
          line: (text) => void lines.push(text),
          report: (text) => void lines.push(text)
        })
      )
    )
  )
  // In a runtime of its own: a logger that was replaced would stay with the fiber.
  return Effect.as(
    Effect.promise(() => Effect.runPromise(Effect.provide(program, layer))),
    lines
  )
}

const objects = (lines: ReadonlyArray<string>): ReadonlyArray<Record<string, unknown>> =>
  lines.map((line) => JSON.parse(line))

describe("LoggerStdout", () => {
  it.effect("puts the fields that apply on a line, in one order, and no other", () =>
    Effect.gen(function* () {
      const lines = yield* logged(
        Effect.gen(function* () {
          yield* Effect.logInfo("first")
          const fields = yield* LogFields
          fields.routerId = RouterId("shared")
          yield* Effect.logInfo("second")
          yield* Effect.logWarning("third", { latency_ms: 12, model_id: "small", more: [1] }).pipe(
            Effect.annotateLogs({ decision_id: "d-1", request_id: "r-1" })
          )
        })
      )
      const [first, second, third] = objects(lines)
      assert.deepStrictEqual(Object.keys(first ?? {}), ["time", "level", "message"])
      assert.deepStrictEqual(Object.keys(second ?? {}), ["time", "level", "message", "router_id"])
      assert.deepStrictEqual(Object.entries(third ?? {}).slice(1), [
        ["level", "WARNING"],
        ["message", "third"],
        ["router_id", "shared"],
        ["request_id", "r-1"],
        ["decision_id", "d-1"],
        ["model_id", "small"],
        ["latency_ms", 12],
        ["more", [1]]
      ])
    })
  )

  it.effect("names the trace of the span that a line is written in", () =>
    Effect.gen(function* () {
      let traceId = ""
      const lines = yield* logged(
        Effect.gen(function* () {
          traceId = (yield* Effect.orDie(Effect.currentSpan)).traceId
          yield* Effect.logInfo("inside")
        }).pipe(Effect.withSpan("request"))
      )
      assert.isNotEmpty(traceId)
      assert.strictEqual(objects(lines)[0]?.["trace_id"], traceId)
    })
  )

  it.effect("says the phase from the request of the shutdown on, and only phases that there are", () =>
    Effect.gen(function* () {
      const lines = yield* logged(
        Effect.gen(function* () {
          const lifecycle = yield* Lifecycle
          const report = yield* ShutdownReport
          const running = yield* Effect.fork(
            lifecycle.run(
              Layer.scopedDiscard(
                Effect.addFinalizer(() =>
                  report.phase(
                    "persist",
                    { limit: Duration.seconds(1), onTimeout: () => new FlushTimeout({ limitMs: 1 }) },
                    Effect.logInfo("storing")
                  )
                )
              )
            )
          )
          yield* lifecycle.ready
          yield* Effect.logInfo("serving")
          yield* lifecycle.shutdown
          yield* running.await
        })
      )
      const phases = objects(lines).map(({ message, phase }) => [message, phase])
      assert.deepStrictEqual(phases.slice(0, 3), [
        ["serving", undefined],
        ["Starting graceful shutdown sequence", "settle"],
        ["storing", "persist"]
      ])
    })
  )

  it.effect("writes what its level asks for, and counts what it wrote", () =>
    Effect.gen(function* () {
      const counted = Effect.map(Effect.sync(Metric.unsafeSnapshot), (pairs) =>
        Object.fromEntries(
          pairs.flatMap(({ metricKey, metricState }) =>
            metricKey.name === "conduit_log_messages_total" && "count" in metricState
              ? [[metricKey.tags.map((tag) => `${tag.key}=${tag.value}`).join(), Number(metricState.count)]]
              : []
          )
        )
      )
      const all = Effect.all([
        Effect.logDebug("d"),
        Effect.logInfo("i"),
        Effect.logWarning("w"),
        Effect.logError("e"),
        Effect.logFatal("f")
      ])
      yield* logged(Effect.void)
      const before = yield* counted
      assert.sameMembers(Object.keys(before), ["level=DEBUG", "level=INFO", "level=WARNING", "level=ERROR"])
      const levels = (lines: ReadonlyArray<string>) => objects(lines).map(({ level }) => level)
      assert.deepStrictEqual(levels(yield* logged(all, { log: { level: "WARNING" } })), ["WARNING", "ERROR", "ERROR"])
      assert.deepStrictEqual(levels(yield* logged(all, { log: { level: "DEBUG" } })), [
        "DEBUG",
        "INFO",
        "WARNING",
        "ERROR",
        "ERROR"
      ])
      const after = yield* counted
      const grown = Object.fromEntries(Object.keys(after).map((key) => [key, (after[key] ?? 0) - (before[key] ?? 0)]))
      assert.deepStrictEqual(grown, { "level=DEBUG": 1, "level=INFO": 1, "level=WARNING": 2, "level=ERROR": 4 })
    })
  )

  it.effect("is for people where it is pretty: a table for rows, and nothing that a terminal would obey", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        yield* Effect.logInfo("decided", {
          model_id: "small",
          note: "two words",
          models: ["a", "b"],
          weights: { quality: 0.7, cost: 1 / 3 },
          candidates: [
            { model: "small", eligible: true, excluded_by: null, score: 0.123456 },
            { model: "extra-large", eligible: false, excluded_by: "context", score: 0 }
          ]
        })
        yield* Effect.logError("said \u001b[2J by \u0007 another")
      })
      const pretty = yield* logged(program, { log: { format: "pretty" } })
      assert.deepStrictEqual(pretty, [
        [
          'INFO - decided model_id=small note="two words" models=a,b weights=quality:0.7,cost:0.333333',
          "    model        eligible  excluded_by   score",
          "    small        yes       -            0.1235",
          "    extra-large  no        context           0"
        ].join("\n"),
        "ERROR - said ?[2J by ? another"
      ])
      const [first, second] = yield* logged(program, { log: { format: "pretty" }, isTerminal: true })
      assert.isTrue(first?.startsWith("\u001b[32mINFO\u001b[0m - decided\u001b[2m model_id="))
      assert.isTrue(second?.startsWith("\u001b[31mERROR\u001b[0m - said ?"))
    })
  )
})
