import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { query, startPostgres, type TestPostgres } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { eventually, until } from "../support/traffic.ts"
import { shutdownLines } from "../support/shutdownLines.ts"
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.ts"

let postgres: TestPostgres
let mock: Upstream
let proxy: TcpProxy

beforeAll(async () => {
  postgres = await startPostgres()
  mock = await startUpstream()
})
afterEach(async () => {
  await killAll()
  await proxy?.close()
})
afterAll(async () => {
  await mock.close()
  await postgres.dispose()
})

const limits = {
  CONDUIT_SHUTDOWN_TIMEOUT: "2 seconds",
  CONDUIT_SHUTDOWN_PERSIST_TIMEOUT: "2 seconds",
  // Shorter than the time-out of a connection, by which the driver gives its cancellation up: the pool could end with it.
  CONDUIT_SHUTDOWN_CLOSE_TIMEOUT: "1500 millis"
}

/** Nothing is in flight here. */
const begun = [
  "INFO Starting graceful shutdown sequence",
  "INFO Phase 1/3: Draining 0 requests",
  "INFO All 0 requests drained in X.Xs",
  "INFO Phase 2/3: Persisting bandit state"
]

const complete = async (conduit: ConduitProcess, count: number) => {
  for (let i = 0; i < count; i++) {
    const { status } = await request(`${conduit.url}/v1/chat/completions`, { body: chat(`number ${i}`) })
    assert.strictEqual(status, 200)
  }
}

const startBehindProxy = async () => {
  proxy = await startTcpProxy({ host: "127.0.0.1", port: postgres.port })
  return startConduit({
    upstream: mock.url,
    databaseUrl: `postgres://postgres@127.0.0.1:${proxy.port}/postgres`,
    env: limits
  })
}

describe("A start whose first commit is stored and not acknowledged", () => {
  it("comes up, and has told the log of its models once", async () => {
    proxy = await startTcpProxy({ host: "127.0.0.1", port: postgres.port })
    const dropped = proxy.dropNextAnswer("INSERT INTO learning_log")
    const conduit = await startConduit({
      upstream: mock.url,
      databaseUrl: `postgres://postgres@127.0.0.1:${proxy.port}/postgres`,
      env: { ...limits, CONDUIT_ROUTER_ID: "unacknowledged" }
    })
    await dropped
    await complete(conduit, 1)
    const commits = () =>
      query<{ position: string }>(
        postgres.url,
        "SELECT l.position FROM learning_log l JOIN routers r ON r.key = l.router_key WHERE r.id = 'unacknowledged' ORDER BY 1"
      )
    assert.deepStrictEqual((await commits())[0], { position: "1" })
    conduit.kill("SIGTERM")
    const { code } = await conduit.ended()
    assert.strictEqual(code, 0)
    // The models, and the answer.
    assert.lengthOf(await commits(), 2)
  })
})

describe("a service whose PostgreSQL is away", () => {
  it("refuses feedback meanwhile with 503 and Retry-After, and goes on routing", async () => {
    const conduit = await startBehindProxy()
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("before") })
    const decisionId = answer.headers["x-conduit-decision-id"]
    await proxy.refuse()
    const refused = await request(`${conduit.url}/v1/feedback`, {
      body: { decision_id: decisionId, kind: "thumbs", value: "up" }
    })
    assert.strictEqual(refused.status, 503)
    assert.isAbove(Number(refused.headers["retry-after"]), 0)
    assert.include(refused.json.error.message, "Idempotency-Key")
    // What only reads is told so.
    for (const path of ["/v1/stats", "/v1/decisions"]) {
      const unread = await request(`${conduit.url}${path}`)
      assert.deepStrictEqual([unread.status, unread.json.error.code], [503, "database_unavailable"], path)
      assert.strictEqual(unread.json.error.message, "the database does not answer this now: ask again", path)
    }
    await complete(conduit, 3)
    assert.strictEqual((await request(`${conduit.url}/health`)).status, 200)
    await proxy.listen()
    await until(
      "feedback is taken again",
      async () => {
        const body = { decision_id: decisionId, kind: "thumbs", value: "up" }
        return (await request(`${conduit.url}/v1/feedback`, { body })).status === 200
      },
      20_000,
      100
    )
    conduit.kill("SIGTERM")
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0, JSON.stringify(report))
    assert.strictEqual(report.learning.unpersisted, 0)
  })
})

describe("the log of a service whose PostgreSQL is away", () => {
  it("says its going and its return, once each, with and without traffic, and at the shutdown only what is true", async () => {
    const conduit = await startBehindProxy()
    const episodes = () =>
      conduit.lines.flatMap(({ level, message }) =>
        String(message).startsWith("The database is")
          ? [`${String(level)} ${String(message).replace(/:.*| after.*/, "")}`]
          : []
      )
    const away = "WARNING The database is away, outcomes wait in memory and feedback is refused"
    const back = "INFO The database is back"
    const reach = (count: number) =>
      eventually(`${count} lines`, 15_000, async () => (episodes().length >= count ? true : undefined))

    await proxy.refuse()
    await reach(1)
    await proxy.listen()
    await reach(2)
    await proxy.refuse()
    await complete(conduit, 20)
    await reach(3)
    await complete(conduit, 20)
    await proxy.listen()
    await reach(4)
    await complete(conduit, 1)
    await proxy.refuse()
    await complete(conduit, 3)
    await reach(5)
    conduit.kill("SIGTERM")
    const { code } = await conduit.ended()
    assert.strictEqual(code, 3)
    assert.deepStrictEqual(episodes(), [away, back, away, back, away])
    assert.deepStrictEqual(shutdownLines(conduit), [
      ...begun,
      "ERROR Failed to persist router state: commit: connection <error>",
      "INFO Phase 3/3: Closing database connections",
      "INFO PostgreSQL connection pool closed gracefully",
      "WARNING Shutdown completed with 1 errors in X.Xs"
    ])
  })
})

describe("SIGTERM while a transaction hangs in the pool", () => {
  it("names it, terminates its backend, and leaves none", async () => {
    const url = `postgres://postgres@127.0.0.1:${postgres.port}/postgres`
    // Shorter than the sessions' own limit.
    const env = { CONDUIT_SHUTDOWN_PERSIST_TIMEOUT: "3 seconds", CONDUIT_SHUTDOWN_CLOSE_TIMEOUT: "500 millis" }
    const conduit = await startConduit({ upstream: mock.url, databaseUrl: url, env })
    await complete(conduit, 1)
    // It goes on though it is cancelled, however often.
    await query(
      url,
      `CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE until timestamptz := clock_timestamp() + interval '60 s';
       BEGIN WHILE clock_timestamp() < until LOOP BEGIN PERFORM pg_sleep(8); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP;
       RETURN NEW; END $$;
       CREATE TRIGGER hang BEFORE INSERT ON bandit_snapshots FOR EACH ROW EXECUTE FUNCTION hang()`
    )
    conduit.kill("SIGTERM")
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 2, JSON.stringify(report))
    const close = report.errors.find((error) => error._tag === "PoolCloseTimeout")
    assert.isDefined(close, JSON.stringify(report))
    const busy = close?.["busy"] as ReadonlyArray<{ query: string; ageMs: number }>
    assert.isTrue(
      busy.some((one) => one.query.includes("bandit_snapshots")),
      JSON.stringify(report)
    )
    assert.strictEqual(close?.["terminated"], busy.length)
    const left = await query(url, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'conduit-%'")
    assert.deepStrictEqual(left, [])
    assert.deepStrictEqual(shutdownLines(conduit), [
      ...begun,
      "ERROR Failed to persist router state: persisting did not end within 3000 ms; 0 event(s) not stored",
      "INFO Phase 3/3: Closing database connections",
      "WARNING Pool close timed out after 0.5s, terminating connections",
      "WARNING Shutdown completed with 2 errors in X.Xs"
    ])
  })
})
