import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { compareWithRows } from "../support/acknowledged.ts"
import { chat, type ConduitProcess, type ModelScript, oneSocket, request, startConduit } from "../support/conduit.ts"
import { makeFeedbackClient } from "../support/feedbackClient.ts"
import { createDatabase, query } from "../support/postgres.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { until } from "../support/traffic.ts"

const fixture = serviceFixture()
const models: ReadonlyArray<ModelScript> = [{ id: "small" }, { id: "large" }]

const starting = (env: Readonly<Record<string, string>> = {}, databaseUrl: string | null = fixture.database.url) =>
  startConduit({
    upstream: fixture.mock.url,
    models,
    env: { CONDUIT_WORKERS: "2", ...env },
    ...(databaseUrl === null ? {} : { databaseUrl })
  })

const linesOf = (file: string) => {
  try {
    return Fs.readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

/** The processes that serve, as the system has them. */
const workersOf = ({ pid }: Pick<ConduitProcess, "pid">): ReadonlyArray<number> =>
  linesOf(`/proc/${pid}/task/${pid}/children`)
    .trim()
    .split(" ")
    .map(Number)
    .filter((child) => linesOf(`/proc/${child}/cmdline`).includes("\0worker\0"))

const isThere = (pid: number) => linesOf(`/proc/${pid}/stat`) !== ""

const holding = async (url: string, gates: ReadonlyArray<string>) => {
  const held: Array<Promise<number>> = []
  for (const gate of gates) {
    const one = request(`${url}/v1/chat/completions`, { body: chat("hold", { mock: { gate } }) }).then(
      ({ status }) => status,
      () => 0
    )
    await fixture.mock.waiting(gate, 1)
    held.push(one)
  }
  return held
}

/** Of each worker, of which a scrape has series, how many chats it has answered. */
const answered = (exposition: string): ReadonlyMap<string, number> =>
  new Map(
    [...exposition.matchAll(/^conduit_requests_total\{route="\/v1\/chat\/completions".*worker="(.+?)"\} (\d+)$/gm)].map(
      ([, worker = "", count]) => [worker, Number(count)]
    )
  )

const gates = (name: string) => Array.from({ length: 6 }, (_, i) => `${name}-${i}`)

describe("workers", () => {
  it("serve on one address, tell their metrics in one scrape, and end with one report on SIGTERM to the parent", async () => {
    const conduit = await starting({ CONDUIT_RELOAD_ON_SIGHUP: "true" })
    assert.lengthOf(workersOf(conduit), 2)
    const one = oneSocket()
    const other = oneSocket()
    for (let i = 0; i < 20; i++) {
      const agent = i % 2 === 0 ? one : other
      const { status } = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hi"), agent })
      assert.strictEqual(status, 200)
    }
    one.destroy()
    other.destroy()
    // Whoever is asked tells of all.
    for (let i = 0; i < 6; i++) {
      const { text } = await request(`${conduit.url}/metrics`)
      assert.deepStrictEqual(
        [...text.matchAll(/^process_start_time_seconds\{worker="(.+?)"\}/gm)].map(([, worker]) => worker),
        ["parent", "0", "1"]
      )
      assert.strictEqual(
        [...answered(text).values()].reduce((sum, count) => sum + count, 0),
        20
      )
      assert.lengthOf([...text.matchAll(/^# TYPE conduit_requests_total counter$/gm)], 1)
    }

    // Each reads its configuration again, because the parent was asked to.
    conduit.kill("SIGHUP")
    await until("a reload of both", () => {
      const said = conduit.lines.filter(({ message }) => String(message).includes("onfiguration"))
      return new Set(said.map(({ worker }) => worker)).size === 2
    })

    const held = await holding(conduit.url, gates("parent"))
    conduit.kill("SIGTERM")
    await conduit.logged("Phase 1/3: Draining")
    for (const gate of gates("parent")) fixture.mock.openGate(gate)
    const { code, report } = await conduit.ended()
    assert.deepStrictEqual(await Promise.all(held), [200, 200, 200, 200, 200, 200])
    assert.strictEqual(code, 0, JSON.stringify(report))
    assert.deepInclude(report, { outcome: "clean", signal: "SIGTERM", signals: 1 })
    assert.deepInclude(report.requests, { in_flight_at_signal: 6, drained: 6, interrupted: 0 })
    assert.deepStrictEqual(
      report.phases.map(({ outcome, phase }) => [phase, outcome]),
      [
        ["settle", "skipped"],
        ["drain", "ok"],
        ["persist", "ok"],
        ["close", "ok"],
        ["flush", "ok"]
      ]
    )
    assert.deepInclude(report.workers, { replaced: 0 })
    assert.deepStrictEqual(
      report.workers?.ended.map(({ outcome, worker }) => [worker, outcome]),
      [
        [0, "clean"],
        [1, "clean"]
      ]
    )
    const [stored] = await query<{ n: number }>(fixture.database.url, "SELECT count(*)::int AS n FROM decisions")
    assert.strictEqual(stored?.n, 26)
  })

  it("share the parent's embedded database, and count a signal to the whole group once", async () => {
    const conduit = await starting({}, null)
    const [held] = await holding(conduit.url, ["group"])
    process.kill(-conduit.pid, "SIGTERM")
    await conduit.logged("Phase 1/3: Draining")
    fixture.mock.openGate("group")
    assert.strictEqual(await held, 200)
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0, JSON.stringify(report))
    assert.deepInclude(report, { outcome: "clean", signals: 1 })
    assert.deepInclude(report.requests, { in_flight_at_signal: 1, drained: 1 })
    assert.deepInclude(report.learning, { unpersisted: 0, dropped: 0 })
  })

  it("cut their requests at a second signal, and name the worst", async () => {
    const conduit = await starting()
    const [held] = await holding(conduit.url, ["second"])
    conduit.kill("SIGTERM")
    await conduit.logged("Phase 1/3: Draining 1 requests")
    const [cut] = conduit.lines.filter(({ message }) => message === "Phase 1/3: Draining 1 requests")
    conduit.kill("SIGTERM")
    const { code, report } = await conduit.ended()
    assert.strictEqual(await held, 503)
    assert.strictEqual(code, 2)
    assert.deepInclude(report, { outcome: "forced", signals: 2 })
    assert.deepInclude(report.requests, { in_flight_at_signal: 1, interrupted: 1 })
    assert.strictEqual(report.workers?.worst, cut?.["worker"])
    assert.deepStrictEqual(
      report.errors.map(({ _tag, worker }) => [_tag, worker]),
      [["DrainTimeout", cut?.["worker"]]]
    )
  })

  it("end in order when their parent is killed, and none is left", async () => {
    const conduit = await starting()
    const workers = workersOf(conduit)
    const [held] = await holding(conduit.url, ["orphan"])
    conduit.kill("SIGKILL")
    await conduit.logged("Phase 1/3: Draining 1 requests")
    fixture.mock.openGate("orphan")
    assert.strictEqual(await held, 200)
    await until("the end of both", () => workers.every((pid) => !isThere(pid)))
    // Each tells of itself: there is nobody else to.
    await until("their reports", () => conduit.lines.filter(({ event }) => event === "shutdown_report").length === 2)
    for (const line of conduit.lines.filter(({ event }) => event === "shutdown_report")) {
      assert.deepInclude(line, { outcome: "clean", exit_code: 0, signal: "parent died" })
    }
  })

  it("are replaced when they are killed under load, and what they had acknowledged is kept", async () => {
    const database = await createDatabase()
    const conduit = await starting({ CONDUIT_FLUSH_INTERVAL: "100 millis" }, database.url)
    const client = makeFeedbackClient("workers")
    const traffic = client.start([conduit.url], 60)
    for (let i = 0; i < 2; i++) {
      const before = workersOf(conduit)
      const victim = before[i % 2] ?? 0
      await new Promise((resolve) => setTimeout(resolve, 400))
      process.kill(victim, "SIGKILL")
      await until("another worker", () => {
        const said = conduit.lines.filter(({ message }) => /^Worker \d was replaced/.test(String(message)))
        return said.length === i + 1
      })
      assert.lengthOf(workersOf(conduit), 2)
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
    await traffic.stop()
    await client.finish(conduit.url)
    conduit.kill("SIGTERM")
    const { code, report } = await conduit.ended()
    await compareWithRows(client, (text) => query(database.url, text))
    client.close()
    await database.drop()
    assert.isAbove(client.count("recorded"), 10)
    assert.deepInclude(report.workers, { replaced: 2 })
    assert.deepStrictEqual(
      report.errors.map(({ _tag }) => _tag),
      ["WorkerDied", "WorkerDied"]
    )
    // What the dead had not stored is lost, and counted as they said it last.
    assert.strictEqual(code, report.learning.dropped > 0 ? 3 : 2)
    assert.strictEqual(report.outcome, "dirty")
  })

  it("that die again and again end the service, with the reason", async () => {
    const conduit = await starting()
    const killed = new Set<number>()
    while (conduit.child.exitCode === null && killed.size < 6) {
      const fresh = workersOf(conduit).filter((pid) => !killed.has(pid))
      // One and the same of the two: the newest is in the place of the one that died.
      const victim = killed.size === 0 ? fresh[0] : fresh.at(-1)
      if (victim !== undefined && (killed.size === 0 || fresh.length === 2)) {
        killed.add(victim)
        process.kill(victim, "SIGKILL")
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 1)
    assert.strictEqual(report.outcome, "failed")
    assert.include(
      report.errors.map(({ message }) => message),
      "worker 0 died more than 5 times within a minute, the last time by SIGKILL"
    )
    assert.deepStrictEqual(
      report.workers?.ended.map(({ outcome }) => outcome),
      ["died", "clean"]
    )
  })

  it("do not start on PGlite, which has one session, and it is said what to do", async () => {
    const conduit = await startConduit({
      upstream: fixture.mock.url,
      env: { CONDUIT_WORKERS: "2", CONDUIT_EMBEDDED_DATABASE: "pglite" },
      isUnready: true
    })
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 1)
    assert.strictEqual(report.outcome, "failed")
    assert.include(
      String(report.errors[0]?.message),
      "CONDUIT_WORKERS: 2 processes cannot share PGlite, which has one session: set DATABASE_URL to a PostgreSQL, or 1 worker"
    )
    assert.lengthOf(workersOf(conduit), 0)
  })

  it("that cannot start say why once", async () => {
    const conduit = await startConduit({
      configuration: "models: [{ id: a, provider: nobody }]",
      env: { CONDUIT_WORKERS: "2" },
      databaseUrl: fixture.database.url,
      isUnready: true
    })
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 1)
    assert.strictEqual(report.outcome, "failed")
    assert.match(String(report.errors[0]?.message), /^worker 0 could not start: the configuration has/)
    assert.lengthOf(report.workers?.ended ?? [], 1)
  })
})
