// What happens at twice and at four times the peak, open loop: what is begun stays quick, the rest gets 503 at once, the
// probes are answered, models are not blamed, memory is bounded, and it is over when the load is. Times are the client's,
// those "inside" the service's own, from the head of a request to its answer.
// node bench/run.mjs overload [seconds each, 20] [peak seconds, 5]
import * as Net from "node:net"
import * as Path from "node:path"
import { binary, type ConduitProcess, killAll, request, startConduit } from "../test/support/conduit.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { startNode } from "./support/children.ts"
import { argument, peakMiB, quantile, row } from "./support/measure.ts"

const seconds = argument(0, 20)
const peakSeconds = argument(1, 5)
/** More would measure the client's own queue. */
const mostSockets = 2_000

interface Answer {
  readonly status: number
  /** From when it was due. */
  readonly millis: number
  /** By which the client itself sent it late. */
  readonly lateMs: number
}

/** Answers as numbers: millions of objects would stop the client for its own collections, which all of them would count. */
class Answers {
  readonly #statuses: Uint16Array
  readonly #millis: Float32Array
  readonly #lateMs: Float32Array
  length = 0

  constructor(most: number) {
    this.#statuses = new Uint16Array(most)
    this.#millis = new Float32Array(most)
    this.#lateMs = new Float32Array(most)
  }

  add({ lateMs, millis, status }: Answer): void {
    this.#statuses[this.length] = status
    this.#millis[this.length] = millis
    this.#lateMs[this.length] = lateMs
    this.length++
  }

  millisOf(status: number): Float32Array {
    return this.#millis.subarray(0, this.length).filter((_, i) => this.#statuses[i] === status)
  }

  get lateMs(): Float32Array {
    return this.#lateMs.subarray(0, this.length)
  }
}

/** A connection that asks one thing at a time; answers have a length. */
class Connection {
  readonly #socket: Net.Socket
  #text = ""
  #resolve: ((status: number) => void) | null = null

  constructor(port: number, onClosed: (connection: Connection) => void) {
    this.#socket = Net.connect(port, "127.0.0.1")
    this.#socket.setNoDelay(true)
    this.#socket.on("data", (chunk) => this.#read(chunk.toString("latin1")))
    this.#socket.on("error", () => {})
    this.#socket.on("close", () => {
      this.#end(0)
      onClosed(this)
    })
  }

  ask(head: string, body: string): Promise<number> {
    this.#text = ""
    return new Promise((resolve) => {
      this.#resolve = resolve
      this.#socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`)
    })
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(text: string): void {
    this.#text += text
    const end = this.#text.indexOf("\r\n\r\n")
    if (end === -1) return
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#text.slice(0, end))?.[1] ?? 0)
    if (this.#text.length >= end + 4 + length) this.#end(Number(this.#text.slice(9, 12)))
  }

  #end(status: number): void {
    const resolve = this.#resolve
    this.#resolve = null
    resolve?.(status)
  }
}

/** Connections of one service, each used by one request at a time. */
class Client {
  readonly #port: number
  readonly #free: Array<Connection> = []
  readonly #all = new Set<Connection>()
  dropped = 0

  constructor(port: number) {
    this.#port = port
  }

  async ask(dueMs: number, number: number): Promise<Answer | null> {
    const lateMs = performance.now() - dueMs
    const connection = this.#taken() ?? this.#open()
    if (connection === null) {
      this.dropped++
      return null
    }
    const body = JSON.stringify({
      model: "auto",
      messages: [{ role: "user", content: `Question ${number}: explain in two sentences why the sky is blue at noon.` }]
    })
    const status = await connection.ask(
      "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n",
      body
    )
    if (status !== 0) this.#free.push(connection)
    return { status, millis: performance.now() - dueMs, lateMs }
  }

  close(): void {
    for (const connection of this.#all) connection.close()
  }

  /** One that the service has not closed meanwhile. */
  #taken(): Connection | undefined {
    for (;;) {
      const connection = this.#free.pop()
      if (connection === undefined || connection.isOpen) return connection
    }
  }

  #open(): Connection | null {
    if (this.#all.size >= mostSockets) return null
    const connection = new Connection(this.#port, (closed) => this.#all.delete(closed))
    this.#all.add(connection)
    return connection
  }
}

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
let number = 0

const closedLoop = async (client: Client, connections: number, millis: number): Promise<number> => {
  const untilMs = performance.now() + millis
  let answered = 0
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < untilMs) {
        const answer = await client.ask(performance.now(), number++)
        if (answer?.status === 200) answered++
      }
    })
  )
  return (answered * 1000) / millis
}

/** `onProgress` gets the seconds since the beginning, each 15 of them. */
const openLoop = async (
  client: Client,
  perSecond: number,
  millis: number,
  onProgress: (seconds: number) => void = () => {}
): Promise<Answers> => {
  const startedMs = performance.now()
  let toldMs = startedMs
  const answers = new Answers(Math.ceil((perSecond * (millis + 1_000)) / 1000))
  let open = 0
  const ended = (answer: Answer | null) => {
    open--
    if (answer !== null) answers.add(answer)
  }
  for (let sent = 0, now = startedMs; now - startedMs < millis; now = performance.now()) {
    for (const due = ((now - startedMs) * perSecond) / 1000; sent < due; sent++, open++) {
      void client.ask(startedMs + (sent * 1000) / perSecond, number++).then(ended)
    }
    if (now - toldMs > 15_000) onProgress(((toldMs = now) - startedMs) / 1000)
    await sleep(1)
  }
  const giveUpMs = performance.now() + 30_000
  while (open > 0 && performance.now() < giveUpMs) await sleep(10)
  return answers
}

/** Readiness each 100 ms over a connection of its own. */
const probing = (port: number) => {
  const took: Array<number> = []
  let isOver = false
  const done = (async () => {
    const connection = new Connection(port, () => {})
    while (!isOver) {
      const askedMs = performance.now()
      const status = await connection.ask("GET /health/ready HTTP/1.1\r\nhost: bench\r\n", "")
      took.push(status === 200 ? performance.now() - askedMs : Number.POSITIVE_INFINITY)
      await sleep(100)
    }
    connection.close()
  })()
  return async () => {
    isOver = true
    await done
    return took
  }
}

/** The service's own times since the last question. */
const inside = async (conduit: ConduitProcess): Promise<ReadonlyMap<number, number>> => {
  const isAnswer = (line: Record<string, unknown>) => line["message"] === "answered"
  const before = conduit.lines.filter(isAnswer).length
  process.kill(conduit.pid, "SIGUSR2")
  for (;;) {
    const line: any = conduit.lines.filter(isAnswer)[before]
    if (line !== undefined) return new Map(line.answers.map((of: any) => [of.status, of.p99]))
    await sleep(20)
  }
}

const postgres = await startPostgres()
const upstream = await startNode([binary, "mock-llm", "--port", "0"])
try {
  const conduit = await startConduit({
    databaseUrl: postgres.url,
    upstream: upstream.url,
    models: [{ id: "small" }, { id: "large" }, { id: "huge" }],
    command: ["--import", Path.resolve("bench/inside.mjs"), binary, "serve"]
  })
  const port = Number(new URL(conduit.url).port)
  const client = new Client(port)
  await closedLoop(client, 64, 4_000)
  const peak = await closedLoop(client, 64, peakSeconds * 1000)
  console.log(`peak ${peak.toFixed(0)} answers a second with 64 connections; ${peakMiB(conduit.pid).toFixed(0)} MiB`)
  row("open loop", [
    "asked/s",
    "200/s",
    "p50",
    "p99",
    "503 p50",
    "503 p99",
    "inside",
    "ready p99",
    "ready max",
    "other",
    "MiB",
    "client p99"
  ])
  for (const factor of [0.7, 2, 4]) {
    await inside(conduit)
    const probed = probing(port)
    const answers = await openLoop(client, factor * peak, seconds * 1000, (done) =>
      process.stderr.write(`${factor} x peak: ${Math.round(done)} of ${seconds} s\n`)
    )
    const ready = await probed()
    const own = await inside(conduit)
    const good = answers.millisOf(200)
    const refused = answers.millisOf(503)
    row(`${factor} x peak`, [
      factor * peak,
      good.length / seconds,
      quantile(good, 0.5),
      quantile(good, 0.99),
      quantile(refused, 0.5),
      quantile(refused, 0.99),
      own.get(503) ?? Number.NaN,
      quantile(ready, 0.99),
      Math.max(...ready),
      answers.length - good.length - refused.length,
      peakMiB(conduit.pid),
      quantile(answers.lateMs, 0.99)
    ])
    if (client.dropped > 0) console.log(`  ${client.dropped} not sent: every connection of the client was in use`)
    client.dropped = 0
    await sleep(2_000)
    const after = await openLoop(client, 0.5 * peak, 2_000)
    const answered = after.millisOf(200)
    const models = await request(`${conduit.url}/v1/models`)
    const circuits = models.json.data.slice(1).map((model: { conduit: { circuit: string } }) => model.conduit.circuit)
    console.log(
      `  two seconds later at half of the peak: ${after.length - answered.length} of ${after.length} not answered, p99 ${quantile(answered, 0.99).toFixed(0)} ms; circuits ${circuits.join(", ")}`
    )
  }
  client.close()
  conduit.kill("SIGTERM")
  const { code } = await conduit.ended(60_000)
  console.log(`exit code ${code}`)
} finally {
  await killAll()
  await upstream.stop()
  await postgres.stop()
}
