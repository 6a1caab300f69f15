import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { startCollector } from "../../support/collector.ts"
import { binary } from "../../support/conduit.ts"
import { type Line, type Site, startSite } from "../../support/doctor.ts"
import { query } from "../../support/postgres.ts"
import { until } from "../../support/traffic.ts"

let site: Site
beforeAll(async () => {
  site = await startSite()
})
afterAll(() => site?.close())

describe("conduit doctor --rehearse", () => {
  const rehearsal = (lines: ReadonlyArray<Line>) => lines.find(({ name }) => name === "rehearsal")
  const routers = (url: string) => query(url, "SELECT id FROM routers WHERE id LIKE 'conduit-doctor-%'")

  it("stops a spare instance under load, shows when each phase ran, and leaves no row", async () => {
    const before = await site.rowsOf("healthy")
    const collector = await startCollector()
    const settling = { CONDUIT_SHUTDOWN_SETTLE: "300 millis", OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }
    const { code, stdout } = await site.run(settling, "--rehearse", "--strict")
    assert.strictEqual(code, 0, stdout)
    assert.match(stdout, /^pass {2}rehearsal .*exit code 0 after .* 2 of 2 open requests answered, 0 events lost/m)
    assert.match(stdout, /\n +settle +█+·* +3\d\d ms of 0\.3 s\n +drain .*\n +persist .*\n +close .*\n +flush /)
    assert.deepStrictEqual(await site.rowsOf("healthy"), before)
    assert.notInclude(site.provider.asked, "/v1/chat/completions")
    assert.deepStrictEqual(
      collector.exports.map(({ body }) => body.length),
      [0, 0]
    )
    await collector.close()
  })

  it("fails when the shutdown of the spare instance does", async () => {
    const url = await site.copied("unsaved")
    await query(
      url,
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$`
    )
    await query(url, "CREATE TRIGGER refuse BEFORE INSERT ON bandit_snapshots FOR EACH ROW EXECUTE FUNCTION refuse()")
    await site.failing("rehearsal", /^exit code \d; .*disk_full/, { DATABASE_URL: url }, "--rehearse")
    assert.deepStrictEqual(await routers(url), [])
  })

  it("migrates nothing, and starts nothing where something failed", async () => {
    await query(site.server.url, "CREATE DATABASE untouched")
    const untouched = { DATABASE_URL: site.databaseUrl("untouched") }
    const { code, lines } = await site.doctor(untouched, "--rehearse")
    assert.strictEqual(code, 0)
    assert.match(rehearsal(lines)?.detail ?? "", /left out: schema comes first/)
    assert.deepStrictEqual(await query(untouched.DATABASE_URL, "SELECT FROM pg_tables WHERE schemaname = 'public'"), [])
  })

  // SIGHUP comes when the terminal closes.
  it.each(["SIGTERM", "SIGHUP"] as const)(
    "ends with the spare instance, and without its rows, by %s",
    async (signal) => {
      const name = `ended_by_${signal.toLowerCase()}`
      const url = await site.copied(name)
      const child = spawn(process.execPath, [binary, "doctor", "--rehearse", "--url", site.conduit.url], {
        cwd: site.folder,
        env: { PATH: process.env["PATH"] ?? "", ...site.env, DATABASE_URL: url, CONDUIT_SHUTDOWN_SETTLE: "20 seconds" },
        stdio: ["ignore", "ignore", "pipe"]
      })
      const ended = once(child, "exit")
      const connections = () => query(site.server.url, "SELECT pid FROM pg_stat_activity WHERE datname = $1", [name])
      await until("its router is there", async () => (await routers(url)).length === 1)
      child.kill(signal)
      const [code] = await ended
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(await routers(url), [])
      await until("its connections are closed", async () => (await connections()).length === 0)
    }
  )
})
