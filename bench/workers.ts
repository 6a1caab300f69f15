// What several workers serve: one process against `--workers N`, taking turns, on one PostgreSQL and one upstream that answers at
// once. The load, the upstream and PostgreSQL share the cores with them: where those are few, the ratio is their floor.
// node bench/run.mjs workers [rounds, 7] [seconds a turn] [workers, 2] [connections, 64]
import * as Fs from "node:fs"
import { binary, killAll, startConduit } from "../test/support/conduit.ts"
import { query, startPostgres } from "../test/support/postgres.ts"
import { startNode } from "./support/children.ts"
import { type Load, load } from "./support/load.ts"
import { warnIfBusy } from "./support/machine.ts"
import { argument, cpuMicros, median, row } from "./support/measure.ts"

const rounds = argument(0, 7)
const turnMillis = argument(1, 1.5) * 1000
const workers = argument(2, 2)
const connections = argument(3, 64)
const warmUpRequests = 6000

interface Arm {
  readonly name: string
  readonly url: string
  /** Of every process that serves. */
  readonly pids: ReadonlyArray<number>
}

const childrenOf = (pid: number): ReadonlyArray<number> =>
  Fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)

const cpuOf = ({ pids }: Arm) => pids.map(cpuMicros)

warnIfBusy()
const postgres = await startPostgres()
try {
  const mock = await startNode([binary, "mock-llm", "--port", "0"])
  const start = async (count: number): Promise<Arm> => {
    const name = `${count} worker(s)`
    await query(postgres.url, `CREATE DATABASE workers_${count}`)
    const databaseUrl = Object.assign(new URL(postgres.url), { pathname: `/workers_${count}` }).href
    const { pid, url } = await startConduit({
      databaseUrl,
      upstream: mock.url,
      env: { CONDUIT_WORKERS: String(count) }
    })
    return { name, url, pids: count === 1 ? [pid] : childrenOf(pid) }
  }
  const arms = [await start(1), await start(workers)]
  for (const arm of arms) await load(arm, connections, false, { requests: warmUpRequests })
  const turns = new Map<string, Array<Load & { readonly cpu: ReadonlyArray<number> }>>()
  for (let round = 0; round < rounds; round++) {
    for (const stream of [false, true]) {
      for (let a = 0; a < arms.length; a++) {
        const arm = arms[(a + round) % arms.length]!
        const before = cpuOf(arm)
        const result = await load(arm, connections, stream, { millis: turnMillis })
        const key = `${stream} ${arm.name}`
        const cpu = cpuOf(arm).map((micros, i) => micros - before[i]!)
        turns.set(key, [...(turns.get(key) ?? []), { ...result, cpu }])
      }
    }
  }
  for (const stream of [false, true]) {
    row(
      `${stream ? "SSE" : "JSON"}, ${connections} connections`,
      ["req/s", "p50 ms", "p99 ms", "cpu us", "x one", "most/share"],
      12
    )
    for (const { name } of arms) {
      const of = turns.get(`${stream} ${name}`)!
      const one = turns.get(`${stream} ${arms[0]!.name}`)!
      const sum = (cpu: ReadonlyArray<number>) => cpu.reduce((total, micros) => total + micros, 0)
      row(
        `  ${name}`,
        [
          median(of.map((turn) => turn.perSecond)),
          median(of.map((turn) => turn.p50)),
          median(of.map((turn) => turn.p99)),
          median(of.map((turn) => sum(turn.cpu) / turn.requests)),
          median(of.map((turn, i) => turn.perSecond / one[i]!.perSecond)),
          // How evenly they share the work: 1 is evenly.
          median(of.map(({ cpu }) => (Math.max(...cpu) * cpu.length) / sum(cpu)))
        ],
        12
      )
    }
  }
  warnIfBusy()
  await mock.stop()
} finally {
  await killAll()
  await postgres.dispose()
}
