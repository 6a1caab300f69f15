// Whether the service leaks: ten minutes at half of what it can take, JSON and SSE with sessions, feedback, fallbacks
// and clients that leave. Memory after garbage collection must be flat, and when the load has gone, so must be its timers
// and sockets. Exit code 1 when something stays.
// node bench/run.mjs soak [minutes, 10] [share of the peak rate, 0.5]
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Pool } from "undici"
import { binary, type ConduitProcess, killAll, startConduit } from "../test/support/conduit.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { eventually, paced } from "../test/support/traffic.ts"
import { startNode } from "./support/children.ts"
import { argument, cpuMicros, quantile, row } from "./support/measure.ts"
import { flatness, seriesOf } from "./support/trend.ts"

const minutes = argument(0, 10)
const share = argument(1, 0.5)
const peakSeconds = 15
const sampleEveryMs = 10_000
/** Caches fill, code is compiled, the heap finds its size. */
const warmUpShare = 0.2
/** Longer than idle connections to models and to the database are kept. */
const quietForMs = 12_000
const quietLimitMs = 60_000

interface Sample {
  readonly atSeconds: number
  readonly heapUsed: number
  readonly external: number
  readonly rss: number
  readonly loop: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly resources: Readonly<Record<string, number>>
}

const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-soak-"))
const probeFile = Path.join(directory, "probe.jsonl")
const probeLines = () => (Fs.existsSync(probeFile) ? Fs.readFileSync(probeFile, "utf8").trim().split("\n") : [])
const startedMs = performance.now()

const sample = async (conduit: ConduitProcess): Promise<Sample> => {
  const before = probeLines().length
  conduit.child.kill("SIGUSR2")
  const line = await eventually("the probe's answer", 10_000, () => probeLines()[before])
  return { ...JSON.parse(line), atSeconds: (performance.now() - startedMs) / 1000 }
}

const counts = { answered: 0, failed: 0, left: 0, judged: 0, fallbacks: 0 }
const latencies: Array<number> = []

/** One request of the mix; feedback on every tenth answer, one stream in a hundred is left in the middle. */
const send = async (pool: Pool, number: number) => {
  const stream = number % 2 === 0
  const leaves = number % 200 === 100
  const body = JSON.stringify({
    model: "auto",
    messages: [{ role: "user", content: `Question ${number}: what is ${number} times ${number % 97}, and why?` }],
    ...(stream ? { stream: true } : {}),
    conduit: {
      user_id: `user-${number % 5000}`,
      ...(number % 5 === 0 ? { session_id: `session-${number % 50_000}` } : {})
    }
  })
  const beganMs = performance.now()
  const answer = await pool.request({
    method: "POST",
    path: "/v1/chat/completions",
    headers: { "content-type": "application/json" },
    body
  })
  if (leaves) {
    answer.body.on("error", () => undefined).destroy()
    counts.left++
    return
  }
  const text = await answer.body.text()
  if (answer.statusCode !== 200 || (stream && !text.endsWith("data: [DONE]\n\n"))) {
    counts.failed++
    return
  }
  counts.answered++
  if (answer.headers["x-conduit-reason"] === "fallback") counts.fallbacks++
  if (number % 50 === 1) latencies.push(performance.now() - beganMs)
  if (number % 10 !== 1) return
  const feedback = await pool.request({
    method: "POST",
    path: "/v1/feedback",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      decision_id: answer.headers["x-conduit-decision-id"],
      kind: "score",
      value: (number % 11) / 10
    })
  })
  await feedback.body.dump()
  if (feedback.statusCode === 200) counts.judged++
  else counts.failed++
}

/** How many requests of the mix are answered a second when 32 clients never pause. */
const peakRate = async (url: string, seconds: number) => {
  const pool = new Pool(url, { connections: 32, pipelining: 1 })
  const untilMs = performance.now() + seconds * 1000
  let sent = 0
  const client = async () => {
    while (performance.now() < untilMs) await send(pool, sent++)
  }
  await Promise.all(Array.from({ length: 32 }, client))
  await pool.close()
  return sent / seconds
}

/** The process when nothing of the load is left to end: two readings in a row have the same timers and sockets. */
const quiet = async (conduit: ConduitProcess): Promise<Sample> => {
  const giveUpAtMs = performance.now() + quietLimitMs
  let before = await sample(conduit)
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, quietForMs))
    const now = await sample(conduit)
    if (shown(now.resources) === shown(before.resources) || performance.now() > giveUpAtMs) return now
    before = now
  }
}

const megabytes = (bytes: number) => bytes / 2 ** 20
const shown = (resources: Sample["resources"]) =>
  Object.entries(resources)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, count]) => `${count} ${kind}`)
    .join(", ")

const postgres = await startPostgres()
try {
  const script = Path.join(directory, "mock.yaml")
  Fs.writeFileSync(script, "defaults: { faults: { 500: 0.01 } }\nanyModel: true\n")
  const mock = await startNode([binary, "mock-llm", "--port", "0", "--script", script])
  const conduit = await startConduit({
    databaseUrl: postgres.url,
    upstream: mock.url,
    models: Array.from({ length: 4 }, (_, k) => ({ id: `model-${k}`, outputUsdPerMTok: 1 + k })),
    env: { SOAK_PROBE_FILE: probeFile },
    command: ["--expose-gc", "--import", Path.resolve(import.meta.dirname, "../soakProbe.mjs"), binary, "serve"]
  })

  await peakRate(conduit.url, peakSeconds / 3)
  const peak = await peakRate(conduit.url, peakSeconds)
  const rate = share * peak
  const idle = await quiet(conduit)
  console.log(
    `peak ${peak.toFixed(0)} requests/s of this mix on 32 connections; ${minutes} minutes at ${rate.toFixed(0)}`
  )

  row("", ["minute", "heap MiB", "ext MiB", "rss MiB", "loop p50", "loop p99", "loop max", "sent/s", "cpu %"])
  const samples: Array<Sample> = []
  const pool = new Pool(conduit.url, { connections: 64, pipelining: 1 })
  const loadMs = performance.now()
  let sent = 0
  const traffic = paced(rate, (number) => {
    sent = number
    return send(pool, number).catch(() => counts.failed++)
  })
  const untilMs = loadMs + minutes * 60_000
  let last = { ms: loadMs, sent: 0, cpu: cpuMicros(conduit.pid) }
  while (performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(sampleEveryMs, untilMs - performance.now())))
    const now = { ms: performance.now(), sent, cpu: cpuMicros(conduit.pid) }
    const one = await sample(conduit)
    samples.push(one)
    const seconds = (now.ms - last.ms) / 1000
    row("", [
      (now.ms - loadMs) / 60_000,
      megabytes(one.heapUsed),
      megabytes(one.external),
      megabytes(one.rss),
      one.loop.p50,
      one.loop.p99,
      one.loop.max,
      (now.sent - last.sent) / seconds,
      (now.cpu - last.cpu) / seconds / 10_000
    ])
    last = now
  }
  await traffic.stop()
  await pool.close()

  const warm = samples.slice(Math.floor(samples.length * warmUpShare))
  const heap = flatness(seriesOf(warm, (one) => megabytes(one.heapUsed + one.external)))
  const rss = flatness(seriesOf(warm, (one) => megabytes(one.rss)))
  const loop = {
    p99: quantile(
      warm.map((one) => one.loop.p99),
      0.5
    ),
    worst: Math.max(...warm.map((one) => one.loop.p99))
  }
  console.log(
    `${JSON.stringify(counts)}, p50 ${quantile(latencies, 0.5).toFixed(1)} ms, p99 ${quantile(latencies, 0.99).toFixed(1)} ms`
  )
  console.log(`heap and buffers after collection: ${heap.text}`)
  console.log(`resident: ${rss.text}`)
  console.log(
    `event-loop delay p99: ${loop.p99.toFixed(1)} ms at the median window, ${loop.worst.toFixed(1)} ms in the worst`
  )

  const after = await quiet(conduit)
  const left = Object.keys(after.resources).filter((kind) => after.resources[kind]! > (idle.resources[kind] ?? 0))
  console.log(`timers and sockets before the load: ${shown(idle.resources)}`)
  console.log(
    `timers and sockets after it:        ${shown(after.resources)}${left.length === 0 ? "" : `: LEFT ${left.join(", ")}`}`
  )

  conduit.kill("SIGTERM")
  const { code, report } = await conduit.ended()
  console.log(`ended with ${code}, learning ${JSON.stringify(report.learning)}`)
  await mock.stop()
  if (code !== 0 || !heap.isFlat || left.length > 0 || counts.failed > 0.001 * counts.answered) process.exitCode = 1
} finally {
  await killAll()
  await postgres.dispose()
  Fs.rmSync(directory, { recursive: true, force: true })
}
