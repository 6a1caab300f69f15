import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import { type Balancer, startBalancer } from "../../support/balancer.ts"
import { binary, type ConduitProcess, killAll, startConduit } from "../../support/conduit.ts"
import { learnedState, positionOf } from "../../support/learnedState.ts"
import { createDatabase, query, type TestDatabase } from "../../support/postgres.ts"
import { eventually, roundsTold } from "../../support/traffic.ts"

/** `CONDUIT_TEST_ROUNDS=30 CONDUIT_TEST_SETTLE="2 seconds"` are sixty restarts. */
const rounds = Number(process.env["CONDUIT_TEST_ROUNDS"] ?? 2)
const roundLimitMs = 60_000
const perSecond = 100
/** As the image has it: longer than the balancer needs to see it, on a machine that is busy with other tests too. */
const settle = process.env["CONDUIT_TEST_SETTLE"] ?? "5 seconds"

/** Answers take a while, so that there are always some on their way; those of `long` take about as long as it settles. */
const script = `
defaults: { firstTokenMs: 50, tokensPerSecond: 50, answerTokens: 5 }
models:
  - { name: small, quality: 0.6 }
  - { name: large, quality: 0.8 }
  - { name: long, quality: 0.7, tokensPerSecond: 2, answerTokens: 9 }
`

let directory: string
let database: TestDatabase
let balancer: Balancer
const children = new Set<ChildProcess>()

const startNode = async (args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })
  children.add(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async () => String((await lines.next()).value)
  return { child, line, first: await line() }
}

beforeAll(async () => {
  directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-rolling-"))
  database = await createDatabase()
  balancer = await startBalancer()
})
afterAll(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill("SIGKILL")
    await once(child, "exit")
  }
  await killAll()
  await balancer.close()
  await database.drop()
  Fs.rmSync(directory, { recursive: true, force: true })
})

interface Seen {
  readonly sent: number
  readonly json: number
  readonly streams: number
  readonly long: number
  readonly answered: ReadonlyArray<string>
  readonly judged: ReadonlyArray<string>
  readonly failures: ReadonlyArray<string>
  readonly slowestMs: number
  readonly longestMs: number
  readonly seconds: number
}

describe("a rolling restart of two replicas under load", () => {
  it(
    "is seen by nobody: no reset, no other status than 200, no stream without [DONE]",
    { timeout: 600_000 + rounds * roundLimitMs },
    async () => {
      const file = Path.join(directory, "script.yaml")
      Fs.writeFileSync(file, script)
      const upstream = await startNode([binary, "mock-llm", "--port", "0", "--script", file])
      const { url } = JSON.parse(upstream.first)

      /** In rotation from its first good poll on. */
      const startReplica = async () => {
        const replica = await startConduit({
          databaseUrl: database.url,
          upstream: url,
          models: [{ id: "small" }, { id: "large", outputUsdPerMTok: 1 }, { id: "long", outputUsdPerMTok: 5 }],
          env: { CONDUIT_ROUTER_ID: "rolling", CONDUIT_SHUTDOWN_SETTLE: settle }
        })
        balancer.add(replica.url)
        await balancer.until(replica.url, true, 10_000)
        return replica
      }
      const stopped = { inFlight: 0, duringSettle: 0, drainedMs: 0 }
      const stopReplica = async (replica: ConduitProcess) => {
        replica.kill("SIGTERM")
        const { code, report } = await replica.ended(40_000)
        const text = JSON.stringify(report)
        assert.strictEqual(code, 0, text)
        assert.deepInclude(report, { outcome: "clean", errors: [] }, text)
        assert.deepInclude(report.requests, { interrupted: 0, rejected: 0 }, text)
        assert.strictEqual(report.learning.unpersisted, 0, text)
        balancer.remove(replica.url)
        stopped.inFlight += report.requests.in_flight_at_signal
        stopped.duringSettle += report.requests.accepted_during_settle
        stopped.drainedMs = Math.max(stopped.drainedMs, report.phases[1]?.took_ms ?? 0)
      }

      let replicas = await Promise.all([startReplica(), startReplica()])
      const load = await startNode([
        Path.resolve(import.meta.dirname, "../../fixtures/load.mjs"),
        balancer.url,
        String(perSecond)
      ])
      const told = roundsTold("rolling restart", rounds)
      for (let round = 0; round < rounds; round++) {
        told(round)
        for (const index of [0, 1]) {
          const [old, other] = index === 0 ? replicas : [replicas[1], replicas[0]]
          await stopReplica(old)
          const fresh = await startReplica()
          replicas = index === 0 ? [fresh, other] : [other, fresh]
        }
      }
      load.child.stdin.write("stop\n")
      const seen: Seen = JSON.parse(await load.line())

      const failures = [...balancer.failures, ...seen.failures]
      assert.deepStrictEqual([failures.length, failures.slice(0, 10)], [0, []])
      assert.strictEqual(seen.answered.length, seen.sent)
      assert.strictEqual(new Set(seen.answered).size, seen.sent)
      for (const kind of ["json", "streams", "long"] as const) assert.isAbove(seen[kind], 0)
      // The restarts met traffic, or nothing was shown.
      assert.isAbove(stopped.inFlight, rounds * 2)
      assert.isAbove(stopped.duringSettle, rounds * 2)

      const end = await eventually("both replicas have folded all of it", 30_000, async () => {
        const [row] = await query<{ position: number; decisions: number; waiting: number }>(
          database.url,
          `SELECT r.position::float8 AS position, (SELECT count(*) FROM decisions)::int AS decisions,
           (SELECT count(*) FROM feedback WHERE parked)::int AS waiting FROM routers r`
        )
        if (row === undefined || row.decisions < seen.sent || row.waiting > 0) return undefined
        const positions = await Promise.all(replicas.map((replica) => positionOf(replica.url)))
        return positions.every((position) => position === row.position) ? row : undefined
      })
      const rows = await query<{ id: string }>(database.url, "SELECT id::text AS id FROM decisions")
      assert.deepStrictEqual(rows.map(({ id }) => id).sort(), [...seen.answered].sort())
      const feedback = await query<{ id: string }>(database.url, "SELECT id::text AS id FROM feedback")
      assert.deepStrictEqual(feedback.map(({ id }) => id).sort(), [...seen.judged].sort())

      const [first, second] = await Promise.all(replicas.map((replica) => learnedState(replica.url)))
      assert.strictEqual(first?.position, end.position)
      assert.deepStrictEqual(first, second)
      assert.strictEqual(first?.observations, seen.judged.length)
      await Promise.all(replicas.map(stopReplica))
      process.stderr.write(
        `rolling restart: ${seen.sent} requests in ${seen.seconds.toFixed(1)} s, ${Math.round(seen.sent / seen.seconds)} a second (${seen.json} JSON, ${seen.streams} streams, ` +
          `${seen.long} long ones), ${seen.judged.length} judged; ${rounds * 2} restarts met ${stopped.inFlight} in flight and ` +
          `${stopped.duringSettle} while they settled, the longest drain took ${stopped.drainedMs} ms; ` +
          `slowest answer ${seen.slowestMs} ms, longest stream ${seen.longestMs} ms\n`
      )
    }
  )
})
