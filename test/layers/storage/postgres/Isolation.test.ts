import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Pg from "pg"
import { RouterId } from "../../../../src/domain/basics/Ids.ts"
import { makeStore } from "../../../../src/layers/storage/postgres/Store.ts"
import { readCommitted, transactAfter } from "../../../../src/layers/storage/postgres/store/Transaction.ts"
import { Database } from "../../../../src/services/storage/Database.ts"
import { databaseAt, scopedUrl } from "../../../support/closing.ts"
import { commitOf, feedbackOn, recordOf } from "../../../support/learningRecords.ts"
import { createDatabase, query } from "../../../support/postgres.ts"
import { eventually } from "../../../support/traffic.ts"

const id = RouterId("isolation")

const isolatedUrl = (level: string) =>
  Effect.tap(scopedUrl(createDatabase), (url) =>
    Effect.promise(() =>
      query(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_isolation = '${level}'`)
    )
  )

/** Somebody else's commit, which moves the router's position while ours waits for it. */
const meanwhile = <A, E>(url: string, work: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const other = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Pg.Client({ connectionString: url })
        await client.connect()
        await client.query(`BEGIN; UPDATE routers SET position = position + 1 WHERE id = '${id}'`)
        return client
      }),
      (client) => Effect.promise(() => client.end())
    )
    const working = yield* Effect.fork(work)
    yield* Effect.promise(() =>
      eventually("it waits for the other transaction", 10_000, async () => {
        const waiting = await query(
          url,
          "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return waiting.length > 0 ? true : undefined
      })
    )
    yield* Effect.promise(() => other.query("COMMIT"))
    return yield* Fiber.join(working)
  })

describe("a commit that waits for another one", () => {
  for (const level of ["repeatable read", "serializable"]) {
    it.scopedLive(`is stored behind it, where ${level} is the default`, () =>
      Effect.gen(function* () {
        const url = yield* isolatedUrl(level)
        const db = yield* Effect.provide(Database, yield* Layer.build(Layer.fresh(databaseAt(url))))
        yield* db.router(Option.some(id))
        const record = recordOf(id)
        const made = yield* meanwhile(url, db.commit(commitOf(id, { decisions: [record] })))
        assert.strictEqual(made.position, 2)
        const judged = yield* meanwhile(
          url,
          db.commit(commitOf(id, { feedback: [feedbackOn(record.decision.id, { value: 1 })] }))
        )
        assert.deepStrictEqual([judged.position, judged.feedback[0]?.status], [4, "recorded"])
      })
    )

    it.scopedLive(`is stored behind it, where a pooler gave the limits of the session to another: ${level}`, () =>
      Effect.gen(function* () {
        const url = yield* isolatedUrl(level)
        yield* Layer.build(Layer.fresh(databaseAt(url)))
        const client = yield* Layer.build(PgClient.layer({ url: Redacted.make(url), maxConnections: 2 }))
        const db = makeStore(yield* Effect.provide(SqlClient.SqlClient, client))
        yield* db.router(Option.some(id))
        const record = recordOf(id)
        const made = yield* meanwhile(url, db.commit(commitOf(id, { decisions: [record] })))
        assert.strictEqual(made.position, 2)
        const snapshot = { watermark: 2, state: Uint8Array.of(1) }
        yield* db.saveSnapshot(id, "f", snapshot)
        assert.deepStrictEqual((yield* db.snapshots(id, "f")).length, 1)
      })
    )
  }

  it.scopedLive(
    "holds its locks no longer than five seconds where its process stands still, whatever the session has",
    () =>
      Effect.gen(function* () {
        const url = yield* scopedUrl(createDatabase)
        const client = yield* Layer.build(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))
        const sql = yield* Effect.provide(SqlClient.SqlClient, client)
        const shown = Effect.map(
          sql<{ idle_in_transaction_session_timeout: string }>`SHOW idle_in_transaction_session_timeout`,
          ([row]) => row?.idle_in_transaction_session_timeout
        )
        const within = yield* transactAfter(sql, { begin: readCommitted, first: ["SELECT 7 AS seven"] }, (first) =>
          Effect.map(shown, (limit) => ({ first, limit }))
        )
        assert.deepStrictEqual(within, { first: [[{ seven: 7 }]], limit: "5s" })
        assert.strictEqual(yield* shown, "0")
      })
  )
})
