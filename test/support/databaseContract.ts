import { assert, layer as withLayer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { decodeEvents } from "../../src/domain/EventCodec.ts"
import { RouterId } from "../../src/domain/Ids.ts"
import { Database } from "../../src/services/Database.ts"
import { commitOf, feedbackOn, nextId, recordOf, reportOn, small } from "./learningRecords.ts"

/** What every `Database` does. Each test has a router of its own. */
export const databaseContract = <E>(name: string, database: Layer.Layer<Database, E>) =>
  withLayer(database, { timeout: Duration.minutes(1), excludeTestServices: true })(`Database: ${name}`, (it) => {
    let routers = 0
    const fresh = Effect.gen(function* () {
      const db = yield* Database
      const { id } = yield* db.router(Option.some(RouterId(`router-${routers++}`)))
      return { db, id }
    })
    const eventsAfter = (db: typeof Database.Service, id: RouterId, position: number) =>
      Effect.map(db.commitsAfter(id, position, 500), (rows) =>
        rows.map((row) => Either.getOrThrow(decodeEvents(row.payload)))
      )

    it.effect("remembers a router it named itself, and gives each router a seed and position 0", () =>
      Effect.gen(function* () {
        const db = yield* Database
        const first = yield* db.router(Option.none())
        assert.deepStrictEqual(yield* db.router(Option.none()), first)
        const named = yield* db.router(Option.some(RouterId("named")))
        assert.deepStrictEqual(yield* db.router(Option.some(RouterId("named"))), named)
        assert.strictEqual(named.position, 0)
        assert.notStrictEqual(named.seed, first.seed)
      })
    )

    it.effect("answers a decision exactly as it was stored, and its run as an event", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const record = recordOf(id)
        const open = recordOf(id, { outcome: null })
        const committed = yield* db.commit(commitOf(id, { decisions: [record, open] }))
        assert.deepStrictEqual(committed, { position: 1, duplicate: false, feedback: [], reports: [] })
        const stored = Option.getOrThrow(yield* db.decision(id, record.decision.id))
        assert.deepStrictEqual(stored, { record, feedback: [] })
        assert.deepStrictEqual(Option.getOrThrow(yield* db.decision(id, open.decision.id)).record, open)
        const [events] = yield* eventsAfter(db, id, 0)
        assert.strictEqual(events?.length, 1)
        const [run] = events ?? []
        assert.isTrue(run?.type === "run" && run.ok && run.model === small)
        if (run?.type === "run") assert.deepStrictEqual(run.features, record.decision.features)
      })
    )

    it.effect("answers a repeated commit as a duplicate and stores it once", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const commit = commitOf(id, { decisions: [recordOf(id)] })
        yield* db.commit(commit)
        yield* db.commit(commitOf(id, { decisions: [recordOf(id)] }))
        const again = yield* db.commit(commit)
        assert.deepStrictEqual(again, { position: 1, duplicate: true, feedback: [], reports: [] })
        assert.strictEqual(yield* db.position(id), 2)
        const eventless = commitOf(id, { decisions: [recordOf(id, { outcome: null })] })
        assert.strictEqual((yield* db.commit(eventless)).position, 2)
        assert.deepStrictEqual(yield* db.commit(eventless), { position: 2, duplicate: true, feedback: [], reports: [] })
      })
    )

    it.effect("stores a commit whole or not at all", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const record = recordOf(id)
        yield* db.commit(commitOf(id, { decisions: [record] }))
        const other = recordOf(id)
        const failure = yield* Effect.flip(db.commit(commitOf(id, { decisions: [other, record] })))
        assert.strictEqual(failure.reason, "constraint")
        assert.isTrue(Option.isNone(yield* db.decision(id, other.decision.id)))
        assert.strictEqual(yield* db.position(id), 1)
      })
    )

    it.effect("gives concurrent commits different positions without a gap", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const positions = yield* Effect.all(
          Array.from({ length: 20 }, () =>
            Effect.map(db.commit(commitOf(id, { decisions: [recordOf(id)] })), (c) => c.position)
          ),
          { concurrency: 4 }
        )
        assert.deepStrictEqual(
          positions.toSorted((a, b) => a - b),
          Array.from({ length: 20 }, (_, i) => i + 1)
        )
        const rows = yield* db.commitsAfter(id, 5, 10)
        assert.deepStrictEqual(
          rows.map((row) => row.position),
          [6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        )
      })
    )

    it.effect("stores a decision and its feedback in one commit, and revises what was learned later", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const record = recordOf(id)
        const first = feedbackOn(record.decision.id, { value: 0.25 })
        const one = yield* db.commit(commitOf(id, { decisions: [record], feedback: [first] }))
        assert.deepStrictEqual(one.feedback, [{ id: first.id, status: "recorded" }])
        const second = feedbackOn(record.decision.id, { value: 0.75 })
        const two = yield* db.commit(commitOf(id, { feedback: [second] }))
        assert.deepStrictEqual(two.feedback, [{ id: second.id, status: "superseded" }])
        const [[, judged] = [], [revised] = []] = yield* eventsAfter(db, id, 0)
        assert.isTrue(judged?.type === "quality" && judged.quality === 0.25 && judged.previous === null)
        assert.isTrue(revised?.type === "quality")
        if (revised?.type === "quality") {
          assert.strictEqual(revised.quality, 0.75)
          assert.deepStrictEqual(revised.previous, { quality: 0.25, weight: 1, position: 1 })
        }
        const { feedback } = Option.getOrThrow(yield* db.decision(id, record.decision.id))
        assert.deepStrictEqual(feedback, [
          { ...first, supersededBy: second.id, parked: false },
          { ...second, supersededBy: null, parked: false }
        ])
      })
    )

    it.effect("answers a repeated idempotency key as before, and other content as a conflict", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const record = recordOf(id)
        yield* db.commit(commitOf(id, { decisions: [record] }))
        const said = feedbackOn(record.decision.id, { idempotencyKey: "k" })
        yield* db.commit(commitOf(id, { feedback: [said] }))
        const again = { ...said, id: nextId() }
        const changed = { ...said, id: nextId(), value: 0.1 }
        const answer = yield* db.commit(commitOf(id, { feedback: [again, changed] }))
        assert.deepStrictEqual(answer.feedback, [
          { id: said.id, status: "recorded" },
          { id: changed.id, status: "conflict" }
        ])
        assert.strictEqual(answer.position, 2)
        assert.strictEqual(Option.getOrThrow(yield* db.decision(id, record.decision.id)).feedback.length, 1)
      })
    )

    it.effect("keeps another key's decision out of reach of feedback and reports", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const record = recordOf(id, { owner: "alice", outcome: null })
        yield* db.commit(commitOf(id, { decisions: [record] }))
        const mine = feedbackOn(record.decision.id, { owner: "mallory" })
        const answer = yield* db.commit(
          commitOf(id, { feedback: [mine], reports: [reportOn(record.decision.id, { owner: "mallory" })] })
        )
        assert.deepStrictEqual(answer.feedback, [{ id: mine.id, status: "not_yours" }])
        assert.deepStrictEqual(answer.reports, [{ status: "unknown" }])
        assert.strictEqual(answer.position, 0)
      })
    )

    it.effect("parks feedback that comes first, joins it, and drops it if the decision is another key's", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const record = recordOf(id, { owner: "alice" })
        const early = feedbackOn(record.decision.id, { owner: "alice", value: 0.5 })
        const foreign = feedbackOn(record.decision.id, { owner: "mallory" })
        const parked = yield* db.commit(commitOf(id, { feedback: [early, foreign] }))
        assert.deepStrictEqual(
          parked.feedback.map((f) => f.status),
          ["parked", "parked"]
        )
        assert.deepStrictEqual(yield* db.joinable(id, 10), [])
        yield* db.commit(commitOf(id, { decisions: [record] }))
        const joinable = yield* db.joinable(id, 10)
        assert.deepStrictEqual(joinable, [early, foreign])
        yield* db.commit(commitOf(id, { joined: joinable }))
        yield* db.commit(commitOf(id, { joined: joinable }))
        assert.deepStrictEqual(yield* db.joinable(id, 10), [])
        const { feedback } = Option.getOrThrow(yield* db.decision(id, record.decision.id))
        assert.deepStrictEqual(feedback, [{ ...early, supersededBy: null, parked: false }])
        const events = (yield* eventsAfter(db, id, 0)).flat()
        assert.deepStrictEqual(
          events.map((event) => event.type),
          ["run", "quality"]
        )
      })
    )

    it.effect("takes the first report on a decision, repeats its answer, and refuses another", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const record = recordOf(id, { outcome: null })
        yield* db.commit(commitOf(id, { decisions: [record] }))
        const report = reportOn(record.decision.id)
        const first = yield* db.commit(commitOf(id, { reports: [report] }))
        assert.deepStrictEqual([first.position, first.reports], [1, [{ status: "recorded" }]])
        const later = yield* db.commit(commitOf(id, { reports: [report, { ...report, ok: false }] }))
        assert.deepStrictEqual([later.position, later.reports], [1, [{ status: "recorded" }, { status: "conflict" }]])
        const { record: stored } = Option.getOrThrow(yield* db.decision(id, record.decision.id))
        assert.strictEqual(stored.outcome?.outputTokens, 20)
        const [[run] = []] = yield* eventsAfter(db, id, 0)
        assert.isTrue(run?.type === "run" && run.latencyScore === 0.5 && run.logOutputTokens === Math.log(20))
      })
    )

    it.effect("keeps the two newest snapshots of a policy", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const save = (watermark: number) =>
          db.saveSnapshot(id, "f", { watermark, state: Uint8Array.of(watermark, 0, 255) })
        yield* save(1)
        yield* save(3)
        yield* save(2)
        yield* db.saveSnapshot(id, "g", { watermark: 9, state: Uint8Array.of(9) })
        const found = yield* db.snapshots(id, "f")
        assert.deepStrictEqual(
          found.map((s) => [s.watermark, ...s.state]),
          [
            [3, 3, 0, 255],
            [2, 2, 0, 255]
          ]
        )
        assert.deepStrictEqual(yield* db.snapshots(RouterId("nobody"), "f"), [])
      })
    )

    it.effect("names a router that does not exist as an error", () =>
      Effect.gen(function* () {
        const db = yield* Database
        const id = RouterId("nobody")
        const failure = yield* Effect.flip(db.commit(commitOf(id, { decisions: [recordOf(id)] })))
        assert.strictEqual(failure.reason, "unexpected")
      })
    )
  })
