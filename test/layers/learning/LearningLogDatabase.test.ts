import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { RouterId } from "../../../src/domain/basics/Ids.ts"
import type { LoggedCommit } from "../../../src/domain/learning/Fold.ts"
import * as DatabaseMemory from "../../../src/layers/storage/memory/DatabaseMemory.ts"
import * as IdsCrypto from "../../../src/layers/running/IdsCrypto.ts"
import * as LearningLogDatabase from "../../../src/layers/learning/LearningLogDatabase.ts"
import * as TelemetryMetrics from "../../../src/layers/observing/Telemetry.ts"
import { type Commit, Database, DatabaseError } from "../../../src/services/storage/Database.ts"
import { LearningLog } from "../../../src/services/learning/LearningLog.ts"
import { defaults, Settings, type SettingsShape } from "../../../src/services/running/Settings.ts"
import { Telemetry } from "../../../src/services/observing/Telemetry.ts"
import { longestPrompt } from "../../../src/domain/basics/StorableText.ts"
import { commitOf, feedbackOn, recordOf, reportOn, small } from "../../support/learningRecords.ts"

/** The database in memory, which goes away, or holds commits at a gate, when the test says so. */
const faulty = () => {
  const fault: {
    reason: DatabaseError["reason"] | null
    gate: Deferred.Deferred<void> | null
    /** The answer gets lost after the commit was stored. */
    losesAnswer: boolean
    /** Goes away as soon as it has refused a commit for what is in it. */
    leavesAfterRefusal: boolean
    refusesToPrune: boolean
  } = { reason: null, gate: null, losesAnswer: false, leavesAfterRefusal: false, refusesToPrune: false }
  const commits: Array<Commit> = []
  let reads = 0
  let dropped = 0
  let expired = 0
  const away = (operation: string) =>
    Effect.suspend(() =>
      fault.reason === null
        ? Effect.void
        : Effect.fail(new DatabaseError({ operation, reason: fault.reason, detail: "away" }))
    )
  const database = Layer.effect(
    Database,
    Effect.map(Database, (db) =>
      Database.of({
        ...db,
        commit: (commit) =>
          Effect.gen(function* () {
            commits.push(commit)
            if (fault.gate !== null) yield* Deferred.await(fault.gate)
            yield* away("commit")
            const committed = yield* Effect.tapError(db.commit(commit), () =>
              Effect.sync(() => {
                if (fault.leavesAfterRefusal) fault.reason = "connection"
              })
            )
            if (!fault.losesAnswer) return committed
            fault.losesAnswer = false
            return yield* new DatabaseError({ operation: "commit", reason: "connection", detail: "lost" })
          }),
        prune: (...args) =>
          fault.refusesToPrune
            ? Effect.fail(new DatabaseError({ operation: "prune", reason: "permission", detail: "42501" }))
            : db.prune(...args),
        readLog: (routerId, range) =>
          Effect.suspend(() => {
            if (range.limit > 0) reads++
            return Effect.zipRight(away("readLog"), db.readLog(routerId, range))
          })
      })
    )
  ).pipe(Layer.provide(DatabaseMemory.layer))
  const countingTelemetry = Layer.effect(
    Telemetry,
    Effect.map(Telemetry, (telemetry) =>
      Telemetry.of({
        ...telemetry,
        dropped: (records) => void (dropped += records),
        feedbackExpired: (count) => void (expired += count)
      })
    )
  ).pipe(Layer.provide(TelemetryMetrics.layer))
  const layer = (maxPending = 100, settings: Partial<SettingsShape> = {}) =>
    LearningLogDatabase.layer.pipe(
      Layer.provideMerge(database),
      Layer.provide(IdsCrypto.layerWith({ seed: "log" })),
      Layer.provide(countingTelemetry),
      Layer.provide(
        Layer.succeed(Settings, { ...defaults, learning: { ...defaults.learning, maxPending }, ...settings })
      )
    )
  return { fault, commits, layer, dropped: () => dropped, expired: () => expired, reads: () => reads }
}

const settle = TestClock.adjust(0)

describe("LearningLogDatabase", () => {
  it.effect("gathers outcomes for the flush interval and stores them in one commit", () => {
    const { commits, layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const [a, b] = [recordOf(log.router.id), recordOf(log.router.id)]
      log.offer(a)
      yield* TestClock.adjust("20 millis")
      log.offer(b)
      assert.deepStrictEqual(log.pendingDecision(a.decision.id), a)
      assert.deepStrictEqual([log.backlog().pending, log.backlog().oldestPendingMillis, commits.length], [2, 20, 0])
      yield* TestClock.adjust("30 millis")
      assert.deepStrictEqual(
        commits.map((commit) => commit.decisions),
        [[a, b]]
      )
      assert.strictEqual(log.backlog().pending, 0)
      assert.isUndefined(log.pendingDecision(a.decision.id))
    }).pipe(Effect.provide(layer()))
  })

  it.effect("stores a pending decision with its feedback at once, and answers each submission its own result", () => {
    const { commits, layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const record = recordOf(log.router.id)
      const open = recordOf(log.router.id, { outcome: null })
      log.offer(record)
      log.offer(open)
      const [said, other, reported] = yield* Effect.all(
        [
          log.feedback(feedbackOn(record.decision.id)),
          log.feedback(feedbackOn(record.decision.id, { owner: "mallory" })),
          log.report(reportOn(open.decision.id))
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([said.status, other.status, reported.status], ["recorded", "not_yours", "recorded"])
      const first = commits[0]
      assert.deepStrictEqual(first?.decisions, [record, open])
      assert.isAbove(first?.feedback.length ?? 0, 0)
      assert.strictEqual(yield* log.position, reported.position)
    }).pipe(Effect.provide(layer()))
  })

  it.effect(
    "keeps outcomes while the database is away, refuses submissions at once, and stores each once when it is back",
    () => {
      const { commits, fault, layer } = faulty()
      return Effect.gen(function* () {
        const log = yield* LearningLog
        const db = yield* Database
        const records = Array.from({ length: 3 }, () => recordOf(log.router.id))
        fault.reason = "connection"
        for (const record of records) log.offer(record)
        yield* TestClock.adjust("50 millis")
        const refused = yield* Effect.fork(Effect.flip(log.feedback(feedbackOn(records[0]!.decision.id))))
        yield* TestClock.adjust("100 millis")
        assert.strictEqual((yield* Fiber.join(refused)).reason, "connection")
        assert.deepStrictEqual([log.backlog().pending, log.backlog().lastError?.reason], [3, "connection"])
        fault.reason = null
        fault.losesAnswer = true
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual([log.backlog().pending, log.backlog().lastError], [0, null])
        assert.strictEqual(new Set(commits.map((commit) => commit.commitId)).size, 1)
        assert.strictEqual(yield* db.position(log.router.id), 1)
      }).pipe(Effect.provide(layer()))
    }
  )

  it.effect("says an outage twice, at its beginning and its end, whoever notices it", () => {
    const { fault, layer } = faulty()
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
    const begun = "WARN The database is away, outcomes wait in memory and feedback is refused:"
    return Effect.gen(function* () {
      const log = yield* LearningLog
      yield* Effect.fork(log.follow(0, () => Effect.void))
      yield* TestClock.adjust("1 second")
      // One read that fails is a connection that died.
      fault.reason = "connection"
      yield* TestClock.adjust("500 millis")
      fault.reason = null
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(lines, [])
      // Nobody writes.
      fault.reason = "connection"
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(lines, [`${begun} readLog: connection (away)`])
      for (let n = 0; n < 3; n++) log.offer(recordOf(log.router.id))
      yield* TestClock.adjust("1 minute")
      fault.reason = null
      yield* TestClock.adjust("3 seconds")
      assert.lengthOf(lines, 2)
      assert.match(
        lines[1] ?? "",
        /^INFO The database is back after 6\d\.\ds: \d+ failed attempt\(s\), 3 outcome\(s\) waited, 0 submission\(s\) were refused$/
      )
      // Refused feedback leaves nothing to write: reads show that it is over, but not at once.
      fault.reason = "timeout"
      const refused = yield* Effect.fork(Effect.flip(log.feedback(feedbackOn(recordOf(log.router.id).decision.id))))
      yield* TestClock.adjust(0)
      yield* Fiber.join(refused)
      fault.reason = null
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(lines.slice(2), [`${begun} commit: timeout (away)`])
      yield* TestClock.adjust("2 seconds")
      assert.match(lines[3] ?? "", /^INFO The database is back after 10\.\ds: .* 1 submission\(s\) were refused$/)
      // Of a log that cannot be read, writing shows nothing.
      fault.reason = "permission"
      yield* TestClock.adjust("1 minute")
      fault.reason = null
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        lines.slice(4).map((line) => line.replace(/\d.*/, "")),
        [
          "WARN The learning log cannot be read, what others learn is missing here: readLog: permission (away)",
          "INFO The learning log is read again after "
        ]
      )
    }).pipe(Effect.provide(layer()), Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

  it.effect("says once that nothing is deleted, and once that it is again", () => {
    const { fault, layer } = faulty()
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
    return Effect.gen(function* () {
      yield* LearningLog
      fault.refusesToPrune = true
      yield* TestClock.adjust("30 minutes")
      fault.refusesToPrune = false
      yield* TestClock.adjust("30 minutes")
      assert.deepStrictEqual(lines, [
        "WARN What is past its retention is not deleted: prune: permission (42501)",
        "INFO What is past its retention is deleted again after 1800.0s: 10 failed attempt(s)"
      ])
    }).pipe(Effect.provide(layer()), Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

  it.effect("drops the oldest outcomes when the queue is full, counts them, and tells who offered them", () => {
    const { dropped, fault, layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const db = yield* Database
      const records = Array.from({ length: 5 }, () => recordOf(log.router.id))
      fault.reason = "connection"
      const told: Array<readonly [number, boolean]> = []
      for (const [i, record] of records.entries()) log.offer(record, (isStored) => void told.push([i, isStored]))
      assert.deepStrictEqual([log.backlog().pending, log.backlog().dropped, dropped()], [3, 2, 2])
      const early = [[0, false] as const, [1, false] as const]
      assert.deepStrictEqual(told, early)
      fault.reason = null
      yield* log.flush
      assert.deepStrictEqual(told, [...early, [2, true], [3, true], [4, true]])
      const stored = yield* Effect.forEach(records, (r) => db.decision(log.router.id, r.decision.id))
      assert.deepStrictEqual(stored.map(Option.isSome), [false, false, true, true, true])
    }).pipe(Effect.provide(layer(3)))
  })

  it.effect("counts the batch on its way as pending, and flush ends when it is stored or is interrupted", () => {
    const { fault, layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const gate = yield* Deferred.make<void>()
      fault.gate = gate
      log.offer(recordOf(log.router.id))
      const flushing = yield* Effect.fork(log.flush)
      yield* settle
      log.offer(recordOf(log.router.id))
      assert.strictEqual(log.backlog().pending, 2)
      const cut = yield* Effect.fork(log.flush.pipe(Effect.timeoutOption("3 seconds")))
      yield* TestClock.adjust("3 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.join(cut)))
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(flushing)
      assert.strictEqual(log.backlog().pending, 0)
    }).pipe(Effect.provide(layer()))
  })

  it.effect(
    "refuses what waits, and keeps outcomes, when the database goes away while a bad batch is taken apart",
    () => {
      const { commits, dropped, fault, layer } = faulty()
      return Effect.gen(function* () {
        const log = yield* LearningLog
        const db = yield* Database
        const records = Array.from({ length: 3 }, () => recordOf(log.router.id))
        const [good, twice, other] = [records[0]!, records[1]!, records[2]!]
        yield* log.record(twice)
        for (const record of records) log.offer(record)
        fault.leavesAfterRefusal = true
        const said = feedbackOn(good.decision.id)
        const refused = yield* Effect.fork(Effect.flip(log.feedback(said)))
        yield* TestClock.adjust("100 millis")
        assert.strictEqual((yield* Fiber.join(refused)).detail, "away")
        const later = yield* Effect.fork(Effect.flip(log.feedback(said)))
        yield* TestClock.adjust("100 millis")
        assert.strictEqual((yield* Fiber.join(later)).detail, "away")
        assert.deepStrictEqual([log.backlog().pending, log.backlog().lastError?.reason], [3, "connection"])
        fault.leavesAfterRefusal = false
        fault.reason = null
        fault.losesAnswer = true
        const tries = commits.length
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual([log.backlog().pending, log.backlog().dropped, dropped()], [0, 1, 1])
        assert.isNull(log.backlog().lastError)
        assert.isTrue(Option.isSome(yield* db.decision(log.router.id, good.decision.id)))
        assert.isTrue(Option.isSome(yield* db.decision(log.router.id, other.decision.id)))
        // One of them twice, because the first answer got lost.
        assert.strictEqual(commits.length - tries, 4)
        assert.strictEqual((yield* log.feedback(said)).status, "recorded")
      }).pipe(Effect.provide(layer()))
    }
  )

  it.effect("loses only the outcome that the database will never take", () => {
    const { layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const db = yield* Database
      const [good, twice] = [recordOf(log.router.id), recordOf(log.router.id)]
      yield* log.record(twice)
      const told: Array<boolean> = []
      log.offer(good, (isStored) => void told.push(isStored))
      log.offer(twice, (isStored) => void told.push(isStored))
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(told, [true, false])
      assert.isTrue(Option.isSome(yield* db.decision(log.router.id, good.decision.id)))
      assert.deepStrictEqual([log.backlog().pending, log.backlog().dropped], [0, 1])
      assert.strictEqual((yield* Effect.flip(log.record(twice))).reason, "constraint")
    }).pipe(Effect.provide(layer()))
  })

  it.effect("follows every commit in order, own ones at once, and through a database that is away", () => {
    const { fault, layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      yield* log.append([{ type: "model", model: small, priorQuality: 0.5 }])
      const commits: Array<LoggedCommit> = []
      yield* Effect.fork(log.follow(0, (commit) => Effect.sync(() => commits.push(commit))))
      yield* log.append([{ type: "reset", model: small }])
      yield* settle
      fault.reason = "timeout"
      yield* TestClock.adjust("2 seconds")
      fault.reason = null
      yield* log.append([{ type: "reset", model: small }])
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(
        commits.map(({ events, position }) => [position, events[0]?.type]),
        [
          [1, "model"],
          [2, "reset"],
          [3, "reset"]
        ]
      )
    }).pipe(Effect.provide(layer()))
  })

  it.effect("stores several submissions in one commit, and answers each in its order", () => {
    const { commits, layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const [a, b] = [recordOf(log.router.id), recordOf(log.router.id)]
      log.offer(a)
      log.offer(b)
      const said = [
        feedbackOn(a.decision.id),
        feedbackOn(b.decision.id, { owner: "mallory" }),
        feedbackOn(recordOf(log.router.id).decision.id)
      ]
      const { position, results } = yield* log.feedbackAll(said)
      assert.deepStrictEqual(
        results,
        said.map(({ id }, i) => ({ id, status: (["recorded", "not_yours", "parked"] as const)[i]! }))
      )
      assert.strictEqual(position, 1)
      assert.deepStrictEqual(
        commits.map((commit) => commit.feedback),
        [said]
      )
    }).pipe(Effect.provide(layer()))
  })

  it.effect("stores in one commit what waits, outcomes and submissions each in the order in which they came", () => {
    const { commits, fault, layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const gate = yield* Deferred.make<void>()
      fault.gate = gate
      const first = yield* Effect.fork(log.record(recordOf(log.router.id)))
      yield* settle
      const records = Array.from({ length: 20 }, () => recordOf(log.router.id))
      for (const record of records) log.offer(record)
      const said = records.map((record) => feedbackOn(record.decision.id))
      const waiting = yield* Effect.forEach(said, (one) => Effect.tap(Effect.fork(log.feedback(one)), () => settle))
      fault.gate = null
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      const answers = yield* Effect.forEach(waiting, Fiber.join)
      assert.lengthOf(commits, 2)
      assert.deepStrictEqual(commits[1]?.decisions, records)
      assert.deepStrictEqual(commits[1]?.feedback, said)
      assert.deepStrictEqual(
        answers.map(({ id, position, status }) => [id, position, status]),
        said.map(({ id }) => [id, 2, "recorded"])
      )
    }).pipe(Effect.provide(layer()))
  })

  it.effect("does not read back what it has stored itself, and notices a log that went back by the next poll", () => {
    const { layer, reads } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const positions: Array<number> = []
      yield* Effect.fork(log.follow(0, ({ position }) => Effect.sync(() => positions.push(position))))
      yield* settle
      const before = reads()
      for (let n = 0; n < 20; n++) yield* log.append([{ type: "reset", model: small }])
      yield* settle
      assert.deepStrictEqual(
        positions,
        Array.from({ length: 20 }, (_, i) => i + 1)
      )
      assert.strictEqual(reads(), before)
      // Of another log, which is as long.
      const recent = [{ position: 20, commitId: recordOf(log.router.id).decision.id }]
      const other = yield* Effect.flip(log.follow({ position: 20, recent }, () => Effect.void))
      assert.deepInclude(other, { _tag: "LogRewound", folded: 20, end: 20, common: 19, lost: 1 })
      // Of one that was longer.
      const longer = yield* Effect.flip(log.follow(30, () => Effect.void))
      assert.deepInclude(longer, { _tag: "LogRewound", folded: 30, end: 20, common: 20, lost: 10, isExact: false })
    }).pipe(Effect.provide(layer()))
  })

  it.effect("refuses a submission that a silent database does not answer within five seconds", () => {
    const { commits, fault, layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const db = yield* Database
      const gate = yield* Deferred.make<void>()
      fault.gate = gate
      const [onItsWay, waiting] = [recordOf(log.router.id), recordOf(log.router.id)]
      const refused = yield* Effect.fork(Effect.flip(log.record(onItsWay)))
      yield* settle
      const abandoned = yield* Effect.fork(Effect.flip(log.record(waiting)))
      yield* TestClock.adjust("4900 millis")
      assert.isNull(yield* Fiber.poll(abandoned).pipe(Effect.map(Option.getOrNull)))
      yield* TestClock.adjust("100 millis")
      for (const fiber of [refused, abandoned]) assert.strictEqual((yield* Fiber.join(fiber)).reason, "timeout")
      fault.gate = null
      yield* Deferred.succeed(gate, undefined)
      yield* log.flush
      // What was on its way is stored after all; what had not begun never is.
      assert.isTrue(Option.isSome(yield* db.decision(log.router.id, onItsWay.decision.id)))
      assert.isTrue(Option.isNone(yield* db.decision(log.router.id, waiting.decision.id)))
      assert.isUndefined(log.pendingDecision(waiting.decision.id))
      assert.strictEqual(commits.length, 1)
    }).pipe(Effect.provide(layer()))
  })

  it.effect("knows how far the log goes by its own commits, and by the polls", () => {
    const { layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const db = yield* Database
      assert.strictEqual(log.newestKnown(), 0)
      yield* log.append([{ type: "reset", model: small }])
      assert.strictEqual(log.newestKnown(), 1)
      for (let i = 0; i < 501; i++) {
        yield* db.commit(commitOf(log.router.id, { events: [{ type: "reset", model: small }] }))
      }
      assert.strictEqual(log.newestKnown(), 1)
      yield* Effect.flip(log.follow(0, () => Effect.interrupt)).pipe(Effect.exit)
      assert.strictEqual(log.newestKnown(), 502)
    }).pipe(Effect.provide(layer()))
  })

  it.effect(
    "drops the oldest outcomes when they hold too many bytes, and stores what is large in several commits",
    () => {
      const { commits, dropped, fault, layer } = faulty()
      return Effect.gen(function* () {
        const log = yield* LearningLog
        const db = yield* Database
        const prompt = "x".repeat(longestPrompt)
        const records = Array.from({ length: 1500 }, () => recordOf(log.router.id, { prompt }))
        fault.reason = "connection"
        for (const record of records) log.offer(record)
        // About 200 kB each, and 256 MiB in all.
        const kept = 1500 - dropped()
        assert.isTrue(kept > 1000 && kept < 1400, String(kept))
        assert.strictEqual(log.backlog().pending, kept)
        fault.reason = null
        yield* Effect.all([log.flush, TestClock.adjust("2 minutes")], { concurrency: 2 })
        assert.isTrue(commits.every((commit) => commit.decisions.length <= 42))
        assert.isTrue(Option.isSome(yield* db.decision(log.router.id, records.at(-1)!.decision.id)))
        assert.isTrue(Option.isNone(yield* db.decision(log.router.id, records[0]!.decision.id)))
      }).pipe(Effect.provide(layer(10_000)))
    }
  )

  it.effect("deletes every few minutes what is past its retention, and keeps what can still be judged", () => {
    const { expired, layer } = faulty()
    const retention = { ...defaults.retention, decisions: Duration.minutes(1), parked: Duration.minutes(5) }
    const learning = { ...defaults.learning, feedbackExpiry: Duration.minutes(20) }
    const lines: Array<string> = []
    const collected = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => void lines.push(String(message)))
    )
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const db = yield* Database
      const record = recordOf(log.router.id)
      const early = feedbackOn(recordOf(log.router.id).decision.id)
      const isStored = Effect.map(db.decision(log.router.id, record.decision.id), Option.isSome)
      const isParked = Effect.map(db.feedbackByKey(log.router.id, early.idempotencyKey), Option.isSome)
      yield* log.record(record)
      yield* log.feedback(early)
      yield* TestClock.adjust("19 minutes")
      // Retention is a minute, but feedback is accepted for twenty.
      assert.deepStrictEqual([yield* isStored, yield* isParked], [true, false])
      assert.strictEqual(expired(), 1)
      yield* TestClock.adjust("6 minutes")
      assert.isFalse(yield* isStored)
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("Deleted")),
        [
          "Deleted what is past its retention: 0 decision(s), 0 feedback, 0 prompt(s), 1 parked feedback, 0 commit(s) of the learning log",
          "Deleted what is past its retention: 1 decision(s), 0 feedback, 0 prompt(s), 0 parked feedback, 0 commit(s) of the learning log"
        ]
      )
    }).pipe(
      Effect.provide(layer(100, { learning, retention })),
      Effect.provide(collected),
      // From 1970 on, the deletions would be many.
      (test) => Effect.zipRight(TestClock.setTime(recordOf(RouterId("any")).decision.createdAtMillis), test)
    )
  })

  it.effect("joins parked feedback within a second of its decision", () => {
    const { layer } = faulty()
    return Effect.gen(function* () {
      const log = yield* LearningLog
      const db = yield* Database
      const record = recordOf(log.router.id)
      assert.strictEqual((yield* log.feedback(feedbackOn(record.decision.id))).status, "parked")
      yield* log.record(record)
      yield* TestClock.adjust(Duration.seconds(2))
      const { feedback } = Option.getOrThrow(yield* db.decision(log.router.id, record.decision.id))
      assert.deepStrictEqual(
        feedback.map((one) => one.parked),
        [false]
      )
      assert.strictEqual(yield* log.position, 2)
    }).pipe(Effect.provide(layer()))
  })
})
