import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { hostname } from "node:os"
import * as Duration from "effect/Duration"
import { conversationOf } from "../../src/domain/observing/GenAi.ts"
import { flushLimit } from "../../src/services/running/Settings.ts"
import { type Collector, type SeenSpan, spansOf, startCollector, within } from "../support/collector.ts"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { eventually } from "../support/traffic.ts"

const canary = "CANARY-7f3a"
const key = "KEY-7f3a"
/** Ids of the provider's answers, which it knows them by; clients know them by the decision's. */
const providersId = /^chatcmpl-mock-\d+$/

interface Recorder {
  readonly url: string
  /** What each call came with. */
  readonly calls: Array<{ readonly model: string; readonly headers: Http.IncomingHttpHeaders }>
  readonly close: () => Promise<void>
}

/** Before the mock: keeps headers, and refuses what is for `quoting` with the whole request in its message. */
const startRecorder = async (target: string): Promise<Recorder> => {
  const calls: Recorder["calls"] = []
  const { host } = new URL(target)
  const server = Http.createServer((incoming, outgoing) => {
    // Its models are not listed.
    if (incoming.method === "GET") return void outgoing.writeHead(404).end()
    const chunks: Array<Buffer> = []
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
    incoming.on("end", () => {
      const body = Buffer.concat(chunks)
      const { model } = JSON.parse(body.toString("utf8"))
      calls.push({ model, headers: incoming.headers })
      if (model === "quoting") {
        const error = { message: `cannot serve ${body.toString("utf8")} for ${incoming.headers["authorization"]}` }
        outgoing.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify({ error }))
        return
      }
      const onward = Http.request(
        {
          host: host.split(":")[0],
          port: host.split(":")[1],
          method: "POST",
          path: incoming.url,
          headers: incoming.headers
        },
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
          // What is cut there is cut here.
          answer.on("error", () => outgoing.destroy())
          answer.pipe(outgoing)
        }
      )
      onward.on("error", () => outgoing.destroy())
      onward.end(body)
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    calls,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    }
  }
}

let database: TestDatabase
let mock: Upstream
let upstream: Recorder
let collector: Collector

beforeAll(async () => {
  database = await createDatabase()
  mock = await startUpstream({
    models: [
      { name: "broken-upstream", faults: { "500": 1 } },
      { name: "cut", faults: { cut: 1 } }
    ],
    anyModel: true
  })
  upstream = await startRecorder(mock.url)
})
afterAll(async () => {
  await upstream.close()
  await mock.close()
  await database.drop()
})

const quick = { OTEL_BSP_SCHEDULE_DELAY: "50", OTEL_METRIC_EXPORT_INTERVAL: "100" }

const start = (env: Record<string, string>) =>
  startConduit({
    databaseUrl: database.url,
    upstream: upstream.url,
    models: [
      { id: "small", upstream: "small-8b" },
      { id: "broken", upstream: "broken-upstream" },
      { id: "cut" },
      { id: "quoting" }
    ],
    env: { CONDUIT_API_KEYS: key, LOG_LEVEL: "DEBUG", OTEL_EXPORTER_OTLP_PROTOCOL: "http/json", ...quick, ...env }
  })

const post = (conduit: ConduitProcess, path: string, body: unknown, headers: Record<string, string> = {}) =>
  request(`${conduit.url}${path}`, { body, headers: { authorization: `Bearer ${key}`, ...headers } })

const traceId = (digits: string) => digits.repeat(32 / digits.length)
const callersSpan = "00f067aa0ba902b7"
const parent = (digit: string, flags = "01") => ({ traceparent: `00-${traceId(digit)}-${callersSpan}-${flags}` })

/** The spans of a trace once they are as many: the root's name first, then its children in the order of their start. */
const trace = (id: string, count: number) =>
  collector.until(`${count} spans of ${id}`, () => {
    const spans = collector.spans().filter((span) => span.traceId === id)
    return spans.length === count ? spans : undefined
  })

const named = (spans: ReadonlyArray<SeenSpan>, name: string) => spans.filter((span) => span.name === name)
const callsIn = (spans: ReadonlyArray<SeenSpan>) => spans.filter(({ name }) => name.startsWith("chat "))
const one = (spans: ReadonlyArray<SeenSpan>, name: string): SeenSpan => {
  const [span, more] = named(spans, name)
  if (span === undefined || more !== undefined) throw new Error(`not one ${name}: ${JSON.stringify(spans)}`)
  return span
}

describe("traces by OTLP", () => {
  let conduit: ConduitProcess

  beforeAll(async () => {
    collector = await startCollector()
    conduit = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=a%20b",
      OTEL_SERVICE_NAME: "conduit-test",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test"
    })
  })
  afterAll(async () => {
    await killAll()
    await collector.close()
  })

  it("are one trace a request, below the caller's span, with the model's call below it in turn", async () => {
    const calls = upstream.calls.length
    const answer = await post(
      conduit,
      "/v1/chat/completions",
      { ...chat(canary, { max_tokens: 7, temperature: 0.5 }), model: "small" },
      { ...parent("1"), tracestate: "vendor=x", "x-request-id": "my-request" }
    )
    assert.strictEqual(answer.status, 200, answer.text)
    const spans = await trace(traceId("1"), 6)
    const root = one(spans, "POST /v1/chat/completions")
    assert.strictEqual(root.parentSpanId, callersSpan)
    assert.strictEqual(root.kind, 2)
    assert.deepStrictEqual(root.status, { code: 0 })
    assert.deepInclude(root.attributes, {
      "http.request.method": "POST",
      "http.route": "/v1/chat/completions",
      "http.response.status_code": 200,
      "conduit.request_id": "my-request",
      "conduit.decision_id": answer.headers["x-conduit-decision-id"],
      "conduit.model": "small",
      "conduit.reason": "pinned",
      "conduit.propensity": 1,
      "conduit.cost_usd": Number(answer.headers["x-conduit-cost-usd"])
    })
    assert.notProperty(root.attributes, "error.type")
    for (const name of ["decode", "features", "decide", "chat small-8b", "persist"]) {
      const span = one(spans, name)
      assert.strictEqual(span.parentSpanId, root.spanId, name)
      assert.strictEqual(span.kind, name.startsWith("chat") ? 3 : 1, name)
      assert.isAtLeast(span.tookMs, 0)
    }
    const attempt = one(spans, "chat small-8b")
    assert.deepInclude(attempt.attributes, {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "local",
      "gen_ai.request.model": "small-8b",
      "gen_ai.response.model": answer.json.model === "small" ? "small-8b" : "",
      "gen_ai.request.max_tokens": 7,
      "gen_ai.request.temperature": 0.5,
      "gen_ai.usage.input_tokens": answer.json.usage.prompt_tokens,
      "gen_ai.usage.output_tokens": answer.json.usage.completion_tokens,
      "gen_ai.response.finish_reasons": [answer.json.choices[0].finish_reason],
      "http.response.status_code": 200,
      "conduit.model": "small",
      "server.address": "127.0.0.1",
      "server.port": Number(new URL(upstream.url).port)
    })
    assert.match(String(attempt.attributes["gen_ai.response.id"]), providersId)
    assert.notMatch(answer.json.id, providersId)
    const [call] = upstream.calls.slice(calls)
    assert.strictEqual(call?.headers["traceparent"], `00-${traceId("1")}-${attempt.spanId}-01`)
    assert.strictEqual(call?.headers["tracestate"], "vendor=x")
  })

  it("go on with the flags that the caller set, and with its baggage if that is within its limit", async () => {
    const calls = upstream.calls.length
    const ask = (headers: Record<string, string>) =>
      post(conduit, "/v1/chat/completions", { ...chat(canary), model: "small" }, headers)
    await ask({ ...parent("0a", "03"), baggage: "tenant=a%20b;p=1,user=c" })
    await ask({ ...parent("0b", "02"), baggage: `long=${"x".repeat(8192)}` })
    await ask({ baggage: "tenant=d", tracestate: "vendor=x" })
    const seen = upstream.calls.slice(calls).map(({ headers: { baggage, traceparent, tracestate } }) => ({
      flags: String(traceparent).slice(-2),
      baggage,
      tracestate
    }))
    assert.deepStrictEqual(seen, [
      { flags: "03", baggage: "tenant=a%20b;p=1,user=c", tracestate: undefined },
      { flags: "02", baggage: undefined, tracestate: undefined },
      { flags: "01", baggage: "tenant=d", tracestate: undefined }
    ])
  })

  it("have each attempt of a fallback", async () => {
    const calls = upstream.calls.length
    const body = {
      ...chat(canary),
      model: "broken",
      conduit: { fallback: true, constraints: { allowed_models: ["broken", "small"] } }
    }
    const answer = await post(conduit, "/v1/chat/completions", body, parent("2"))
    assert.strictEqual(answer.headers["x-conduit-reason"], "fallback", answer.text)
    const spans = await trace(traceId("2"), 7)
    const [failed, second] = callsIn(spans).toSorted((a, b) =>
      a.attributes["conduit.model"] === "broken" ? -1 : b.attributes["conduit.model"] === "broken" ? 1 : 0
    )
    assert.deepInclude(failed?.attributes, {
      "gen_ai.request.model": "broken-upstream",
      "error.type": "server_error",
      "http.response.status_code": 500
    })
    assert.deepStrictEqual(failed?.status, { code: 2, message: "server_error" })
    assert.deepStrictEqual(failed?.events, [])
    assert.sameMembers(
      Object.keys(failed?.attributes ?? {}).filter((name) => !/^(?:gen_ai|server|http|conduit)\./.test(name)),
      ["error.type"]
    )
    assert.strictEqual(second?.attributes["gen_ai.response.model"], "small-8b")
    assert.deepStrictEqual(second?.status, { code: 0 })
    assert.deepInclude(one(spans, "POST /v1/chat/completions").attributes, {
      "conduit.model": "small",
      "conduit.reason": "fallback"
    })
    assert.deepStrictEqual(
      upstream.calls.slice(calls).map(({ headers }) => headers["traceparent"]),
      [failed, second].map((span) => `00-${traceId("2")}-${span?.spanId}-01`)
    )
  })

  it("follow a stream to its end", async () => {
    const answer = await post(
      conduit,
      "/v1/chat/completions",
      { ...chat(canary, { stream: true }), model: "small", conduit: { session_id: "my-session" } },
      parent("3")
    )
    assert.include(answer.text, "[DONE]")
    const spans = await trace(traceId("3"), 6)
    const attempt = one(spans, "chat small-8b")
    assert.deepInclude(attempt.attributes, {
      "gen_ai.response.model": "small-8b",
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.request.stream": true,
      "gen_ai.conversation.id": conversationOf("my-session")
    })
    assert.match(String(attempt.attributes["gen_ai.response.id"]), providersId)
    assert.strictEqual(
      attempt.attributes["gen_ai.response.time_to_first_chunk"],
      Number(attempt.attributes["conduit.first_token_ms"]) / 1000
    )
    assert.isAbove(Number(attempt.attributes["gen_ai.usage.output_tokens"]), 0)
    assert.isAbove(Number(attempt.attributes["conduit.first_token_ms"]), 0)
    assert.strictEqual(one(spans, "POST /v1/chat/completions").attributes["http.response.status_code"], 200)
  })

  it("begin one of their own where the caller has none, and say what failed by a word", async () => {
    const before = new Set(collector.spans().map((span) => span.traceId))
    const mine = () => collector.spans().filter((span) => !before.has(span.traceId))
    const malformed = { traceparent: `00-${"0".repeat(32)}-${callersSpan}-01` }
    const answer = await post(conduit, "/v1/chat/completions", { ...chat(canary), model: "quoting" }, malformed)
    assert.strictEqual(answer.status, 400)
    assert.include(answer.text, canary)
    const spans = await collector.until("6 spans", () => (mine().length === 6 ? mine() : undefined))
    const root = one(spans, "POST /v1/chat/completions")
    assert.isUndefined(root.parentSpanId)
    assert.strictEqual(new Set(spans.map((span) => span.traceId)).size, 1)
    // The caller's fault is no failure of the service, but the call has failed.
    assert.deepStrictEqual(root.status, { code: 0 })
    assert.strictEqual(root.attributes["error.type"], "upstream_rejected")
    assert.deepStrictEqual(one(spans, "chat quoting").status, { code: 2, message: "rejected" })
  })

  it("say of a stream that broke that it failed, though its status was 200", async () => {
    const body = { ...chat(canary, { stream: true }), model: "cut" }
    const answer = await post(conduit, "/v1/chat/completions", body, parent("b"))
    assert.include(answer.text, "event: error")
    const spans = await trace(traceId("b"), 6)
    const root = one(spans, "POST /v1/chat/completions")
    assert.deepInclude(root.attributes, { "http.response.status_code": 200, "error.type": "all_models_failed" })
    assert.deepStrictEqual(root.status, { code: 2, message: "all_models_failed" })
    assert.deepStrictEqual(one(spans, "chat cut").status, { code: 2, message: "cut" })
  })

  it("say of a client that left that it did, which is nobody's failure", async () => {
    const body = JSON.stringify({ ...chat(canary, { mock: { gate: "left" } }), model: "small" })
    const headers = { ...parent("c"), authorization: `Bearer ${key}`, "content-type": "application/json" }
    const leaving = Http.request(`${conduit.url}/v1/chat/completions`, { method: "POST", headers })
    leaving.on("error", () => {})
    leaving.end(body)
    await mock.waiting("left", 1)
    leaving.destroy()
    const spans = await trace(traceId("c"), 6)
    const root = one(spans, "POST /v1/chat/completions")
    assert.deepInclude(root.attributes, { "http.response.status_code": 499, "error.type": "client_left" })
    assert.deepStrictEqual(root.status, { code: 0 })
    const attempt = one(spans, "chat small-8b")
    assert.strictEqual(attempt.attributes["error.type"], "aborted")
    assert.deepStrictEqual(attempt.status, { code: 0 })
  })

  it("have the commit that feedback and decisions wait for", async () => {
    const decided = await post(conduit, "/v1/route", { prompt: canary }, parent("4"))
    const routed = await trace(traceId("4"), 5)
    assert.sameMembers(
      routed.map(({ name }) => name),
      ["POST /v1/route", "decode", "features", "decide", "persist"]
    )
    const { id } = decided.json
    const said = { decision_id: id, kind: "score", value: 0.5, comment: canary }
    assert.strictEqual((await post(conduit, "/v1/feedback", said, parent("5"))).status, 200)
    const told = await trace(traceId("5"), 3)
    assert.sameMembers(
      told.map(({ name }) => name),
      ["POST /v1/feedback", "decode", "persist"]
    )
    const feedback = one(told, "POST /v1/feedback")
    assert.strictEqual(one(told, "persist").parentSpanId, feedback.spanId)
    assert.strictEqual(feedback.attributes["conduit.decision_id"], id)
    assert.deepStrictEqual(
      feedback.links.map(({ spanId, traceId }) => ({ traceId, spanId })),
      [{ traceId: traceId("4"), spanId: one(routed, "POST /v1/route").spanId }]
    )
    const wrong = await post(conduit, "/v1/feedback", { decision_id: id, kind: canary }, parent("6"))
    assert.strictEqual(wrong.status, 400)
    const refused = await trace(traceId("6"), 2)
    assert.deepStrictEqual(one(refused, "decode").status, { code: 2, message: "InvalidRequest" })
  })

  it("are named on the lines of the log that the request caused", async () => {
    const answer = await post(conduit, "/v1/chat/completions", { ...chat(canary), model: "small" }, parent("7"))
    assert.strictEqual(answer.status, 200)
    const line = await eventually("the line of the request", 5_000, () =>
      conduit.lines.find((one) => one["message"] === "request" && one["trace_id"] === traceId("7"))
    )
    assert.strictEqual(line["request_id"], answer.headers["x-request-id"])
  })

  it("are of the service that the settings name, under their headers, and have no text of anybody in them", async () => {
    assert.isNotEmpty(collector.spans())
    for (const { body, headers, path } of collector.exports) {
      assert.strictEqual(headers["x-tenant"], "a b")
      assert.strictEqual(headers["content-type"], "application/json")
      const text = body.toString("utf8")
      assert.notInclude(text, canary, path)
      assert.notInclude(text, key, path)
      assert.include(text, '{"key":"service.name","value":{"stringValue":"conduit-test"}}')
      assert.include(text, '{"key":"deployment.environment.name","value":{"stringValue":"test"}}')
      assert.include(text, `{"key":"service.instance.id","value":{"stringValue":"${hostname()}:${conduit.pid}"}}`)
    }
  })

  it("are not made of health probes and metrics, nor of what the caller does not sample", async () => {
    const calls = upstream.calls.length
    for (const path of ["/health", "/health/live", "/health/ready", "/metrics"]) {
      assert.strictEqual((await request(`${conduit.url}${path}`, { headers: parent("8") })).status, 200)
    }
    await post(conduit, "/v1/chat/completions", { ...chat(canary), model: "small" }, parent("9", "00"))
    assert.strictEqual(upstream.calls[calls]?.headers["traceparent"], parent("9", "00").traceparent)
    // What is exported next has all that came before it.
    await post(conduit, "/v1/route", { prompt: canary }, parent("a"))
    await trace(traceId("a"), 5)
    const made = new Set(collector.spans().map((span) => span.traceId))
    for (const digit of ["8", "9"]) assert.isFalse(made.has(traceId(digit)), digit)
  })

  it("and metrics go out to the last at the shutdown", async () => {
    const metrics = await request(`${conduit.url}/metrics`)
    await post(conduit, "/v1/chat/completions", { ...chat(canary), model: "small" }, parent("d"))
    conduit.kill("SIGTERM")
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(report.errors, [])
    assert.strictEqual(report.phases.find(({ phase }) => phase === "flush")?.outcome, "ok")
    assert.lengthOf(
      collector.spans().filter((span) => span.traceId === traceId("d")),
      6
    )
    const exported = collector.metrics()
    const shown = [...metrics.text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
    assert.isAbove(shown.length, 20)
    const kinds: Record<string, string> = { counter: "sum", gauge: "gauge", histogram: "histogram" }
    for (const [, name, type] of shown) assert.strictEqual(exported.get(name ?? "")?.kind, kinds[type ?? ""], name)
    assert.isUndefined([...exported.keys()].find((name) => name.startsWith("effect_")))
    const ok = (points: ReadonlyArray<{ readonly labels: Record<string, unknown>; readonly value: number }> = []) =>
      points.find(({ labels }) => labels["route"] === "/v1/chat/completions" && labels["status"] === "200")?.value
    assert.isAtLeast(ok(exported.get("conduit_requests_total")?.points) ?? 0, 5)
    assert.strictEqual(exported.get("conduit_requests_active")?.points[0]?.value, 0)
  })
})

describe("OTLP", () => {
  beforeEach(async () => {
    collector = await startCollector()
  })
  afterEach(async () => {
    await killAll()
    await collector.close()
  })

  it.each([
    { OTEL_TRACES_SAMPLER: "always_off" },
    { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" }
  ])("records nothing that is not sampled, and says so to the models (%j)", async (env) => {
    const conduit = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env })
    const calls = upstream.calls.length
    await post(conduit, "/v1/chat/completions", { ...chat("one"), model: "small" })
    await post(conduit, "/v1/chat/completions", { ...chat("two"), model: "small" }, parent("c"))
    assert.match(String(upstream.calls[calls]?.headers["traceparent"]), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
    assert.match(String(upstream.calls[calls + 1]?.headers["traceparent"]), new RegExp(`^00-${traceId("c")}-.{16}-00$`))
    conduit.kill("SIGTERM")
    assert.strictEqual((await conduit.ended()).code, 0)
    assert.isNotEmpty(collector.exports)
    assert.deepStrictEqual(new Set(collector.exports.map(({ path }) => path)), new Set(["/v1/metrics"]))
  })

  it("off, passes the caller's trace on as it came, and nothing that is malformed", async () => {
    const conduit = await start({})
    const calls = upstream.calls.length
    const passed = { ...parent("d", "03"), tracestate: "a=1,b=2", baggage: "tenant=a%20b;p=1,user=c" }
    await post(conduit, "/v1/chat/completions", { ...chat("one"), model: "small" }, passed)
    await post(conduit, "/v1/chat/completions", { ...chat("two"), model: "small" })
    await post(
      conduit,
      "/v1/chat/completions",
      { ...chat("three"), model: "small" },
      { traceparent: "x", tracestate: "a", baggage: "b=c" }
    )
    const seen = upstream.calls
      .slice(calls)
      .map(({ headers: { baggage, traceparent, tracestate } }) => ({ traceparent, tracestate, baggage }))
    const none = { traceparent: undefined, tracestate: undefined, baggage: undefined }
    assert.deepStrictEqual(seen, [passed, none, none])
  })

  it("sends each signal where, how and with what its own variables say", async () => {
    const other = await startCollector()
    try {
      await start({
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: "x-key=general",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${other.url}/spans`,
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x-traces=a%20b",
        OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "http/protobuf"
      }).then((conduit) => post(conduit, "/v1/route", { prompt: "x" }))
      const seen = async (at: Collector) => {
        const one = await at.until("an export", () => at.exports[0])
        const { "content-type": type, "x-key": general, "x-traces": own } = one.headers
        return [one.path, type, general, own]
      }
      assert.deepStrictEqual(await seen(other), ["/spans", "application/json", undefined, "a b"])
      assert.deepStrictEqual(await seen(collector), ["/v1/metrics", "application/x-protobuf", "general", undefined])
    } finally {
      await other.close()
    }
  })

  it("speaks protocol buffers unless told otherwise", async () => {
    const conduit = await startConduit({
      databaseUrl: database.url,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...quick }
    })
    await request(`${conduit.url}/v1/route`, { body: { prompt: "hello" } })
    await collector.until("metrics", () => collector.exports.find(({ path }) => path === "/v1/metrics"))
    conduit.kill("SIGTERM")
    assert.strictEqual((await conduit.ended()).code, 0)
    const bodies = (path: string) =>
      collector.exports.flatMap((one) => {
        if (one.path !== path) return []
        assert.strictEqual(one.headers["content-type"], "application/x-protobuf")
        return [one.body]
      })
    const names = (path: string, fields: ReadonlyArray<number>) =>
      bodies(path).flatMap((body) => within(body, fields).map(String))
    // ResourceSpans 1, ScopeSpans 2, Span 2, name 5; of metrics 1, 2, 2, 1; Resource 1, its attributes 1, keys 1.
    assert.sameMembers(names("/v1/traces", [1, 2, 2, 5]), ["POST /v1/route", "decode", "features", "decide", "persist"])
    assert.include(names("/v1/metrics", [1, 2, 2, 1]), "conduit_requests_total")
    assert.include(names("/v1/traces", [1, 1, 1, 1]), "service.name")
    assert.include(names("/v1/metrics", [1, 1, 1, 2, 1]), "conduit")
  })

  const droppedOf = async (conduit: ConduitProcess, signal: string) => {
    const { text } = await request(`${conduit.url}/metrics`)
    return Number(new RegExp(`^conduit_telemetry_dropped_total\\{signal="${signal}"\\} (\\d+)$`, "m").exec(text)?.[1])
  }
  const said = ({ lines }: ConduitProcess, message: string) =>
    lines.filter((line) => String(line["message"]).startsWith(message))

  it.each(["hangs", 500, "refuses"] as const)("costs nobody anything when the collector %s", async (how) => {
    if (how === "refuses") await collector.close()
    else collector.behave(how)
    const conduit = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_TIMEOUT: "200" })
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(conduit, "/v1/chat/completions", { ...chat("x"), model: "small" }))
    )
    assert.deepStrictEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    for (const signal of ["traces", "metrics"]) {
      await eventually(`dropped ${signal}`, 10_000, async () =>
        (await droppedOf(conduit, signal)) > 0 ? true : undefined
      )
    }
    assert.isAtMost(await droppedOf(conduit, "traces"), 6 * 20)
    conduit.kill("SIGTERM")
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0)
    assert.strictEqual(report.outcome, "clean")
    assert.deepStrictEqual(report.errors, [])
    const flush = report.phases.find(({ phase }) => phase === "flush")
    assert.strictEqual(flush?.outcome, "ok")
    assert.lengthOf(said(conduit, "Telemetry is not exported"), 1)
  })

  it("has two lines for an episode, with what was lost in it", async () => {
    const conduit = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: "2000",
      OTEL_METRIC_EXPORT_INTERVAL: "1000"
    })
    collector.behave(400)
    await post(conduit, "/v1/chat/completions", { ...chat("x"), model: "small" })
    const begun = await conduit.logged("Telemetry is not exported")
    assert.strictEqual(begun["level"], "WARNING")
    assert.strictEqual(
      begun["message"],
      "Telemetry is not exported, what does not arrive is dropped and counted: the collector answered HTTP 400"
    )
    await eventually("dropped spans", 10_000, async () =>
      (await droppedOf(conduit, "traces")) === 6 ? true : undefined
    )
    collector.behave(200)
    const ended = await conduit.logged("Telemetry is exported again")
    assert.match(
      String(ended["message"]),
      /^Telemetry is exported again after \d+\.\ds: 6 span\(s\) and \d+ export\(s\) of metrics were dropped$/
    )
    assert.lengthOf(said(conduit, "Telemetry is"), 2)
  })

  it("gives up what it has when the collector hangs at the shutdown", async () => {
    const conduit = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_METRIC_EXPORT_INTERVAL: "60000" })
    collector.behave("hangs")
    conduit.kill("SIGTERM")
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0)
    const flush = report.phases.find(({ phase }) => phase === "flush")
    assert.strictEqual(flush?.outcome, "ok")
    assert.isAtLeast(flush?.took_ms ?? 0, Duration.toMillis(flushLimit) / 2 - 1)
    assert.strictEqual(collector.asked(), 1)
    assert.lengthOf(said(conduit, "Telemetry is not exported"), 1)
  })

  it("tries again what the collector cannot take just now", async () => {
    const conduit = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_METRICS_EXPORTER: "none" })
    collector.behave(503)
    await post(conduit, "/v1/route", { prompt: "x" }, parent("e"))
    await collector.until("a first try", () => (collector.asked() > 0 ? true : undefined))
    collector.behave(200)
    await trace(traceId("e"), 5)
    assert.strictEqual(await droppedOf(conduit, "traces"), 0)
    assert.isEmpty(said(conduit, "Telemetry is"))
  })

  /** Spans alone, all of a request in one batch. */
  const tracesAlone = () =>
    start({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_METRICS_EXPORTER: "none",
      OTEL_BSP_SCHEDULE_DELAY: "1000"
    })

  it("counts and tells what the collector rejects of an export that it takes", async () => {
    const conduit = await tracesAlone()
    let rejected = 0
    collector.behave((seen) => {
      const rejectedSpans = Math.min(2, spansOf(seen).length)
      rejected += rejectedSpans
      return { status: 200, body: JSON.stringify({ partialSuccess: { rejectedSpans, errorMessage: "too old" } }) }
    })
    await post(conduit, "/v1/route", { prompt: "x" }, parent("e"))
    const begun = await conduit.logged("Telemetry is not exported")
    assert.match(String(begun["message"]), /: the collector rejected [12] of \d spans: too old$/)
    await trace(traceId("e"), 5)
    await eventually("what was rejected", 10_000, async () =>
      (await droppedOf(conduit, "traces")) === rejected ? true : undefined
    )
    collector.behave(() => ({ status: 200, body: '{"partialSuccess":{"errorMessage":"an old protocol"}}' }))
    await post(conduit, "/v1/route", { prompt: "x" })
    const warned = await conduit.logged("The collector took the traces and says")
    assert.include(String(warned["message"]), "an old protocol")
    assert.strictEqual(await droppedOf(conduit, "traces"), rejected)
  })

  it("waits as long as the collector asks, by seconds or by a date", async () => {
    const conduit = await tracesAlone()
    const asked: Array<{ readonly batch: string; readonly at: number; readonly until: number }> = []
    collector.behave((seen) => {
      const at = Date.now()
      const batch = spansOf(seen)
        .map(({ name }) => name)
        .join()
      const byDate = asked.length === 0
      const until = byDate ? 1000 * Math.ceil(at / 1000 + 2) : at + 2000
      asked.push({ batch, at, until })
      if (asked.length > 2) return { status: 200 }
      return { status: 429, headers: { "retry-after": byDate ? new Date(until).toUTCString() : "2" } }
    })
    await post(conduit, "/v1/route", { prompt: "x" }, parent("f"))
    await trace(traceId("f"), 5)
    // On a busy machine the spans come in two batches, and the second is on its way when the first is refused again.
    for (const [index, { batch, until }] of asked.slice(0, 2).entries()) {
      const next = asked.slice(index + 1).find((one) => one.batch === batch)
      if (next !== undefined || index === 0) assert.isAtLeast(next?.at ?? 0, until - 5, `the pause of try ${index}`)
    }
    assert.strictEqual(await droppedOf(conduit, "traces"), 0)
  })

  it("sends in halves what is too large for the collector, and drops what is too large alone", async () => {
    const conduit = await tracesAlone()
    collector.behave((seen) => {
      const spans = spansOf(seen)
      return { status: spans.length > 2 || spans.some(({ name }) => name === "decide") ? 413 : 200 }
    })
    await post(conduit, "/v1/route", { prompt: "x" }, parent("1"))
    await eventually("the dropped span", 10_000, async () =>
      (await droppedOf(conduit, "traces")) > 0 ? true : undefined
    )
    const begun = await conduit.logged("Telemetry is not exported")
    assert.match(String(begun["message"]), /: the collector answered HTTP 413$/)
    const spans = await trace(traceId("1"), 4)
    assert.sameMembers(
      spans.map(({ name }) => name),
      ["POST /v1/route", "decode", "features", "persist"]
    )
    assert.strictEqual(await droppedOf(conduit, "traces"), 1)
  })
})
