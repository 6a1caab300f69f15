import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Pg from "pg"
import { RouterId } from "../../../../src/domain/basics/Ids.ts"
import { Database } from "../../../../src/services/storage/Database.ts"
import { databaseAt, scopedUrl } from "../../../support/closing.ts"
import { has, pgbouncer, run } from "../../../support/external.ts"
import { commitOf, recordOf } from "../../../support/learningRecords.ts"
import { startPgbouncer } from "../../../support/pgbouncer.ts"
import { createDatabase, sharedUrl } from "../../../support/postgres.ts"

const id = RouterId("pooled")

const pooledBy = (mode: "session" | "transaction", settings: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const url = yield* scopedUrl(createDatabase)
    const pooler = yield* Effect.acquireRelease(
      Effect.promise(() => startPgbouncer(sharedUrl(), mode, settings)),
      ({ stop }) => Effect.promise(stop)
    )
    const pooled = pooler.urlOf(url)
    const db = yield* Effect.provide(Database, yield* Layer.build(Layer.fresh(databaseAt(pooled))))
    yield* db.router(Option.some(id))
    return { db, pooled }
  })

/** From 1.21 on it follows prepared statements. */
const preparing = run(pgbouncer ?? "pgbouncer", ["--version"]).stdout.match(/1\.(\d+)/)?.[1] ?? "0"

const store = (db: typeof Database.Service) =>
  Effect.suspend(() => db.commit(commitOf(id, { decisions: [recordOf(id)] })))

describe.skipIf(!has("pgbouncer"))("Database.changes behind PgBouncer", () => {
  it.scopedLive("tells of commits where sessions are kept, as LISTEN works there", () =>
    Effect.gen(function* () {
      const { db } = yield* pooledBy("session")
      const told = yield* db.changes(id).pipe(Stream.take(1), Stream.runCollect, Effect.fork)
      const storing = yield* Effect.fork(Effect.repeat(store(db), Schedule.spaced("200 millis")))
      const positions = yield* Fiber.join(told).pipe(Effect.timeout("20 seconds"))
      assert.isAbove([...positions][0] ?? 0, 0)
      yield* Fiber.interrupt(storing)
    })
  )

  it.scopedLive("ends where a transaction has any session, with or without prepared statements", () =>
    Effect.gen(function* () {
      for (const prepared of Number(preparing) >= 21 ? [0, 100] : [null]) {
        const { db } = yield* pooledBy("transaction", [
          ...(prepared === null ? [] : [`max_prepared_statements = ${prepared}`]),
          "default_pool_size = 3"
        ])
        yield* Stream.runDrain(db.changes(id)).pipe(Effect.timeout("20 seconds"))
        yield* store(db)
        assert.strictEqual(yield* db.position(id), 1)
      }
    })
  )

  it.scopedLive("is not needed: the log is read though somebody else hears the notifications", () =>
    Effect.gen(function* () {
      const { db, pooled } = yield* pooledBy("transaction", ["default_pool_size = 1"])
      const stranger = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const client = new Pg.Client({ connectionString: pooled })
          client.on("error", () => undefined)
          await client.connect()
          await client.query("LISTEN conduit_log")
          return client
        }),
        (client) => Effect.promise(() => client.end())
      )
      const heard: Array<string> = []
      stranger.on("notification", ({ payload }) => void heard.push(payload ?? ""))
      for (let i = 0; i < 3; i++) {
        yield* store(db)
        yield* Effect.promise(() => stranger.query("SELECT 1"))
      }
      yield* Effect.sleep(Duration.millis(100))
      const { commits } = yield* db.readLog(id, { after: 0, limit: 10, overlap: 0 })
      assert.deepStrictEqual(
        commits.map(({ position }) => position),
        [1, 2, 3]
      )
    })
  )
})
