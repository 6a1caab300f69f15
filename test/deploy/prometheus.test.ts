import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { alertRules } from "../support/alertRules.ts"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { filledIn, queries } from "../support/dashboard.ts"
import { has } from "../support/external.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { startPrometheus } from "../support/prometheusServer.ts"
import { eventually } from "../support/traffic.ts"

describe.skipIf(!has("prometheus"))("Prometheus (skipped where it is not installed)", () => {
  let conduit: ConduitProcess
  let database: TestDatabase
  let prometheus: Awaited<ReturnType<typeof startPrometheus>>

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
    conduit = await startConduit({ databaseUrl: database.url })
    prometheus = await startPrometheus([new URL(conduit.url).host])
    // Rates need samples before and after; what is counted appears with its first event.
    await eventually("enough scrapes", 40_000, async () => {
      await traffic()
      const [samples] = await prometheus.query("count_over_time(conduit_feedback_total[1m])")
      return Number(samples?.value[1] ?? 0) >= 5 || undefined
    })
  }, 120_000)

  afterAll(async () => {
    await prometheus.close()
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
      "Telemetry dropped",
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
    const pending = rules.filter(({ state }) => state !== undefined && state !== "inactive")
    assert.deepStrictEqual(
      pending.map(({ name }) => name),
      []
    )
  })
})
