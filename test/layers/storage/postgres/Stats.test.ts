import { assert, describe, it } from "@effect/vitest"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Pg from "pg"
import { uniform } from "../../../../src/domain/basics/Rng.ts"
import { DecisionId, RouterId, uuidV7From } from "../../../../src/domain/basics/Ids.ts"
import { stepsOf } from "../../../../src/domain/stats/Stats.ts"
import { reading } from "../../../../src/layers/storage/postgres/statistics/Parts.ts"
import { Database } from "../../../../src/services/storage/Database.ts"
import { databaseAt, scopedUrl } from "../../../support/closing.ts"
import { answered, commitOf, feedbackOn, recordOf } from "../../../support/learningRecords.ts"
import { createDatabase, query } from "../../../support/postgres.ts"
import { eventually } from "../../../support/traffic.ts"

const routerId = RouterId("limits")
const asked = {
  owner: null,
  model: null,
  task: null,
  fromMillis: 0,
  untilMillis: 1000,
  stepsMillis: stepsOf(0, 1000).stepsMillis,
  costReferenceUsd: 1,
  latencyReferenceSeconds: 2,
  groupBy: [],
  savings: true
}

/** Somebody holds the table, so that whoever reads it waits. */
const held = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Pg.Client({ connectionString: url })
      await client.connect()
      await client.query("BEGIN; LOCK TABLE decisions IN ACCESS EXCLUSIVE MODE")
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )

describe("statistics that do not end", () => {
  it.scopedLive("have a limit in the server also where a pooler gave that of the session to another", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const client = yield* Layer.build(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))
      const sql = yield* Effect.provide(SqlClient.SqlClient, client)
      const limit = sql<{ statement_timeout: string }>`SHOW statement_timeout`
      assert.deepStrictEqual(yield* reading(sql, limit), [{ statement_timeout: "5s" }])
      assert.deepStrictEqual(yield* limit, [{ statement_timeout: "0" }])
    })
  )

  it.scopedLive("are too long a window when the statement is cancelled, and a database away when they wait", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const db = yield* Effect.provide(Database, yield* Layer.build(Layer.fresh(databaseAt(url))))
      yield* db.router(Option.some(routerId))
      yield* held(url)
      for (const read of [Effect.asVoid(db.stats(routerId, asked)), Effect.asVoid(db.savings(routerId, asked, 1))]) {
        const failing = yield* Effect.fork(Effect.flip(read))
        yield* Effect.promise(() =>
          eventually("the statement waits and is cancelled", 3000, async () => {
            const cancelled = await query(
              url,
              "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return cancelled.length > 0 ? true : undefined
          })
        )
        assert.strictEqual((yield* Fiber.join(failing))._tag, "WindowTooLong")
      }
      const waited = yield* Effect.flip(db.stats(routerId, asked))
      assert.isTrue(waited._tag === "DatabaseError" && waited.reason === "timeout", String(waited))
    })
  )
})

const adding = {
  batch: 20,
  costReferenceUsd: 0.001,
  isReferenceNew: true,
  latencyReferenceSeconds: 2,
  nowMillis: 0
}

/** What the sums of hours, and of days, say beside what the rows say; and what is not added up yet. */
const compare = async (url: string) => {
  const of = (from: string, requests: string, judged: string, costUsd: string, failed: string) =>
    query(
      url,
      `SELECT owner, task, model, ${requests}::int AS requests, ${judged}::int AS judged, round(${costUsd}, 12)::text AS cost,
         ${failed}::int AS failed FROM ${from} GROUP BY 1, 2, 3 HAVING ${requests} > 0 ORDER BY 1, 2, 3`
    )
  const sums = (hours: number) =>
    of(
      `(SELECT * FROM decision_sums WHERE hours = ${hours}) s`,
      "sum(requests)",
      "sum(judged)",
      "sum(cost_usd)",
      "sum(failed)"
    )
  const rows = await of(
    `(SELECT coalesce(owner, '') AS owner, coalesce(task, '') AS task, coalesce(answered_by, chosen) AS model, ok, aborted, cost_usd,
        learned_weight FROM decisions) d`,
    "count(*)",
    "count(*) FILTER (WHERE ok AND learned_weight > 0)",
    "coalesce(sum(cost_usd::numeric), 0)",
    "count(*) FILTER (WHERE NOT ok AND NOT aborted)"
  )
  const [left] = await query<{ count: number }>(url, "SELECT count(*)::int AS count FROM decision_changes")
  assert.strictEqual(left?.count, 0, "all is added up")
  assert.isAbove(rows.length, 0)
  assert.deepStrictEqual(await sums(1), rows, "by hour")
  assert.deepStrictEqual(await sums(24), rows, "by day")
}

describe("sums", () => {
  it.scopedLive("agree with rows that several replicas write, and add up, at the same time", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const replica = Effect.map(Layer.build(Layer.fresh(databaseAt(url))), Context.get(Database))
      const [one, other] = [yield* replica, yield* replica]
      const { id } = yield* one.router(Option.some(routerId))
      let isWriting = true
      const write = (db: Database["Type"], name: string) =>
        Effect.forEach(Array.from({ length: 40 }), (_, round) =>
          Effect.gen(function* () {
            const decisions = Array.from({ length: 5 }, (_, i) =>
              recordOf(id, {
                request: { task: i === 0 ? null : `task-${i % 2}` },
                outcome: i === 4 ? null : i === 3 ? { ...answered(), ok: false, error: "timeout" } : answered()
              })
            )
            yield* db.commit(commitOf(id, { decisions }))
            const feedback = decisions.map(({ decision }, i) =>
              feedbackOn(decision.id, { value: uniform(`${name} ${round} ${i}`) })
            )
            yield* db.commit(commitOf(id, { feedback }))
            yield* db.commit(
              commitOf(id, {
                reports: decisions.slice(4).map(({ decision }) => ({
                  decisionId: decision.id,
                  ok: true,
                  inputTokens: 1,
                  outputTokens: 2,
                  latencyMs: 3,
                  error: null,
                  owner: null
                })),
                feedback: decisions.slice(0, 2).map(({ decision }) => feedbackOn(decision.id, { value: 0.5 }))
              })
            )
          })
        )
      const addUp = (db: Database["Type"]) =>
        Effect.repeat(
          Effect.suspend(() => Effect.zipRight(db.addUp(id, adding), Effect.sleep("5 millis"))),
          { while: () => isWriting }
        )
      const adders = yield* Effect.fork(Effect.all([addUp(one), addUp(other)], { concurrency: 2 }))
      yield* Effect.all([write(one, "one"), write(other, "other")], { concurrency: 2 })
      isWriting = false
      yield* Fiber.join(adders)
      yield* Effect.repeat(one.addUp(id, adding), { until: ({ isDone }) => isDone })
      yield* Effect.promise(() => compare(url))
    })
  )

  it.scopedLive("of quarter minutes answer for the last hours, and the rows wherever they are not whole", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const db = Context.get(yield* Layer.build(Layer.fresh(databaseAt(url))), Database)
      const { id } = yield* db.router(Option.some(routerId))
      const ask = (text: string) => Effect.promise(() => query(url, text))
      const [hour, minute] = [3_600_000, 60_000]
      const nowMillis = 1_767_225_600_000 + 100.4 * hour
      // From an hour and a half ago until now.
      const decisions = Array.from({ length: 90 }, (_, i) => {
        const record = recordOf(id, { request: { task: i % 3 === 0 ? "code" : null } })
        const createdAtMillis = Math.floor(nowMillis - i * 1.013 * minute)
        const decisionId = DecisionId(uuidV7From(createdAtMillis, Buffer.alloc(10, i)))
        return { ...record, decision: { ...record.decision, id: decisionId, createdAtMillis } }
      })
      yield* db.commit(
        commitOf(id, { decisions, feedback: decisions.slice(0, 50).map(({ decision }) => feedbackOn(decision.id)) })
      )
      const addUp = (millis: number) =>
        Effect.repeat(db.addUp(id, { ...adding, nowMillis: millis }), { until: ({ isDone }) => isDone })
      yield* addUp(nowMillis)
      const looked = (windowMillis: number, stepMillis: number) =>
        db.stats(id, {
          ...asked,
          fromMillis: nowMillis - windowMillis,
          untilMillis: nowMillis + 1,
          stepsMillis: stepsOf(nowMillis - windowMillis, nowMillis + 1, stepMillis).stepsMillis,
          groupBy: ["step", "model"]
        })
      const both = Effect.all([looked(hour, minute), looked(0.25 * hour, 15_000)])
      // Sums are exact, and rows are added up as floats.
      const rounded = (found: unknown): unknown =>
        JSON.parse(
          JSON.stringify(found, (_, value) => (typeof value === "number" ? Number(value.toPrecision(9)) : value))
        )
      const right = yield* both
      assert.strictEqual(right[0].totals.requests, 60)
      yield* ask("UPDATE decision_sums SET requests = requests + 1 WHERE hours = 0")
      assert.deepStrictEqual(
        rounded(yield* both),
        rounded(right),
        "those that do not add up to the hour's are not used"
      )
      yield* ask(`UPDATE decision_sums h SET requests = q.requests FROM (
        SELECT bucket / 240 AS hour, task, sum(requests) AS requests FROM decision_sums WHERE hours = 0 GROUP BY 1, 2) q
        WHERE h.hours = 1 AND h.bucket = q.hour AND h.task = q.task`)
      const [used] = yield* both
      assert.isAtLeast(used.totals.requests, 110, "those that do are")
      yield* addUp(nowMillis + 4 * hour)
      assert.deepStrictEqual(yield* ask("SELECT FROM decision_sums WHERE hours = 0"), [], "old ones go")
      assert.deepStrictEqual(rounded(yield* both), rounded(right))

      // What is judged late of an hour that is over is in its sum, and in the rows.
      yield* db.commit(commitOf(id, { feedback: [feedbackOn(decisions[60]!.decision.id)] }))
      yield* addUp(nowMillis)
      const { totals } = yield* looked(1.5 * hour, minute)
      assert.strictEqual(totals.quality?.count, 51)
    })
  )

  it.scopedLive("follow a program that knows nothing of them, and whoever deletes rows", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const db = Context.get(yield* Layer.build(Layer.fresh(databaseAt(url))), Database)
      const { id } = yield* db.router(Option.some(routerId))
      const ask = (text: string) => Effect.promise(() => query(url, text))
      const all = Effect.zipRight(
        Effect.repeat(db.addUp(id, adding), { until: ({ isDone }) => isDone }),
        Effect.promise(() => compare(url))
      )
      // As if they were from before the sums.
      yield* db.commit(commitOf(id, { decisions: Array.from({ length: 50 }, () => recordOf(id)) }))
      yield* ask("DELETE FROM decision_changes")
      yield* ask(
        "UPDATE decisions SET learned_quality = 0.5, learned_weight = 1 WHERE get_byte(uuid_send(id), 15) < 128"
      )
      yield* db.addUp(id, adding)
      yield* ask("UPDATE decisions SET learned_quality = 0.25, learned_weight = 1")
      yield* db.addUp(id, adding)
      yield* ask("UPDATE decisions SET cost_usd = 1e50 WHERE get_byte(uuid_send(id), 15) < 100")
      yield* all
      yield* ask("UPDATE decisions SET cost_usd = 0.001")
      yield* ask("DELETE FROM decisions WHERE get_byte(uuid_send(id), 15) > 200")
      yield* all
      yield* ask("DELETE FROM decisions WHERE id <> (SELECT id FROM decisions ORDER BY id DESC LIMIT 1)")
      yield* all
      // Nothing is kept of what is gone.
      yield* ask("DELETE FROM decisions")
      yield* Effect.repeat(db.addUp(id, adding), { until: ({ isDone }) => isDone })
      assert.deepStrictEqual(
        yield* ask(
          "SELECT (SELECT count(*)::int FROM decision_sums) AS sums, (SELECT count(*)::int FROM failure_sums) AS failures"
        ),
        [{ sums: 0, failures: 0 }]
      )
    })
  )
})
