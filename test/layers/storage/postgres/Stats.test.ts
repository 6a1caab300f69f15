import { assert, describe, it } from "@effect/vitest"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Pg from "pg"
import { RouterId } from "../../../../src/domain/basics/Ids.ts"
import { stepsOf } from "../../../../src/domain/stats/Stats.ts"
import { reading } from "../../../../src/layers/storage/postgres/statistics/Parts.ts"
import { Database } from "../../../../src/services/storage/Database.ts"
import { databaseAt, scopedUrl } from "../../../support/closing.ts"
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
  latencyReferenceSeconds: 2
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
