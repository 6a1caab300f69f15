// What the request path costs: the built Conduit, with an external PostgreSQL and upstreams that answer at once, against a
// proxy without logic, against the upstream itself, and against another build, taking turns. Compare within a run only.
// node bench/run.mjs gateway [rounds] [seconds a turn] [models]
//   --against DIR   another built checkout, as a further arm
//   --json FILE     writes every turn
//   --profile DIR   a CPU profile of Conduit
//   --warm N        requests that each arm answers before it is measured, 8000 by default
//   --rate N        open loop instead of closed: N requests a second, whether or not answers come
//   --held N        so many streams at once instead, and the gaps between their frames
import * as Fs from "node:fs"
import * as Path from "node:path"
import { binary, killAll, startConduit } from "../test/support/conduit.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { startNode } from "./support/children.ts"
import { type Load, load, openLoad } from "./support/load.ts"
import { machine, warnIfBusy } from "./support/machine.ts"
import { argument, cpuMicros, median, option, row } from "./support/measure.ts"
import { hold } from "./support/streams.ts"

const rounds = argument(0, 7)
const turnMillis = argument(1, 1.5) * 1000
/** Compiling takes thousands of requests. */
const warmUpRequests = Number(option("warm") ?? 8000)
const models = Array.from({ length: argument(2, 3) }, (_, k) => ({ id: `model-${k}`, outputUsdPerMTok: 1 + k }))
const against = option("against")
const profileDirectory = option("profile")
const profiled = profileDirectory === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDirectory}`]
const rate = Number(option("rate") ?? 0)
const held = Number(option("held") ?? 0)

interface Turn extends Load {
  readonly cpu: number
}
interface System {
  readonly name: string
  readonly url: string
  readonly pid: number
}

const show = (systems: ReadonlyArray<System>, cell: string, turns: ReadonlyMap<string, ReadonlyArray<Turn>>) => {
  row(cell, ["req/s", "p50 ms", "p99 ms", "cpu us", "cpu x raw", "rate x raw", ...(against ? ["cpu x it"] : [])])
  const of = (name: string) => turns.get(`${cell} ${name}`) ?? []
  for (const { name } of systems) {
    const middle = (value: (turn: Turn) => number) => median(of(name).map(value))
    const ratio = (to: string, value: (turn: Turn) => number) =>
      median(of(name).map((turn, i) => value(turn) / value(of(to)[i]!)))
    row(`  ${name}`, [
      middle((t) => t.perSecond),
      middle((t) => t.p50),
      middle((t) => t.p99),
      middle((t) => t.cpu),
      ratio("raw proxy", (t) => t.cpu),
      ratio("raw proxy", (t) => t.perSecond),
      ...(against ? [ratio("against", (t) => t.cpu)] : [])
    ])
  }
}

const compare = async (systems: ReadonlyArray<System>) => {
  const turns = new Map<string, Array<Turn>>()
  for (const stream of [false, true]) {
    for (const { url } of systems)
      await load(url, 32, stream, { requests: stream ? warmUpRequests / 4 : warmUpRequests })
  }
  const cells = [false, true].flatMap((stream) =>
    (rate > 0 ? [1] : [1, 64]).map((connections) => ({ stream, connections }))
  )
  const nameOf = ({ connections, stream }: (typeof cells)[number]) =>
    `${stream ? "SSE" : "JSON"}, ${rate > 0 ? `${rate} a second` : `${connections} connection(s)`}`
  for (let round = 0; round < rounds; round++) {
    for (const cell of cells) {
      for (let s = 0; s < systems.length; s++) {
        const system = systems[(s + round) % systems.length]!
        const before = cpuMicros(system.pid)
        const result =
          rate > 0
            ? await openLoad(system.url, rate, cell.stream, turnMillis)
            : await load(system.url, cell.connections, cell.stream, { millis: turnMillis })
        const cpu = (cpuMicros(system.pid) - before) / result.requests
        const key = `${nameOf(cell)} ${system.name}`
        turns.set(key, [...(turns.get(key) ?? []), { ...result, cpu }])
      }
    }
  }
  console.log(`${models.length} models, ${rounds} rounds of ${turnMillis} ms; medians, then ratios within a round`)
  for (const cell of cells) show(systems, nameOf(cell), turns)
  const file = option("json")
  if (file !== undefined)
    Fs.writeFileSync(file, JSON.stringify({ machine: machine(), turns: Object.fromEntries(turns) }, null, 1))
}

/** A frame each 100 ms, fifty of them. */
const holdAll = async (systems: ReadonlyArray<System>) => {
  for (const { url } of systems) await load(url, 32, true, { requests: warmUpRequests / 4 })
  row(`${held} streams at once`, ["frames", "lost", "refused", "first ms", "gap p50", "gap p99"])
  for (const { name, url } of systems) {
    const { expected, firstMs, frames, gapP50, gapP99, refused } = await hold(url, held, 50, 100)
    row(`  ${name}`, [frames, expected - frames, refused, firstMs, gapP50, gapP99])
  }
}

warnIfBusy()
const [postgres, other] = [await startPostgres(), against === undefined ? null : await startPostgres()]
try {
  const mock = await startNode([binary, "mock-llm", "--port", "0"])
  const raw = await startNode([Path.resolve(import.meta.dirname, "../rawProxy.mjs"), new URL(mock.url).origin])
  const start = (databaseUrl: string, command: ReadonlyArray<string>) =>
    startConduit({ databaseUrl, upstream: mock.url, models, command })
  const conduit = await start(postgres.url, [...profiled, binary, "serve"])
  const before =
    against === undefined || other === null
      ? null
      : await start(other.url, [Path.resolve(against, "dist/bin/conduit.js"), "serve"])
  const systems: ReadonlyArray<System> = [
    { name: "conduit", url: conduit.url, pid: conduit.pid },
    ...(before === null ? [] : [{ name: "against", url: before.url, pid: before.pid }]),
    { name: "raw proxy", url: raw.url, pid: raw.pid },
    { name: "direct", url: new URL(mock.url).origin, pid: mock.pid }
  ]
  await (held > 0 ? holdAll(systems) : compare(systems))
  warnIfBusy()
  conduit.kill("SIGTERM")
  const { code, report } = await conduit.ended()
  console.log(`conduit ended with ${code}, learning ${JSON.stringify(report.learning)}`)
  await Promise.all([raw.stop(), mock.stop()])
} finally {
  await killAll()
  await postgres.dispose()
  await other?.dispose()
}
