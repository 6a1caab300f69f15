// The embedded database across a major version of PostgreSQL: installs 17 by the command that the start names, makes and
// fills a database with it, and lets this version carry it over. Needs the registry of npm.
// node bench/run.mjs test/long/olderMajor.ts
import assert from "node:assert/strict"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { execSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { RouterId } from "../../src/domain/basics/Ids.ts"
import * as Telemetry from "../../src/layers/observing/Telemetry.ts"
import * as ShutdownReportJson from "../../src/layers/running/ShutdownReportJson.ts"
import * as DatabasePg from "../../src/layers/storage/postgres/DatabasePg.ts"
import { accountFor } from "../../src/layers/storage/postgres/embedded/Account.ts"
import { olderBinaries } from "../../src/layers/storage/postgres/embedded/Binaries.ts"
import { initialise, passwordOf, user } from "../../src/layers/storage/postgres/embedded/Cluster.ts"
import * as Postmaster from "../../src/layers/storage/postgres/embedded/Postmaster.ts"
import * as PostgresEmbedded from "../../src/layers/storage/postgres/PostgresEmbedded.ts"
import { Database } from "../../src/services/storage/Database.ts"
import { PostgresServer } from "../../src/services/storage/PostgresServer.ts"
import { settingsWith } from "../support/closing.ts"
import { feedbackOn, commitOf, recordOf } from "../support/learningRecords.ts"
import { query } from "../support/postgres.ts"

const decisions = 5_000
const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-older-"))
const old = Path.join(folder, "postgresql-17")
const settings = settingsWith({ dataDirectory: folder })
const embedded = PostgresEmbedded.layer.pipe(Layer.provide(settings))
const id = RouterId("older")

const databaseOn = <E>(server: Layer.Layer<PostgresServer, E>) =>
  DatabasePg.layer.pipe(
    Layer.provideMerge(server),
    Layer.provide(Layer.mergeAll(ShutdownReportJson.layer, Telemetry.layer, settings))
  )

const refusal = Effect.map(Effect.flip(Effect.scoped(Layer.build(Layer.fresh(embedded)))), ({ message }) => message)

/** The server of 17 on its own files. */
const seventeen = Layer.scoped(
  PostgresServer,
  Effect.gen(function* () {
    const account = accountFor([folder])
    const cluster = { directory: old, account, binaries: Either.getOrThrow(olderBinaries(account, folder, 17)) }
    assert.strictEqual(cluster.binaries.major, 17)
    yield* initialise(cluster)
    const { end, port } = yield* Postmaster.serve(cluster, 20, Duration.seconds(5))
    const password = yield* passwordOf(old)
    return PostgresServer.of({
      url: Redacted.make(`postgres://${user}:${password}@127.0.0.1:${port}/postgres`),
      poolSize: 4,
      isSingleSession: false,
      end: Option.some(end)
    })
  })
)

const tables = ["routers", "learning_log", "decisions", "feedback", "bandit_snapshots", "prompts"]

/** Every row of every table as text. */
const everything = Effect.flatMap(PostgresServer, ({ url }) =>
  Effect.forEach(tables, (table) =>
    Effect.promise(() =>
      query<{ line: string }>(Redacted.value(url), `SELECT t::text AS line FROM ${table} t ORDER BY 1`)
    )
  )
)
const version = Effect.flatMap(PostgresServer, ({ url }) =>
  Effect.promise(() =>
    query<{ version: number }>(Redacted.value(url), "SELECT current_setting('server_version_num')::int AS version")
  )
)

const fill = Effect.gen(function* () {
  const db = yield* Database
  const { seed } = yield* db.router(Option.some(id))
  for (let done = 0; done < decisions; done += 100) {
    const records = Array.from({ length: 100 }, () => recordOf(id, { seed }))
    const feedback = records.map((record) => feedbackOn(record.decision.id, { value: 0.5 }))
    yield* db.commit(commitOf(id, { decisions: records, feedback }))
  }
  yield* db.saveSnapshot(id, "policy", { watermark: 1, state: new Uint8Array(100_000).fill(7) })
})

const program = Effect.gen(function* () {
  Fs.mkdirSync(old)
  Fs.writeFileSync(Path.join(old, "PG_VERSION"), "17\n")
  const [, command = ""] = /run `([^`]+)` and start again/.exec(yield* refusal) ?? []
  process.stderr.write(`${command}\n`)
  execSync(command, { stdio: "ignore", timeout: 180_000 })

  const before = yield* Effect.gen(function* () {
    assert.deepEqual(Math.floor((yield* version)[0]!.version / 10_000), 17)
    yield* fill
    return yield* everything
  }).pipe(Effect.provide(databaseOn(seventeen)))
  process.stderr.write(`${before.map((rows, index) => `${tables[index]} ${rows.length}`).join(", ")}\n`)

  const binaries = Path.join(folder, "postgresql-17-binaries")
  Fs.renameSync(binaries, `${binaries}.away`)
  assert.match(yield* refusal, /made by PostgreSQL 17, which is needed once/)
  Fs.renameSync(`${binaries}.away`, binaries)

  yield* Effect.gen(function* () {
    assert.ok((yield* version)[0]!.version >= 180_000)
    assert.deepEqual(yield* everything, before)
    // Keys go on where they were.
    yield* (yield* Database).router(Option.some(RouterId("next")))
  }).pipe(Effect.provide(Layer.fresh(databaseOn(embedded))))
  assert.deepEqual(
    Fs.readdirSync(folder).filter((name) => name.startsWith("postgresql-")),
    ["postgresql-17-binaries", "postgresql-17.carried-over", "postgresql-18"]
  )
  process.stderr.write("carried over: every row is the same\n")
})

try {
  await Effect.runPromise(program)
} finally {
  Fs.rmSync(folder, { recursive: true, force: true })
}
