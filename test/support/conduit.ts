import * as Schema from "effect/Schema"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Os from "node:os"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import { endServers } from "./embedded.ts"
import { patientMs } from "./patience.ts"
import { Report } from "../../src/services/running/ShutdownReport.ts"

export const binary = Path.resolve(import.meta.dirname, "../../dist/bin/conduit.js")

export interface ModelScript {
  readonly id: string
  readonly upstream?: string
  readonly inputUsdPerMTok?: number
  readonly outputUsdPerMTok?: number
  readonly firstByteTimeout?: string
  readonly idleTimeout?: string
}

export interface ConduitOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The OpenAI-compatible upstream of all models; without it the models are simulated. */
  readonly upstream?: string
  readonly models?: ReadonlyArray<ModelScript>
  /** A whole `conduit.yaml`, instead of the two. */
  readonly configuration?: string
  readonly databaseUrl?: string
  /** Another program than the built binary, with its arguments. */
  readonly command?: ReadonlyArray<string>
  /** A whole command line instead of `node` and its arguments. */
  readonly program?: ReadonlyArray<string>
  /** What is put before `node`, such as `unshare`. */
  readonly prefix?: ReadonlyArray<string>
  /** Where it runs, instead of a folder of its own. */
  readonly folder?: string
  /** As whom it runs, where that is not this user. */
  readonly user?: { readonly uid?: number; readonly gid?: number }
  /** Where its log is read. */
  readonly log?: "stdout" | "stderr"
  /** Do not wait for the line `ready`. */
  readonly isUnready?: boolean
}

/** A running service: the built program, a real child process. */
export interface ConduitProcess {
  readonly url: string
  readonly pid: number
  readonly directory: string
  /** Every line of stdout so far, parsed. */
  readonly lines: ReadonlyArray<Record<string, unknown>>
  readonly stderr: () => string
  readonly kill: (signal: NodeJS.Signals) => void
  /** Waits for the end; fails after the limit. */
  readonly ended: (limitMs?: number) => Promise<Ended>
  /** Waits for a line of the log whose message begins so. */
  readonly logged: (message: string, limitMs?: number) => Promise<Record<string, unknown>>
  readonly child: ChildProcess
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly report: Report
  readonly tookMs: number
}

const running = new Set<ChildProcess>()
const directories = new Set<string>()
const dataDirectories = new Set<string>()

/** For `afterEach`: nothing is left behind, whatever a test did. */
export const killAll = async (): Promise<void> => {
  for (const child of running) {
    try {
      process.kill(-child.pid!, "SIGKILL")
    } catch {
      child.kill("SIGKILL")
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
  }
  running.clear()
  for (const directory of dataDirectories) await endServers(directory)
  dataDirectories.clear()
  for (const directory of directories) Fs.rmSync(directory, { recursive: true, force: true })
  directories.clear()
}

/** `kill -9`, and its end. */
export const kill9 = async ({ child }: ConduitProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, "exit")
  child.kill("SIGKILL")
  await ended
}

/** A `conduit.yaml` of one provider. */
export const yaml = (upstream: string, models: ReadonlyArray<ModelScript>) =>
  [
    "providers:",
    `  local: { kind: openai-compatible, baseUrl: "${upstream}" }`,
    "models:",
    ...models.map(
      (model) =>
        `  - { id: ${model.id}, provider: local, upstream: ${model.upstream ?? model.id}, inputUsdPerMTok: ${model.inputUsdPerMTok ?? 0.1}, outputUsdPerMTok: ${model.outputUsdPerMTok ?? 0.1}, contextWindow: 128000${(["firstByteTimeout", "idleTimeout"] as const).map((key) => (model[key] === undefined ? "" : `, ${key}: ${model[key]}`)).join("")} }`
    )
  ].join("\n")

export const startConduit = async (options: ConduitOptions = {}): Promise<ConduitProcess> => {
  const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-test-"))
  directories.add(directory)
  const env: Record<string, string> = {
    PATH: process.env["PATH"] ?? "",
    HOME: directory,
    CONDUIT_PORT: "0",
    LOG_FORMAT: "json",
    ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl })
  }
  const configuration =
    options.configuration ??
    (options.upstream === undefined ? null : yaml(options.upstream, options.models ?? [{ id: "small" }]))
  if (configuration === null) env["CONDUIT_SIMULATE"] = "true"
  else {
    env["CONDUIT_CONFIG"] = Path.join(directory, "conduit.yaml")
    Fs.writeFileSync(env["CONDUIT_CONFIG"], configuration)
  }
  const program = options.program ?? [process.execPath, ...(options.command ?? [binary, "serve"])]
  const [file, ...args] = [...(options.prefix ?? []), ...program]
  const child = spawn(file!, args, {
    cwd: options.folder ?? directory,
    ...options.user,
    env: { ...env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true
  })
  running.add(child)
  dataDirectories.add(Path.resolve(options.folder ?? directory, options.env?.["CONDUIT_DATA_DIRECTORY"] ?? ".conduit"))

  const lines: Array<Record<string, unknown>> = []
  const raw: Array<string> = []
  let stderr = ""
  let waiting: Array<() => void> = []
  const changed = () => {
    for (const wake of waiting) wake()
    waiting = []
  }
  const [log, rest] = options.log === "stderr" ? [child.stderr, child.stdout] : [child.stdout, child.stderr]
  rest.on("data", (chunk) => (stderr += String(chunk)))
  const reader = createInterface({ input: log })
  reader.on("line", (line) => {
    raw.push(line)
    try {
      lines.push(JSON.parse(line))
    } catch {
      lines.push({ unparsable: line })
    }
    changed()
  })
  const outputEnded = once(child, "close")
  let exited: { code: number | null; signal: NodeJS.Signals | null; atMs: number } | undefined
  child.on("exit", (code, signal) => {
    exited = { code, signal, atMs: Date.now() }
    running.delete(child)
    changed()
  })

  const until = async <A>(what: string, limitMs: number, look: () => A | undefined): Promise<A> => {
    const startedAtMs = Date.now()
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      const waitedMs = Date.now() - startedAtMs
      const left = patientMs(limitMs) - waitedMs
      if (left <= 0) throw new Error(`${what} did not come within ${waitedMs} ms\n${raw.join("\n")}\n${stderr}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        waiting.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  let signalledAtMs: number | undefined
  const conduit: ConduitProcess = {
    url: "",
    pid: child.pid!,
    directory,
    lines,
    stderr: () => stderr,
    child,
    kill: (signal) => {
      signalledAtMs ??= Date.now()
      child.kill(signal)
    },
    logged: (message, limitMs = 15_000) =>
      until(`the line ${JSON.stringify(message)}`, limitMs, () =>
        lines.find((line) => typeof line["message"] === "string" && line["message"].startsWith(message))
      ),
    ended: async (limitMs = 30_000) => {
      const end = await until("the end", limitMs, () => exited)
      await outputEnded
      const reports = [...raw, ...stderr.split("\n")].filter((line) => line.includes('"shutdown_report"'))
      if (reports.length !== 1) throw new Error(`${reports.length} reports\n${raw.join("\n")}\n${stderr}`)
      if (raw.length > 0 && raw.at(-1) !== reports[0] && !stderr.trimEnd().endsWith(reports[0]!)) {
        throw new Error(`the report is not the last line\n${raw.join("\n")}`)
      }
      const report = Schema.decodeUnknownSync(Report)(JSON.parse(reports[0]!))
      const { requests, learning } = report
      if (requests.in_flight_at_signal + requests.accepted_during_settle !== requests.drained + requests.interrupted) {
        throw new Error(`the requests do not add up: ${JSON.stringify(requests)}`)
      }
      if (learning.pending !== learning.persisted + learning.unpersisted) {
        throw new Error(`the events do not add up: ${JSON.stringify(learning)}`)
      }
      return { code: end.code, signal: end.signal, report, tookMs: end.atMs - (signalledAtMs ?? end.atMs) }
    }
  }
  if (options.isUnready === true) return conduit
  const ready = await until("the line ready", 60_000, () => {
    const line = lines.find((line) => line["message"] === "ready")
    if (line === undefined && exited !== undefined)
      throw new Error(`it ended before it was ready\n${raw.join("\n")}\n${stderr}`)
    return line
  })
  return { ...conduit, url: String(ready["url"]) }
}

export interface Answered {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
  readonly json: any
  /** False for a stream whose connection was broken. */
  readonly complete: boolean
}

/** One request over node:http, on an agent of the caller's choice: what the socket saw is what is answered. */
export const request = (
  url: string,
  options: {
    readonly method?: string
    readonly body?: unknown
    readonly headers?: Record<string, string>
    readonly agent?: Http.Agent
    /** Called with all of the body that has come, each time that more of it has. */
    readonly seen?: (text: string) => void
  } = {}
): Promise<Answered> =>
  new Promise((resolve, reject) => {
    const body =
      options.body === undefined || typeof options.body === "string" ? options.body : JSON.stringify(options.body)
    const outgoing = Http.request(
      url,
      {
        method: options.method ?? (body === undefined ? "GET" : "POST"),
        headers: {
          ...(body === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
          ...options.headers
        },
        ...(options.agent === undefined ? { agent: false } : { agent: options.agent })
      },
      (incoming) => {
        const chunks: Array<Buffer> = []
        incoming.on("data", (chunk: Buffer) => {
          chunks.push(chunk)
          options.seen?.(Buffer.concat(chunks).toString("utf8"))
        })
        const isStream = incoming.headers["content-type"]?.startsWith("text/event-stream") === true
        incoming.on("error", (error) => (isStream ? answered() : reject(error)))
        const answered = () => {
          const text = Buffer.concat(chunks).toString("utf8")
          const isJson = incoming.headers["content-type"]?.includes("application/json") === true && text !== ""
          resolve({
            status: incoming.statusCode!,
            headers: incoming.headers,
            text,
            json: isJson ? JSON.parse(text) : undefined,
            complete: incoming.complete
          })
        }
        incoming.on("end", answered)
      }
    )
    outgoing.on("error", reject)
    outgoing.end(body)
  })

/** An agent with exactly one connection that stays open. */
export const oneSocket = (): Http.Agent => new Http.Agent({ keepAlive: true, maxSockets: 1 })

export const chat = (content: string, more: Record<string, unknown> = {}) => ({
  model: "auto",
  messages: [{ role: "user", content }],
  ...more
})
