import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { uniform } from "../../../src/domain/basics/Rng.ts"
import { type ConduitProcess, kill9, killAll, startConduit } from "../../support/conduit.ts"
import { withEmbedded } from "../../support/embeddedDatabase.ts"
import { compareWithRows } from "../../support/acknowledged.ts"
import { type FeedbackClient, makeFeedbackClient } from "../../support/feedbackClient.ts"
import { learnedState } from "../../support/learnedState.ts"
import { createDatabase, query, type TestDatabase } from "../../support/postgres.ts"
import { startUpstream, type Upstream } from "../../support/processMock.ts"
import { roundsTold } from "../../support/traffic.ts"
import { startTcpProxy, type TcpProxy } from "../../support/tcpProxy.ts"

/** `CONDUIT_TEST_ROUNDS=200` for the long run. */
const rounds = Number(process.env["CONDUIT_TEST_ROUNDS"] ?? 6)
const perSecond = 130
const flushMs = 100
/** The first retry after a connection that was cut comes after so much. */
const retryMs = 100
/** What a commit takes on a quiet machine, during which its outcomes are not stored either. */
const commitMs = 150
const limitMs = 600_000 + rounds * 10_000

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

interface Round {
  readonly killedAtMs: number
  readonly wasCut: boolean
  /** The longest that a feedback waited for its commit, answered or not: how slow commits were on this machine by then. */
  readonly waitedMs: number
}

/** What was answered longer before the kill than an outcome may wait must not be lost: threefold slack. */
const lossesOf = (
  done: ReadonlyArray<Round>,
  lost: ReadonlyArray<readonly [string, { readonly answeredAtMs: number; readonly run: number }]>
) =>
  lost.map(([, { answeredAtMs, run }]) => {
    // The last run was not killed: nothing of it may be lost. An answer can be read after the kill.
    const round = done[run - 1]
    const wasCut = round?.wasCut === true
    const ageMs = Math.max(0, (round?.killedAtMs ?? Infinity) - answeredAtMs)
    const slowestMs = Math.max(commitMs, round?.waitedMs ?? 0)
    return { ageMs, wasCut, allowedMs: 3 * (flushMs + slowestMs + (wasCut ? retryMs : 0)) }
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
  const told = roundsTold(`kill -9 (${seed})`, count)
  for (let round = 0; round < count; round++) {
    const conduit = await start()
    const traffic = client.start([conduit.url], perSecond)
    // The instant of the kill is what is drawn.
    await new Promise((resolve) => setTimeout(resolve, 50 + 1_200 * inRound(seed, round, "kill")))
    const wasCut = cutsCommit(round)
    if (wasCut) await proxy.dropNextAnswer("COMMIT\0")
    // Half of the times at once, half of the times when the retry is on its way.
    if (wasCut && inRound(seed, round, "wait") < 0.5) await new Promise((resolve) => setTimeout(resolve, 250))
    done.push({ killedAtMs: Date.now(), wasCut, waitedMs: client.longestWaitMs() })
    await kill9(conduit)
    await traffic.stop()
    told(done.length)
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

      const { lost, observations, position, rows } = await compareWithRows(client, (text) => query(database.url, text))
      assert.strictEqual(state.observations, observations)
      assert.strictEqual(state.position, position)
      assert.strictEqual(watermark, position)
      const losses = lossesOf(done, lost)
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
          compareWithRows(client, (text) => query(url, text))
        )
        assert.strictEqual(state.observations, observations)
        assert.strictEqual(state.position, position)
        const losses = lossesOf(done, lost)
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
