import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import type { Decision } from "../../src/domain/Decision.ts"
import { DecisionId, ModelId, uuidV7From } from "../../src/domain/Ids.ts"
import type { LearningEvent } from "../../src/domain/LearningEvent.ts"
import * as BanditStatePersistent from "../../src/layers/BanditStatePersistent.ts"
import * as DatabaseMemory from "../../src/layers/DatabaseMemory.ts"
import * as LearningLogDatabase from "../../src/layers/LearningLogDatabase.ts"
import { BanditState } from "../../src/services/BanditState.ts"
import { Database, DatabaseError } from "../../src/services/Database.ts"
import { LearningLog } from "../../src/services/LearningLog.ts"
import { ShutdownReport } from "../../src/services/ShutdownReport.ts"
import { defaults } from "../../src/services/Settings.ts"
import { request, surroundings } from "../support/banditParts.ts"
import { memoryLog } from "../support/memoryLog.ts"
import { catalogWith, model } from "../support/scriptedModels.ts"

const a = ModelId("a")
const b = ModelId("b")
const catalog = catalogWith([model("a", { priorQuality: 0.5 }), model("b", { priorQuality: 0.6 })])
const idOf = (n: number) =>
  DecisionId(
    uuidV7From(
      1_000_000 + n,
      Uint8Array.from({ length: 10 }, (_, i) => n + i)
    )
  )
const features = Float32Array.from({ length: 24 }, (_, i) => (i === 0 ? 1 : 0.1))

const judged = (n: number, model: ModelId, quality: number): LearningEvent => ({
  type: "quality",
  decisionId: idOf(n),
  model,
  task: null,
  features,
  decidedAt: 0,
  quality,
  weight: 1,
  previous: null
})
const ran = (n: number, model: ModelId): LearningEvent => ({
  type: "run",
  decisionId: idOf(n),
  model,
  task: null,
  features,
  ok: true,
  logOutputTokens: 4,
  latencyScore: 0.7
})

const ask = (state: BanditState["Type"], n: number, more: Parameters<typeof request>[0] = {}): Decision => {
  const decision = state.decide({
    id: idOf(n),
    createdAtMillis: 1_000_000 + n,
    owner: null,
    request: request(more),
    features,
    isCircuitOpen: () => false
  })
  if ("excluded" in decision) throw decision
  return decision
}

const databaseError = new DatabaseError({ operation: "commit", reason: "disk_full", detail: "53100" })

/** The state over a log that outlives it; `used` runs while it is built. Answers what the shutdown reported. */
const lifeOf = <A, E>(
  log: ReturnType<typeof memoryLog>,
  used: (state: BanditState["Type"]) => Effect.Effect<A, E>,
  models = catalog
) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
    const around = yield* Layer.build(surroundings())
    const result = yield* Layer.build(
      BanditStatePersistent.layer.pipe(
        Layer.provide(log.layer),
        Layer.provide(models),
        Layer.provide(Layer.succeedContext(around))
      )
    ).pipe(
      Effect.flatMap((context) => used(Context.get(context, BanditState))),
      Effect.scoped,
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
    const report = Context.get(around, ShutdownReport)
    return { result, lines, learning: report.learning, ...(yield* report.entries) }
  }).pipe(Effect.scoped)

const limitMs = Duration.toMillis(defaults.shutdown.persistTimeout)

describe("BanditStatePersistent", () => {
  it.effect("remembers after a restart to the last digit, from snapshot and tail", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      const before = yield* lifeOf(log, (state) =>
        Effect.gen(function* () {
          for (let n = 0; n < 60; n++)
            log.append([ran(n, n % 2 === 0 ? a : b), judged(n, n % 2 === 0 ? a : b, n % 2 === 0 ? 0.9 : 0.2)])
          yield* state.caughtUp(log.commits.length)
          return { learned: [state.learned(a), state.learned(b)], decision: ask(state, 1) }
        })
      )
      assert.isAbove(before.result.learned[0]?.quality.mean ?? 0, 0.6)
      assert.strictEqual(before.result.learned[0]?.quality.observations, 30)
      assert.lengthOf(log.snapshots, 1)
      assert.strictEqual(log.snapshots[0]?.watermark, log.commits.length)

      const after = yield* lifeOf(log, (state) =>
        Effect.sync(() => ({ learned: [state.learned(a), state.learned(b)], decision: ask(state, 1) }))
      )
      assert.deepStrictEqual(after.result, before.result)

      // Without any snapshot the whole log is folded, to the same bits.
      log.snapshots.length = 0
      const refolded = yield* lifeOf(log, (state) =>
        Effect.sync(() => ({ learned: [state.learned(a), state.learned(b)], decision: ask(state, 1) }))
      )
      assert.deepStrictEqual(refolded.result, before.result)
    })
  })

  it.effect("tells the log of models that it does not know with their prior, once", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      yield* lifeOf(log, () => Effect.void)
      assert.deepStrictEqual(log.commits[0]?.events, [
        { type: "model", model: a, priorQuality: 0.5 },
        { type: "model", model: b, priorQuality: 0.6 }
      ])
      yield* lifeOf(log, () => Effect.void)
      assert.lengthOf(log.commits, 1)
      yield* lifeOf(
        log,
        () => Effect.void,
        catalogWith([model("a", { priorQuality: 0.9 }), model("b", { priorQuality: 0.6 })])
      )
      assert.deepStrictEqual(log.commits[1]?.events, [{ type: "model", model: a, priorQuality: 0.9 }])
    })
  })

  it.effect("takes the snapshot before a damaged one, and says so", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      yield* lifeOf(log, () => Effect.void)
      const before = yield* lifeOf(log, (state) =>
        Effect.gen(function* () {
          const position = log.append([judged(1, a, 0.9)])
          yield* state.caughtUp(position)
          return state.learned(a)
        })
      )
      assert.lengthOf(log.snapshots, 2)
      const newest = log.snapshots[1]
      if (newest !== undefined) newest.state[100] = (newest.state[100] ?? 0) ^ 1
      const after = yield* lifeOf(log, (state) => Effect.sync(() => state.learned(a)))
      assert.deepStrictEqual(after.result, before.result)
      assert.isTrue(after.lines.some((line) => line.startsWith("WARN the snapshot at position 2 is damaged")))
    })
  })

  it.effect("stores what is pending at the end, and counts it", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      const { learning, lines, phases } = yield* lifeOf(log, (state) =>
        Effect.flatMap(LearningLog, (service) =>
          Effect.sync(() => service.offer({ decision: ask(state, 1), attempts: [], outcome: null }))
        ).pipe(Effect.provide(log.layer))
      )
      assert.deepStrictEqual(learning, { pending: 1, persisted: 1, unpersisted: 0, watermark: 1 })
      assert.strictEqual(phases.find((phase) => phase.phase === "persist")?.outcome, "ok")
      assert.deepStrictEqual(lines, [
        "INFO Phase 2/3: Persisting bandit state",
        "INFO Bandit state persisted successfully"
      ])
    })
  })

  const offerTwo = (log: ReturnType<typeof memoryLog>, then: () => void) => (state: BanditState["Type"]) =>
    Effect.flatMap(LearningLog, (service) =>
      Effect.sync(() => {
        for (const n of [1, 2]) service.offer({ decision: ask(state, n), attempts: [], outcome: null })
        then()
      })
    ).pipe(Effect.provide(log.layer))

  it.effect("reports a flush that hangs, at its limit", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      const fiber = yield* Effect.fork(
        lifeOf(
          log,
          offerTwo(log, () => (log.faults.hangs = true))
        )
      )
      yield* TestClock.adjust(limitMs)
      const { errors, learning, lines, phases } = yield* Fiber.join(fiber)
      assert.deepInclude(errors[0], { _tag: "PersistTimeout", unpersisted: 2, limitMs })
      assert.strictEqual(phases.find((phase) => phase.phase === "persist")?.outcome, "timeout")
      assert.deepInclude(learning, { pending: 2, persisted: 0, unpersisted: 2 })
      assert.strictEqual(
        lines.at(-1),
        `ERROR Failed to persist router state: persisting did not end within ${limitMs} ms; 2 event(s) not stored`
      )
    })
  })

  it.effect("gives up a little before the limit when the database answers errors, with their reason", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      const fiber = yield* Effect.fork(
        lifeOf(
          log,
          offerTwo(log, () => (log.faults.error = databaseError))
        )
      )
      yield* TestClock.adjust(limitMs * 0.9)
      const { errors, learning, lines, phases } = yield* Fiber.join(fiber)
      assert.deepInclude(errors[0], { _tag: "PersistFailed", reason: "disk_full", unpersisted: 2 })
      assert.strictEqual(phases.find((phase) => phase.phase === "persist")?.outcome, "failed")
      assert.deepInclude(learning, { pending: 2, persisted: 0, unpersisted: 2 })
      assert.match(lines.at(-1) ?? "", /^ERROR Failed to persist router state: commit: disk_full/)
    })
  })

  it.effect("reports a snapshot that fails as a failure that lost nothing", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      const { errors, learning } = yield* lifeOf(
        log,
        offerTwo(log, () => (log.faults.snapshotError = databaseError))
      )
      assert.deepInclude(errors[0], { _tag: "PersistFailed", reason: "disk_full", unpersisted: 0 })
      assert.deepInclude(learning, { pending: 2, persisted: 2, unpersisted: 0 })
    })
  })

  it.effect("stores a snapshot every minute in which something was folded", () => {
    const log = memoryLog()
    return lifeOf(log, (state) =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 minute")
        assert.lengthOf(log.snapshots, 1)
        yield* TestClock.adjust("1 minute")
        assert.lengthOf(log.snapshots, 1)
        yield* state.caughtUp(log.append([judged(1, a, 1)]))
        yield* TestClock.adjust("1 minute")
        assert.lengthOf(log.snapshots, 2)
      })
    )
  })

  it.effect(
    "decides by the order of the configuration when the learning dies, says so once, and keeps the good snapshot",
    () => {
      const log = memoryLog()
      return Effect.gen(function* () {
        yield* lifeOf(log, () => Effect.void)
        const saved = log.snapshots.length
        const broken: LearningEvent = Object.defineProperty({ ...ran(1, a) }, "features", {
          get: () => {
            throw new Error("cosmic ray")
          }
        })
        const { lines, result } = yield* lifeOf(log, (state) =>
          Effect.gen(function* () {
            yield* state.caughtUp(log.append([broken]))
            return [ask(state, 1), ask(state, 2)]
          })
        )
        assert.deepStrictEqual(
          result.map((decision) => [decision.chosen as string, decision.reason, decision.policy.algorithm]),
          [
            ["a", "static", "static"],
            ["a", "static", "static"]
          ]
        )
        assert.lengthOf(
          lines.filter((line) => line.startsWith("ERROR the learning failed")),
          1
        )
        assert.lengthOf(log.snapshots, saved)
      })
    }
  )

  it.effect("keeps a session's model, and pins what is asked for, with certainty", () => {
    const log = memoryLog()
    return lifeOf(log, (state) =>
      Effect.sync(() => {
        const first = ask(state, 1, { sessionId: "s" })
        for (let n = 2; n < 40; n++) {
          assert.deepInclude(ask(state, n, { sessionId: "s" }), {
            chosen: first.chosen,
            reason: "session",
            propensity: 1
          })
        }
        assert.deepInclude(ask(state, 50, { pinned: b }), { chosen: b, reason: "pinned", propensity: 1 })
      })
    )
  })

  it.effect("makes the same decision of the same request, from the row alone", () => {
    const log = memoryLog()
    return lifeOf(log, (state) =>
      Effect.sync(() => {
        const decision = ask(state, 7)
        assert.deepStrictEqual(ask(state, 7), decision)
        assert.strictEqual(decision.seed, "seed")
        assert.closeTo(
          decision.candidates.reduce((sum, c) => sum + c.propensity, 0),
          1,
          1e-5
        )
      })
    )
  })

  it.live("remembers over a real log and database", () =>
    Effect.gen(function* () {
      const database = yield* Layer.build(DatabaseMemory.layer)
      const around = yield* Layer.build(surroundings())
      const life = <A>(
        use: (state: BanditState["Type"], log: LearningLog["Type"]) => Effect.Effect<A, DatabaseError>
      ) =>
        Layer.build(
          BanditStatePersistent.layer.pipe(
            Layer.provideMerge(LearningLogDatabase.layer),
            Layer.provide(catalog),
            Layer.provide(Layer.succeedContext(Context.merge(database, around)))
          )
        ).pipe(
          Effect.flatMap((context) => use(Context.get(context, BanditState), Context.get(context, LearningLog))),
          Effect.scoped
        )
      const before = yield* life((state, log) =>
        Effect.gen(function* () {
          const position = yield* log.append([judged(1, a, 1), judged(2, b, 0.1), ran(1, a)])
          yield* state.caughtUp(position)
          return { a: state.learned(a), b: state.learned(b), position: state.position() }
        })
      )
      assert.strictEqual(before.a.quality.observations, 1)
      const after = yield* life((state) =>
        Effect.sync(() => ({ a: state.learned(a), b: state.learned(b), position: state.position() }))
      )
      assert.deepStrictEqual(after, before)
      assert.isDefined(Context.get(database, Database))
    }).pipe(Effect.scoped)
  )
})
