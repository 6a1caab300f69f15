import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import type * as Http from "node:http"
import { chat, killAll, oneSocket, request, startConduit } from "../support/conduit.ts"
import { exposition } from "../support/exposition.ts"
import { startPostgres, type TestPostgres } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { startTcpProxy, type TcpProxy } from "../support/tcpProxy.ts"
import { eventually } from "../support/traffic.ts"

let postgres: TestPostgres
let mock: Upstream
let proxy: TcpProxy | undefined

beforeAll(async () => {
  postgres = await startPostgres()
  mock = await startUpstream()
})
afterEach(async () => {
  await killAll()
  await proxy?.close()
  proxy = undefined
})
afterAll(async () => {
  await mock.close()
  await postgres.dispose()
})

const start = (env: Record<string, string> = {}, databaseUrl = postgres.url) =>
  startConduit({ databaseUrl, upstream: mock.url, env })

const scrape = async (url: string, agent?: Http.Agent) =>
  exposition((await request(`${url}/metrics`, agent === undefined ? {} : { agent })).text)

describe("GET /metrics of a service that stops", () => {
  it("shows each phase, on new connections while it settles and on open ones while it drains", async () => {
    const conduit = await start({ CONDUIT_SHUTDOWN_SETTLE: "2 seconds" })
    const agents = [oneSocket(), oneSocket()]
    for (const agent of agents) await request(`${conduit.url}/health/live`, { agent })
    const held = request(`${conduit.url}/v1/chat/completions`, { body: chat("hold this", { mock: { gate: "end" } }) })
    await mock.waiting("end", 1)
    conduit.kill("SIGTERM")
    const settling = await eventually("it settles", 5_000, async () => {
      const now = await scrape(conduit.url)
      return now.value("conduit_lifecycle_phase", { phase: "settle" }) === 1 ? now : undefined
    })
    assert.strictEqual(settling.sum("conduit_lifecycle_phase"), 1)
    assert.strictEqual(settling.value("conduit_requests_active"), 1)
    assert.isEmpty(settling.samples("conduit_shutdown_phase_duration_seconds"))

    await conduit.logged("Phase 1/3: Draining 1 requests")
    const refused = await request(`${conduit.url}/v1/models`, { agent: agents[1]! })
    assert.strictEqual(refused.status, 503)
    const draining = await scrape(conduit.url, agents[0])
    assert.strictEqual(draining.value("conduit_lifecycle_phase", { phase: "drain" }), 1)
    assert.strictEqual(draining.sum("conduit_lifecycle_phase"), 1)
    assert.deepStrictEqual(
      draining.samples("conduit_shutdown_phase_duration_seconds").map(({ labels }) => labels),
      [{ phase: "settle" }]
    )
    assert.approximately(draining.sum("conduit_shutdown_phase_duration_seconds"), 2, 1)
    assert.strictEqual(draining.value("conduit_requests_total", { route: "refused", method: "GET", status: "503" }), 1)
    assert.strictEqual(draining.sum("conduit_shutdown_errors_total"), 0)
    mock.openGate("end")
    assert.strictEqual((await held).status, 200)
    assert.strictEqual((await conduit.ended()).code, 0)
  })
})

describe("GET /metrics with keys of its own", () => {
  it("is opened by them alone, and they open nothing else", async () => {
    const conduit = await start({ CONDUIT_API_KEYS: "sk-api", CONDUIT_METRICS_KEYS: "sk-scrape" })
    const status = async (path: string, headers: Record<string, string> = {}) =>
      (await request(`${conduit.url}${path}`, { headers })).status
    assert.strictEqual(await status("/metrics", { authorization: "Bearer sk-scrape" }), 200)
    assert.strictEqual(await status("/metrics", { "x-api-key": "sk-api" }), 401)
    assert.strictEqual(await status("/metrics"), 401)
    assert.strictEqual(await status("/v1/models", { authorization: "Bearer sk-scrape" }), 401)
    assert.strictEqual(await status("/v1/models", { authorization: "Bearer sk-api" }), 200)
  })
})

describe("GET /metrics of a service whose PostgreSQL is away", () => {
  it("says so within seconds, idle or not, counts what it refuses, and sees it come back", async () => {
    proxy = await startTcpProxy({ host: "127.0.0.1", port: postgres.port })
    const conduit = await start({}, `postgres://postgres@127.0.0.1:${proxy.port}/postgres`)
    const until = (what: string, isSo: (now: Awaited<ReturnType<typeof scrape>>) => boolean) =>
      eventually(what, 15_000, async () => {
        const now = await scrape(conduit.url)
        return isSo(now) ? now : undefined
      })
    assert.strictEqual((await scrape(conduit.url)).value("conduit_database_up"), 1)

    await proxy.refuse()
    await until("an idle service sees that it is away", ({ value }) => value("conduit_database_up") === 0)
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("while it is away") })
    assert.strictEqual(answer.status, 200)
    const judged = await request(`${conduit.url}/v1/feedback`, {
      body: { decision_id: answer.headers["x-conduit-decision-id"], kind: "thumbs", value: "up" }
    })
    assert.strictEqual(judged.status, 503)
    const away = await scrape(conduit.url)
    assert.strictEqual(away.value("conduit_database_up"), 0)
    assert.strictEqual(away.value("conduit_feedback_total", { status: "refused" }), 1)
    assert.strictEqual(away.value("conduit_learning_pending"), 1)
    assert.isAbove(away.value("conduit_learning_oldest_pending_seconds"), 0)

    await proxy.listen()
    const back = await until(
      "it is back, and what waited is stored",
      ({ value }) => value("conduit_database_up") === 1 && value("conduit_learning_pending") === 0
    )
    assert.strictEqual(back.value("conduit_learning_records_dropped_total"), 0)
  })
})
