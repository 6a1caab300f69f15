import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { decodeEvents } from "../../../src/domain/learning/EventCodec.ts"
import { runCommand } from "../../support/command.ts"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../../support/conduit.ts"
import { learnedState, positionOf } from "../../support/learnedState.ts"
import { createDatabase, query, type TestDatabase } from "../../support/postgres.ts"
import { startUpstream, type Upstream } from "../../support/processMock.ts"
import { eventually } from "../../support/traffic.ts"

const env = { CONDUIT_ROUTER_ID: "shared" }

let mock: Upstream
let database: TestDatabase

beforeAll(async () => {
  mock = await startUpstream()
  database = await createDatabase()
})
afterEach(killAll)
afterAll(async () => {
  await mock.close()
  await database.drop()
})

const startReplica = () =>
  startConduit({ upstream: mock.url, models: [{ id: "small" }, { id: "large" }], databaseUrl: database.url, env })

const endOfLog = async (): Promise<number> => {
  const [row] = await query<{ position: number }>(database.url, "SELECT position::int AS position FROM routers")
  return row?.position ?? 0
}

/** Asks, and judges the answer: a commit each. */
const judge = async ({ url }: ConduitProcess, n: number) => {
  const asked = await request(`${url}/v1/chat/completions`, { body: chat(`question ${n}`) })
  assert.strictEqual(asked.status, 200)
  const body = { decision_id: asked.headers["x-conduit-decision-id"], kind: "score", value: (n % 7) / 7 }
  const judged = await request(`${url}/v1/feedback`, { body })
  assert.deepStrictEqual([judged.status, judged.json.status], [200, "recorded"], judged.text)
}

const judgeUntil = async (replicas: ReadonlyArray<ConduitProcess>, position: number) => {
  for (let n = 0; (await endOfLog()) < position; n++) await judge(replicas[n % replicas.length]!, n)
}

const settled = (replicas: ReadonlyArray<ConduitProcess>) =>
  eventually("all replicas are at the end of the log", 30_000, async () => {
    const end = await endOfLog()
    const positions = await Promise.all(replicas.map(({ url }) => positionOf(url)))
    return positions.every((position) => position === end) && (await endOfLog()) === end ? end : undefined
  })

/** As a standby has it that is promoted before it has received what came after the position. Snapshots stay, which is worse. */
const goBack = async (position: number) => {
  const rows = await query<{ payload: Uint8Array }>(
    database.url,
    "SELECT payload FROM learning_log WHERE position <= $1",
    [position]
  )
  const kept = rows.flatMap(({ payload }) =>
    Either.getOrThrow(decodeEvents(payload)).flatMap((event) => ("decisionId" in event ? [event.decisionId] : []))
  )
  await query(
    database.url,
    `WITH gone AS (DELETE FROM learning_log WHERE position > ${position} OR position IS NULL),
       undecided AS (DELETE FROM decisions WHERE id <> ALL ($1::uuid[])),
       unsaid AS (DELETE FROM feedback WHERE decision_id <> ALL ($1::uuid[]))
     UPDATE routers SET position = ${position}`,
    [kept]
  )
}

const linesOf = ({ lines }: ConduitProcess, level: string, message: string) =>
  lines.filter((line) => line["level"] === level && String(line["message"]).startsWith(message))

const wentBack = "The learning log went back, and the state is folded again from what it has"

const lostOf = async ({ url }: ConduitProcess) =>
  Number(/^conduit_learning_lost_commits_total (\d+)$/m.exec((await request(`${url}/metrics`)).text)?.[1])

const stop = async (replica: ConduitProcess) => {
  replica.kill("SIGTERM")
  return replica.ended()
}

describe("a learning log that went back", () => {
  it("is noticed by every replica that runs, told once, and folded again to the same bits as by one that starts", async () => {
    const [a, b] = [await startReplica(), await startReplica()]
    await judgeUntil([a, b], 62)
    // A snapshot that is ahead of what will be left.
    const helper = await startReplica()
    await settled([a, b, helper])
    assert.strictEqual((await stop(helper)).code, 0)
    const folded = await settled([a, b])
    assert.isAtLeast(folded, 62)

    await goBack(22)
    // While nobody has noticed yet: what is answered now is in the log that there is.
    await judge(a, 1000)
    for (const replica of [a, b]) {
      const line = await replica.logged(wentBack)
      assert.include(line["message"], `was folded up to position ${folded}`)
      assert.include(line["message"], `is the same up to 22 only: ${folded - 22} commit(s)`)
      await replica.logged("The learning log is folded again")
    }
    await judgeUntil([a, b], folded + 10)

    const end = await settled([a, b])
    const fresh = await startReplica()
    await settled([fresh])
    const states = await Promise.all([a, b, fresh].map(({ url }) => learnedState(url)))
    for (const state of states) assert.deepStrictEqual(state, states[2])
    assert.strictEqual(states[0]?.position, end)
    for (const replica of [a, b]) {
      assert.lengthOf(linesOf(replica, "ERROR", wentBack), 1)
      assert.lengthOf(linesOf(replica, "ERROR", ""), 1)
      assert.strictEqual(await lostOf(replica), folded - 22)
    }

    const { code, report } = await stop(a)
    assert.deepStrictEqual([code, report.outcome], [3, "dirty"])
    assert.deepInclude(report.errors, {
      _tag: "LogRewound",
      phase: null,
      message: report.errors[0]?.message ?? "",
      folded,
      end: report.errors[0]?.["end"],
      common: 22,
      lost: folded - 22,
      isExact: true
    })
    assert.strictEqual(report.learning.watermark, end)
    // All that was judged since is there, and nothing that was lost: the snapshots and the log agree.
    const verified = await runCommand(["state", "verify"], { env: { ...env, DATABASE_URL: database.url } })
    assert.match(verified.stdout, /^equal: folded from the start of the log/, verified.stderr)
    assert.strictEqual((await stop(fresh)).code, 0)
    assert.strictEqual((await stop(b)).code, 3)
  })

  it("is noticed by a start, which uses no snapshot of it, then or later", async () => {
    const before = await startReplica()
    await judgeUntil([before], 90)
    const end = await settled([before])
    assert.strictEqual((await stop(before)).code, 0)
    await goBack(40)
    const verified = await runCommand(["state", "verify"], { env: { ...env, DATABASE_URL: database.url } })
    assert.match(verified.stderr, new RegExp(`snapshot at position ${end} is ahead of the log, which ends at 40`))

    const after = await startReplica()
    assert.lengthOf(linesOf(after, "WARNING", `the snapshot at position ${end} is ahead of the log`), 1)
    assert.isNotEmpty(linesOf(after, "WARNING", "Deleted "))
    await judgeUntil([after], end + 5)
    await settled([after])
    const learned = await learnedState(after.url)
    // As after kill -9: whatever snapshots there are now are used.
    await killAll()
    const again = await startReplica()
    await settled([again])
    assert.deepStrictEqual(await learnedState(again.url), learned)
    await stop(again)
    const equal = await runCommand(["state", "verify"], { env: { ...env, DATABASE_URL: database.url } })
    assert.match(equal.stdout, /^equal/, equal.stderr)
  })
})
