// What the request path costs: the built Conduit, with an external PostgreSQL and upstreams that answer at once, against a
// proxy without logic, against the upstream itself, and against another build, taking turns. Compare within a run only.
// node bench/run.mjs gateway [rounds] [seconds a turn] [models]
//   --against DIR   another built checkout, as a further arm
//   --peers         Portkey's gateway too, installed from npm in a temporary folder, and LiteLLM's and Bifrost's where
//                   LITELLM_PROGRAM (`litellm` of litellm[proxy]) and BIFROST_PROGRAM (`bifrost-http`) name their programs
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
import { load, openLoad, type Target } from "./support/load.ts"
import { machine, warnIfBusy } from "./support/machine.ts"
import { argument, cpuMicros, median, option, row } from "./support/measure.ts"
import { startPeers } from "./support/peers.ts"
import { ratio, type Turn, type Turns } from "./support/ratios.ts"
import { type Held, hold } from "./support/streams.ts"

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

interface System extends Target {
  readonly name: string
  readonly pid: number
}

const show = (systems: ReadonlyArray<System>, cell: string, turns: Turns) => {
  row(cell, ["req/s", "p50 ms", "p99 ms", "cpu us", "cpu x raw", "rate x raw", ...(against ? ["cpu x it"] : [])])
  const of = (name: string) => turns.get(`${cell} ${name}`) ?? []
  for (const { name } of systems) {
    const middle = (value: (turn: Turn) => number) => median(of(name).map(value))
    row(`  ${name}`, [
      middle((t) => t.perSecond),
      middle((t) => t.p50),
      middle((t) => t.p99),
      middle((t) => t.cpu),
      ratio(turns, cell, name, "raw proxy", (t) => t.cpu),
      ratio(turns, cell, name, "raw proxy", (t) => t.perSecond),
      ...(against ? [ratio(turns, cell, name, "against", (t) => t.cpu)] : [])
    ])
  }
}

const compare = async (systems: ReadonlyArray<System>) => {
  const turns = new Map<string, Array<Turn>>()
  for (const stream of [false, true]) {
    for (const system of systems)
      await load(system, 32, stream, { requests: stream ? warmUpRequests / 4 : warmUpRequests })
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
            ? await openLoad(system, rate, cell.stream, turnMillis)
            : await load(system, cell.connections, cell.stream, { millis: turnMillis })
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
  for (const system of systems) await load(system, 32, true, { requests: warmUpRequests / 4 })
  const turns = new Map<string, Array<Held>>()
  for (let round = 0; round < rounds; round++) {
    for (let s = 0; s < systems.length; s++) {
      const system = systems[(s + round) % systems.length]!
      turns.set(system.name, [...(turns.get(system.name) ?? []), await hold(system, held, 50, 100)])
    }
  }
  console.log(`${rounds} rounds; medians, but lost and refused are sums`)
  row(`${held} streams at once`, ["lost", "refused", "first ms", "x raw", "gap p50", "gap p99", "p99 + raw"])
  for (const { name } of systems) {
    const of = turns.get(name) ?? []
    const proxy = turns.get("raw proxy") ?? []
    const sum = (value: (turn: Held) => number) => of.reduce((total, turn) => total + value(turn), 0)
    row(`  ${name}`, [
      sum(({ expected, frames }) => expected - frames),
      sum(({ refused }) => refused),
      median(of.map(({ firstMs }) => firstMs)),
      median(of.map(({ firstMs }, i) => firstMs / proxy[i]!.firstMs)),
      median(of.map(({ gapP50 }) => gapP50)),
      median(of.map(({ gapP99 }) => gapP99)),
      median(of.map(({ gapP99 }, i) => gapP99 - proxy[i]!.gapP99))
    ])
  }
  const file = option("json")
  if (file !== undefined)
    Fs.writeFileSync(file, JSON.stringify({ machine: machine(), held: Object.fromEntries(turns) }, null, 1))
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
  const peers = process.argv.includes("--peers") ? await startPeers(mock.url) : []
  const systems: ReadonlyArray<System> = [
    { name: "conduit", url: conduit.url, pid: conduit.pid },
    ...(before === null ? [] : [{ name: "against", url: before.url, pid: before.pid }]),
    { name: "raw proxy", url: raw.url, pid: raw.pid },
    ...peers,
    { name: "direct", url: new URL(mock.url).origin, pid: mock.pid }
  ]
  await (held > 0 ? holdAll(systems) : compare(systems))
  warnIfBusy()
  conduit.kill("SIGTERM")
  const { code, report } = await conduit.ended()
  console.log(`conduit ended with ${code}, learning ${JSON.stringify(report.learning)}`)
  for (const peer of peers) peer.stop()
  await Promise.all([raw.stop(), mock.stop()])
} finally {
  await killAll()
  await postgres.dispose()
  await other?.dispose()
}
