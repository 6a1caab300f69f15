import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { Decision } from "../../../src/domain/routing/Decision.ts"
import * as Binary from "../../../src/domain/basics/Binary.ts"
import { DecisionId, ModelId, uuidV7From } from "../../../src/domain/basics/Ids.ts"
import type { LearningEvent } from "../../../src/domain/learning/LearningEvent.ts"
import * as BanditStatePersistent from "../../../src/layers/learning/BanditStatePersistent.ts"
import * as DatabaseMemory from "../../../src/layers/storage/memory/DatabaseMemory.ts"
import * as LearningLogDatabase from "../../../src/layers/learning/LearningLogDatabase.ts"
import * as LogReaderDatabase from "../../../src/layers/learning/LogReaderDatabase.ts"
import { noMoreRates } from "../../../src/domain/routing/Cost.ts"
import { BanditState, type DecideInput } from "../../../src/services/learning/BanditState.ts"
import { Database, DatabaseError } from "../../../src/services/storage/Database.ts"
import { LearningLog } from "../../../src/services/learning/LearningLog.ts"
import { Lifecycle } from "../../../src/services/running/Lifecycle.ts"
import type { Session } from "../../../src/services/routing/Sessions.ts"
import { ShutdownReport } from "../../../src/services/running/ShutdownReport.ts"
import { defaults } from "../../../src/services/running/Settings.ts"
import { changingCatalog } from "../../support/catalog.ts"
import { request, surroundings } from "../../support/banditParts.ts"
import { memoryLog } from "../../support/memoryLog.ts"
import { catalogFrom, catalogWith, model } from "../../support/scriptedModels.ts"

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

const ask = (
  state: BanditState["Type"],
  n: number,
  more: Parameters<typeof request>[0] = {},
  session: Session | null = null,
  over: Partial<DecideInput> = {}
): Decision => {
  const decision = state.decide({
    id: idOf(n),
    createdAtMillis: 1_000_000 + n,
    owner: null,
    request: request(more),
    features,
    session,
    isToolResult: false,
    cacheHits: () => 0.9,
    lacks: () => null,
    inputTokens: () => 10,
    barrier: () => null,
    ...over
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

/** Lets other fibers run until it is so; a thousand turns are the limit. */
const until = (isSo: () => boolean) =>
  Effect.gen(function* () {
    for (let turn = 0; turn < 1000 && !isSo(); turn++) yield* Effect.yieldNow()
    assert.isTrue(isSo())
  })

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

  it.effect("says so when it must refold a log whose beginning was deleted", () => {
    const log = memoryLog()
    log.commits.push({ position: 5, events: [{ type: "model", model: a, priorQuality: 0.5 }] })
    return Effect.gen(function* () {
      const { lines, result } = yield* lifeOf(log, (state) => Effect.sync(() => state.position()))
      assert.isAtLeast(result, 5)
      assert.include(
        lines[0],
        "WARN no snapshot of this policy can be used, and the learning log begins at position 5 of 5"
      )
      const again = yield* lifeOf(log, () => Effect.void)
      assert.isEmpty(again.lines.filter((line) => line.startsWith("WARN")))
    })
  })

  it.effect(
    "does not replace snapshots that it cannot use by what an incomplete log folds to, and says what to do",
    () => {
      const log = memoryLog()
      log.commits.push({ position: 5, events: [{ type: "model", model: a, priorQuality: 0.5 }] })
      const damaged = { watermark: 4, state: Uint8Array.of(1, 2, 3) }
      log.snapshots.push(damaged)
      const life = lifeOf(log, (state) =>
        Effect.gen(function* () {
          yield* state.caughtUp(log.append([judged(1, a, 0.9), ...Array.from({ length: 20_000 }, (_, n) => ran(n, a))]))
          yield* TestClock.adjust("3 minutes")
          return state.learned(a)
        })
      )
      return Effect.gen(function* () {
        const { errors, lines, result } = yield* life
        assert.strictEqual(result.quality.observations, 1)
        assert.deepStrictEqual(log.snapshots, [damaged])
        assert.match(
          lines.find((line) => line.startsWith("ERROR")) ?? "",
          /^ERROR no snapshot .* begins at position 5 of 5: .*`conduit state import FILE --yes`.*`conduit state reset --all --yes`$/
        )
        assert.isEmpty(errors)
        assert.notInclude(lines, "INFO Bandit state persisted successfully")
        assert.include(lines.at(-1), "WARN What was learned since the start is in the learning log")

        // What it learned is in the log indeed; and a log that is whole replaces them.
        const again = yield* lifeOf(log, (state) => Effect.sync(() => state.learned(a)))
        assert.deepStrictEqual(again.result, result)
        log.commits.splice(
          0,
          1,
          ...[1, 2, 3, 4, 5].map((position) => ({ position, events: [judged(position, a, 0.1)] }))
        )
        const whole = yield* lifeOf(log, () => Effect.void)
        assert.isEmpty(whole.lines.filter((line) => line.startsWith("ERROR")))
        assert.strictEqual(whole.lines.at(-1), "INFO Bandit state persisted successfully")
        assert.strictEqual(log.snapshots.at(-1)?.watermark, log.commits.at(-1)?.position)
      })
    }
  )

  it.effect("does not fold over a hole between a good snapshot and the log", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      yield* lifeOf(log, () => Effect.void)
      const stored = log.snapshots.map(({ watermark }) => watermark)
      assert.isNotEmpty(stored)
      log.commits.splice(0, log.commits.length, { position: 9, events: [judged(1, a, 0.9)] })
      const { lines } = yield* lifeOf(log, (state) => Effect.sync(() => state.learned(a)))
      assert.isTrue(lines.some((line) => /^WARN the snapshot at position 1 .* begins at 9/.test(line)))
      assert.isTrue(lines.some((line) => line.startsWith("ERROR no snapshot of this policy can be used")))
      assert.deepStrictEqual(
        log.snapshots.map(({ watermark }) => watermark),
        stored
      )
    })
  })

  it.effect(
    "begins with a snapshot that ends exactly where what is left of the log begins, and with none before",
    () => {
      const log = memoryLog()
      return Effect.gen(function* () {
        const life = (n: number) =>
          lifeOf(log, (state) =>
            Effect.as(state.caughtUp(log.append([judged(n, a, 0.9)])), undefined).pipe(
              Effect.map(() => state.learned(a).quality.observations)
            )
          )
        yield* life(1)
        yield* life(2)
        const watermark = log.commits.length
        assert.deepStrictEqual(
          log.snapshots.map((snapshot) => snapshot.watermark),
          [watermark - 1, watermark]
        )
        yield* life(3)
        log.snapshots.splice(2)
        // Everything up to the newer snapshot is pruned.
        log.commits.splice(0, watermark)
        const again = yield* lifeOf(log, (state) => Effect.sync(() => state.learned(a).quality.observations))
        assert.strictEqual(again.result, 3)
        assert.isEmpty(again.lines.filter((line) => /^(WARN|ERROR)/.test(line)))
        // Of a log of which nothing is left, the one at its end.
        const [rest] = log.commits.splice(0)
        assert.isDefined(rest)
        log.end(rest.position)
        log.snapshots.push({ ...log.snapshots[1]!, watermark: rest.position })
        const whole = yield* lifeOf(log, (state) => Effect.sync(() => state.learned(a).quality.observations))
        assert.strictEqual(whole.result, 2)
        assert.isEmpty(whole.lines.filter((line) => /^(WARN|ERROR)/.test(line)))
        log.snapshots.splice(2)
        log.commits.push(rest)
        // The older one leaves a hole of one commit.
        log.snapshots.splice(1)
        const hole = yield* lifeOf(log, () => Effect.void)
        assert.isTrue(
          hole.lines.some((line) => line.startsWith(`WARN the snapshot at position ${watermark - 1} does not meet`))
        )
      })
    }
  )

  it.effect("waits for a position to be folded for a second, and no longer", () => {
    const log = memoryLog()
    return lifeOf(log, (state) =>
      Effect.gen(function* () {
        const waiting = yield* Effect.fork(state.caughtUp(state.position() + 1))
        yield* TestClock.adjust("999 millis")
        assert.isNull(Option.getOrNull(yield* Fiber.poll(waiting)))
        yield* TestClock.adjust("1 millis")
        assert.isNotNull(Option.getOrNull(yield* Fiber.poll(waiting)))
        const folded = yield* Effect.fork(state.caughtUp(state.position() + 1))
        yield* TestClock.adjust("500 millis")
        log.append([judged(1, a, 1)])
        yield* TestClock.adjust(0)
        assert.isNotNull(Option.getOrNull(yield* Fiber.poll(folded)))
      })
    )
  })

  /** The log, whose database is away for so many appends after it stored the first one; without limit for ever. */
  const forgetful = (log: ReturnType<typeof memoryLog>, failures: number) => {
    const away = new DatabaseError({ operation: "commit", reason: "connection", detail: "away" })
    let left = failures
    const layer = Layer.effect(
      LearningLog,
      Effect.map(LearningLog, (service) =>
        LearningLog.of({
          ...service,
          append: (events) =>
            Effect.suspend(() => {
              if (left-- <= 0) return service.append(events)
              return left === failures - 1 && Number.isFinite(failures)
                ? Effect.zipRight(service.append(events), Effect.fail(away))
                : Effect.fail(away)
            })
        })
      )
    ).pipe(Layer.provideMerge(log.layer))
    return { ...log, layer }
  }

  it.effect("tells the log of its models once, though the first answer got lost", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      const living = yield* Effect.fork(lifeOf(forgetful(log, 1), (state) => Effect.sync(() => state.position())))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(living)).result, 1)
      assert.lengthOf(log.commits, 1)
    })
  })

  it.effect("gives the start up when the database stays away for the deadline, with its reason", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      const starting = yield* Effect.fork(Effect.flip(lifeOf(forgetful(log, Infinity), () => Effect.void)))
      yield* TestClock.adjust(Duration.subtract(defaults.database.connectDeadline, "2 seconds"))
      assert.isNull(Option.getOrNull(yield* Fiber.poll(starting)))
      yield* TestClock.adjust("4 seconds")
      assert.deepInclude(yield* Fiber.join(starting), { _tag: "DatabaseError", reason: "connection" })
    })
  })

  it.effect("stores what is pending at the end, and counts it", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      const { learning, lines, phases } = yield* lifeOf(log, (state) =>
        Effect.flatMap(LearningLog, (service) =>
          Effect.sync(() => service.offer({ decision: ask(state, 1), attempts: [], outcome: null, prompt: null }))
        ).pipe(Effect.provide(log.layer))
      )
      assert.deepStrictEqual(learning, { pending: 1, persisted: 1, unpersisted: 0, dropped: 0, watermark: 1 })
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
        for (const n of [1, 2]) service.offer({ decision: ask(state, n), attempts: [], outcome: null, prompt: null })
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

  it.effect("reports what was lost before the shutdown, apart from what is pending now", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      const { errors, learning } = yield* lifeOf(
        log,
        offerTwo(log, () => (log.faults.dropped = 3))
      )
      assert.deepInclude(learning, { pending: 2, persisted: 2, unpersisted: 0, dropped: 3 })
      assert.deepInclude(errors[0], { _tag: "OutcomesDropped", phase: null, dropped: 3 })
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
          lines.filter((line) => line.startsWith("ERROR")),
          1
        )
        assert.lengthOf(log.snapshots, saved)
        assert.strictEqual(
          lines.at(-1),
          "WARN What was learned since the start is in the learning log; its fold stopped, so no snapshot of it is stored"
        )
      })
    }
  )

  it.effect("says when the learning begins to fail and when it works again, however often it comes and goes", () => {
    const log = memoryLog()
    let isBroken = false
    const weights = Object.defineProperty({ ...request().weights }, "quality", {
      get: () => {
        if (isBroken) throw new Error("cosmic ray")
        return 1
      }
    })
    return Effect.gen(function* () {
      const { lines } = yield* lifeOf(log, (state) =>
        Effect.gen(function* () {
          for (let second = 0; second < 20; second++) {
            isBroken = true
            // The static order composes a score from the weights too.
            assert.throws(() => ask(state, second, { weights }))
            isBroken = false
            ask(state, second, { weights })
            yield* TestClock.adjust("1 second")
          }
          yield* TestClock.adjust("9 seconds")
          ask(state, 30)
          ask(state, 31)
        })
      )
      assert.deepStrictEqual(
        lines.filter((line) => line.includes("the learning")),
        [
          "ERROR the learning failed: the order of the configuration decides,Error: cosmic ray",
          "INFO the learning decides again after 29.0s: 20 decision(s) were made without it"
        ]
      )
    })
  })

  it.effect("says once that snapshots are not stored, and nothing where the database is away anyway", () => {
    const log = memoryLog()
    const minutes = (state: BanditState["Type"], count: number) =>
      Effect.gen(function* () {
        for (let n = 0; n < count; n++) {
          yield* state.caughtUp(log.append([ran(n, a)]))
          yield* TestClock.adjust("1 minute")
        }
      })
    return Effect.gen(function* () {
      const { lines } = yield* lifeOf(log, (state) =>
        Effect.gen(function* () {
          const away = new DatabaseError({ operation: "commit", reason: "connection", detail: "refused" })
          log.faults.error = away
          log.faults.snapshotError = away
          yield* minutes(state, 3)
          log.faults.error = null
          log.faults.snapshotError = null
          yield* minutes(state, 2)
          log.faults.snapshotError = databaseError
          yield* minutes(state, 4)
          log.faults.snapshotError = null
          yield* minutes(state, 2)
        })
      )
      assert.deepStrictEqual(
        lines.filter((line) => line.includes("snapshot")),
        [
          "WARN the snapshot at position 7 is not stored: commit: disk_full (53100)",
          "INFO snapshots are stored again after 240.0s: 4 failed attempt(s)"
        ]
      )
    })
  })

  it.effect("keeps a session's model until the evidence changes, and pins what is asked for, with certainty", () => {
    const log = memoryLog()
    return lifeOf(log, (state) =>
      Effect.gen(function* () {
        const inSession = { sessionId: "s" }
        for (const model of [a, b]) {
          assert.strictEqual(state.epoch(model), 0)
          const session = { model, epoch: 0 }
          for (let n = 2; n < 20; n++) {
            const decision = ask(state, n, inSession, session)
            assert.deepInclude(decision, { chosen: model, reason: "session", propensity: 1 })
          }
        }
        yield* state.caughtUp(log.append([{ type: "reset", model: a }]))
        assert.deepStrictEqual([state.epoch(a), state.epoch(b)], [1, 0])
        assert.notStrictEqual(ask(state, 30, inSession, { model: a, epoch: 0 }).reason, "session")
        assert.strictEqual(ask(state, 30, inSession, { model: b, epoch: 0 }).reason, "session")
        // Chosen by a replica that has folded more.
        assert.deepInclude(ask(state, 30, inSession, { model: a, epoch: 2 }), { chosen: a, reason: "session" })

        yield* state.caughtUp(log.append([{ type: "availability", model: a, enabled: false }]))
        assert.deepInclude(ask(state, 30, inSession, { model: a, epoch: 1 }), { chosen: b, reason: "only_eligible" })
        yield* state.caughtUp(log.append([{ type: "availability", model: a, enabled: true }]))
        assert.deepInclude(ask(state, 50, { pinned: b }), { chosen: b, reason: "pinned", propensity: 1 })
      })
    )
  })

  it.effect("weighs the turns of a session with what is cached, within the budget of switching", () => {
    const caching = { ...noMoreRates, cachedInputUsdPerMTok: 0.3 }
    const price = { inputUsdPerMTok: 3, outputUsdPerMTok: 4, moreRates: caching }
    const models = [model("a", { priorQuality: 0.5, ...price }), model("b", { priorQuality: 0.55, ...price })]
    const turn = { prefixTokens: 100_000, atMillis: 1_000_000, first: a, bill: { paidUsd: 1, stayUsd: 1 } }
    const long = { inputTokens: () => 100_500 }
    const used = (state: BanditState["Type"]) =>
      Effect.sync(() => {
        const decided = (n: number, more: Partial<DecideInput> = {}, session: Session = { model: a, epoch: 0, turn }) =>
          ask(state, n, { sessionId: `s${n}` }, session, { ...long, ...more })
        const turns = Array.from({ length: 60 }, (_, n) => n + 2)
        // Warm: the other one would read all of it anew. What is not by chance stays, and is a choice with its propensity.
        const warm = turns.map((n) => decided(n))
        assert.isAtLeast(warm.filter(({ chosen }) => chosen === a).length, 56)
        assert.isTrue(warm.every(({ reason }) => reason !== "session"))
        for (const { candidates, chosen, propensity, turn: noted } of warm) {
          const [one, other] = candidates
          const expected = (0.9 * 100_000 * 0.3 + 0.1 * 100_000 * 3 + 500 * 3) / 1e6
          assert.isAtLeast(one!.costUsd!, expected)
          assert.isBelow(one!.costUsd!, expected + 0.005)
          assert.isAbove(other!.costUsd!, 0.3)
          assert.isBelow(other!.conversationUsd!, other!.costUsd!)
          assert.closeTo(
            candidates.reduce((sum, one) => sum + one.propensity, 0),
            1,
            1e-5
          )
          assert.closeTo(propensity, candidates.find(({ model }) => model === chosen)!.propensity, 1e-5)
          assert.strictEqual(noted!.first, a)
          const { costUsd } = candidates.find(({ model }) => model === chosen)!
          assert.closeTo(noted!.bill.paidUsd, 1 + costUsd!, 1e-5)
          assert.closeTo(noted!.bill.stayUsd, 1 + one!.costUsd!, 1e-5)
        }
        // Cold: the better one is free to take, but for the way back, which a small budget does not allow.
        const cold = { createdAtMillis: 1_000_000 + 6 * 60_000 }
        assert.isTrue(turns.every((n) => decided(n, cold).candidates[1]!.excludedBy === "switch_budget"))
        const rich = { ...turn, bill: { paidUsd: 10, stayUsd: 10 } }
        const free = turns.map((n) => decided(n, cold, { model: a, epoch: 0, turn: rich }).chosen)
        assert.isAbove(free.filter((chosen) => chosen === b).length, 5)
        // Who was away has to go back before it is too dear.
        const away = { ...turn, bill: { paidUsd: 11.1, stayUsd: 10 } }
        for (const n of turns) {
          const { candidates, chosen } = decided(n, {}, { model: b, epoch: 0, turn: away })
          assert.deepStrictEqual([chosen, candidates[1]!.excludedBy], [a, "switch_budget"])
        }
        // A tool's result belongs to the model that made the call.
        const called = decided(2, { isToolResult: true }, { model: b, epoch: 0, turn: rich })
        assert.deepInclude(called, { chosen: b, reason: "session", propensity: 1 })
        // The first turn begins the bill, and nothing is weighed for who names a model.
        const first = ask(state, 2, { sessionId: "new" }, null, long)
        assert.strictEqual(first.turn!.first, first.chosen)
        assert.strictEqual(first.turn!.bill.paidUsd, first.turn!.bill.stayUsd)
        assert.isUndefined(ask(state, 2, { sessionId: "new", pinned: b }, null, long).turn)
        assert.isUndefined(ask(state, 2).candidates[0]!.conversationUsd)
      })
    return lifeOf(memoryLog(), used, catalogWith(models, { switchBudget: 0.1 }))
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

  it.effect("leaves a model out that an operator disabled, remembers it, and takes it back", () => {
    const log = memoryLog()
    const chosen = (state: BanditState["Type"]) =>
      new Set(Array.from({ length: 40 }, (_, n) => ask(state, n).chosen as string))
    return Effect.gen(function* () {
      const before = yield* lifeOf(log, (state) =>
        Effect.gen(function* () {
          log.append([judged(1, a, 0.8), judged(2, b, 0.8)])
          const learned = yield* Effect.map(state.caughtUp(log.commits.length), () => state.learned(a))
          const all = chosen(state)
          yield* state.caughtUp(log.append([{ type: "availability", model: a, enabled: false }]))
          const decision = ask(state, 1, { sessionId: "s" })
          assert.strictEqual(decision.candidates.find((c) => c.model === a)?.excludedBy, "disabled")
          return { all, learned, left: chosen(state), after: state.learned(a), isDisabled: state.isDisabled(a) }
        })
      )
      assert.deepStrictEqual([...before.result.all].toSorted(), ["a", "b"])
      assert.deepStrictEqual([...before.result.left], ["b"])
      assert.isTrue(before.result.isDisabled)
      assert.deepStrictEqual(before.result.after, before.result.learned)

      const again = yield* lifeOf(log, (state) =>
        Effect.gen(function* () {
          const left = chosen(state)
          yield* state.caughtUp(log.append([{ type: "availability", model: a, enabled: true }]))
          return { left, all: chosen(state) }
        })
      )
      assert.deepStrictEqual([...again.result.left], ["b"])
      assert.deepStrictEqual([...again.result.all].toSorted(), ["a", "b"])
    })
  })

  it.effect("keeps a disabled model out when the learning dies, too", () => {
    const log = memoryLog()
    return lifeOf(log, (state) =>
      Effect.gen(function* () {
        const broken: LearningEvent = Object.defineProperty({ ...ran(1, a) }, "features", {
          get: () => {
            throw new Error("cosmic ray")
          }
        })
        log.append([{ type: "availability", model: a, enabled: false }])
        yield* state.caughtUp(log.append([broken]))
        assert.deepInclude(ask(state, 1), { chosen: b, reason: "static" })
      })
    )
  })

  it.effect("skips a snapshot of an older version, says so, and folds the log instead", () => {
    const log = memoryLog()
    return Effect.gen(function* () {
      const before = yield* lifeOf(log, (state) =>
        Effect.as(state.caughtUp(log.append([judged(1, a, 0.9)])), state).pipe(Effect.map((state) => state.learned(a)))
      )
      // Version 1 began with the number of answers: the checksum holds, the header is missing.
      const old = Binary.writer()
      Binary.writeVarint(old, 0)
      log.snapshots.splice(0, 1, { watermark: log.commits.length, state: Binary.sealed(old) })
      const after = yield* lifeOf(log, (state) => Effect.sync(() => state.learned(a)))
      assert.deepStrictEqual(after.result, before.result)
      assert.include(
        after.lines[0],
        "the snapshot at position 2 is damaged, the one before it is tried: the snapshot cannot be used: its version is wrong"
      )
    })
  })

  it.effect("reads the configuration again for a reload that comes while it runs, and changes nothing learned", () => {
    const log = memoryLog()
    const models = changingCatalog(catalogFrom([model("a", { priorQuality: 0.5 }), model("b", { priorQuality: 0.6 })]))
    return Effect.gen(function* () {
      yield* lifeOf(
        log,
        (state) =>
          Effect.gen(function* () {
            for (let n = 0; n < 20; n++) log.append([ran(n, a), judged(n, a, 0.9), judged(100 + n, b, 0.3)])
            yield* state.caughtUp(log.commits.length)
            const before = [state.learned(a), state.learned(b)]
            const positionBefore = log.commits.length

            // The other order, other prices, another provider and name there: all of it is looked up, none of it learned.
            models.file.next = catalogFrom([
              model("b", { priorQuality: 0.6, inputUsdPerMTok: 9, provider: "elsewhere" }),
              model("a", { priorQuality: 0.5, outputUsdPerMTok: 7, upstream: "renamed" })
            ])
            yield* state.caughtUp(log.append([{ type: "reload" }]))
            yield* until(() => models.file.reloads === 1)
            assert.deepStrictEqual([state.learned(a), state.learned(b)], before)
            assert.deepStrictEqual(
              ask(state, 1).candidates.map((c) => c.model as string),
              ["b", "a"]
            )
            assert.lengthOf(log.commits, positionBefore + 1)

            // A new one starts from its prior, which the log is told; what the others did does not change.
            models.file.next = catalogFrom([...models.file.next.models, model("c", { priorQuality: 0.5 })])
            yield* state.caughtUp(log.append([{ type: "reload" }]))
            yield* until(() => log.commits.length === positionBefore + 3)
            assert.deepStrictEqual(log.commits.at(-1)?.events, [
              { type: "model", model: ModelId("c"), priorQuality: 0.5 }
            ])
            yield* state.caughtUp(log.commits.length)
            const learned = [state.learned(a), state.learned(b)]
            assert.deepStrictEqual(
              learned.map((one) => [one.quality.observations, one.successRate]),
              before.map((one) => [one.quality.observations, one.successRate])
            )
            assert.strictEqual(state.learned(ModelId("c")).quality.observations, 0)

            // Removed and back: it is what it was.
            models.file.next = catalogFrom([model("b", { priorQuality: 0.6 })])
            yield* state.caughtUp(log.append([{ type: "reload" }]))
            yield* until(() => ask(state, 1).candidates.length === 1)
            models.file.next = catalogFrom([model("a", { priorQuality: 0.5 }), model("b", { priorQuality: 0.6 })])
            yield* state.caughtUp(log.append([{ type: "reload" }]))
            yield* until(() => ask(state, 1).candidates.length === 2)
            assert.deepStrictEqual([state.learned(a), state.learned(b)], learned)
          }),
        models.layer
      )
      // What the log says of the past is not done again.
      const reloads = models.file.reloads
      yield* lifeOf(log, () => Effect.void, models.layer)
      assert.strictEqual(models.file.reloads, reloads)
    })
  })

  it.effect("tells the log once of a SIGHUP that asks for a reload", () => {
    const log = memoryLog()
    const models = changingCatalog(catalogFrom([model("a"), model("b")]))
    const hangups: Array<() => void> = []
    return Effect.gen(function* () {
      const around = yield* Layer.build(surroundings())
      const lifecycle = Context.get(around, Lifecycle)
      const state = yield* Layer.build(
        BanditStatePersistent.layer.pipe(
          Layer.provide(log.layer),
          Layer.provide(models.layer),
          Layer.provide(
            Layer.succeed(Lifecycle, { ...lifecycle, onReload: (listener) => void hangups.push(listener) })
          ),
          Layer.provide(Layer.succeedContext(around))
        )
      )
      assert.isDefined(state)
      const before = log.commits.length
      for (const hangUp of hangups) hangUp()
      yield* until(() => models.file.reloads === 1)
      assert.deepStrictEqual(
        log.commits.slice(before).map(({ events }) => events),
        [[{ type: "reload" }]]
      )
      const { keys } = yield* Effect.provide(Database, log.layer)
      const noted = keys.audit({ before: null, limit: 10 })
      assert.deepInclude((yield* noted)[0], { actor: "signal: SIGHUP", action: "reload", subject: "the configuration" })
    }).pipe(Effect.scoped)
  })

  it.effect("stores snapshots while a long start folds, so that one that is killed has not been for nothing", () => {
    const log = memoryLog()
    for (let n = 0; n < 6; n++) log.append(Array.from({ length: 20_000 }, () => ran(n, a)))
    const watermarks = () => log.snapshots.map(({ watermark }) => watermark)
    return Effect.gen(function* () {
      const { lines, result } = yield* lifeOf(log, () => Effect.sync(watermarks))
      assert.deepStrictEqual(result, [5])
      assert.include(lines, "INFO folding the learning log: 100000 events so far, at position 5 of 6")
      assert.sameMembers(watermarks(), [7, 5])

      const failing = memoryLog()
      failing.faults.snapshotError = databaseError
      for (let n = 0; n < 6; n++) failing.append(Array.from({ length: 20_000 }, () => ran(n, a)))
      const unstored = yield* lifeOf(failing, (state) => Effect.sync(() => state.position()))
      assert.strictEqual(unstored.result, 7)
      assert.lengthOf(
        unstored.lines.filter((line) => line.startsWith("WARN the snapshot at position 5 is not stored")),
        1
      )
    })
  })

  it.effect("stores a snapshot after 20,000 folded events, without waiting for its minute", () => {
    const log = memoryLog()
    return lifeOf(log, (state) =>
      Effect.gen(function* () {
        const many = Array.from({ length: 19_997 }, (_, n) => ran(n, a))
        yield* state.caughtUp(log.append(many))
        assert.lengthOf(log.snapshots, 0)
        yield* state.caughtUp(log.append([ran(1, a)]))
        yield* until(() => log.snapshots.length === 1)
        assert.strictEqual(log.snapshots[0]?.watermark, log.commits.length)
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
            Layer.provide(LogReaderDatabase.layer),
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
