import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { type ConduitProcess, killAll, startConduit } from "../../support/conduit.ts"
import { compareWithRows } from "../../support/acknowledged.ts"
import { type FeedbackClient, makeFeedbackClient } from "../../support/feedbackClient.ts"
import { learnedState } from "../../support/learnedState.ts"
import { query } from "../../support/postgres.ts"
import { startUpstream, type Upstream } from "../../support/processMock.ts"
import { configure, type Replicated, startReplicated } from "../../support/standby.ts"
import { eventually } from "../../support/traffic.ts"

const perSecond = 200
const flushMs = 100

let mock: Upstream
let servers: Replicated
let client: FeedbackClient

beforeEach(async () => {
  mock = await startUpstream()
  servers = await startReplicated()
})
afterEach(async () => {
  client.close()
  await killAll()
  await servers.dispose()
  await mock.close()
})

const startReplica = () =>
  startConduit({
    upstream: mock.url,
    models: [{ id: "small" }, { id: "large" }],
    databaseUrl: `postgres://postgres@127.0.0.1:${servers.primary.port},127.0.0.1:${servers.standby.port}/postgres?target_session_attrs=read-write`,
    env: { CONDUIT_ROUTER_ID: "shared", CONDUIT_FLUSH_INTERVAL: `${flushMs} millis` }
  })

const acknowledged = () => client.count("recorded") + client.count("superseded") + client.count("parked")

/** So many more feedbacks are acknowledged; how long that took, in milliseconds. */
const untilAcknowledged = async (more: number): Promise<number> => {
  const from = acknowledged()
  const startedAt = performance.now()
  await eventually(`${more} more feedbacks are acknowledged`, 60_000, () =>
    acknowledged() >= from + more ? true : undefined
  )
  return performance.now() - startedAt
}

const endOfLog = async () => {
  const [row] = await query<{ position: number }>(servers.standby.url, "SELECT position::int AS position FROM routers")
  return row?.position ?? 0
}

/** Of all replicas, at the end of the log, when feedback that came before its decision was stored has been joined to it. */
const agreed = async (replicas: ReadonlyArray<ConduitProcess>) => {
  await eventually("no parked feedback has its decision", 60_000, async () => {
    const joinable = await query(
      servers.standby.url,
      "SELECT 1 FROM feedback f JOIN decisions d ON d.id = f.decision_id WHERE f.parked LIMIT 1"
    )
    return joinable.length === 0 ? true : undefined
  })
  const states = await eventually("all replicas are at the end of the log", 60_000, async () => {
    const end = await endOfLog()
    const all = await Promise.all(replicas.map(({ url }) => learnedState(url)))
    return all.every(({ position }) => position === end) && (await endOfLog()) === end ? all : undefined
  })
  for (const state of states) assert.deepStrictEqual(state, states[0])
  return states[0]
}

const select = <R extends object>(text: string) => query<R & Record<string, unknown>>(servers.standby.url, text)

describe("a failover of PostgreSQL under 200 requests a second and three replicas", () => {
  it("loses and doubles nothing that was acknowledged where the standby is synchronous, and fails no chat", async () => {
    await configure(servers.primary, "synchronous_standby_names", "*")
    client = makeFeedbackClient("synchronous")
    const replicas = [await startReplica(), await startReplica(), await startReplica()]
    const traffic = client.start(
      replicas.map(({ url }) => url),
      perSecond
    )
    await untilAcknowledged(150)

    await servers.primary.stop()
    const before = acknowledged()
    await query(servers.standby.url, "SELECT pg_promote(true, 30)")
    const promotedAt = performance.now()
    await eventually("feedback is acknowledged again", 60_000, () => (acknowledged() > before ? true : undefined))
    const backMs = performance.now() - promotedAt
    await untilAcknowledged(150)
    await traffic.stop()
    await client.finish(replicas[0]!.url)

    await eventually("all that was answered is stored", 60_000, async () => {
      const known = new Set((await select<{ id: string }>("SELECT id::text AS id FROM decisions")).map(({ id }) => id))
      return Array.from(client.decisions.keys()).every((id) => known.has(id)) ? true : undefined
    })
    const state = await agreed(replicas)
    const { observations, position } = await compareWithRows(client, select)
    assert.deepStrictEqual([state?.observations, state?.position], [observations, position])
    for (const { lines } of replicas)
      assert.isEmpty(lines.filter(({ message }) => String(message).includes("went back")))
    process.stderr.write(
      `synchronous failover: ${client.decisions.size} decisions, ${acknowledged()} feedbacks acknowledged, ` +
        `${client.resent()} resent, 0 lost, back ${Math.round(backMs)} ms after the promotion\n`
    )
    for (const replica of replicas) {
      replica.kill("SIGTERM")
      const { code, report } = await replica.ended()
      assert.strictEqual(code, 0, JSON.stringify(report))
    }
  })

  it("is told by every replica, with what was lost, where the standby lagged, and all fold to the same bits again", async () => {
    client = makeFeedbackClient("asynchronous")
    const replicas = [await startReplica(), await startReplica(), await startReplica()]
    const traffic = client.start(
      replicas.map(({ url }) => url),
      perSecond
    )
    await untilAcknowledged(100)
    // Nothing reaches the standby any more, and the primary commits all the same.
    servers.wire.silent()
    await untilAcknowledged(150)
    await servers.primary.stop()
    await servers.wire.refuse()
    await query(servers.standby.url, "SELECT pg_promote(true, 30)")

    for (const replica of replicas) await replica.logged("The learning log went back")
    for (const replica of replicas) await replica.logged("The learning log is folded again")
    await untilAcknowledged(100)
    await traffic.stop()

    const state = await agreed(replicas)
    assert.isAbove(state?.observations ?? 0, 0)
    const rows = await select<{ key: string }>("SELECT idempotency_key AS key FROM feedback")
    const stored = new Set(rows.map(({ key }) => key))
    const lost = Array.from(client.keys).filter(([key, { status }]) => status !== null && !stored.has(key))
    assert.isNotEmpty(lost)
    assert.isEmpty(client.violations.filter((violation) => violation.startsWith("chat")))
    process.stderr.write(
      `asynchronous failover: ${acknowledged()} feedbacks acknowledged, ${lost.length} lost with the primary, as told\n`
    )
    for (const replica of replicas) {
      replica.kill("SIGTERM")
      const { code, report } = await replica.ended()
      assert.strictEqual(code, 3, JSON.stringify(report))
      const told = report.errors.find(({ _tag }) => _tag === "LogRewound")
      assert.isAbove(Number(told?.["lost"]), 0)
    }
  })
})
