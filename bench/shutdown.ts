// From the start of the process to `ready`, and from SIGTERM, idle, to its end: with an external PostgreSQL, with the
// embedded one, and a proxy without logic as what Node itself takes. Taking turns, medians.
// node bench/run.mjs shutdown [rounds]
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { type ConduitOptions, killAll, startConduit } from "../test/support/conduit.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { startNode } from "./support/children.ts"
import { argument, median, row } from "./support/measure.ts"

const rounds = argument(0, 7)
const data = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-bench-"))
const postgres = await startPostgres()

interface Times {
  readonly ready: number
  readonly exit: number
}

const conduit = async (options: ConduitOptions): Promise<Times> => {
  const startedMs = performance.now()
  const started = await startConduit(options)
  const ready = performance.now() - startedMs
  started.kill("SIGTERM")
  const { code, tookMs } = await started.ended()
  if (code !== 0) throw new Error(`it ended with ${code}`)
  await killAll()
  return { ready, exit: tookMs }
}

const bare = async (): Promise<Times> => {
  const proxy = await startNode([Path.resolve(import.meta.dirname, "../rawProxy.mjs")])
  return { ready: proxy.readyMs, exit: await proxy.stop() }
}

const systems = [
  { name: "external PostgreSQL", run: () => conduit({ databaseUrl: postgres.url }) },
  { name: "embedded PostgreSQL", run: () => conduit({ env: { CONDUIT_DATA_DIRECTORY: data } }) },
  { name: "proxy without logic", run: bare }
]

try {
  const results = systems.map(({ name, run }) => ({ name, run, times: new Array<Times>() }))
  row("milliseconds", ["ready", "exit"])
  for (const { name, run } of results) {
    const { exit, ready } = await run()
    row(`${name}, first start`, [ready, exit])
  }
  for (let round = 0; round < rounds; round++) {
    for (const { run, times } of results) times.push(await run())
  }
  for (const { name, times } of results) {
    row(`${name}, median of ${rounds}`, [median(times.map((t) => t.ready)), median(times.map((t) => t.exit))])
    row("  slowest", [Math.max(...times.map((t) => t.ready)), Math.max(...times.map((t) => t.exit))])
  }
} finally {
  await killAll()
  await postgres.dispose()
  Fs.rmSync(data, { recursive: true, force: true })
}
