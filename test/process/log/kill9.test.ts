import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { decodeEvents } from "../../../src/domain/learning/EventCodec.ts"
import { uniform } from "../../../src/domain/basics/Rng.ts"
import { type ConduitProcess, kill9, killAll, startConduit } from "../../support/conduit.ts"
import { withEmbedded } from "../../support/embeddedDatabase.ts"
import { type FeedbackClient, makeFeedbackClient } from "../../support/feedbackClient.ts"
import { learnedState } from "../../support/learnedState.ts"
import { createDatabase, query, type TestDatabase } from "../../support/postgres.ts"
import { startUpstream, type Upstream } from "../../support/processMock.ts"
import { startTcpProxy, type TcpProxy } from "../../support/tcpProxy.ts"

/** Set it to 30 for the long run. */
const rounds = Number(process.env["CONDUIT_TEST_ROUNDS"] ?? 10)
const perSecond = 130
const flushMs = 100
/** The first retry after a connection that was cut comes after so much. */
const retryMs = 100
/** What a commit itself may take on a busy machine, during which its outcomes are not stored either. */
const commitMs = 150
const limitMs = 60_000 + rounds * 10_000

let mock: Upstream
let database: TestDatabase
let proxy: TcpProxy
let client: FeedbackClient

beforeAll(async () => {
  mock = await startUpstream()
  database = await createDatabase()
  const { hostname, port } = new URL(database.url)
  proxy = await startTcpProxy({ host: hostname, port: Number(port) })
})
afterEach(async () => {
  client.close()
  await killAll()
})
afterAll(async () => {
  await proxy.close()
  await mock.close()
  await database.drop()
})

interface Row {
  readonly key: string
  readonly id: string
  readonly answered: string
  readonly parked: boolean
  readonly superseded: boolean
  readonly decided: boolean
}

type Select = <R extends object>(text: string) => Promise<ReadonlyArray<R>>

const feedbackRows = `SELECT f.idempotency_key AS key, f.id::text AS id, f.answered, f.parked,
  f.superseded_by IS NOT NULL AS superseded, d.id IS NOT NULL AS decided
  FROM feedback f LEFT JOIN decisions d ON d.id = f.decision_id`

/** What the client was told against what is stored: nothing lost, nothing doubled, nothing made up. */
const compare = async (select: Select) => {
  assert.deepStrictEqual(client.violations, [])
  assert.strictEqual(client.count(null), 0)
  const rows = await select<Row>(feedbackRows)
  const stored = new Map(rows.map((row) => [row.key, row]))
  assert.strictEqual(rows.length, stored.size)
  assert.deepStrictEqual(new Set(stored.keys()), new Set(client.keys.keys()))
  for (const [key, sent] of client.keys) {
    const row = stored.get(key)
    assert.deepStrictEqual([row?.id, row?.answered], [sent.id, sent.status], key)
    if (sent.status !== "parked") assert.isTrue(row?.decided, key)
  }
  // What was parked waits for decisions that no row has, and for those only.
  for (const row of rows) assert.strictEqual(row.parked, !row.decided, row.key)
  const joined = rows.filter((row) => row.answered === "parked" && !row.parked).length
  assert.strictEqual(rows.filter((row) => row.superseded).length, client.count("superseded"))

  const [log] = await select<Record<string, number>>(
    `SELECT count(*)::int AS commits, count(DISTINCT l.position)::int AS positions, max(l.position)::int AS last, r.position::int AS position
     FROM learning_log l JOIN routers r ON r.key = l.router_key WHERE l.position IS NOT NULL GROUP BY r.position`
  )
  assert.strictEqual(log?.["commits"], log?.["position"])
  assert.strictEqual(log?.["positions"], log?.["position"])
  assert.strictEqual(log?.["last"], log?.["position"])

  const payloads = await select<{ payload: Uint8Array }>(
    "SELECT payload FROM learning_log WHERE position IS NOT NULL ORDER BY position"
  )
  const events = payloads.flatMap(({ payload }) => Either.getOrThrow(decodeEvents(payload)))
  const runs = events.flatMap((event) => (event.type === "run" ? [event.decisionId] : []))
  const qualities = events.flatMap((event) =>
    event.type === "quality" && event.previous === null ? [event.decisionId] : []
  )
  const judged = rows.filter((row) => !row.parked && !row.superseded)
  assert.strictEqual(new Set(qualities).size, qualities.length)
  assert.strictEqual(qualities.length, judged.length)

  const known = new Set((await select<{ id: string }>("SELECT id::text AS id FROM decisions")).map((row) => row.id))
  // Each stored decision is one observation of its model, once.
  assert.deepStrictEqual([...runs].sort(), [...known].sort())
  const lost = Array.from(client.decisions).filter(([id]) => !known.has(id))
  return { observations: client.count("recorded") + joined, position: log?.["position"], lost, rows: rows.length }
}

interface Round {
  readonly killedAtMs: number
  readonly wasCut: boolean
}

/** What was answered longer before the kill than an outcome may wait must not be lost: threefold slack. */
const lossesOf = (
  done: ReadonlyArray<Round>,
  lost: ReadonlyArray<readonly [string, { readonly answeredAtMs: number; readonly run: number }]>,
  commitMs: number
) =>
  lost.map(([, { answeredAtMs, run }]) => {
    // The last run was not killed: nothing of it may be lost. An answer can be read after the kill.
    const round = done[run - 1]
    const wasCut = round?.wasCut === true
    const ageMs = Math.max(0, (round?.killedAtMs ?? Infinity) - answeredAtMs)
    return { ageMs, wasCut, allowedMs: 3 * (flushMs + commitMs + (wasCut ? retryMs : 0)) }
  })

const inRound = (seed: string, number: number, what: string) => uniform(`${seed}|round ${number}|${what}`)

/** Kills it at a random instant, and again, while the client goes on; then stops it, and answers its last state. */
const survive = async (
  seed: string,
  count: number,
  start: () => Promise<ConduitProcess>,
  cutsCommit: (round: number) => boolean
) => {
  client = makeFeedbackClient(seed)
  const done: Array<Round> = []
  for (let round = 0; round < count; round++) {
    const conduit = await start()
    const traffic = client.start([conduit.url], perSecond)
    await new Promise((resolve) => setTimeout(resolve, 50 + 1_200 * inRound(seed, round, "kill")))
    const wasCut = cutsCommit(round)
    if (wasCut) await proxy.dropNextAnswer("COMMIT\0")
    // Half of the times at once, half of the times when the retry is on its way.
    if (wasCut && inRound(seed, round, "wait") < 0.5) await new Promise((resolve) => setTimeout(resolve, 250))
    done.push({ killedAtMs: Date.now(), wasCut })
    await kill9(conduit)
    await traffic.stop()
  }
  const conduit = await start()
  const traffic = client.start([conduit.url], perSecond)
  if (cutsCommit(0)) await proxy.dropNextAnswer("COMMIT\0")
  await new Promise((resolve) => setTimeout(resolve, 500))
  await traffic.stop()
  await client.finish(conduit.url)
  const state = await learnedState(conduit.url)
  conduit.kill("SIGTERM")
  const { code, report } = await conduit.ended()
  assert.strictEqual(code, 0, JSON.stringify(report))
  return { done, state, watermark: report.learning.watermark }
}

const oldestMs = (losses: ReturnType<typeof lossesOf>) => Math.max(0, ...losses.map(({ ageMs }) => ageMs))

const assertBounded = (losses: ReturnType<typeof lossesOf>) => {
  for (const { ageMs, allowedMs } of losses) assert.isAtMost(ageMs, allowedMs)
}

const figures = (what: string, losses: ReturnType<typeof lossesOf>, rows: number, position: number | undefined) =>
  process.stderr.write(
    `${what}: ${client.decisions.size} decisions, ${rows} feedbacks (${client.count("recorded")} recorded, ` +
      `${client.count("superseded")} superseded, ${client.count("parked")} parked), ${client.resent()} resent, position ${position}, ` +
      `${losses.length} implicit outcomes lost, the oldest ${oldestMs(losses.filter(({ wasCut }) => !wasCut))} ms old, ` +
      `${oldestMs(losses)} ms where the connection was cut\n`
  )

describe("kill -9 under feedback", () => {
  it(
    `loses and doubles nothing that was acknowledged in ${rounds} rounds, some of which lose the answer to COMMIT`,
    async () => {
      const url = new URL(database.url)
      url.port = String(proxy.port)
      const start = () =>
        startConduit({
          upstream: mock.url,
          models: [{ id: "small" }, { id: "large" }],
          databaseUrl: url.href,
          env: { CONDUIT_FLUSH_INTERVAL: `${flushMs} millis` }
        })
      const { done, state, watermark } = await survive("pg", rounds, start, (round) => round % 3 === 0)

      const { lost, observations, position, rows } = await compare((text) => query(database.url, text))
      assert.strictEqual(state.observations, observations)
      assert.strictEqual(state.position, position)
      assert.strictEqual(watermark, position)
      const losses = lossesOf(done, lost, commitMs)
      assertBounded(losses)
      figures(`${rounds} rounds on PostgreSQL`, losses, rows, position)
      assert.isAbove(client.count("recorded"), rounds)
      assert.isAbove(client.count("superseded"), 0)
      assert.isAbove(client.count("parked"), 0)
      assert.isAbove(client.resent(), 0)

      // From the snapshot, and from the start of the log: the same bits.
      const restored = await start()
      assert.deepStrictEqual(await learnedState(restored.url), state)
      await kill9(restored)
      await query(database.url, "DELETE FROM bandit_snapshots")
      const refolded = await start()
      assert.deepStrictEqual(await learnedState(refolded.url), state)
    },
    limitMs
  )

  it(
    "loses and doubles nothing on the embedded PostgreSQL",
    async () => {
      const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-kill9-"))
      try {
        const start = () =>
          startConduit({
            upstream: mock.url,
            models: [{ id: "small" }, { id: "large" }],
            env: { CONDUIT_DATA_DIRECTORY: directory, CONDUIT_FLUSH_INTERVAL: `${flushMs} millis` }
          })
        const { done, state } = await survive("embedded", Math.ceil(rounds / 5), start, () => false)
        const { lost, observations, position, rows } = await withEmbedded(directory, (url) =>
          compare((text) => query(url, text))
        )
        assert.strictEqual(state.observations, observations)
        assert.strictEqual(state.position, position)
        const losses = lossesOf(done, lost, commitMs)
        assertBounded(losses)
        figures("embedded", losses, rows, position)
      } finally {
        await killAll()
        Fs.rmSync(directory, { recursive: true, force: true })
      }
    },
    limitMs
  )
})
