import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { alertRules } from "../support/alertRules.ts"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { filledIn, queries } from "../support/dashboard.ts"
import { has } from "../support/external.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { startOtelCollector } from "../support/otelCollector.ts"
import { startPrometheus } from "../support/prometheusServer.ts"
import { eventually } from "../support/traffic.ts"

type Way = "a scrape" | "a collector" | "its own OTLP receiver"

/** Each way on which the metrics can reach a Prometheus; the dashboard and the alerts hold on all. */
const ways: ReadonlyArray<readonly [Way, boolean]> = [
  ["a scrape", has("prometheus")],
  ["a collector", has("prometheus") && has("otelcol")],
  ["its own OTLP receiver", has("prometheus") && has("otlpreceiver")]
]

const pushing = { OTEL_METRIC_EXPORT_INTERVAL: "500", OTEL_TRACES_EXPORTER: "none" }

/** Conduit and a Prometheus that gets its metrics on that way. */
const startBoth = async (way: Way, databaseUrl: string) => {
  if (way === "a scrape") {
    const conduit = await startConduit({ databaseUrl })
    const prometheus = await startPrometheus([new URL(conduit.url).host])
    return { conduit, prometheus, close: prometheus.close }
  }
  if (way === "a collector") {
    const collector = await startOtelCollector()
    const prometheus = await startPrometheus([collector.scrapeHost], { honorLabels: true })
    const env = { ...pushing, OTEL_EXPORTER_OTLP_ENDPOINT: collector.otlpUrl }
    const conduit = await startConduit({ databaseUrl, env })
    return { conduit, prometheus, close: () => Promise.all([prometheus.close(), collector.close()]) }
  }
  const prometheus = await startPrometheus([], { receivesOtlp: true })
  const env = { ...pushing, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: prometheus.otlpUrl }
  const conduit = await startConduit({ databaseUrl, env })
  return { conduit, prometheus, close: prometheus.close }
}

const holdsBy = (way: Way) => {
  let conduit: ConduitProcess
  let database: TestDatabase
  let prometheus: Awaited<ReturnType<typeof startPrometheus>>
  let close: () => Promise<unknown>

  const ask = async (path: string, body: unknown) => {
    const answer = await request(`${conduit.url}${path}`, { body })
    assert.strictEqual(answer.status, 200, answer.text)
    return answer
  }

  /** Ten answers, five of them streamed, and what somebody thinks of them. */
  const traffic = async () => {
    for (let i = 0; i < 10; i++) {
      const answer = await ask("/v1/chat/completions", chat(`What is ${i} and ${i}?`, { stream: i % 2 === 0 }))
      await ask("/v1/feedback", {
        decision_id: answer.headers["x-conduit-decision-id"],
        kind: "score",
        value: 0.8
      })
    }
  }

  beforeAll(async () => {
    database = await createDatabase()
    ;({ close, conduit, prometheus } = await startBoth(way, database.url))
    // Rates need samples before and after; what is counted appears with its first event.
    await eventually("enough scrapes", 40_000, async () => {
      await traffic()
      const [samples] = await prometheus.query("count_over_time(conduit_feedback_total[1m])")
      return Number(samples?.value[1] ?? 0) >= 5 || undefined
    })
  })

  afterAll(async () => {
    await close()
    await killAll()
    await database.drop()
  })

  it("has an answer for every panel of the dashboard, under the names that its legend asks for", async () => {
    const silent = new Set<string>()
    for (const { expr, legendFormat, title } of queries) {
      const samples = await prometheus.query(filledIn(expr, "10s"))
      if (samples.length === 0) silent.add(title)
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        for (const { metric } of samples) assert.property(metric, label ?? "", `${title}: ${legendFormat}`)
      }
    }
    // What has not happened has no series, and neither has what is not there.
    const expected = [
      "How they failed",
      "Fallbacks",
      ...(way === "a scrape" ? ["Telemetry dropped"] : []),
      "Duration of the phases",
      "Redis",
      "Redis errors"
    ]
    assert.sameMembers([...silent], expected)
  })

  it("evaluates every alert, and none fires for a healthy service", async () => {
    const { groups } = await prometheus.rules()
    const rules: ReadonlyArray<{ name: string; health: string; state?: string; lastError?: string }> = groups.flatMap(
      (group: { rules: unknown }) => group.rules
    )
    assert.lengthOf(rules, alertRules().length)
    for (const { health, lastError, name } of rules) assert.strictEqual(health, "ok", `${name}: ${lastError}`)
    // A busy machine is slow, which these two say.
    const ofLoad = new Set(["ConduitRoutingSlow", "ConduitEventLoopDelay"])
    const pending = rules.filter(({ name, state }) => state !== undefined && state !== "inactive" && !ofLoad.has(name))
    assert.deepStrictEqual(
      pending.map(({ name }) => name),
      []
    )
  })
}

for (const [way, isThere] of ways) {
  describe.skipIf(!isThere)(`Prometheus by ${way} (skipped where it is not installed)`, () => {
    holdsBy(way)
  })
}
