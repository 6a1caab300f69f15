import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { RouterId } from "../../../../src/domain/basics/Ids.ts"
import { Database } from "../../../../src/services/storage/Database.ts"
import { databaseAt } from "../../../support/closing.ts"
import { commitOf, recordOf } from "../../../support/learningRecords.ts"
import { freePort, query, startPostgres, type TestPostgres } from "../../../support/postgres.ts"

const id = RouterId("failover")

const setReadOnly = async (server: TestPostgres, value: "on" | "off") => {
  await query(server.url, `ALTER SYSTEM SET default_transaction_read_only = ${value}`)
  await query(server.url, "SELECT pg_reload_conf()")
}

const decisionsAt = (server: TestPostgres) =>
  Effect.promise(() => query<{ count: number }>(server.url, "SELECT count(*)::int AS count FROM decisions")).pipe(
    Effect.map(([row]) => row?.count)
  )

const hostOf = (server: TestPostgres) => `127.0.0.1:${server.port}`

describe("an address of several servers", () => {
  let first: TestPostgres
  let second: TestPostgres
  beforeEach(async () => {
    ;[first, second] = await Promise.all([startPostgres(), startPostgres()])
    // Both have the schema, as a primary and its standby do.
    for (const server of [first, second]) {
      await Effect.runPromise(
        Effect.flatMap(Layer.build(Layer.fresh(databaseAt(server.url))), (context) =>
          Effect.provide(
            Effect.flatMap(Database, (db) => db.router(Option.some(id))),
            context
          )
        ).pipe(Effect.scoped)
      )
    }
  })
  afterEach(() => Promise.all([first.dispose(), second.dispose()]))

  const opened = (url: string, connectDeadlineMs = 10_000) =>
    Effect.flatMap(Layer.build(Layer.fresh(databaseAt(url, { connectDeadlineMs }))), (context) =>
      Effect.provide(Database, context)
    )
  const store = (db: typeof Database.Service) => db.commit(commitOf(id, { decisions: [recordOf(id)] }))

  it.scopedLive("takes the first one that answers", () =>
    Effect.gen(function* () {
      const nobody = yield* Effect.promise(freePort)
      const db = yield* opened(`postgres://postgres@127.0.0.1:${nobody},${hostOf(first)},${hostOf(second)}/postgres`)
      yield* store(db)
      assert.deepStrictEqual([yield* decisionsAt(first), yield* decisionsAt(second)], [1, 0])
    })
  )

  it.scopedLive("passes one by that takes no writes, and says so where all do", () =>
    Effect.gen(function* () {
      yield* Effect.promise(() => setReadOnly(first, "on"))
      const url = `postgres://postgres@${hostOf(first)},${hostOf(second)}/postgres?target_session_attrs=read-write`
      yield* store(yield* opened(url))
      assert.deepStrictEqual([yield* decisionsAt(first), yield* decisionsAt(second)], [0, 1])
      yield* Effect.promise(() => setReadOnly(second, "on"))
      const refused = yield* Effect.flip(Effect.scoped(opened(url, 0)))
      assert.match(refused.message, /none of 127\.0\.0\.1:\d+,127\.0\.0\.1:\d+\/postgres takes writes/)
    })
  )

  it.scopedLive("finds the new primary when the old one goes away, and when it only takes no writes any more", () =>
    Effect.gen(function* () {
      const db = yield* opened(`postgres://postgres@${hostOf(first)},${hostOf(second)}/postgres`)
      const storeAtLast = store(db).pipe(Effect.retry({ times: 20 }))
      yield* store(db)
      yield* Effect.promise(first.stop)
      yield* storeAtLast
      assert.strictEqual(yield* decisionsAt(second), 1)
      yield* Effect.promise(first.start)
      yield* Effect.promise(() => setReadOnly(second, "on"))
      yield* storeAtLast
      assert.deepStrictEqual([yield* decisionsAt(first), yield* decisionsAt(second)], [2, 1])
    })
  )
})
