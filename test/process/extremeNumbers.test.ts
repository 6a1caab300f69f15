import { afterEach, assert, describe, it } from "@effect/vitest"
import { chat, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, query } from "../support/postgres.ts"
import { startUpstream } from "../support/processMock.ts"

afterEach(killAll)

const tiniest = 5e-324
const scores = [1e-170, tiniest, 1e-40, 0, 1, 1 - 2 ** -53]
const weights = [
  { quality: tiniest, cost: 1, latency: 1 },
  { quality: 1, cost: tiniest, latency: 1e-300 },
  { quality: 1e-170, cost: 1e-170, latency: 1e-170 }
]
const latencies = [0, tiniest, 1e-170, 2_147_483_647]

describe("numbers at the edges of what a request may say", () => {
  it("are stored, learned and added up", async () => {
    const database = await createDatabase()
    const mock = await startUpstream({ models: [{ name: "cheap" }, { name: "dear" }] })
    const models = [
      { id: "cheap", inputUsdPerMTok: 1e-60, outputUsdPerMTok: 1e-300 },
      { id: "dear", inputUsdPerMTok: 1e60, outputUsdPerMTok: 1e300 }
    ]
    const conduit = await startConduit({ databaseUrl: database.url, upstream: mock.url, models })
    const post = (path: string, body: unknown) => request(`${conduit.url}${path}`, { body })
    for (const [i, score] of scores.entries()) {
      const options = { conduit: { weights: weights[i % weights.length] }, model: models[i % models.length]?.id }
      const asked = await post("/v1/chat/completions", chat("add", options))
      assert.strictEqual(asked.status, 200)
      const judged = { decision_id: asked.headers["x-conduit-decision-id"], kind: "score", value: score }
      const answer = await post("/v1/feedback", { ...judged, confidence: i % 2 === 0 ? 1 : tiniest })
      assert.strictEqual(answer.status, 200, JSON.stringify(answer.json))
    }
    for (const latency of latencies) {
      const routed = await post("/v1/route", { prompt: "add", weights: weights[0] })
      assert.strictEqual(routed.status, 200, routed.text)
      const decision_id = routed.json.id
      const tokens = latency === 0 ? 0 : 2_147_483_647
      const report = { decision_id, ok: true, latency_ms: latency, input_tokens: tokens, output_tokens: tokens }
      const reported = await post("/v1/outcomes", report)
      assert.strictEqual(reported.status, 200, reported.text)
      assert.strictEqual((await post("/v1/feedback", { decision_id, kind: "score", value: 1e-200 })).status, 200)
    }
    const stats = await request(`${conduit.url}/v1/stats`)
    assert.strictEqual(stats.status, 200, JSON.stringify(stats.json))
    assert.strictEqual(stats.json.totals.judged, scores.length + latencies.length)
    const { mean } = stats.json.totals.quality
    assert.isTrue(mean > 0 && mean < 1, `${mean}`)
    assert.isNotNull(stats.json.totals.reward)
    const [rows] = await query<{ decisions: number }>(database.url, "SELECT count(*)::int AS decisions FROM decisions")
    assert.strictEqual(rows?.decisions, scores.length + latencies.length)
    conduit.kill("SIGTERM")
    const ended = await conduit.ended()
    assert.strictEqual(ended.code, 0, JSON.stringify(ended.report))
    await mock.close()
    await database.drop()
  })
})
