import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Pg from "pg"
import { chat, killAll, request, startConduit } from "../../support/conduit.ts"
import { type FeedbackClient, makeFeedbackClient } from "../../support/feedbackClient.ts"
import { query, startPostgres, type TestPostgres } from "../../support/postgres.ts"
import { startUpstream, type Upstream } from "../../support/processMock.ts"
import { eventually, paced } from "../../support/traffic.ts"

const poolSize = 4
const chatsPerSecond = 25
const feedbacksPerSecond = 10
/** What is promised, and three times that is tolerated. */
const recoveryMs = 5_000

let postgres: TestPostgres
let mock: Upstream
let client: FeedbackClient | null = null
/** What a trouble that failed half-way leaves. */
let undo: () => Promise<void> = () => Promise.resolve()

beforeAll(async () => {
  postgres = await startPostgres("any", ["max_connections=16", "superuser_reserved_connections=4"])
  mock = await startUpstream()
  await query(postgres.url, "CREATE ROLE app LOGIN")
})
afterEach(async () => {
  await undo()
  undo = () => Promise.resolve()
  client?.close()
  await killAll()
})
afterAll(async () => {
  await mock.close()
  await postgres.dispose()
})

interface Trouble {
  readonly begin: () => Promise<void>
  readonly end: () => Promise<void>
}

/** The role's own database; `superuser` is how the test looks in. */
const createAppDatabase = async (name: string, more = "") => {
  await query(postgres.url, `CREATE DATABASE ${name} OWNER app ${more}`)
  const app = new URL(postgres.url)
  app.pathname = `/${name}`
  const superuser = app.href
  app.username = "app"
  return { app: app.href, superuser }
}

const nobody: Http.IncomingHttpHeaders = {}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** The most connections that the service was seen with; a server that does not answer is not asked again and again. */
const watchConnections = (url: string) => {
  let most = 0
  let isWatching = true
  const watching = (async () => {
    while (isWatching) {
      const [row] = await query<{ n: number }>(
        url,
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE 'conduit-%' AND usename = 'app'"
      ).catch(() => [])
      most = Math.max(most, row?.n ?? 0)
      await pause(100)
    }
  })()
  return {
    stop: async () => {
      isWatching = false
      await watching
      return most
    }
  }
}

/**
 * Chats and feedback go on through the trouble and after it; then it comes again, and the service is stopped in it.
 * Answers what the report gives as the reason, and whether
 * something is not saved.
 */
const survive = async (
  name: string,
  database: { readonly app: string; readonly superuser: string },
  holdMs: number,
  trouble: Trouble
) => {
  const conduit = await startConduit({
    upstream: mock.url,
    models: [{ id: "small" }, { id: "large" }],
    databaseUrl: database.app,
    env: {
      DATABASE_POOL_SIZE: String(poolSize),
      CONDUIT_SHUTDOWN_PERSIST_TIMEOUT: "2 seconds",
      CONDUIT_SHUTDOWN_CLOSE_TIMEOUT: "2 seconds"
    }
  })
  const agent = new Http.Agent({ keepAlive: true })
  const decisions: Array<string> = []
  const failures: Array<string> = []
  const ask = async (number: number) => {
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat(`chat ${number}`), agent }).catch(
      (error: Error) => ({ status: 0, text: error.message, headers: nobody })
    )
    if (answer.status === 200) decisions.push(String(answer.headers["x-conduit-decision-id"]))
    else failures.push(`${number}: ${answer.status} ${answer.text.slice(0, 200)}`)
  }
  const fed = (client = makeFeedbackClient(name))
  const chats = paced(chatsPerSecond, ask)
  const feedback = fed.start([conduit.url], feedbacksPerSecond)
  const connections = watchConnections(database.superuser)
  const logged = (message: string) => conduit.lines.filter((line) => String(line["message"]).startsWith(message)).length

  const probe = async () => {
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("probe") })
    assert.strictEqual(answer.status, 200)
    const body = { decision_id: answer.headers["x-conduit-decision-id"], kind: "thumbs", value: "up" }
    const { status } = await request(`${conduit.url}/v1/feedback`, { body })
    return status
  }

  await pause(500)
  undo = trouble.end
  await trouble.begin()
  const refusedAt = performance.now()
  // Sessions hear of it between two statements, and pages that a table has already are filled before a disk is full.
  await eventually("feedback is refused", 30_000, async () => {
    const status = await probe()
    if (status !== 200) assert.strictEqual(status, 503)
    return status === 503 ? true : undefined
  })
  await pause(Math.max(0, holdMs - (performance.now() - refusedAt)))
  assert.strictEqual((await request(`${conduit.url}/health/live`)).status, 200)
  await trouble.end()
  const backAt = performance.now()
  await eventually("it has recovered", 3 * recoveryMs, () => (logged("The database is back") > 0 ? true : undefined))
  const recoveredMs = Math.round(performance.now() - backAt)
  await eventually("feedback is recorded again", 3 * recoveryMs, async () =>
    (await probe()) === 200 ? true : undefined
  )

  await pause(500)
  await Promise.all([chats.stop(), feedback.stop()])
  await fed.finish(conduit.url)
  const mostConnections = await connections.stop()

  assert.deepStrictEqual(failures, [])
  assert.deepStrictEqual(fed.violations, [])
  assert.isAtMost(mostConnections, poolSize + 1)
  // Nothing was answered 200 that is not there, and no outcome that waited is lost.
  const stored = await query<{ key: string; id: string; answered: string }>(
    database.superuser,
    "SELECT idempotency_key AS key, id::text AS id, answered FROM feedback"
  )
  const byKey = new Map(stored.map((row) => [row.key, row]))
  for (const [key, sent] of fed.keys) {
    const row = byKey.get(key)
    assert.deepStrictEqual([row?.id, row?.answered], [sent.id, sent.status], key)
  }
  await eventually("all outcomes are stored", 5_000, async () => {
    const rows = await query<{ id: string }>(database.superuser, "SELECT id::text AS id FROM decisions")
    const known = new Set(rows.map(({ id }) => id))
    return [...decisions, ...fed.decisions.keys()].every((id) => known.has(id)) ? true : undefined
  })

  const isAway = () => conduit.lines.filter((line) => String(line["message"]).startsWith("The database is away")).length
  const episodes = isAway()
  await trouble.begin()
  const answered = decisions.length
  const unstored = paced(20, ask)
  await eventually("the trouble is noticed, and an outcome waits", 15_000, () =>
    logged("The database is away") > episodes && decisions.length > answered ? true : undefined
  )
  await unstored.stop()
  conduit.kill("SIGTERM")
  const { code, report } = await conduit.ended()
  agent.destroy()
  const isUnsaved = report.learning.unpersisted > 0
  assert.strictEqual(code, isUnsaved ? 3 : 2, JSON.stringify(report))
  const persist = report.errors.find((error) => error.phase === "persist")
  assert.isDefined(persist, JSON.stringify(report))
  const reason = persist?.["reason"] ?? persist?._tag
  process.stderr.write(
    `${name}: ${decisions.length} chats, ${fed.keys.size} feedbacks, ${episodes} episode(s), recovered after ${recoveredMs} ms, ` +
      `at most ${mostConnections} connections of ${poolSize}; ${reason}: ${persist?.message}\n`
  )
  await trouble.end()
  undo = () => Promise.resolve()
  return { reason, isUnsaved }
}

describe("under chats and feedback, PostgreSQL", () => {
  it("may be restarted like after a crash", async () => {
    const database = await createAppDatabase("restarted")
    let isDown = false
    const stopped = await survive("restarted", database, 1_500, {
      begin: async () => {
        isDown = true
        await postgres.stop()
      },
      end: async () => {
        if (isDown) await postgres.start()
        isDown = false
      }
    })
    assert.deepStrictEqual(stopped, { reason: "connection", isUnsaved: true })
  })

  it("may stop answering for longer than a statement may take", async () => {
    const database = await createAppDatabase("paused")
    const stopped = await survive("paused", database, 10_000, {
      begin: async () => postgres.pause(),
      end: async () => postgres.resume()
    })
    assert.deepStrictEqual(stopped, { reason: "PersistTimeout", isUnsaved: true })
  })

  it("may have no connection to spare", async () => {
    const database = await createAppDatabase("exhausted")
    const greedy = new Set<Pg.Client>()
    const take = async (): Promise<boolean> => {
      const one = new Pg.Client({ connectionString: database.app, application_name: "greedy" })
      one.on("error", () => undefined)
      try {
        await one.connect()
      } catch {
        return false
      }
      greedy.add(one)
      return true
    }
    const stopped = await survive("exhausted", database, 2_000, {
      begin: async () => {
        // A slot that its backend has not left yet may still go to the service: several looks must agree.
        let agreeing = 0
        await eventually("no slot is left", 20_000, async () => {
          const ended = await query(
            database.superuser,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND application_name <> 'greedy'"
          )
          let taken = 0
          while (await take()) taken++
          agreeing = ended.length + taken === 0 ? agreeing + 1 : 0
          return agreeing === 10 ? true : undefined
        })
      },
      end: async () => {
        await Promise.all(Array.from(greedy, (one) => one.end()))
        greedy.clear()
      }
    })
    assert.deepStrictEqual(stopped, { reason: "too_many_connections", isUnsaved: true })
  })

  it("may be read-only", async () => {
    const database = await createAppDatabase("readonly")
    const setReadOnly = async (change: string) => {
      await query(database.superuser, `ALTER SYSTEM ${change}`)
      await query(database.superuser, "SELECT pg_reload_conf()")
      const wanted = change.startsWith("SET") ? "on" : "off"
      await eventually("it is so", 5_000, async () => {
        const [row] = await query<Record<string, string>>(database.superuser, "SHOW default_transaction_read_only")
        return row?.["default_transaction_read_only"] === wanted ? true : undefined
      })
    }
    const stopped = await survive("readonly", database, 2_000, {
      begin: () => setReadOnly("SET default_transaction_read_only = on"),
      end: () => setReadOnly("RESET default_transaction_read_only")
    })
    assert.deepStrictEqual(stopped, { reason: "read_only", isUnsaved: true })
  })

  it("may take the role's rights away", async () => {
    const database = await createAppDatabase("revoked")
    const rights = "INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
    const stopped = await survive("revoked", database, 2_000, {
      begin: () => query(database.superuser, `REVOKE ${rights} FROM app`).then(() => undefined),
      end: () => query(database.superuser, `GRANT ${rights} TO app`).then(() => undefined)
    })
    assert.deepStrictEqual(stopped, { reason: "permission", isUnsaved: true })
  })

  // Needs a small disk of its own: a tmpfs, which only some may mount.
  it("may have a full disk", async ({ skip }) => {
    const disk = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-disk-"))
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", disk]).status !== 0) {
      Fs.rmSync(disk, { recursive: true, force: true })
      return skip("a tmpfs cannot be mounted here")
    }
    try {
      const space = Path.join(disk, "space")
      Fs.mkdirSync(space)
      if (process.getuid?.() === 0) Fs.chownSync(space, 65_534, 65_534)
      Fs.chmodSync(disk, 0o755)
      await query(postgres.url, `CREATE TABLESPACE small LOCATION '${space}'`)
      const database = await createAppDatabase("filled", "TABLESPACE small")
      const filler = Path.join(disk, "filler")
      const stopped = await survive("filled", database, 3_000, {
        begin: async () => {
          const file = Fs.openSync(filler, "w")
          const page = Buffer.alloc(4096, 1)
          try {
            for (;;) Fs.writeSync(file, page)
          } catch (error) {
            assert.include(String(error), "ENOSPC")
          } finally {
            Fs.closeSync(file)
          }
        },
        end: async () => Fs.rmSync(filler, { force: true })
      })
      // What is small enough may still find room, but not the snapshot.
      assert.strictEqual(stopped.reason, "disk_full")
      await killAll()
      await query(postgres.url, "DROP DATABASE filled WITH (FORCE)")
      await query(postgres.url, "DROP TABLESPACE small")
    } finally {
      await killAll()
      spawnSync("umount", ["-l", disk])
      Fs.rmSync(disk, { recursive: true, force: true })
    }
  })
})
