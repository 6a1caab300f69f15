// What a session costs a request: in none, in one that the process remembers, and in one that Redis remembers. The built
// Conduit, taking turns with itself; upstreams that answer at once. Compare within a run only.
// node bench/run.mjs sessions [rounds] [seconds a turn] [sessions]
import { binary, killAll, startConduit } from "../test/support/conduit.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { startRedis } from "../test/support/redis.ts"
import { startNode } from "./support/children.ts"
import { load } from "./support/load.ts"
import { argument, cpuMicros, median, row } from "./support/measure.ts"

const rounds = argument(0, 7)
const turnMillis = argument(1, 1.5) * 1000
const sessions = argument(2, 1000)
const models = Array.from({ length: 3 }, (_, k) => ({ id: `model-${k}`, outputUsdPerMTok: 1 + k }))

const postgres = await startPostgres()
const redis = await startRedis()
try {
  const mock = await startNode([binary, "mock-llm", "--port", "0"])
  const start = (routerId: string, env: Readonly<Record<string, string>>) =>
    startConduit({
      databaseUrl: postgres.url,
      upstream: mock.url,
      models,
      env: { CONDUIT_ROUTER_ID: routerId, ...env }
    })
  const alone = await start("alone", {})
  const shared = await start("shared", { REDIS_URL: redis.url, CONDUIT_REDIS_TIMEOUT: "10" })
  const cases = [
    { name: "in no session", conduit: alone, sessions: 0 },
    { name: "in no session, with REDIS_URL", conduit: shared, sessions: 0 },
    { name: "in a session, without Redis", conduit: alone, sessions },
    { name: "in a session, with Redis", conduit: shared, sessions }
  ]
  // Compiling takes thousands of requests.
  for (const { conduit, sessions } of cases) await load(conduit, 32, false, { millis: 4_000 }, sessions)
  for (const connections of [1, 32]) {
    const turns = cases.map(
      () => [] as Array<{ readonly p50: number; readonly perSecond: number; readonly cpu: number }>
    )
    for (let round = 0; round < rounds; round++) {
      for (let n = 0; n < cases.length; n++) {
        const k = (n + round) % cases.length
        const { conduit, sessions } = cases[k]!
        const before = cpuMicros(conduit.pid)
        const result = await load(conduit, connections, false, { millis: turnMillis }, sessions)
        turns[k]!.push({ ...result, cpu: (cpuMicros(conduit.pid) - before) / result.requests })
      }
    }
    row(`JSON, ${connections} connection(s)`, ["req/s", "p50 ms", "cpu us", "cpu more"])
    for (const [k, { name }] of cases.entries()) {
      const of = turns[k]!
      const more = median(of.map((turn, i) => turn.cpu - turns[0]![i]!.cpu))
      row(`  ${name}`, [...(["perSecond", "p50", "cpu"] as const).map((what) => median(of.map((t) => t[what]))), more])
    }
  }
  for (const { conduit } of [{ conduit: alone }, { conduit: shared }]) {
    conduit.kill("SIGTERM")
    const { code } = await conduit.ended()
    const away = conduit.lines.filter((line) => String(line["message"]).startsWith("Redis is")).length
    console.log(`ended with ${code}, ${away} line(s) about Redis`)
  }
  await mock.stop()
} finally {
  await killAll()
  await redis.dispose()
  await postgres.dispose()
}
