// What keys cost a request: none, one, and one of a thousand, of a file and of the database, with limits that never bind. The
// built Conduit, taking turns with itself; upstreams that answer at once. Compare within a run only.
// node bench/run.mjs keys [rounds] [seconds a turn] [keys]
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { binary, killAll, request, startConduit } from "../test/support/conduit.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { startNode } from "./support/children.ts"
import { load } from "./support/load.ts"
import { argument, cpuMicros, median, row } from "./support/measure.ts"

const rounds = argument(0, 7)
const turnMillis = argument(1, 1.5) * 1000
const many = argument(2, 1000)
const models = Array.from({ length: 3 }, (_, k) => ({ id: `model-${k}`, outputUsdPerMTok: 1 + k }))
const secrets = Array.from({ length: many }, (_, i) => `secret-of-key-${i}`)

const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-bench-keys-"))
const file = Path.join(folder, "keys.yaml")
Fs.writeFileSync(file, `keys:\n${secrets.map((secret, i) => `  - { name: key-${i}, keys: [${secret}] }`).join("\n")}\n`)
const postgres = await startPostgres()
// A key in its database would close the service that has none.
const without = await startPostgres()
try {
  const mock = await startNode([binary, "mock-llm", "--port", "0"])
  const start = (routerId: string, env: Readonly<Record<string, string>>, databaseUrl = postgres.url) =>
    startConduit({
      databaseUrl,
      upstream: mock.url,
      models,
      env: { CONDUIT_ROUTER_ID: routerId, ...env }
    })
  const open = await start("open", {}, without.url)
  const one = await start("one", { CONDUIT_API_KEYS: `only:${secrets[0]}`, CONDUIT_ADMIN_KEYS: "ops:admin-of-bench" })
  const thousand = await start("many", { CONDUIT_API_KEYS_FILE: file })
  const limits = { requests_per_minute: 100_000_000, usd_per_day: 1_000_000 }
  const headers = { authorization: "Bearer admin-of-bench" }
  const made = await request(`${one.url}/v1/keys`, { body: { name: "limited", limits }, headers })
  const cases = [
    { name: "no key", conduit: open, keys: [] },
    { name: "one key", conduit: one, keys: secrets.slice(0, 1) },
    { name: `${many} keys, each in turn`, conduit: thousand, keys: secrets },
    { name: "one key with a limit and a budget", conduit: one, keys: [String(made.json.secret)] }
  ]
  // Compiling takes thousands of requests.
  for (const { conduit, keys } of cases) await load({ url: conduit.url, keys }, 32, false, { requests: 8_000 })
  const turns = cases.map(() => [] as Array<{ readonly p50: number; readonly perSecond: number; readonly cpu: number }>)
  for (let round = 0; round < rounds; round++) {
    for (let n = 0; n < cases.length; n++) {
      const k = (n + round) % cases.length
      const { conduit, keys } = cases[k]!
      const before = cpuMicros(conduit.pid)
      const result = await load({ url: conduit.url, keys }, 32, false, { millis: turnMillis })
      turns[k]!.push({ ...result, cpu: (cpuMicros(conduit.pid) - before) / result.requests })
    }
  }
  row("JSON, 32 connections", ["req/s", "p50 ms", "cpu us", "cpu ratio"])
  for (const [k, { name }] of cases.entries()) {
    const of = turns[k]!
    const ratio = median(of.map((turn, i) => turn.cpu / turns[0]![i]!.cpu))
    row(`  ${name}`, [...(["perSecond", "p50", "cpu"] as const).map((what) => median(of.map((t) => t[what]))), ratio])
  }
  await mock.stop()
} finally {
  await killAll()
  await postgres.dispose()
  await without.dispose()
  Fs.rmSync(folder, { recursive: true, force: true })
}
