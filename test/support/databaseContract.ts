import { emptyError, type Outcome, refusedError } from "../../src/domain/routing/Outcome.ts"
import { assert, layer as withLayer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { ModelId } from "../../src/domain/basics/Ids.ts"
import * as Hierarchical from "../../src/domain/learning/bandit/Hierarchical.ts"
import { decodeEvents } from "../../src/domain/learning/EventCodec.ts"
import { combine } from "../../src/domain/learning/Feedback.ts"
import { RouterId, uuidV7Millis } from "../../src/domain/basics/Ids.ts"
import type { LearningEvent } from "../../src/domain/learning/LearningEvent.ts"
import { storablePrompt } from "../../src/domain/basics/StorableText.ts"
import {
  type Commit,
  Database,
  type DecisionQuery,
  type Pruned,
  type PruneLimits,
  type StoredCommit
} from "../../src/services/storage/Database.ts"
import { keyStoreContract } from "./keyStoreContract.ts"
import { seeded } from "./learningEvents.ts"
import { answered, commitOf, large, feedbackOn, nextId, recordOf, reportOn, small } from "./learningRecords.ts"

/** A page of everything that nobody's key made. */
export const anyDecision: DecisionQuery = {
  owner: null,
  model: null,
  fromMillis: null,
  untilMillis: null,
  userId: null,
  task: null,
  algorithm: null,
  reason: null,
  outcome: null,
  before: null,
  limit: 50
}

const afterAll = 1_767_225_600_000 + 3_600_000

/** All rows are younger than these. */
const keepAll: PruneLimits = {
  decisionsBeforeMillis: 0,
  promptsBeforeMillis: 0,
  parkedBeforeMillis: 0,
  logBeforeMillis: 0,
  snapshotsSinceMillis: 0
}
const nothingPruned: Pruned = { decisions: 0, feedback: 0, prompts: 0, parked: 0, commits: 0 }

/** What every `Database` does. Each test has a router of its own. */
export const databaseContract = <E>(name: string, database: Layer.Layer<Database, E>) =>
  withLayer(database, { timeout: Duration.minutes(10), excludeTestServices: true })(`Database: ${name}`, (it) => {
    keyStoreContract(it)
    let routers = 0
    const fresh = Effect.gen(function* () {
      const db = yield* Database
      const { id, seed } = yield* db.router(Option.some(RouterId(`router-${routers++}`)))
      return { db, id, seed }
    })
    const eventsAfter = (db: typeof Database.Service, id: RouterId, position: number) =>
      Effect.map(db.readLog(id, { after: position, limit: 500, overlap: 0 }), ({ commits }) =>
        commits.map((row) => Either.getOrThrow(decodeEvents(row.payload)))
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
        const { db, id, seed } = yield* fresh
        const record = recordOf(id, { seed })
        const open = recordOf(id, { seed, outcome: null })
        const committed = yield* db.commit(commitOf(id, { decisions: [record, open] }))
        assert.deepStrictEqual(committed, {
          position: 1,
          duplicate: false,
          payload: committed.payload,
          feedback: [],
          reports: [],
          joined: 0,
          judged: []
        })
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

    it.effect(
      "answers what money was charged for a choice, before its outcome is known, then and beside what the outcome had",
      () =>
        Effect.gen(function* () {
          const { db, id, seed } = yield* fresh
          const pacing = { multiplier: 0.75, budgetUsd: 0.002 }
          const paced = (outcome: Outcome | null) => {
            const record = recordOf(id, { seed, outcome })
            return { ...record, decision: { ...record.decision, pacing } }
          }
          const open = paced(null)
          const records = [open, paced(answered()), paced({ ...answered(), details: { cachedTokens: 7 } })]
          yield* db.commit(commitOf(id, { decisions: records }))
          for (const record of records) {
            assert.deepStrictEqual(Option.getOrThrow(yield* db.decision(id, record.decision.id)).record, record)
          }
          yield* db.commit(commitOf(id, { reports: [reportOn(open.decision.id)] }))
          const reported = Option.getOrThrow(yield* db.decision(id, open.decision.id)).record
          assert.deepStrictEqual([reported.decision.pacing, reported.outcome?.details], [pacing, null])
        })
    )

    it.effect("keeps the words of a later version, whose replicas share the log during an upgrade", () =>
      Effect.gen(function* () {
        const { db, id, seed } = yield* fresh
        const { decision, ...rest } = recordOf(id, { seed })
        const candidates = decision.candidates.map((one, i) =>
          i === 0 ? one : { ...one, eligible: false, excludedBy: "capability:of_tomorrow" }
        )
        const record = { ...rest, decision: { ...decision, candidates, reason: "of_tomorrow" } }
        yield* db.commit(commitOf(id, { decisions: [record] }))
        assert.deepStrictEqual(Option.getOrThrow(yield* db.decision(id, decision.id)).record, record)
      })
    )

    it.effect("answers whatever was tried, and whoever answered, as it was", () =>
      Effect.gen(function* () {
        const { db, id, seed } = yield* fresh
        const tried = (model: typeof small, error: string | null = null, more = {}) => ({
          model,
          ok: error === null,
          status: error === null ? 200 : 500,
          latencyMs: 812.25,
          error,
          ...more
        })
        const failed = { ...answered(large), ok: false, error: "server" }
        const records = [
          recordOf(id, { seed, attempts: [tried(small, "server"), tried(large)], outcome: answered(large) }),
          recordOf(id, { seed, attempts: [tried(large)], outcome: answered(large) }),
          recordOf(id, { seed, attempts: [tried(small, "server"), tried(small)] }),
          recordOf(id, { seed, attempts: [tried(small, null, { status: 201 })] }),
          recordOf(id, { seed, attempts: [tried(small, null, { status: null })] }),
          recordOf(id, { seed, attempts: [tried(small, null, { latencyMs: 812.5 })] }),
          recordOf(id, { seed, attempts: [tried(large, "server")], outcome: failed }),
          recordOf(id, { seed, attempts: [], outcome: failed }),
          recordOf(id, { seed, attempts: [] })
        ]
        const later = recordOf(id, { seed, outcome: null })
        yield* db.commit(commitOf(id, { decisions: [...records, later] }))
        for (const record of records) {
          assert.deepStrictEqual(Option.getOrThrow(yield* db.decision(id, record.decision.id)).record, record)
        }
        yield* db.commit(commitOf(id, { reports: [reportOn(later.decision.id)] }))
        const reported = Option.getOrThrow(yield* db.decision(id, later.decision.id)).record
        assert.deepStrictEqual([reported.attempts, reported.outcome?.model], [[], small])
      })
    )

    it.effect("answers a repeated commit as a duplicate and stores it once", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const commit = commitOf(id, { decisions: [recordOf(id)] })
        yield* db.commit(commit)
        yield* db.commit(commitOf(id, { decisions: [recordOf(id)] }))
        const again = yield* db.commit(commit)
        assert.deepStrictEqual(again, {
          position: 1,
          duplicate: true,
          payload: null,
          feedback: [],
          reports: [],
          joined: 0,
          judged: []
        })
        assert.strictEqual(yield* db.position(id), 2)
        const eventless = commitOf(id, { decisions: [recordOf(id, { outcome: null })] })
        assert.strictEqual((yield* db.commit(eventless)).position, 2)
        assert.deepStrictEqual(yield* db.commit(eventless), {
          position: 2,
          duplicate: true,
          payload: null,
          feedback: [],
          reports: [],
          joined: 0,
          judged: []
        })
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
        const { before, commits, end } = yield* db.readLog(id, { after: 5, limit: 10, overlap: 3 })
        assert.deepStrictEqual(
          commits.map((row) => row.position),
          [6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        )
        const all = yield* db.readLog(id, { after: 0, limit: 100, overlap: 3 })
        assert.deepStrictEqual(
          before,
          all.commits.slice(2, 5).map(({ commitId, position }) => ({ position, commitId }))
        )
        assert.deepStrictEqual([all.before, all.commits.length, all.end, end], [[], 20, 20, 20])
        const last = yield* db.readLog(id, { after: 20, limit: 100, overlap: 1 })
        assert.deepStrictEqual([last.before.map(({ position }) => position), last.commits, last.end], [[20], [], 20])
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
        // A third one still knows where the first was folded.
        const third = feedbackOn(record.decision.id, { value: 0.5 })
        yield* db.commit(commitOf(id, { events: [{ type: "reset", model: small }], feedback: [third] }))
        const [[, again] = []] = yield* eventsAfter(db, id, 2)
        assert.isTrue(again?.type === "quality")
        if (again?.type === "quality") {
          assert.deepStrictEqual(again.previous, { quality: 0.75, weight: 1, position: 1 })
        }
        const { feedback } = Option.getOrThrow(yield* db.decision(id, record.decision.id))
        assert.deepStrictEqual(feedback, [
          { ...first, supersededBy: second.id, parked: false },
          { ...second, supersededBy: third.id, parked: false },
          { ...third, supersededBy: null, parked: false }
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
        const joins = [
          yield* db.commit(commitOf(id, { joined: joinable })),
          yield* db.commit(commitOf(id, { joined: joinable }))
        ]
        assert.deepStrictEqual(
          joins.map(({ joined, judged }) => [joined, judged.map((one) => [one.record.decision.id, one.quality])]),
          [
            [1, [[record.decision.id, 0.5]]],
            [0, []]
          ]
        )
        const again = feedbackOn(record.decision.id, { owner: "alice", value: 0.9, source: "another" })
        const revised = yield* db.commit(commitOf(id, { feedback: [again] }))
        assert.deepStrictEqual([revised.feedback[0]?.status, revised.judged], ["recorded", []])
        assert.deepStrictEqual(yield* db.joinable(id, 10), [])
        const { feedback } = Option.getOrThrow(yield* db.decision(id, record.decision.id))
        assert.deepStrictEqual(feedback, [
          { ...early, supersededBy: null, parked: false },
          { ...again, supersededBy: null, parked: false }
        ])
        const events = (yield* eventsAfter(db, id, 0)).flat()
        assert.deepStrictEqual(
          events.map((event) => event.type),
          ["run", "quality", "quality"]
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

    it.effect("lists the decisions that a query names, newest first, a page at a time", () =>
      Effect.gen(function* () {
        const { db, id, seed } = yield* fresh
        const made = {
          plain: recordOf(id),
          other: recordOf(id, { seed, request: { userId: "other", task: null, sessionId: "s" } }),
          fellBack: recordOf(id, { outcome: answered(large) }),
          failed: recordOf(id, { outcome: { ...answered(), ok: false, error: "timeout" } }),
          aborted: recordOf(id, { outcome: { ...answered(), ok: false, aborted: true, error: "aborted" } }),
          pending: recordOf(id, { outcome: null }),
          refused: recordOf(id, {
            outcome: { ...answered(), error: refusedError, details: { cachedTokens: 3, servedModel: "other" } }
          }),
          empty: recordOf(id, { outcome: { ...answered(), ok: false, error: emptyError } }),
          alices: recordOf(id, { owner: "alice" })
        }
        const said = feedbackOn(made.other.decision.id)
        yield* db.commit(commitOf(id, { decisions: Object.values(made), feedback: [said] }))
        const named = (query: Partial<DecisionQuery>) =>
          Effect.map(db.decisions(id, { ...anyDecision, ...query }), (found) =>
            found.map(({ record }) => Object.entries(made).find(([, r]) => r.decision.id === record.decision.id)?.[0])
          )
        const all = ["empty", "refused", "pending", "aborted", "failed", "fellBack", "other", "plain"]
        assert.deepStrictEqual(yield* named({}), all)
        assert.deepStrictEqual(yield* named({ owner: "alice" }), ["alices"])
        assert.deepStrictEqual(yield* named({ limit: 2 }), ["empty", "refused"])
        assert.deepStrictEqual(yield* named({ before: made.failed.decision.id }), ["fellBack", "other", "plain"])
        const at = made.failed.decision.createdAtMillis
        assert.deepStrictEqual(yield* named({ fromMillis: at }), ["empty", "refused", "pending", "aborted", "failed"])
        assert.deepStrictEqual(yield* named({ fromMillis: at, untilMillis: at + 1 }), ["failed"])
        assert.deepStrictEqual(yield* named({ model: "large" }), ["fellBack"])
        assert.deepStrictEqual(yield* named({ model: "small", outcome: "ok" }), ["other", "plain"])
        assert.deepStrictEqual(yield* named({ userId: "other" }), ["other"])
        assert.deepStrictEqual(yield* named({ task: "code", outcome: "failed" }), ["failed"])
        assert.deepStrictEqual(yield* named({ task: "small" }), [])
        assert.deepStrictEqual(yield* named({ algorithm: "thompson" }), all)
        assert.deepStrictEqual(yield* named({ algorithm: "static" }), [])
        assert.deepStrictEqual(yield* named({ reason: "fallback" }), ["fellBack"])
        assert.deepStrictEqual(yield* named({ reason: "best", outcome: "pending" }), ["pending"])
        for (const kind of ["failed", "aborted", "refused", "empty", "pending"] as const) {
          assert.deepStrictEqual(yield* named({ outcome: kind }), [kind])
        }
        assert.deepStrictEqual(yield* named({ userId: "nul\u0000" }), [])
        const [found] = yield* db.decisions(id, { ...anyDecision, userId: "other" })
        assert.deepStrictEqual(found, {
          record: made.other,
          feedback: [{ ...said, supersededBy: null, parked: false }]
        })
        assert.deepStrictEqual(yield* db.decisions(RouterId("nobody"), anyDecision), [])
      })
    )

    it.effect("finds the answered decisions of a session, of that owner alone, newest first", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const request = { sessionId: "s" }
        const records = [
          recordOf(id, { request }),
          recordOf(id, { request }),
          recordOf(id, { request, outcome: null }),
          recordOf(id, { request, outcome: { ...answered(), ok: false, aborted: true } }),
          recordOf(id, { request, owner: "alice" }),
          recordOf(id, { request: { sessionId: "t" } })
        ]
        yield* db.commit(commitOf(id, { decisions: records }))
        const [first, second, alices] = [records[0]!, records[1]!, records[4]!].map((record) => record.decision.id)
        const session = { sessionId: "s", owner: null }
        assert.deepStrictEqual(yield* db.sessionDecisions(id, session, 8), [second!, first!])
        assert.deepStrictEqual(yield* db.sessionDecisions(id, session, 1), [second!])
        assert.deepStrictEqual(yield* db.sessionDecisions(id, { ...session, owner: "alice" }, 8), [alices!])
        assert.deepStrictEqual(yield* db.sessionDecisions(id, { ...session, sessionId: "u" }, 8), [])
      })
    )

    it.effect("finds feedback by its idempotency key, with what it was answered", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const record = recordOf(id)
        const first = feedbackOn(record.decision.id, { idempotencyKey: "first" })
        const second = feedbackOn(record.decision.id, { idempotencyKey: "second" })
        yield* db.commit(commitOf(id, { decisions: [record], feedback: [first] }))
        yield* db.commit(commitOf(id, { feedback: [second] }))
        assert.deepStrictEqual(
          yield* db.feedbackByKey(id, "first"),
          Option.some({ ...first, supersededBy: second.id, parked: false, answered: "recorded" })
        )
        const answer = Option.map(yield* db.feedbackByKey(id, "second"), (row) => row.answered)
        assert.deepStrictEqual(answer, Option.some("superseded"))
        assert.isTrue(Option.isNone(yield* db.feedbackByKey(id, "third")))
        assert.isTrue(Option.isNone(yield* db.feedbackByKey(RouterId("nobody"), "first")))
      })
    )

    it.effect("keeps a prompt with its decision, with what no database can hold replaced", () =>
      Effect.gen(function* () {
        const { db, id, seed } = yield* fresh
        const [with_, without] = [
          recordOf(id, { seed, prompt: storablePrompt("nul \u0000 and \uD800 half, 🚀") }),
          recordOf(id, { seed })
        ]
        yield* db.commit(commitOf(id, { decisions: [with_, without] }))
        assert.strictEqual(
          Option.getOrThrow(yield* db.decision(id, with_.decision.id)).record.prompt,
          "nul \uFFFD and \uFFFD half, 🚀"
        )
        const listed = yield* db.decisions(id, anyDecision)
        assert.deepStrictEqual(
          listed.map(({ record }) => record),
          [without, with_]
        )
      })
    )

    it.effect("parks no more than it may, and answers repetitions of what is parked", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const parts = Array.from({ length: 3 }, () => feedbackOn(recordOf(id).decision.id))
        const first = yield* db.commit(commitOf(id, { feedback: parts.slice(0, 1), maxParked: 2 }))
        assert.deepStrictEqual(
          first.feedback.map(({ status }) => status),
          ["parked"]
        )
        const record = recordOf(id)
        const known = feedbackOn(record.decision.id)
        const second = yield* db.commit(
          commitOf(id, { decisions: [record], feedback: [...parts, known], maxParked: 2 })
        )
        assert.deepStrictEqual(
          second.feedback.map(({ status }) => status),
          ["parked", "parked", "parking_full", "recorded"]
        )
        assert.isTrue(Option.isNone(yield* db.feedbackByKey(id, parts[2]!.idempotencyKey)))
      })
    )

    it.effect("deletes what is past its limits, in batches, and nothing else", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const other = (yield* fresh).id
        const records = Array.from({ length: 4 }, () => recordOf(id, { prompt: "text" }))
        const [a, b, c, d] = [records[0]!, records[1]!, records[2]!, records[3]!]
        const said = records.map((record) => feedbackOn(record.decision.id))
        const parked = [feedbackOn(recordOf(id).decision.id), feedbackOn(recordOf(id).decision.id)]
        yield* db.commit(commitOf(id, { decisions: records, feedback: [...said, ...parked] }))
        const foreign = recordOf(other)
        yield* db.commit(commitOf(other, { decisions: [foreign] }))
        const limits = { ...keepAll, decisionsBeforeMillis: d.decision.createdAtMillis }
        assert.deepStrictEqual(yield* db.prune(id, keepAll, 10), nothingPruned)
        const first = yield* db.prune(
          id,
          {
            ...limits,
            promptsBeforeMillis: c.decision.createdAtMillis,
            parkedBeforeMillis: uuidV7Millis(parked[1]!.id)
          },
          2
        )
        assert.deepStrictEqual(first, { decisions: 2, feedback: 2, prompts: 2, parked: 1, commits: 0 })
        assert.deepStrictEqual(yield* db.prune(id, limits, 2), { ...nothingPruned, decisions: 1, feedback: 1 })
        assert.deepStrictEqual(yield* db.prune(id, limits, 2), nothingPruned)
        for (const gone of [a, b, c]) assert.isTrue(Option.isNone(yield* db.decision(id, gone.decision.id)))
        const kept = Option.getOrThrow(yield* db.decision(id, d.decision.id))
        assert.deepStrictEqual([kept.record.prompt, kept.feedback.length], ["text", 1])
        assert.isTrue(Option.isNone(yield* db.feedbackByKey(id, parked[0]!.idempotencyKey)))
        assert.isTrue(Option.isSome(yield* db.feedbackByKey(id, parked[1]!.idempotencyKey)))
        assert.isTrue(Option.isSome(yield* db.decision(other, foreign.decision.id)))
      })
    )

    it.effect(
      "deletes the oldest commits once both snapshots of every policy in use cover them, never the newest",
      () =>
        Effect.gen(function* () {
          const { db, id } = yield* fresh
          assert.strictEqual(yield* db.oldestPosition(id), 0)
          const commits = Array.from({ length: 6 }, () => commitOf(id, { decisions: [recordOf(id)] }))
          for (const commit of commits) yield* db.commit(commit)
          const all = { ...keepAll, logBeforeMillis: afterAll }
          const pruned = (limits: PruneLimits, batch = 100) =>
            Effect.map(db.prune(id, limits, batch), ({ commits }) => commits)
          const save = (fingerprint: string, watermark: number) =>
            db.saveSnapshot(id, fingerprint, { watermark, state: Uint8Array.of(1) })
          assert.strictEqual(yield* pruned(all), 0)
          yield* save("f", 6)
          assert.strictEqual(yield* pruned(all), 0)
          yield* save("f", 4)
          yield* save("g", 3)
          yield* save("g", 6)
          assert.strictEqual(yield* pruned({ ...all, logBeforeMillis: uuidV7Millis(commits[1]!.commitId) }), 1)
          assert.strictEqual(yield* db.oldestPosition(id), 2)
          assert.strictEqual(yield* pruned(all, 1), 1)
          assert.strictEqual(yield* pruned(all), 1)
          assert.strictEqual(yield* db.oldestPosition(id), 4)
          yield* save("f", 7)
          yield* save("f", 8)
          yield* save("g", 7)
          assert.strictEqual(yield* pruned(all), 2)
          assert.strictEqual(yield* db.oldestPosition(id), 6)
          assert.strictEqual(yield* db.position(id), 6)
          const rows = (yield* db.readLog(id, { after: 0, limit: 10, overlap: 0 })).commits
          assert.deepStrictEqual(
            rows.map(({ position }) => position),
            [6]
          )
          // Without a snapshot of a policy in use, nothing is covered.
          yield* db.commit(commitOf(id, { decisions: [recordOf(id)] }))
          assert.strictEqual(yield* pruned({ ...all, snapshotsSinceMillis: Date.now() + 3_600_000 }), 0)
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

    it.effect("stores no snapshot of a log that has gone back, and drops those that are ahead of it", () =>
      Effect.gen(function* () {
        const { db, id } = yield* fresh
        const commit = commitOf(id, { decisions: [recordOf(id)] })
        const { position } = yield* db.commit(commit)
        const snapshot = { watermark: position, state: Uint8Array.of(1) }
        const other = { position, commitId: commitOf(id, {}).commitId }
        assert.isFalse(yield* db.saveSnapshot(id, "f", snapshot, other))
        assert.deepStrictEqual(yield* db.snapshots(id, "f"), [])
        assert.isTrue(yield* db.saveSnapshot(id, "f", snapshot, { position, commitId: commit.commitId }))
        for (const [policy, watermark] of [
          ["f", 7],
          ["g", 5],
          ["g", 2]
        ] as const) {
          yield* db.saveSnapshot(id, policy, { watermark, state: Uint8Array.of(2) })
        }
        assert.strictEqual(yield* db.dropSnapshotsAfter(id, 2), 2)
        const left = [...(yield* db.snapshots(id, "f")), ...(yield* db.snapshots(id, "g"))]
        assert.deepStrictEqual(
          left.map(({ watermark }) => watermark),
          [position, 2]
        )
      })
    )

    // Forgetting is off, so that the order of the log can only show in the last bits.
    const parameters = { ...Hierarchical.defaultParameters, cusumH: Number.POSITIVE_INFINITY }
    const stateOf = (events: Iterable<readonly [position: number, event: LearningEvent]>) => {
      const state = Hierarchical.make(parameters, 24)
      for (const [position, event] of events) Hierarchical.fold(state, position, event)
      return state
    }

    for (let seed = 0; seed < 8; seed++) {
      it.effect(`folds to the final values, however outcomes, feedback and repetitions interleave (seed ${seed})`, () =>
        Effect.gen(function* () {
          const { db, id, seed: routerSeed } = yield* fresh
          const random = seeded(`interleaving-${seed}`)
          const pick = <A>(items: ReadonlyArray<A>): A => {
            const item = items[Math.floor(random() * items.length)]
            if (item === undefined) throw new Error("nothing to pick from")
            return item
          }
          const records = Array.from({ length: 4 }, (_, n) =>
            recordOf(id, {
              seed: routerSeed,
              outcome: answered(n % 2 === 0 ? small : large),
              features: Float32Array.from({ length: 24 }, (_, i) => (i === 0 ? 1 : random()))
            })
          )
          const unstored = new Set(records)
          const sent: Array<Commit> = []
          /** As the answers have it, so that its writer need not read it back. */
          const answeredLog: Array<StoredCommit> = []
          const send = (commit: Commit) => {
            sent.push(commit)
            return Effect.tap(db.commit(commit), ({ payload, position }) => {
              if (payload !== null) answeredLog.push({ position, commitId: commit.commitId, payload })
            })
          }
          for (let step = 0; step < 24; step++) {
            const what = random()
            if (what < 0.25 && unstored.size > 0) {
              const record = pick([...unstored])
              unstored.delete(record)
              yield* send(commitOf(id, { decisions: [record] }))
            } else if (what < 0.7) {
              const { decision } = pick(records)
              const given = { value: random(), confidence: 0.2 + random() / 2, source: pick(["a", "b"]) }
              yield* send(commitOf(id, { feedback: [feedbackOn(decision.id, given)] }))
            } else if (what < 0.85 && sent.length > 0) {
              assert.deepInclude(yield* db.commit(pick(sent)), { duplicate: true, payload: null })
            } else {
              yield* send(commitOf(id, { joined: yield* db.joinable(id, 100) }))
            }
          }
          yield* send(commitOf(id, { decisions: [...unstored] }))
          yield* send(commitOf(id, { joined: yield* db.joinable(id, 100) }))

          const rows = (yield* db.readLog(id, { after: 0, limit: 500, overlap: 0 })).commits
          const log = rows.flatMap(({ payload, position }) =>
            Either.getOrThrow(decodeEvents(payload)).map((event) => [position, event] as const)
          )
          const folded = stateOf(log)
          assert.deepStrictEqual(
            answeredLog.map((row) => ({ ...row, payload: Uint8Array.from(row.payload) })),
            rows.map((row) => ({ ...row, payload: Uint8Array.from(row.payload) }))
          )

          // A restart anywhere changes no bit.
          const cut = Math.floor(random() * log.length)
          const restored = Either.getOrThrow(
            Hierarchical.decode(Hierarchical.encode(stateOf(log.slice(0, cut))), parameters, 24)
          )
          for (const [position, event] of log.slice(cut)) Hierarchical.fold(restored, position, event)
          assert.deepStrictEqual(Hierarchical.encode(restored), Hierarchical.encode(folded))

          // What is left of all judgements, folded once.
          const finals: Array<readonly [number, LearningEvent]> = []
          for (const { decision, outcome } of records) {
            const stored = Option.getOrThrow(yield* db.decision(id, decision.id))
            const judged = combine(stored.feedback.filter((one) => one.supersededBy === null && !one.parked))
            if (judged === null || outcome === null) continue
            finals.push([
              1,
              {
                type: "quality",
                decisionId: decision.id,
                model: outcome.model,
                task: decision.request.task,
                features: decision.features,
                decidedAt: 0,
                ...judged,
                previous: null
              }
            ])
          }
          assert.isNotEmpty(finals)
          const expected = stateOf([...log.filter(([, event]) => event.type === "run"), ...finals])
          for (const model of [small, large]) {
            const [got, want] = [folded, expected].map((state) => evidenceOf(state, model))
            assert.isNotEmpty(want)
            assert.strictEqual(got?.length, want?.length)
            for (const [i, value] of (got ?? []).entries()) assert.closeTo(value, want?.[i] ?? Number.NaN, 1e-9)
          }
        })
      )
    }

    it.effect("names a router that does not exist as an error", () =>
      Effect.gen(function* () {
        const db = yield* Database
        const id = RouterId("nobody")
        const failure = yield* Effect.flip(db.commit(commitOf(id, { decisions: [recordOf(id)] })))
        assert.strictEqual(failure.reason, "unexpected")
      })
    )
  })

/** Everything that was judged of a model, by task: what no order of judgements and revisions may change. */
const evidenceOf = (state: Hierarchical.State, model: ModelId): ReadonlyArray<number> => {
  const evidence = state.quality.models[state.index.get(model) ?? -1]
  if (evidence === undefined) return []
  const { b, n, s, squares } = evidence
  const cells = [...evidence.cells.values()].sort((one, other) => ((one.task ?? "") < (other.task ?? "") ? -1 : 1))
  return [...s, ...b, n, squares, ...cells.flatMap((cell) => [cell.n, cell.sum, cell.squares, ...cell.x])]
}
