// The embedded database for a long time: starts, memory at rest, the rate of five callers beside an external PostgreSQL,
// and then sixteen callers through stops, starts and kill -9. Exit code 1 where a figure is not reached.
// node bench/run.mjs test/long/embedded.ts [minutes, 10] [callers, 16]
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { argument, median, row } from "../../bench/support/measure.ts"
import { callerKeys, startCallers } from "../support/callers.ts"
import { chat, type ConduitProcess, kill9, killAll, request, startConduit } from "../support/conduit.ts"
import { serversIn } from "../support/embedded.ts"
import { withEmbedded } from "../support/embeddedDatabase.ts"
import { query, startPostgres } from "../support/postgres.ts"
import { startUpstream } from "../support/processMock.ts"

const minutes = argument(0, 10)
const callerCount = argument(1, 16)
const rateSeconds = 10
const rateRounds = 3
/** Between two ends of the service. */
const livesForMs = 15_000

const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-long-"))
const upstream = await startUpstream()
const problems: Array<string> = []
const hold = (what: string, isSo: boolean) => {
  if (!isSo) problems.push(what)
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const start = (env: Record<string, string> = {}, databaseUrl?: string) =>
  startConduit({
    upstream: upstream.url,
    models: [{ id: "small" }, { id: "large" }],
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    env: { CONDUIT_DATA_DIRECTORY: Path.join(folder, "data"), ...env }
  })

const end = async (conduit: ConduitProcess) => {
  conduit.kill("SIGTERM")
  const { code, report } = await conduit.ended()
  hold(`a stop ended with ${code}: ${JSON.stringify(report.errors)}`, code === 0)
}

const aboveInfo = ({ lines }: ConduitProcess) =>
  lines.filter((line) => line["level"] === "WARNING" || line["level"] === "ERROR").map((line) => line["message"])

const firstAnswer = async (dataDirectory: string) => {
  const beganMs = performance.now()
  const conduit = await start({ CONDUIT_DATA_DIRECTORY: dataDirectory })
  const { status } = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello") })
  hold(`the first answer is ${status}`, status === 200)
  return { conduit, tookMs: performance.now() - beganMs }
}

/** Proportional memory of a process and its children, MiB: what they share counts once. */
const memoryOf = (pid: number) => {
  const children = Fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean)
  return [String(pid), ...children].reduce((sum, one) => {
    const [, kilobytes = "0"] = /^Pss:\s+(\d+)/m.exec(Fs.readFileSync(`/proc/${one}/smaps_rollup`, "utf8")) ?? []
    return sum + Number(kilobytes) / 1024
  }, 0)
}

const starts = async () => {
  const first: Array<number> = []
  const later: Array<number> = []
  row("milliseconds to the first answer, MiB", ["time", "service", "server"])
  for (let round = 0; round < 3; round++) {
    const dataDirectory = Path.join(folder, `start-${round}`)
    for (const times of [first, later, later]) {
      const { conduit, tookMs } = await firstAnswer(dataDirectory)
      times.push(tookMs)
      if (times === first && round === 0) {
        await pause(12_000)
        const [server = 0] = serversIn(dataDirectory)
        const [own, database] = [memoryOf(conduit.pid), memoryOf(server)]
        row("first start, and memory after 12 s", [tookMs, own, database])
        hold(`service and database take ${own + database} MiB`, own + database <= 200)
      }
      await end(conduit)
    }
  }
  row("first start, fastest", [Math.min(...first)])
  row("later start, fastest", [Math.min(...later)])
  hold(`the first start took ${Math.min(...first)} ms`, Math.min(...first) < 3_000)
  hold(`a later start took ${Math.min(...later)} ms`, Math.min(...later) < 1_500)
}

const rates = async () => {
  const external = await startPostgres("npm", ["fsync=on"])
  const rateOf = async (databaseUrl?: string) => {
    const conduit = await start({}, databaseUrl)
    const callers = startCallers(5, () => conduit.url)
    await pause(2_000)
    const before = callers.seen().requests
    await pause(rateSeconds * 1000)
    const count = callers.seen().requests - before
    const { failures } = await callers.stop()
    hold(`five callers saw ${failures.length} x 5xx: ${failures[0]}`, failures.length === 0)
    await end(conduit)
    return count / rateSeconds
  }
  try {
    const ratios: Array<number> = []
    row("requests a second of five callers", ["external", "embedded", "ratio"])
    for (let round = 0; round < rateRounds; round++) {
      // Each is first in its turn.
      const order = round % 2 === 0 ? [external.url, undefined] : [undefined, external.url]
      const measured = new Map<string | undefined, number>()
      for (const url of order) measured.set(url, await rateOf(url))
      const [outside = 0, own = 0] = [measured.get(external.url), measured.get(undefined)]
      ratios.push(own / outside)
      row(`round ${round + 1}`, [outside, own, own / outside])
    }
    hold(`the rate is ${median(ratios)} of an external PostgreSQL's`, median(ratios) >= 0.9)
  } finally {
    await external.dispose()
  }
}

const endurance = async () => {
  // Keys of their own, as callers have: each has decisions and statistics of its own.
  const keys = { CONDUIT_API_KEYS: callerKeys(callerCount).join(",") }
  let conduit = await start(keys)
  let url: string | null = conduit.url
  const loud: Array<unknown> = []
  let stops = 0
  let kills = 0
  const callers = startCallers(callerCount, () => url, true)
  const beganMs = performance.now()
  while (performance.now() - beganMs < minutes * 60_000) {
    await pause(livesForMs)
    if (stops > kills) {
      await kill9(conduit)
      kills++
    } else {
      await end(conduit)
      stops++
    }
    url = null
    loud.push(...aboveInfo(conduit))
    conduit = await start(keys)
    url = conduit.url
    const { acknowledged, failures, requests, turnedAway } = callers.seen()
    process.stderr.write(
      `${((performance.now() - beganMs) / 60_000).toFixed(1)} of ${minutes} min: ${requests} requests, ${failures.length} x 5xx, ` +
        `${turnedAway} turned away, ${acknowledged.size} acknowledged, ${stops} stops, ${kills} kills, ${loud.length} lines above INFO\n`
    )
  }
  const { acknowledged, failures, requests, turnedAway } = await callers.stop()
  loud.push(...aboveInfo(conduit))
  const stored = await withEmbedded(Path.join(folder, "data"), (address) =>
    query<{ id: string; decision: string | null }>(
      address,
      "SELECT f.id::text AS id, d.id::text AS decision FROM feedback f LEFT JOIN decisions d ON d.id = f.decision_id"
    )
  )
  await end(conduit)
  const decisions = new Map(stored.map(({ decision, id }) => [id, decision]))
  const lost = [...acknowledged].filter(([id, decision]) => decisions.get(id) !== decision)
  row("requests, 5xx, turned away", [requests, failures.length, turnedAway])
  row("acknowledged, lost, stops, kills", [acknowledged.size, lost.length, stops, kills])
  hold(`${failures.length} x 5xx: ${failures.slice(0, 3).join("; ")}`, failures.length === 0)
  hold(`${lost.length} acknowledged feedbacks are lost`, lost.length === 0)
  hold(`above INFO: ${loud.slice(0, 3).join("; ")}`, loud.length === 0)
  hold("a stop left a server", serversIn(Path.join(folder, "data")).length === 0)
}

try {
  await starts()
  await rates()
  await endurance()
} finally {
  await killAll()
  await upstream.close()
  Fs.rmSync(folder, { recursive: true, force: true })
}
for (const problem of problems) process.stdout.write(`NOT REACHED: ${problem}\n`)
process.exitCode = problems.length === 0 ? 0 : 1
