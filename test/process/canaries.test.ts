import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { startCollector } from "../support/collector.ts"
import { type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { type EchoingUpstream, startEchoingUpstream } from "../support/echoingUpstream.ts"
import { createDatabase, query, type TestDatabase } from "../support/postgres.ts"
import { startTcpProxy } from "../support/tcpProxy.ts"
import { eventually } from "../support/traffic.ts"

/** What nobody may find again, by where it was put in. */
const canary = (place: string) => `canary-${place}-7f3a`
const anyCanary = /canary-[a-z-]+-7f3a/g

const models = [
  "fine",
  ...[400, 401, 403, 404, 413, 422, 429, 500, 503].map((status) => `status-${status}`),
  "html",
  "no-json",
  "embedded",
  "cut",
  "bad-header",
  "hang"
]

let upstream: EchoingUpstream
let database: TestDatabase
let folder: string

beforeAll(async () => {
  upstream = await startEchoingUpstream(canary("answer"))
  database = await createDatabase()
  folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-canaries-"))
})
afterEach(killAll)
afterAll(async () => {
  Fs.rmSync(folder, { recursive: true, force: true })
  await upstream.close()
  await database.drop()
})

const written = (name: string, text: string): string => {
  const path = Path.join(folder, name)
  Fs.writeFileSync(path, text)
  return path
}

const found = (text: string) => [...new Set(text.match(anyCanary))]
const printed = ({ lines, stderr }: ConduitProcess) => `${JSON.stringify(lines)}\n${stderr()}`

/** Every row of the database, with the places that are meant to be stored. */
const stored = async (): Promise<ReadonlyArray<string>> => {
  const tables = await query<{ name: string }>(
    database.url,
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
  )
  const places = new Set<string>()
  for (const { name } of tables) {
    for (const row of await query<Record<string, unknown>>(database.url, `SELECT * FROM ${name}`)) {
      for (const [column, value] of Object.entries(row)) {
        const text = Buffer.isBuffer(value) ? value.toString("latin1") : JSON.stringify(value)
        for (const one of found(text ?? "")) places.add(`${name}.${column} ${one}`)
      }
    }
  }
  return [...places]
}

const start = (env: Record<string, string>, more: { readonly isUnready?: boolean } = {}) => {
  const { port } = new URL(database.url)
  return startConduit({
    ...more,
    env: {
      CONDUIT_SIMULATE: "false",
      LOG_LEVEL: "DEBUG",
      UPSTREAM_KEY: canary("provider-key"),
      CONDUIT_API_KEYS: canary("api-key"),
      CONDUIT_METRICS_KEYS: canary("metrics-key"),
      DATABASE_URL: urlAt(Number(port)),
      CONDUIT_CONFIG: written(
        "conduit.yaml",
        [
          "providers:",
          `  local: { kind: openai-compatible, baseUrl: "${upstream.url}", apiKey: "\${UPSTREAM_KEY}" }`,
          "models:",
          ...models.map((id) => `  - { id: ${id}, provider: local, inputUsdPerMTok: 1, outputUsdPerMTok: 1 }`)
        ].join("\n")
      ),
      ...env
    }
  })
}

const urlAt = (port: number) => {
  const url = new URL(database.url)
  url.password = canary("database-password")
  url.port = String(port)
  return url.href
}

const authorization = `Bearer ${canary("api-key")}`
const headers = {
  authorization,
  cookie: `session=${canary("cookie")}`,
  "x-custom": canary("header"),
  "idempotency-key": canary("idempotency-key")
}
const body = (model: string, more: Record<string, unknown> = {}) => ({
  model,
  messages: [
    { role: "system", content: canary("system-prompt") },
    { role: "user", content: [{ type: "text", text: canary("prompt") }] },
    {
      role: "assistant",
      tool_calls: [{ id: "t", type: "function", function: { name: "f", arguments: canary("tool-arguments") } }]
    },
    { role: "tool", tool_call_id: "t", content: canary("tool-answer") }
  ],
  tools: [{ type: "function", function: { name: "f", description: canary("tool"), parameters: {} } }],
  user: canary("user"),
  metadata: { note: canary("metadata") },
  conduit: { user_id: canary("user-id"), session_id: canary("session-id"), task: canary("task") },
  ...more
})

/** What a caller does with it, well or badly, over one connection each. */
const use = async (conduit: ConduitProcess) => {
  const post = (path: string, sent: unknown, more: Record<string, string> = {}) =>
    request(`${conduit.url}${path}`, { body: sent, headers: { ...headers, ...more } })
  const answered = await post("/v1/chat/completions", body("fine"))
  assert.strictEqual(answered.status, 200)
  assert.include(answered.text, canary("answer"))
  const id = String(answered.headers["x-conduit-decision-id"])

  for (const model of models) {
    if (model === "hang") continue
    for (const stream of [false, true]) await post("/v1/chat/completions", body(model, { stream }))
  }
  await post("/v1/chat/completions", body("auto", { conduit: { constraints: { max_cost_usd: 1e-12 } } }))
  const answering = { allowed_models: models.filter((model) => model !== "hang") }
  await post("/v1/complete", { prompt: canary("prompt"), context: canary("context"), constraints: answering })
  const routed = await post("/v1/route", body("auto"))
  await post("/v1/outcomes", { decision_id: routed.json.id, ok: false, error: canary("reported-error") })
  for (const sent of [
    { decision_id: id, kind: "comment", value: canary("comment") },
    { decision_id: id, kind: "thumbs", value: "up", comment: canary("comment"), source: canary("source") },
    { decision_id: canary("decision-id"), kind: "thumbs", value: "up" },
    { session_id: canary("session-id"), kind: "rating", value: 5, comment: canary("comment") },
    { decision_id: id, kind: canary("kind"), value: canary("value") }
  ]) {
    await post("/v1/feedback", sent, {
      "idempotency-key": `${canary("idempotency-key")}-${JSON.stringify(sent).length}`
    })
  }
  const wrong: ReadonlyArray<unknown> = [
    `{"model":"auto","messages":[{"role":"user","content":"${canary("prompt")}`,
    `${canary("prompt")}`,
    body(canary("model")),
    body("auto", { messages: canary("prompt") }),
    body("auto", { temperature: canary("prompt"), max_tokens: canary("prompt"), stream: canary("prompt") }),
    body("auto", { conduit: { [canary("key")]: 1 } }),
    body("auto", {
      conduit: { preference: canary("preference"), constraints: { allowed_models: [canary("allowed")] } }
    })
  ]
  for (const sent of wrong) assert.isAtLeast((await post("/v1/chat/completions", sent)).status, 400)
  for (const path of [`/v1/${canary("path")}`, `/v1/decisions/${canary("path")}`, `/v1/models/${canary("path")}`]) {
    await request(`${conduit.url}${path}?key=${canary("query")}`, { headers })
  }
  await request(`${conduit.url}/v1/models`, { headers: { authorization: `Bearer ${canary("wrong-key")}` } })
  await request(`${conduit.url}/v1/models`, {
    headers: { ...headers, "x-long": canary("long-header").repeat(2_000) }
  }).catch(() => undefined)
  await raw(conduit, `GET /${canary("raw")} HTTP/9.9\r\nx: ${canary("raw")}\r\n\r\n`)
  await raw(conduit, `POST /v1/complete HTTP/1.1\r\nhost: x\r\ncontent-length: 5, ${canary("raw")}\r\n\r\n`)
}

const raw = ({ url }: ConduitProcess, text: string) =>
  new Promise<void>((resolve) => {
    const { hostname, port } = new URL(url)
    const socket = Net.connect(Number(port), hostname, () => socket.write(text))
    socket.on("data", () => undefined).on("error", () => undefined)
    socket.on("close", () => resolve())
  })

const metricsOf = async (conduit: ConduitProcess) => {
  const metrics = await request(`${conduit.url}/metrics`, {
    headers: { authorization: `Bearer ${canary("metrics-key")}` }
  })
  assert.strictEqual(metrics.status, 200)
  return metrics.text
}

/** By design, and told to operators: what the caller says of itself and of the answer. */
const meantToBeStored = [
  // The row as it was, until a change of it is added up.
  "decision_changes.before canary-task-7f3a",
  "decision_sums.task canary-task-7f3a",
  "decisions.error canary-reported-error-7f3a",
  "decisions.session_id canary-session-id-7f3a",
  "decisions.task canary-task-7f3a",
  "decisions.user_id canary-user-id-7f3a",
  "feedback.comment canary-comment-7f3a",
  "feedback.value canary-comment-7f3a",
  "feedback.idempotency_key canary-idempotency-key-7f3a",
  "feedback.source canary-source-7f3a",
  // What is learned of a task is found under its name.
  "bandit_snapshots.state canary-task-7f3a",
  "learning_log.payload canary-task-7f3a"
]

describe("no secret and no text of a prompt or an answer", () => {
  it("is in log, metrics, traces, report or rows, whatever callers, providers and the database do", async () => {
    const collector = await startCollector()
    const proxy = await startTcpProxy({ host: "127.0.0.1", port: Number(new URL(database.url).port) })
    const conduit = await start({
      DATABASE_URL: urlAt(proxy.port),
      CONDUIT_SHUTDOWN_TIMEOUT: "1 second",
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: `x-collector=${canary("collector-key")}`,
      OTEL_BSP_SCHEDULE_DELAY: "200"
    })
    await use(conduit)
    await eventually("everything is stored", 10_000, async () =>
      /^conduit_learning_pending 0$/m.test(await metricsOf(conduit)) ? true : undefined
    )

    // The database leaves with a commit on its way, and feedback that waits for it.
    const held = proxy.holdNext("INSERT INTO")
    const feedback = request(`${conduit.url}/v1/feedback`, {
      body: { session_id: canary("session-id"), kind: "comment", value: canary("comment") },
      headers
    })
    await request(`${conduit.url}/v1/chat/completions`, { body: body("fine"), headers })
    await held
    await proxy.refuse()
    assert.strictEqual((await feedback).status, 503)
    await conduit.logged("The database is away")
    await request(`${conduit.url}/v1/decisions/01890000-0000-7000-8000-000000000000`, { headers })
    await proxy.listen()
    await conduit.logged("The database is back")

    const hanging = [false, true].map((stream) =>
      request(`${conduit.url}/v1/chat/completions`, { body: body("hang", { stream }), headers })
    )
    await eventually("both hang", 5_000, async () => (upstream.hanging() === 2 ? true : undefined))
    const metrics = await metricsOf(conduit)
    conduit.kill("SIGTERM")
    assert.deepStrictEqual(
      (await Promise.all(hanging)).map(({ status }) => status),
      [503, 503]
    )
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 2, JSON.stringify(report))
    await proxy.close()
    await collector.close()

    // There was something to find canaries in.
    for (const message of ["decided", "called", "stored", "folded", "request"]) {
      assert.isTrue(
        conduit.lines.some((line) => line["message"] === message),
        message
      )
    }
    assert.isNotEmpty(collector.exports)
    assert.deepStrictEqual(found(printed(conduit)), [])
    assert.deepStrictEqual(found(metrics), [])
    assert.deepStrictEqual(found(collector.exports.map((one) => one.body.toString("latin1")).join("\n")), [])
    const places = await stored()
    assert.includeMembers([...places], ["feedback.comment canary-comment-7f3a"])
    assert.deepStrictEqual(
      places.filter((place) => !meantToBeStored.includes(place)),
      []
    )
  })

  it.each([
    ["an address that is none", { DATABASE_URL: `postgres://u:${canary("database-password")}@host:port/db` }],
    ["a text instead of an address", { DATABASE_URL: canary("database-password") }],
    [
      "a database that refuses",
      {
        DATABASE_URL: `postgres://u:${canary("database-password")}@127.0.0.1:9/db`,
        CONDUIT_DATABASE_CONNECT_DEADLINE: "1 second"
      }
    ],
    [
      "keys that are none",
      { CONDUIT_API_KEYS: `${canary("api-key")} ${canary("api-key")},sha256:${canary("api-key")}` }
    ],
    [
      "headers that are none",
      { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", OTEL_EXPORTER_OTLP_HEADERS: canary("collector-key") }
    ],
    ["a collector with a password", { OTEL_EXPORTER_OTLP_ENDPOINT: `htp://u:${canary("collector-key")}@x` }],
    ["a cache with a password", { REDIS_URL: `http://u:${canary("redis-password")}@x` }],
    ["a file that is no YAML", { config: `providers: { local: { apiKey: "${canary("provider-key")}\n  - [` }],
    [
      "a key of another type",
      {
        config: `providers: { local: { kind: openai-compatible, baseUrl: "http://x", apiKey: ["${canary("provider-key")}"] } }`
      }
    ],
    [
      "a key under another name",
      {
        config: `providers: { local: { kind: openai-compatible, baseUrl: "http://x", key: "${canary("provider-key")}" } }`
      }
    ],
    [
      "a provider with a password",
      { config: `providers: { local: { kind: openai-compatible, baseUrl: "x://u:${canary("provider-key")}@x" } }` }
    ]
  ] as ReadonlyArray<[string, Record<string, string>]>)(
    "is in what a start with %s says",
    async (_, { config, ...env }) => {
      const conduit = await start(
        { ...env, ...(config === undefined ? {} : { CONDUIT_CONFIG: written("wrong.yaml", config) }) },
        { isUnready: true }
      )
      const { code, report } = await conduit.ended()
      assert.strictEqual(code, 1, JSON.stringify(conduit.lines))
      assert.isNotEmpty(report.errors)
      assert.deepStrictEqual(found(printed(conduit)), [])
    }
  )
})
