import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Pg from "pg"
import { RouterId } from "../../../../src/domain/basics/Ids.ts"
import { normalise, preferences } from "../../../../src/domain/routing/Weights.ts"
import { endPoolSoon, makePool } from "../../../../src/layers/storage/postgres/Pool.ts"
import { makeServers } from "../../../../src/layers/storage/postgres/Servers.ts"
import { newestMigration } from "../../../../src/layers/storage/postgres/Start.ts"
import { Database } from "../../../../src/services/storage/Database.ts"
import { ShutdownReport } from "../../../../src/services/running/ShutdownReport.ts"
import { databaseAt, scopedUrl } from "../../../support/closing.ts"
import { commitOf, recordOf } from "../../../support/learningRecords.ts"
import { patientMs } from "../../../support/patience.ts"
import { createDatabase, query, startPostgres } from "../../../support/postgres.ts"
import { startTcpProxy } from "../../../support/tcpProxy.ts"
import { eventually, until } from "../../../support/traffic.ts"

const id = RouterId("faults")

/** The database and the report of a service, and what stops it. */
const started = (url: string, options: Parameters<typeof databaseAt>[1] = {}) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.build(Layer.fresh(databaseAt(url, options))).pipe(Scope.extend(scope))
    const db = yield* Database.pipe(Effect.provide(context))
    const report = yield* ShutdownReport.pipe(Effect.provide(context))
    yield* db.router(Option.some(id))
    return { db, report, stop: Scope.close(scope, Exit.void) }
  })

const proxyTo = (url: string) =>
  Effect.gen(function* () {
    const target = new URL(url)
    const proxy = yield* Effect.acquireRelease(
      Effect.promise(() => startTcpProxy({ host: target.hostname, port: Number(target.port) })),
      (proxy) => Effect.promise(proxy.close).pipe(Effect.timeoutOption("1 second"), Effect.interruptible)
    )
    target.port = String(proxy.port)
    return { proxy, url: target.href }
  })

describe("DatabasePg, at its limits", () => {
  it.scopedLive("terminates what is busy at close, names it without values, and leaves no backend", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const { db, report, stop } = yield* started(url, { closeTimeoutMs: 300 })
      const blocker = new Pg.Client({ connectionString: url })
      blocker.on("error", () => undefined)
      yield* Effect.promise(() => blocker.connect())
      yield* Effect.promise(() => blocker.query("BEGIN; LOCK TABLE decisions IN ACCESS EXCLUSIVE MODE"))
      const busy = yield* Effect.fork(Effect.exit(db.commit(commitOf(id, { decisions: [recordOf(id)] }))))
      const backends =
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'conduit-%'"
      yield* Effect.promise(() => query(url, `${backends} AND wait_event_type = 'Lock'`)).pipe(
        Effect.repeat({ until: (rows) => rows.length === 1 })
      )
      yield* stop
      const { errors, phases } = yield* report.entries
      assert.deepStrictEqual(
        phases.map((p) => [p.phase, p.outcome]),
        [["close", "timeout"]]
      )
      const [error] = errors
      assert.strictEqual(error?._tag, "PoolCloseTimeout")
      assert.strictEqual(error?.["terminated"], 1)
      assert.include(JSON.stringify(error), "WITH r AS (SELECT key, position FROM routers WHERE id = $1::text)")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(busy)))
      yield* Effect.promise(() => query(url, backends)).pipe(Effect.repeat({ until: (rows) => rows.length === 0 }))
      yield* Effect.promise(() => blocker.end())
    })
  )

  it.scopedLive("times out with a database that went silent, and closes within its limits", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* proxyTo(yield* scopedUrl(createDatabase))
      const { db, report, stop } = yield* started(url, { closeTimeoutMs: 300 })
      proxy.silent()
      const failure = yield* Effect.fork(Effect.flip(db.position(id)))
      yield* Effect.sleep("100 millis")
      yield* stop
      const { errors } = yield* report.entries
      assert.deepStrictEqual(
        errors.map((e) => [e._tag, e["terminated"]]),
        [["PoolCloseTimeout", 0]]
      )
      assert.include(["connection", "timeout"], (yield* Fiber.join(failure)).reason)
    })
  )

  it.scopedLive("does not use a connection again whose answer never came", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* proxyTo(yield* scopedUrl(createDatabase))
      const { db, stop } = yield* started(url)
      proxy.silent()
      const failure = yield* Effect.flip(db.position(id))
      assert.strictEqual(failure.reason, "timeout")
      proxy.resume()
      assert.strictEqual(yield* db.position(id), 0)
      yield* stop
    })
  )

  it.scopedLive(
    "ends the statement that is interrupted, and never another one's that is on its connection by then",
    () =>
      Effect.gen(function* () {
        const url = yield* scopedUrl(createDatabase)
        const bounded = makePool({
          servers: makeServers(Redacted.make(url), Duration.seconds(5)),
          size: 2,
          applicationName: "cancelling",
          connectTimeout: Duration.seconds(5),
          statementTimeout: Duration.seconds(5),
          lockTimeout: Duration.seconds(3)
        })
        yield* Effect.addFinalizer(() => endPoolSoon(bounded))
        const client = yield* Layer.build(PgClient.layerFromPool({ acquire: Effect.succeed(bounded.pool) }))
        const sql = yield* Effect.provide(SqlClient.SqlClient, client)
        const running = (count: number) =>
          Effect.promise(() =>
            eventually(`${count} statements run`, 10_000, async () => {
              const active = `SELECT FROM pg_stat_activity WHERE application_name = 'cancelling' AND query LIKE '%pg_sleep%' AND state = 'active'`
              return (await query(url, active)).length === count ? true : undefined
            })
          )
        // Both connections are busy, and who waits for one is first in the line.
        const long = yield* Effect.fork(sql`SELECT pg_sleep(0.8)`)
        const interrupted = yield* Effect.fork(sql`SELECT pg_sleep(0.5)`)
        yield* running(2)
        const next = yield* Effect.fork(sql`SELECT pg_sleep(1)`)
        yield* Effect.sleep("50 millis")
        yield* Fiber.interrupt(interrupted)
        yield* running(2)
        yield* Fiber.join(long)
        assert.lengthOf(yield* Fiber.join(next), 1)
        const within = yield* Effect.fork(sql.withTransaction(sql`SELECT pg_sleep(4)`))
        yield* running(1)
        yield* Fiber.interrupt(within)
        yield* running(0)
      })
  )

  it.scopedLive("waits for a database that comes, and gives up with its address and without its password", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* proxyTo(yield* scopedUrl(createDatabase))
      yield* Effect.promise(proxy.refuse)
      const secret = new URL(url)
      secret.password = "hunter2"
      const startedMs = performance.now()
      const failure = yield* Effect.flip(
        Effect.scoped(Layer.build(databaseAt(secret.href, { connectDeadlineMs: 400 })))
      )
      assert.isAtLeast(performance.now() - startedMs, 399)
      assert.strictEqual(failure.reason, "connection")
      assert.include(failure.operation, `127.0.0.1:${proxy.port}`)
      assert.notInclude(JSON.stringify(failure), "hunter2")
      const coming = yield* Effect.fork(started(url))
      // Less than the deadline of a start: it is tried again and again meanwhile.
      yield* Effect.sleep("300 millis")
      yield* Effect.promise(proxy.listen)
      const { stop } = yield* Fiber.join(coming)
      yield* stop
    })
  )

  it.scopedLive("stops promptly while it waits for a database", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* proxyTo(yield* scopedUrl(createDatabase))
      proxy.silent()
      const waiting = yield* Effect.fork(Effect.scoped(Layer.build(databaseAt(url, { closeTimeoutMs: 200 }))))
      yield* Effect.promise(() => until("it has connected", () => proxy.connections() > 0))
      const startedAt = Date.now()
      yield* Fiber.interrupt(waiting)
      assert.isBelow(Date.now() - startedAt, patientMs(2_500))
    })
  )

  it.scopedLive("migrates an empty database once when three start together", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const all = yield* Effect.all([started(url), started(url), started(url)], { concurrency: 3 })
      const rows = yield* Effect.promise(() => query(url, "SELECT migration_id FROM conduit_migrations"))
      assert.deepStrictEqual(
        rows,
        Array.from({ length: newestMigration }, (_, i) => ({ migration_id: i + 1 }))
      )
      for (const { stop } of all) yield* stop
    })
  )

  it.scopedLive("leaves nothing of a migration that is interrupted, and finishes it at the next start", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      // Another session holds the lock of the migrations: the migration is under way for as long as it likes.
      const blocker = new Pg.Client({ connectionString: url })
      yield* Effect.promise(() => blocker.connect())
      yield* Effect.promise(() => blocker.query("BEGIN; CREATE TABLE bandit_snapshots (held integer)"))
      const starting = yield* Effect.fork(started(url))
      yield* Effect.promise(() =>
        query(url, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%bandit_snapshots%'")
      ).pipe(Effect.repeat({ until: (rows) => rows.length > 0 }))
      const startedAt = Date.now()
      yield* Fiber.interrupt(starting)
      assert.isBelow(Date.now() - startedAt, patientMs(3_000))
      yield* Effect.promise(() => blocker.query("ROLLBACK"))
      yield* Effect.promise(() => blocker.end())
      const tables = yield* Effect.promise(() =>
        query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
      )
      assert.deepStrictEqual(tables, [{ tablename: "conduit_migrations" }])
      const { stop } = yield* started(url)
      yield* stop
    })
  )

  it.scopedLive("refuses a schema that is newer than the program", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const { stop } = yield* started(url)
      yield* stop
      yield* Effect.promise(() =>
        query(url, "INSERT INTO conduit_migrations (migration_id, name) VALUES (99, 'later')")
      )
      const failure = yield* Effect.flip(Effect.scoped(Layer.build(databaseAt(url))))
      assert.strictEqual(failure.reason, "schema_newer")
    })
  )

  it.scopedLive(
    "stores a decision between four models in less than 600 bytes of all tables and indexes, and text that PostgreSQL cannot hold",
    () =>
      Effect.gen(function* () {
        const url = yield* scopedUrl(createDatabase)
        const { db, stop } = yield* started(url)
        for (let batch = 0; batch < 40; batch++) {
          const decisions = Array.from({ length: 500 }, () => {
            const record = recordOf(id)
            const [candidate] = record.decision.candidates
            const candidates = Array.from({ length: 4 }, () => candidate!)
            const request = { ...record.decision.request, weights: normalise(preferences.balanced), constraints: {} }
            return { ...record, decision: { ...record.decision, request, candidates } }
          })
          yield* db.commit(commitOf(id, { decisions }))
        }
        // What waits to be added up is no lasting row; a vacuum leaves it there while anybody looks.
        const adding = {
          batch: 2000,
          costReferenceUsd: 1e-3,
          isReferenceNew: true,
          latencyReferenceSeconds: 2,
          nowMillis: 0
        }
        yield* Effect.repeat(db.addUp(id, adding), { until: ({ isDone }) => isDone })
        const [size] = yield* Effect.promise(() =>
          query<{ bytes: number }>(
            url,
            `SELECT sum(pg_total_relation_size(oid))::float8 / 20000 AS bytes FROM pg_class
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'decision_changes'`
          )
        )
        assert.isBelow(size?.bytes ?? Infinity, 600)
        const odd = recordOf(id)
        const request = { ...odd.decision.request, userId: "nul \u0000 half \uD800" }
        yield* db.commit(commitOf(id, { decisions: [{ ...odd, decision: { ...odd.decision, request } }] }))
        const { record } = Option.getOrThrow(yield* db.decision(id, odd.decision.id))
        assert.strictEqual(record.decision.request.userId, "nul \uFFFD half \uFFFD")
        yield* stop
      })
  )

  it.scopedLive("works on the PostgreSQL of the npm package, and after it was stopped and started again", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => startPostgres("npm")),
        (server) => Effect.promise(server.dispose)
      )
      const { db, stop } = yield* started(server.url)
      yield* db.commit(commitOf(id, { decisions: [recordOf(id)] }))
      yield* Effect.promise(server.stop)
      assert.strictEqual((yield* Effect.flip(db.position(id))).reason, "connection")
      yield* Effect.promise(server.start)
      assert.strictEqual(yield* db.position(id), 1)
      yield* stop
    })
  )
})
