import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { RouterId } from "../../../../src/domain/basics/Ids.ts"
import * as DatabaseMemory from "../../../../src/layers/storage/memory/DatabaseMemory.ts"
import * as DatabasePg from "../../../../src/layers/storage/postgres/DatabasePg.ts"
import * as PostgresEmbedded from "../../../../src/layers/storage/postgres/PostgresEmbedded.ts"
import * as ShutdownReportJson from "../../../../src/layers/running/ShutdownReportJson.ts"
import * as Telemetry from "../../../../src/layers/observing/Telemetry.ts"
import { Database } from "../../../../src/services/storage/Database.ts"
import { PostgresServer } from "../../../../src/services/storage/PostgresServer.ts"
import { ShutdownReport } from "../../../../src/services/running/ShutdownReport.ts"
import { quietLifecycle, settingsWith } from "../../../support/closing.ts"
import { databaseContract } from "../../../support/databaseContract.ts"
import { commitOf, recordOf } from "../../../support/learningRecords.ts"
import { query } from "../../../support/postgres.ts"
import { statsContract } from "../../../support/statsContract.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "conduit-embedded-"))
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))
const settings = settingsWith({ dataDirectory: folder, closeTimeoutMs: 500 })
const server = PostgresEmbedded.layer.pipe(Layer.provide(settings))
const database = DatabasePg.layer.pipe(
  Layer.provideMerge(server),
  Layer.provideMerge(ShutdownReportJson.layer),
  Layer.provide(Layer.mergeAll(quietLifecycle, Telemetry.layer, settings))
)

databaseContract("embedded", database)
statsContract("embedded", database, DatabaseMemory.layer)

describe("PostgresEmbedded", () => {
  it.live(
    "keeps what was stored over a restart, and refuses a second user of its directory",
    () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const context = yield* Layer.build(database).pipe(Scope.extend(scope))
        const id = RouterId("restart")
        const record = yield* Effect.gen(function* () {
          const db = yield* Database
          const { seed } = yield* db.router(Option.some(id))
          const record = recordOf(id, { seed })
          yield* db.commit(commitOf(id, { decisions: [record] }))
          return record
        }).pipe(Effect.provide(context))
        const second = yield* Effect.flip(Effect.scoped(Layer.build(Layer.fresh(server))))
        assert.strictEqual(second.reason, "in_use")
        yield* Scope.close(scope, Exit.void)

        // What a killed process leaves: its lock, with a pid that nobody has.
        fs.writeFileSync(path.join(folder, "postgres.lock"), "999999999 1\n")
        const found = yield* Effect.flatMap(Database, (db) => db.decision(id, record.decision.id)).pipe(
          Effect.provide(Layer.fresh(database))
        )
        assert.deepStrictEqual(Option.getOrThrow(found).record, record)
        assert.isFalse(fs.existsSync(path.join(folder, "postgres.lock")))
      }),
    60_000
  )

  it.live(
    "ends within its limits while a transaction of another client is open, and says so",
    () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const context = yield* Layer.build(Layer.fresh(database)).pipe(Scope.extend(scope))
        const { url } = yield* PostgresServer.pipe(Effect.provide(context))
        const hung = query(Redacted.value(url), "BEGIN; SELECT pg_sleep(4)").catch(() => [])
        yield* Effect.sleep("200 millis")
        const db = yield* Database.pipe(Effect.provide(context))
        const waiting = yield* Effect.fork(Effect.exit(db.position(RouterId("restart"))))
        yield* Effect.sleep("100 millis")
        const startedAt = Date.now()
        yield* Scope.close(scope, Exit.void)
        assert.isBelow(Date.now() - startedAt, 6_000)
        const { errors } = yield* ShutdownReport.pipe(
          Effect.flatMap((report) => report.entries),
          Effect.provide(context)
        )
        assert.deepStrictEqual(
          errors.map((error) => error._tag),
          ["PoolCloseTimeout"]
        )
        yield* Effect.promise(() => hung)
        yield* waiting.await
      }),
    60_000
  )
})

describe("PostgresEmbedded, cut at its first start", () => {
  it.live(
    "ends at once, and makes a whole database at the next start",
    () =>
      Effect.gen(function* () {
        const own = path.join(folder, "cut")
        const cut = PostgresEmbedded.layer.pipe(Layer.provide(settingsWith({ dataDirectory: own })))
        const starting = yield* Effect.fork(Effect.scoped(Layer.build(Layer.fresh(cut))))
        yield* Effect.sync(() => fs.existsSync(path.join(own, "postgres", "base"))).pipe(
          Effect.delay("10 millis"),
          Effect.repeat({ until: (begun) => begun })
        )
        const startedAt = Date.now()
        yield* Fiber.interrupt(starting)
        assert.isBelow(Date.now() - startedAt, 1_500)
        assert.isTrue(fs.existsSync(path.join(own, "postgres.creating")))
        yield* Effect.gen(function* () {
          const { url } = yield* PostgresServer
          const rows = yield* Effect.promise(() => query(Redacted.value(url), "SELECT 1 AS one"))
          assert.deepStrictEqual(rows, [{ one: 1 }])
        }).pipe(Effect.provide(Layer.fresh(cut)))
        assert.isFalse(fs.existsSync(path.join(own, "postgres.creating")))
      }),
    60_000
  )
})
