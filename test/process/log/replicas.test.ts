import { afterAll, afterEach, assert, beforeEach, beforeAll, describe, it } from "@effect/vitest"
import {
  chat,
  type ConduitProcess,
  kill9,
  killAll,
  type ModelScript,
  request,
  startConduit
} from "../../support/conduit.ts"
import { type FeedbackClient, makeFeedbackClient } from "../../support/feedbackClient.ts"
import { learnedState, positionOf } from "../../support/learnedState.ts"
import { patientMs } from "../../support/patience.ts"
import { createDatabase, query, type TestDatabase } from "../../support/postgres.ts"
import { startUpstream, type Upstream } from "../../support/processMock.ts"
import { startTcpProxy, type TcpProxy } from "../../support/tcpProxy.ts"
import { eventually } from "../../support/traffic.ts"

let mock: Upstream
let database: TestDatabase
let proxy: TcpProxy
let client: FeedbackClient

beforeAll(async () => {
  mock = await startUpstream()
})
beforeEach(async () => {
  database = await createDatabase()
  const { hostname, port } = new URL(database.url)
  proxy = await startTcpProxy({ host: hostname, port: Number(port) })
  client = makeFeedbackClient("replicas")
})
afterEach(async () => {
  client.close()
  await killAll()
  await proxy.close()
  await database.drop()
})
afterAll(() => mock.close())

const two: ReadonlyArray<ModelScript> = [{ id: "small" }, { id: "large" }]

const startReplica = (options: { readonly url?: string; readonly models?: ReadonlyArray<ModelScript> } = {}) =>
  startConduit({
    upstream: mock.url,
    models: options.models ?? two,
    databaseUrl: options.url ?? database.url,
    env: { CONDUIT_ROUTER_ID: "shared" }
  })

const urlBehindProxy = () => {
  const url = new URL(database.url)
  url.port = String(proxy.port)
  return url.href
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const endOfLog = async (): Promise<number> => {
  const [row] = await query<{ position: number }>(database.url, "SELECT position::int AS position FROM routers")
  return row?.position ?? 0
}

/** Parked feedback whose decision is there; a replica that did not park it looks for it twice a minute. */
const joinable = "SELECT 1 FROM feedback f JOIN decisions d ON d.id = f.decision_id WHERE f.parked"

/** The end of the log, once nothing is appended any more and all replicas have folded it. */
const settled = (replicas: ReadonlyArray<ConduitProcess>, limitMs = 45_000): Promise<number> =>
  eventually(
    "all replicas are at the end of the log",
    limitMs,
    async () => {
      if ((await query(database.url, joinable)).length > 0) return undefined
      const before = await endOfLog()
      const positions = await Promise.all(replicas.map(({ url }) => positionOf(url)))
      await pause(250)
      return positions.every((position) => position === before) && (await endOfLog()) === before ? before : undefined
    },
    100
  )

/** All bits of what the replicas show are equal at one position; answers the state. */
const assertEqual = async (replicas: ReadonlyArray<ConduitProcess>) => {
  const position = await settled(replicas)
  const states = await Promise.all(replicas.map(({ url }) => learnedState(url)))
  for (const state of states) assert.deepStrictEqual(state, { ...states[0], position })
  return { position }
}

interface SnapshotRow {
  readonly watermark: number
  readonly state: string
  readonly saved_at: string
}

const snapshots = () =>
  query<SnapshotRow>(
    database.url,
    "SELECT watermark::int AS watermark, encode(state, 'hex') AS state, saved_at::text AS saved_at FROM bandit_snapshots ORDER BY watermark DESC"
  )

/** Stops the replica and answers the snapshot that it wrote. */
const snapshotOf = async (replica: ConduitProcess): Promise<SnapshotRow> => {
  replica.kill("SIGTERM")
  const { code, report } = await replica.ended()
  assert.strictEqual(code, 0, JSON.stringify(report))
  const [newest] = await snapshots()
  if (newest === undefined) throw new Error("there is no snapshot")
  assert.strictEqual(newest.watermark, report.learning.watermark)
  return newest
}

/** The server ends the transaction of a replica that froze in it after so much; nobody waits for a lock longer than 3 s. */
const idleInTransactionMs = 5_000

describe("replicas of one router", () => {
  it("hold equal bits at an equal position, while one is killed, one freezes in an append, and one joins", async () => {
    const a = await startReplica()
    const b = await startReplica({ url: urlBehindProxy() })
    const c = await startReplica()
    const traffic = client.start([a.url, b.url, c.url], 60)
    await pause(1_000)
    traffic.use([a.url, b.url])
    await kill9(c)

    // Its transaction has the lock on the router's row, and its COMMIT never comes.
    const held = proxy.holdNext("COMMIT\0")
    await held
    b.child.kill("SIGSTOP")
    const frozenAt = performance.now()
    traffic.use([a.url])
    const blockedAt = await endOfLog()
    await eventually("the others append again", 3 * idleInTransactionMs, async () =>
      (await endOfLog()) > blockedAt ? true : undefined
    )
    const blockedMs = Math.round(performance.now() - frozenAt)
    await eventually("feedback is recorded again", 3 * idleInTransactionMs, async () => {
      const answer = await request(`${a.url}/v1/chat/completions`, { body: chat("is anybody there?") })
      assert.strictEqual(answer.status, 200)
      const body = { decision_id: answer.headers["x-conduit-decision-id"], kind: "thumbs", value: "up" }
      const { status } = await request(`${a.url}/v1/feedback`, { body })
      return status === 200 ? true : undefined
    })

    const d = await startReplica()
    traffic.use([a.url, d.url])
    await pause(500)
    b.child.kill("SIGCONT")
    // What it held was never committed: it says it again over a new connection.
    traffic.use([a.url, b.url, d.url])
    await pause(1_000)
    await traffic.stop()
    await client.finish(a.url)
    assert.deepStrictEqual(client.violations, [])
    assert.strictEqual(client.count(null), 0)

    // What another replica heard before the decision was stored is joined by whoever parked it, which looks every second.
    const rows = await eventually(
      "what was parked is joined",
      10_000,
      async () => {
        const rows = await query<{ key: string; parked: boolean; decided: boolean }>(
          database.url,
          `SELECT f.idempotency_key AS key, f.parked, d.id IS NOT NULL AS decided
           FROM feedback f LEFT JOIN decisions d ON d.id = f.decision_id`
        )
        return rows.every((row) => row.parked === !row.decided) ? rows : undefined
      },
      200
    )
    const stored = new Set(rows.map((row) => row.key))
    for (const [key] of client.keys) assert.isTrue(stored.has(key), key)
    const state = await assertEqual([a, b, d])

    const ofA = await snapshotOf(a)
    const ofB = await snapshotOf(b)
    const ofD = await snapshotOf(d)
    assert.strictEqual(ofA.watermark, state.position)
    assert.deepStrictEqual([ofB.watermark, ofD.watermark], [ofA.watermark, ofA.watermark])
    assert.strictEqual(new Set([ofA.saved_at, ofB.saved_at, ofD.saved_at]).size, 3, "each wrote its own")
    assert.isTrue(ofA.state === ofB.state && ofB.state === ofD.state)
    process.stderr.write(
      `replicas: the others appended again ${blockedMs} ms after one froze; ${client.keys.size} feedbacks, position ${state.position}, ` +
        `snapshot of ${ofA.state.length / 2} bytes\n`
    )
  })

  it("follow feedback that another was sent within a second", async () => {
    const a = await startReplica()
    const b = await startReplica()
    const took: Array<number> = []
    for (let i = 0; i < 8; i++) {
      const answer = await request(`${a.url}/v1/chat/completions`, { body: chat(`question ${i}`) })
      const decision_id = answer.headers["x-conduit-decision-id"]
      const { status } = await request(`${a.url}/v1/feedback`, { body: { decision_id, kind: "score", value: i / 8 } })
      assert.strictEqual(status, 200)
      const startedAt = performance.now()
      const position = await positionOf(a.url)
      const wanted = await learnedState(a.url)
      await eventually("the other has folded it", 3_000, async () =>
        (await positionOf(b.url)) >= position ? true : undefined
      )
      took.push(Math.round(performance.now() - startedAt))
      const { json } = await request(`${b.url}/v1/route`, { body: { prompt: "what now?" } })
      const shown = await request(`${b.url}/v1/decisions/${json.id ?? json.decision_id}`)
      assert.strictEqual(shown.json.policy.position, position)
      assert.deepStrictEqual(await learnedState(b.url), wanted)
    }
    took.sort((x, y) => x - y)
    process.stderr.write(`replicas: followed after ${took.join(", ")} ms\n`)
    assert.isBelow(took[took.length >> 1] ?? Infinity, patientMs(1_000))
  })

  it("keep what they learned while an upgrade adds a model in one of them", async () => {
    const a = await startReplica()
    const b = await startReplica()
    const traffic = client.start([a.url, b.url], 60)
    await pause(700)
    traffic.use([a.url])
    await snapshotOf(b)
    const upgraded = await startReplica({
      models: [...two, { id: "extra", inputUsdPerMTok: 0.01, outputUsdPerMTok: 0.01 }]
    })
    traffic.use([a.url, upgraded.url])
    await pause(1_200)
    // The old one is restarted too: it must not undo what the new one added.
    await snapshotOf(a)
    traffic.use([upgraded.url])
    const old = await startReplica()
    traffic.use([upgraded.url, old.url])
    await pause(700)
    await traffic.stop()
    await client.finish(old.url)
    assert.deepStrictEqual(client.violations, [])

    await settled([upgraded, old])
    const [after, before] = await Promise.all([learnedState(upgraded.url), learnedState(old.url)])
    assert.strictEqual(after.position, before.position)
    const { extra, ...shared } = after.models
    assert.deepStrictEqual(shared, before.models)
    assert.isDefined(extra)
    const answeredBy = await query<{ model: string; n: number }>(
      database.url,
      "SELECT coalesce(answered_by, chosen) AS model, count(*)::int AS n FROM decisions GROUP BY 1"
    )
    assert.includeMembers(
      answeredBy.map(({ model }) => model),
      ["extra"]
    )
    const [first, second] = [await snapshotOf(old), await snapshotOf(upgraded)]
    assert.strictEqual(first.watermark, second.watermark)
    assert.strictEqual(first.state, second.state)
  })
})
