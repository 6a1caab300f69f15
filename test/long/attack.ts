// Requests from the OpenAPI document, right ones and mutilated ones, and pieces of HTTP in every wrong order, against the
// built program with a real PostgreSQL: nobody dies, nothing is answered 500 or 503, nothing that the document does not
// declare, nothing stays in flight. Exit code 1 where that is not so; what was sent is printed, and its seed.
// node bench/run.mjs test/long/attack.ts [requests of each kind, 50000] [minutes, 20] [seed, 1]
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js"
import addFormats from "ajv-formats"
import * as Http from "node:http"
import * as Net from "node:net"
import { argument } from "../../bench/support/measure.ts"
import { sampleOf } from "../../src/domain/simulation/JsonSample.ts"
import { killAll, request, startConduit } from "../support/conduit.ts"
import { seeded } from "../support/learningEvents.ts"
import { startPostgres } from "../support/postgres.ts"
import { startUpstream } from "../support/processMock.ts"
import { eventually } from "../support/traffic.ts"

const count = argument(0, 50_000)
const limitMs = argument(1, 20) * 60_000
const seed = argument(2, 1)
const concurrency = 32
const answerLimitMs = 20_000
const adminKey = "admin-key-of-the-attack"
/** Of each kind. */
const mostShown = 10

const random = seeded(`attack ${seed}`)
const chance = (share: number) => random() < share
const pick = <A>(values: ReadonlyArray<A>): A => values[Math.floor(random() * values.length)]!
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const problems: Array<string> = []
const statuses = new Map<string, number>()
const kinds = new Map<string, number>()
/** Its first word is its kind: a status, or the name of an error. */
const found = (what: string) => {
  problems.push(what)
  const kind = what.split(" ")[0] ?? ""
  const times = (kinds.get(kind) ?? 0) + 1
  kinds.set(kind, times)
  if (times <= mostShown) console.log(`FOUND ${what.slice(0, 600)}`)
}

const postgres = await startPostgres()
const upstream = await startUpstream()
const conduit = await startConduit({
  databaseUrl: postgres.url,
  upstream: upstream.url,
  models: [{ id: "small" }, { id: "large" }],
  // What is only half sent is given up soon. Who attacks has an admin's key: `/v1/keys` too is to be reached.
  env: { CONDUIT_BODY_TIMEOUT: "2 seconds", CONDUIT_ADMIN_KEYS: `attacker:${adminKey}` }
})
const { hostname, port } = new URL(conduit.url)
const document = JSON.parse((await request(`${conduit.url}/openapi.json`)).text)

interface Parameter {
  readonly in: string
  readonly name: string
  readonly required?: boolean
  readonly schema: object
}
interface Operation {
  readonly path: string
  readonly method: string
  readonly parameters: ReadonlyArray<Parameter>
  readonly body: object | null
  readonly responses: Record<string, { readonly content?: Record<string, { readonly schema: object }> }>
}
const operations: ReadonlyArray<Operation> = Object.entries<Record<string, any>>(document.paths).flatMap(
  ([path, item]) =>
    Object.entries<any>(item).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      parameters: operation.parameters ?? [],
      body: operation.requestBody?.content["application/json"].schema ?? null,
      responses: operation.responses
    }))
)
const declared = new Set(operations.flatMap(({ responses }) => Object.keys(responses).map(Number)))

const ajv = new Ajv2020({ strict: false, discriminator: false })
addFormats.default(ajv)
ajv.addSchema(document, "openapi")
const validators = new Map<object, ValidateFunction>()
const validatorOf = (schema: object): ValidateFunction => {
  const known =
    validators.get(schema) ?? ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/')))
  validators.set(schema, known)
  return known
}

const words = ["", "a", "auto", "small", "äß漢字🙂", "a\u0000b", "\ud800", " ", "0", "null", "x".repeat(5_000), "1e999"]
const numbers = [0, -1, 1, 0.5, 1e-300, 1e308, -1e308, 2 ** 53, -0, 1e21]
const anything = (depth: number): unknown => {
  const kinds = [() => null, () => chance(0.5), () => pick(numbers), () => pick(words)]
  const nested = [
    () => Array.from({ length: Math.floor(random() * 4) }, () => anything(depth + 1)),
    () => Object.fromEntries(Array.from({ length: Math.floor(random() * 4) }, () => [pick(words), anything(depth + 1)]))
  ]
  return pick(depth > 3 ? kinds : [...kinds, ...nested])()
}

const resolved = (schema: any): any =>
  typeof schema?.$ref === "string"
    ? resolved(document.components.schemas[schema.$ref.replace("#/components/schemas/", "")])
    : schema
const valid = (schema: object): unknown =>
  sampleOf({ ...resolved(schema), components: document.components }, `hello ${Math.floor(random() * 100)}`)

/** A value of the schema with some of what it may have besides. */
const varied = (schema: object): unknown => {
  const branches = resolved(schema)?.oneOf ?? resolved(schema)?.anyOf
  if (Array.isArray(branches)) return varied(pick(branches))
  const value = valid(schema)
  const properties = resolved(schema)?.properties
  if (!isRecord(value) || !isRecord(properties)) return value
  for (const [key, inner] of Object.entries(properties)) {
    if (!(key in value) && chance(0.2) && isRecord(inner)) value[key] = varied(inner)
  }
  return value
}

/** With something wrong somewhere in it. */
const mutilated = (value: unknown, depth = 0): unknown => {
  if (depth > 5 || chance(0.25)) return anything(0)
  if (Array.isArray(value)) {
    if (value.length === 0 || chance(0.2)) return [...value, anything(0)]
    const index = Math.floor(random() * value.length)
    return value.map((one, i) => (i === index ? mutilated(one, depth + 1) : one))
  }
  if (!isRecord(value)) return anything(0)
  const keys = Object.keys(value)
  if (keys.length === 0 || chance(0.2)) return { ...value, [pick(words)]: anything(0) }
  const key = pick(keys)
  if (chance(0.2)) return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))
  return { ...value, [key]: mutilated(value[key], depth + 1) }
}

const headerText = (value: unknown) =>
  String(value)
    .replace(/[^\x20-\x7e]/g, "?")
    .slice(0, 2_000)
const bodyText = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "undefined"
  if (chance(0.9)) return text
  const at = Math.floor(random() * text.length)
  return pick([
    text.slice(0, at),
    text + text,
    `${text.slice(0, at)}${pick(words)}${text.slice(at)}`,
    "",
    "\ufeff" + text
  ])
}

const agent = new Http.Agent({ keepAlive: true, maxSockets: concurrency })

interface Sent {
  readonly method: string
  readonly target: string
  readonly headers: Record<string, string>
  readonly body: string | null
}

const ofDocument = (): readonly [Operation, Sent] => {
  const operation = pick(operations)
  const isRight = chance(0.4)
  const headers: Record<string, string> = chance(0.97) ? { authorization: `Bearer ${adminKey}` } : {}
  const query: Array<string> = []
  let path = operation.path
  for (const { in: place, name, required, schema } of operation.parameters) {
    if (required !== true && chance(0.7)) continue
    const value = isRight || chance(0.5) ? valid(schema) : anything(0)
    if (place === "header") headers[name] = headerText(value)
    else if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(headerText(value)) || "x")
    else query.push(`${name}=${encodeURIComponent(headerText(value))}`)
  }
  const method = chance(0.97) ? operation.method : pick(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
  const good = operation.body === null ? null : varied(operation.body)
  const body =
    operation.body === null && chance(0.95) ? null : isRight ? JSON.stringify(good) : bodyText(mutilated(good))
  if (body !== null) headers["content-length"] = String(Buffer.byteLength(body))
  if (body !== null) headers["content-type"] = chance(0.97) ? "application/json" : headerText(anything(0))
  return [operation, { method, target: query.length === 0 ? path : `${path}?${query.join("&")}`, headers, body }]
}

const ask = ({ body, headers, method, target }: Sent): Promise<{ status: number; type: string; text: string }> =>
  new Promise((resolve, reject) => {
    const sent = Http.request({ hostname, port, method, path: target, headers, agent }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk) => chunks.push(chunk))
      response.on("error", reject)
      const type = String(response.headers["content-type"] ?? "").split(";")[0]!
      const answered = () =>
        resolve({ status: response.statusCode ?? 0, type, text: Buffer.concat(chunks).toString("utf8") })
      response.on("end", answered)
      // A stream that is asked for by GET goes on: its reader leaves.
      if (method === "GET" && type === "text/event-stream") {
        response.off("error", reject).on("error", () => {})
        answered()
        sent.destroy()
      }
    })
    // Of a stream too, whose signs of life an idle limit would take for an answer.
    const timer = setTimeout(() => sent.destroy(new Error(`no whole answer within ${answerLimitMs} ms`)), answerLimitMs)
    sent.on("close", () => clearTimeout(timer))
    sent.on("error", reject)
    sent.end(body ?? undefined)
  })

const counted = (kind: string, status: number) => {
  const key = `${kind} ${status}`
  statuses.set(key, (statuses.get(key) ?? 0) + 1)
}

const askByDocument = async () => {
  const [operation, sent] = ofDocument()
  const told = () => JSON.stringify(sent)
  try {
    const { status, text, type } = await ask(sent)
    counted("document", status)
    if (status === 500 || status === 503) return found(`${status} ${text} to ${told()}`)
    if (sent.method === "OPTIONS") return status === 204 ? undefined : found(`${status} to ${told()}`)
    const response = operation.responses[status]
    if (response === undefined) return found(`${status} is not declared: ${text} to ${told()}`)
    const schema = response.content?.[type]?.schema
    if (sent.method === "HEAD") return
    if (schema === undefined) return found(`${status} as ${type} is not declared, to ${told()}`)
    if (type !== "application/json") return
    const validate = validatorOf(schema)
    if (!validate(JSON.parse(text))) found(`${status} ${ajv.errorsText(validate.errors)}: ${text} to ${told()}`)
  } catch (error) {
    found(`${error} to ${told()}`)
  }
}

const methods = ["GET", "POST", "get", "OPTIONS", "CONNECT", "TRACE", "", "GE T", "X".repeat(300), "M-SEARCH", "\u0000"]
const targets = [
  "/health",
  "/v1/models",
  "/v1/chat/completions",
  "*",
  "",
  "http://x/health",
  "//",
  "/%zz",
  "/\u0001",
  `/${"a".repeat(9_000)}`,
  "x"
]
const versions = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "http/1.1", "", "HTTP/1.1 "]
const lineEnds = ["\r\n", "\r\n", "\r\n", "\n", "\r", ""]
const fields = [
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
  "\tfolded",
  "no colon",
  ": empty",
  "x: \u0000",
  "x: \u00ff",
  `x: ${"y".repeat(3_000)}`,
  "range: bytes=0-1",
  "authorization: Bearer",
  "traceparent: 00-zz",
  "origin: null",
  "x-request-id: \u007f"
]
const bodies = [
  "",
  "hello",
  "{}",
  '{"model":"auto","messages":[]}',
  "5\r\nhello\r\n0\r\n\r\n",
  "zz\r\n",
  "5;x=y\r\nhel",
  "0\r\n\r\n",
  "\u0000\u0001"
]

const brokenHttp = (): string => {
  const one = () => {
    const end = () => (chance(0.9) ? "\r\n" : pick(lineEnds))
    const method = chance(0.7) ? pick(methods.slice(0, 2)) : pick(methods)
    const line = [
      method,
      chance(0.7) ? pick(targets.slice(0, 3)) : pick(targets),
      chance(0.7) ? "HTTP/1.1" : pick(versions)
    ]
    const head = Array.from({ length: Math.floor(random() * 8) }, () => pick(fields) + end())
    return `${line.join(chance(0.95) ? " " : "\t")}${end()}${head.join("")}${end()}${pick(bodies)}`
  }
  const text = Array.from({ length: chance(0.8) ? 1 : 3 }, one).join("")
  return chance(0.9) ? text : text.slice(0, Math.floor(random() * text.length))
}

/** What comes back until the connection ends, or for a moment after the last of it. */
const exchange = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect(Number(port), hostname)
    const quietMs = 100
    let answer = ""
    const leave = () => socket.destroy()
    socket.setTimeout(quietMs, leave)
    socket.on("data", (chunk) => (answer += chunk.toString("latin1")))
    socket.on("error", (error: NodeJS.ErrnoException) => (error.code === "ECONNREFUSED" ? reject(error) : undefined))
    socket.on("close", () => resolve(answer))
    socket.write(text, "latin1")
    if (chance(0.3)) socket.end()
  })

const askBroken = async () => {
  const text = brokenHttp()
  try {
    const answer = await exchange(text)
    const told = Array.from(answer.matchAll(/HTTP\/1\.[01] (\d{3}) /g), ([, status]) => Number(status))
    counted("broken", told[0] ?? 0)
    for (const status of told) {
      if (status === 500 || status === 503) found(`${status} to ${JSON.stringify(text)}: ${answer.slice(0, 300)}`)
      else if (![100, 204, ...declared].includes(status)) found(`${status} is not declared, to ${JSON.stringify(text)}`)
    }
  } catch (error) {
    found(`${error} to ${JSON.stringify(text)}`)
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
      if (performance.now() - told < 5_000) continue
      told = performance.now()
      console.log(`${Math.round((told - startedAt) / 1000)} s: ${sent} of ${total} sent, ${problems.length} found`)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  agent.destroy()
  if (isDead()) throw new Error("it has died")
  await eventually("nothing is in flight", 20_000, async () =>
    /^conduit_requests_active 0$/m.test((await request(`${conduit.url}/metrics`)).text) ? true : undefined
  )
  conduit.kill("SIGTERM")
  const { code, report } = await conduit.ended(60_000)
  if (code !== 0) found(`it ended with ${code}: ${JSON.stringify(report.errors)}`)
  for (const { level, message } of conduit.lines) if (level === "ERROR") found(`an ERROR in the log: ${message}`)
  for (const [key, times] of [...statuses].toSorted()) console.log(`${key.padEnd(14)}${times}`)
  if (sent < total) console.log(`the time was up after ${sent} of ${total}`)
  console.log(`${sent} sent, ${problems.length} found, seed ${seed}`)
} catch (error) {
  const last = conduit.lines.slice(-5).map((line) => JSON.stringify(line))
  found(String(error))
  console.log(`${error}; the last lines of the service: ${last.join(" ")}${conduit.stderr()}`)
} finally {
  await killAll()
  await upstream.close()
  await postgres.stop()
}
process.exitCode = problems.length === 0 ? 0 : 1
