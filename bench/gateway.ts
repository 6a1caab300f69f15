// What the request path costs: the built Conduit, with an external PostgreSQL and upstreams that answer at once, against a
// proxy without logic and against the upstream itself, taking turns. Compare within a run only.
// node bench/run.mjs gateway [rounds] [seconds a turn] [models] [directory for a CPU profile of Conduit]
import * as Path from "node:path"
import { binary, killAll, startConduit } from "../test/support/conduit.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { startNode } from "./support/children.ts"
import { type Load, load } from "./support/load.ts"
import { argument, cpuMicros, median, row } from "./support/measure.ts"

const rounds = argument(0, 5)
const turnMillis = argument(1, 1.5) * 1000
const warmUpMillis = 5_000
const models = Array.from({ length: argument(2, 3) }, (_, k) => ({ id: `model-${k}`, outputUsdPerMTok: 1 + k }))
const profileDirectory = process.argv[6]
const profiled = profileDirectory === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDirectory}`]

interface Turn extends Load {
  readonly cpu: number
}

const postgres = await startPostgres()
try {
  const mock = await startNode([binary, "mock-llm", "--port", "0"])
  const raw = await startNode([Path.resolve(import.meta.dirname, "../rawProxy.mjs"), new URL(mock.url).origin])
  const conduit = await startConduit({
    databaseUrl: postgres.url,
    upstream: mock.url,
    models,
    command: [...profiled, binary, "serve"]
  })
  const systems = [
    { name: "conduit", url: conduit.url, pid: conduit.pid },
    { name: "raw proxy", url: raw.url, pid: raw.pid },
    { name: "direct", url: new URL(mock.url).origin, pid: mock.pid }
  ] as const
  const cells = [false, true].flatMap((stream) => [1, 32].map((connections) => ({ stream, connections })))
  const turns = new Map<string, Array<Turn>>()

  // Compiling takes thousands of requests.
  for (const stream of [false, true]) {
    for (const { url } of systems) await load(url, 32, stream, warmUpMillis)
  }
  for (let round = 0; round < rounds; round++) {
    for (const [c, { connections, stream }] of cells.entries()) {
      for (let s = 0; s < systems.length; s++) {
        const system = systems[(s + round) % systems.length]!
        const before = cpuMicros(system.pid)
        const result = await load(system.url, connections, stream, turnMillis)
        const cpu = (cpuMicros(system.pid) - before) / result.requests
        const key = `${c} ${system.name}`
        turns.set(key, [...(turns.get(key) ?? []), { ...result, cpu }])
      }
    }
  }

  console.log(`${models.length} models, ${rounds} rounds of ${turnMillis} ms; medians, then the ratio to the raw proxy`)
  for (const [c, { connections, stream }] of cells.entries()) {
    row(`${stream ? "SSE" : "JSON"}, ${connections} connection(s)`, [
      "req/s",
      "p50 ms",
      "p99 ms",
      "cpu us",
      "cpu x raw",
      "rate x raw"
    ])
    const of = (name: string) => turns.get(`${c} ${name}`) ?? []
    for (const { name } of systems) {
      const ratio = (value: (turn: Turn) => number) =>
        median(of(name).map((turn, i) => value(turn) / value(of("raw proxy")[i]!)))
      const middle = (value: (turn: Turn) => number) => median(of(name).map(value))
      const figures = [middle((t) => t.perSecond), middle((t) => t.p50), middle((t) => t.p99), middle((t) => t.cpu)]
      row(`  ${name}`, [...figures, ratio((t) => t.cpu), ratio((t) => t.perSecond)])
    }
  }
  conduit.kill("SIGTERM")
  const { code, report } = await conduit.ended()
  console.log(`conduit ended with ${code}, learning ${JSON.stringify(report.learning)}`)
  await Promise.all([raw.stop(), mock.stop()])
} finally {
  await killAll()
  await postgres.dispose()
}
