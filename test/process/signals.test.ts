import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { binary, chat, request, startConduit } from "../support/conduit.ts"
import { createDatabase, query } from "../support/postgres.ts"
import { asPid1, has } from "../support/external.ts"
import { lock, lockAwaited } from "../support/hostile.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { shutdownLines } from "../support/shutdownLines.ts"

const fixture = serviceFixture()

const hold = async (url: string, gate: string) => {
  const held = request(`${url}/v1/chat/completions`, { body: chat("hold", { mock: { gate } }) }).then(
    (answer) => answer.status,
    () => 0
  )
  await fixture.mock.waiting(gate, 1)
  return { status: held }
}

/** In a PID namespace of its own the service is PID 1, which has no default action for signals. Left out where there can be none. */
const places = [
  { name: "an ordinary process", prefix: [] as Array<string> },
  ...(has("pid1") ? [{ name: "PID 1", prefix: asPid1 }] : [])
]

describe.each(places)("signals to $name", ({ name, prefix }) => {
  /** `unshare` stands between us and PID 1: its child is the service. */
  const pidOf = (pid: number) => {
    if (prefix.length === 0) return pid
    const [child] = Fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")
    assert.match(child ?? "", /^\d+$/)
    return Number(child)
  }

  it("goes straight to persisting at the second one", async () => {
    // It waits neither for the gate, which nobody opens, nor for a drain that would take an hour.
    const env = { CONDUIT_SHUTDOWN_TIMEOUT: "1 hour" }
    const conduit = await startConduit({ databaseUrl: fixture.database.url, upstream: fixture.mock.url, env, prefix })
    const held = await hold(conduit.url, `second-${name}`)
    const pid = pidOf(conduit.pid)
    process.kill(pid, "SIGTERM")
    await conduit.logged("Phase 1/3: Draining 1 requests")
    process.kill(pid, "SIGTERM")
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 2)
    assert.deepInclude(report, { outcome: "forced", signals: 2 })
    assert.strictEqual(report.phases[2]?.outcome, "ok")
    assert.strictEqual(await held.status, 503)
    assert.deepStrictEqual(shutdownLines(conduit), [
      "INFO Starting graceful shutdown sequence",
      "INFO Phase 1/3: Draining 1 requests",
      "WARNING Second signal: 1 requests are cut",
      "INFO Phase 2/3: Persisting bandit state",
      "INFO Bandit state persisted successfully",
      "INFO Phase 3/3: Closing database connections",
      "INFO PostgreSQL connection pool closed gracefully",
      "WARNING Shutdown completed with 1 errors in X.Xs"
    ])
  })

  it("has not missed one that came while it was loaded", async () => {
    const conduit = await startConduit({
      databaseUrl: fixture.database.url,
      upstream: fixture.mock.url,
      prefix,
      command: ["--import", Path.resolve(import.meta.dirname, "../fixtures/loading.mjs"), binary, "serve"],
      isUnready: true
    })
    await conduit.logged("loading")
    process.kill(pidOf(conduit.pid), "SIGTERM")
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0)
    assert.deepInclude(report, { outcome: "clean", signal: "SIGTERM", signals: 1 })
  })

  it("ends at once at the third one", async () => {
    const env = { CONDUIT_SHUTDOWN_PERSIST_TIMEOUT: "1 hour" }
    const conduit = await startConduit({ databaseUrl: fixture.database.url, upstream: fixture.mock.url, env, prefix })
    const pid = pidOf(conduit.pid)
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("something to learn") })
    assert.strictEqual(answer.status, 200)
    const { release } = await lock(fixture.database.url, "LOCK TABLE bandit_snapshots IN ACCESS EXCLUSIVE MODE")
    process.kill(pid, "SIGTERM")
    await lockAwaited(fixture.database.url)
    // Of two kinds: two of one kind may come as one.
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.kill(pid, signal)
    const { code, report } = await conduit.ended()
    await release()
    assert.strictEqual(code, 2)
    assert.deepInclude(report, { outcome: "forced", signals: 3 })
    // After two it would have waited for the snapshot until the limit, and said so.
    assert.deepStrictEqual(report.errors, [])
  })
})

describe("a start", () => {
  it("lets three processes start at once on an empty database", async () => {
    const fresh = await createDatabase()
    const three = await Promise.all(
      [1, 2, 3].map(() => startConduit({ upstream: fixture.mock.url, databaseUrl: fresh.url }))
    )
    for (const conduit of three) {
      assert.strictEqual((await request(`${conduit.url}/health/ready`)).status, 200)
      conduit.kill("SIGTERM")
    }
    for (const conduit of three) assert.strictEqual((await conduit.ended()).code, 0)
    assert.lengthOf(await query(fresh.url, "SELECT id FROM routers"), 1)
    await fresh.drop()
  })
})
