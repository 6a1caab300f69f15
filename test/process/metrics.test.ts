import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { randomUUID } from "node:crypto"
import { costReferenceUsd } from "../../src/domain/routing/Cost.ts"
import { costScore, latencyScore } from "../../src/domain/routing/Score.ts"
import { type Answered, chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { type Exposition, exposition } from "../support/exposition.ts"
import { has, run } from "../support/external.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { eventually } from "../support/traffic.ts"

const models = [
  { id: "small", inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.1 },
  { id: "large", inputUsdPerMTok: 5, outputUsdPerMTok: 15 },
  { id: "broken", inputUsdPerMTok: 1, outputUsdPerMTok: 1 }
]

/** Each metric with its type and its labels, as the guide and the dashboards have them. */
const catalogue: Readonly<Record<string, readonly [type: string, ...labels: ReadonlyArray<string>]>> = {
  conduit_limited_requests_total: ["counter"],
  conduit_budget_refused_requests_total: ["counter"],
  conduit_budget_alerts_total: ["counter", "percent"],
  conduit_requests_total: ["counter", "route", "method", "status"],
  conduit_refused_requests_total: ["counter", "reason"],
  conduit_requests_active: ["gauge"],
  conduit_request_duration_seconds: ["histogram", "route"],
  conduit_routing_latency_seconds: ["histogram"],
  conduit_model_selection: ["counter", "model", "algorithm"],
  conduit_decisions_total: ["counter", "reason"],
  conduit_policy_entropy: ["gauge"],
  conduit_provider_attempts_total: ["counter", "model", "outcome"],
  conduit_provider_latency_seconds: ["histogram", "model"],
  conduit_provider_first_token_seconds: ["histogram", "model"],
  conduit_model_list_reads_total: ["counter", "provider", "result"],
  conduit_fallbacks_total: ["counter", "model"],
  conduit_circuit_state: ["gauge", "model", "state"],
  conduit_upstream_connections: ["gauge", "state"],
  conduit_tokens_total: ["counter", "model", "direction"],
  conduit_cost_usd_total: ["counter", "model"],
  conduit_learning_events_folded_total: ["counter"],
  conduit_learning_pending: ["gauge"],
  conduit_learning_oldest_pending_seconds: ["gauge"],
  conduit_learning_records_dropped_total: ["counter"],
  conduit_learning_position: ["gauge"],
  conduit_learning_lag_commits: ["gauge"],
  conduit_learning_lost_commits_total: ["counter"],
  conduit_learning_unpersisted: ["gauge"],
  conduit_static_fallback_total: ["counter"],
  conduit_snapshot_age_seconds: ["gauge"],
  conduit_feedback_total: ["counter", "status"],
  conduit_feedback_joined_total: ["counter"],
  conduit_feedback_expired_total: ["counter"],
  conduit_feedback_join_ratio: ["gauge"],
  conduit_signals_dropped_total: ["counter"],
  conduit_judge_cost_usd_total: ["counter"],
  conduit_reward_judgements_total: ["counter", "model"],
  conduit_reward_predicted_sum_total: ["counter", "model"],
  conduit_reward_realised_sum_total: ["counter", "model"],
  conduit_database_up: ["gauge"],
  conduit_database_pool_connections: ["gauge", "state"],
  conduit_database_pool_waiting: ["gauge"],
  conduit_database_pool_size: ["gauge"],
  conduit_event_loop_delay_seconds: ["gauge", "percentile"],
  conduit_log_messages_total: ["counter", "level"],
  conduit_build_info: ["gauge", "version", "node"],
  conduit_lifecycle_phase: ["gauge", "phase"],
  conduit_shutdown_errors_total: ["counter", "error"],
  process_cpu_seconds_total: ["counter"],
  process_resident_memory_bytes: ["gauge"],
  process_start_time_seconds: ["gauge"],
  nodejs_heap_used_bytes: ["gauge"]
}

interface DecisionEntry {
  readonly chosen: string
  readonly reason: string
  readonly reward: number | null
  readonly policy: { readonly algorithm: string }
  readonly request: { readonly weights: { readonly quality: number; readonly cost: number; readonly latency: number } }
  readonly candidates: ReadonlyArray<{
    readonly model: string
    readonly quality: number
    readonly cost_usd: number | null
    readonly latency_seconds: number
  }>
  readonly attempts: ReadonlyArray<{
    readonly model: string
    readonly ok: boolean
    readonly error: string | null
    readonly latency_ms: number
  }>
  readonly outcome: {
    readonly input_tokens: number | null
    readonly output_tokens: number | null
    readonly cost_usd: number | null
    readonly first_token_ms: number | null
  }
}

let database: TestDatabase
let mock: Upstream
let conduit: ConduitProcess
/** Another replica, which stores what it decided late. */
let late: ConduitProcess
const made: Array<DecisionEntry> = []
const judged: Array<DecisionEntry> = []
const answers: Array<Answered> = []

const start = (env: Record<string, string> = {}) =>
  startConduit({ databaseUrl: database.url, upstream: mock.url, models, env: { CONDUIT_ROUTER_ID: "metrics", ...env } })
const text = async () => (await request(`${conduit.url}/metrics`)).text
const scrape = async (): Promise<Exposition> => exposition(await text())

const idOf = (answer: Answered) => String(answer.headers["x-conduit-decision-id"])
const ask = async (more: Record<string, unknown> = {}, to = conduit): Promise<Answered> => {
  // Each of its own: a client's retries of one request count once against a circuit.
  const answer = await request(`${to.url}/v1/chat/completions`, {
    body: chat(`add two numbers ${answers.length}`, more)
  })
  if (to === conduit) answers.push(answer)
  return answer
}
const decision = async (id: string, limitMs = 10_000): Promise<DecisionEntry> =>
  eventually("the decision is stored", limitMs, async () => {
    const found = await request(`${conduit.url}/v1/decisions/${id}`)
    return found.status === 200 ? found.json : undefined
  })
const judge = (id: string, value: number, headers: Record<string, string> = {}) =>
  request(`${conduit.url}/v1/feedback`, { body: { decision_id: id, kind: "score", value }, headers })

beforeAll(async () => {
  database = await createDatabase()
  mock = await startUpstream({ models: [{ name: "broken", faults: { "500": 1 } }], anyModel: true })
  ;[conduit, late] = await Promise.all([start(), start({ CONDUIT_FLUSH_INTERVAL: "3 seconds" })])

  for (let i = 0; i < 6; i++) await ask()
  for (let i = 0; i < 3; i++) await ask({ stream: true, stream_options: { include_usage: true } })
  await ask({ model: "large" })
  await ask({ model: "small", stream: true })
  await ask({ conduit: { session_id: "s" } })
  await ask({ conduit: { session_id: "s" } })
  // What is asked of the model by its name goes to it though its circuit is open.
  for (const stream of [false, true, false]) await ask({ model: "broken", stream, conduit: { fallback: true } })
  for (let i = 0; i < 3; i++) await ask({ model: "broken" })
  for (const answer of answers) made.push(await decision(idOf(answer)))

  const [first, second] = answers.map(idOf)
  for (const id of [first, second]) {
    assert.strictEqual((await judge(id!, 0.8, { "idempotency-key": `key-${id}` })).json.status, "recorded")
    judged.push(await decision(id!))
  }
  assert.strictEqual((await judge(first!, 0.3)).json.status, "superseded")
  assert.strictEqual((await judge(second!, 0.8, { "idempotency-key": `key-${second}` })).json.status, "recorded")
  assert.strictEqual((await judge(second!, 0.1, { "idempotency-key": `key-${second}` })).status, 409)
  assert.strictEqual((await judge("01500000-0000-7000-8000-000000000000", 1)).status, 404)
  const parked = idOf(await ask({ model: "large" }, late))
  assert.strictEqual((await judge(parked, 1)).json.status, "parked")
  assert.strictEqual((await scrape()).value("conduit_feedback_join_ratio"), 3 / 4)
  await eventually("the parked feedback is joined", 15_000, async () =>
    (await scrape()).value("conduit_feedback_joined_total") === 1 ? true : undefined
  )
  judged.push(await decision(parked))
})
afterAll(async () => {
  await killAll()
  await mock.close()
  await database.drop()
})

const total = (values: ReadonlyArray<number | null>) => values.reduce<number>((sum, value) => sum + (value ?? 0), 0)

describe("GET /metrics after traffic", () => {
  it("has each metric of the catalogue and no other, with its type, its help and its labels", async () => {
    const { families, samples } = await scrape()
    assert.sameMembers([...families.keys()], Object.keys(catalogue))
    for (const [name, { help, type }] of families) {
      const [documented, ...labels] = catalogue[name]!
      assert.strictEqual(type, documented, name)
      assert.isNotEmpty(help, name)
      const lines = type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name]
      for (const line of lines) {
        assert.isNotEmpty(samples(line), line)
        const expected = line.endsWith("_bucket") && type === "histogram" ? [...labels, "le"] : labels
        for (const sample of samples(line)) assert.sameMembers(Object.keys(sample.labels), expected, line)
      }
    }
    const edges = samples("conduit_routing_latency_seconds_bucket").map(({ labels }) => Number(labels["le"]))
    assert.deepStrictEqual([edges[0], edges.at(-2)], [0.00005, 1])
  })

  it.skipIf(!has("promtool"))("passes promtool (skipped where it is not installed)", async () => {
    const { stderr, stdout } = run("promtool", ["check", "metrics"], { input: await text() })
    // Not of the format: it has the name that is documented.
    const remarks = new Set(`${stdout}${stderr}`.split("\n").filter((line) => line !== ""))
    assert.deepStrictEqual([...remarks], ['conduit_model_selection counter metrics should have "_total" suffix'])
  })

  it("counts requests, decisions and choices", async () => {
    const { samples, sum, value } = await scrape()
    const route = "/v1/chat/completions"
    for (const status of ["200", "502"]) {
      const expected = answers.filter((answer) => String(answer.status) === status).length
      assert.isAbove(expected, 0)
      assert.strictEqual(value("conduit_requests_total", { route, method: "POST", status }), expected)
    }
    assert.strictEqual(value("conduit_request_duration_seconds_count", { route }), answers.length)
    assert.isAbove(value("conduit_request_duration_seconds_sum", { route }), 0)
    assert.strictEqual(value("conduit_requests_active"), 0)
    assert.strictEqual(value("conduit_routing_latency_seconds_count"), made.length)
    assert.strictEqual(sum("conduit_decisions_total"), made.length)
    assert.isAbove(value("conduit_decisions_total", { reason: "session" }), 0)
    assert.isAtLeast(value("conduit_decisions_total", { reason: "pinned" }), 8)
    for (const { id } of models) {
      const chosen = made.filter(({ attempts }) => attempts[0]?.model === id)
      assert.strictEqual(sum("conduit_model_selection", { model: id }), chosen.length)
    }
    assert.deepStrictEqual(
      new Set(samples("conduit_model_selection").map(({ labels }) => labels["algorithm"])),
      new Set(made.map(({ policy }) => policy.algorithm))
    )
    assert.isAbove(value("conduit_policy_entropy"), 0)
    assert.isAtMost(value("conduit_policy_entropy"), 1)
  })

  it("counts calls, fallbacks, tokens and cost as the decisions have them", async () => {
    const { sum, value } = await scrape()
    const calls = made.flatMap(({ attempts }) => attempts)
    for (const model of models.map(({ id }) => id)) {
      const own = calls.filter((call) => call.model === model)
      for (const outcome of new Set(own.map(({ error }) => error ?? "ok"))) {
        const expected = own.filter(({ error }) => (error ?? "ok") === outcome).length
        assert.strictEqual(value("conduit_provider_attempts_total", { model, outcome }), expected)
      }
      assert.strictEqual(sum("conduit_provider_attempts_total", { model }), own.length)
      const succeeded = own.filter(({ ok }) => ok)
      assert.strictEqual(value("conduit_provider_latency_seconds_count", { model }), succeeded.length)
      assert.approximately(
        value("conduit_provider_latency_seconds_sum", { model }),
        total(succeeded.map((call) => call.latency_ms)) / 1000,
        1e-6
      )
      const answered = made.filter(({ chosen }) => chosen === model).map(({ outcome }) => outcome)
      const firstTokens = answered.flatMap(({ first_token_ms: ms }) => (ms === null ? [] : [ms]))
      assert.strictEqual(value("conduit_provider_first_token_seconds_count", { model }), firstTokens.length)
      for (const direction of ["input", "output"] as const) {
        assert.strictEqual(
          value("conduit_tokens_total", { model, direction }),
          total(answered.map((outcome) => outcome[`${direction}_tokens`]))
        )
      }
      assert.approximately(
        value("conduit_cost_usd_total", { model }),
        total(answered.map((outcome) => outcome.cost_usd)),
        1e-12
      )
      const fellBack = made.filter(({ attempts, reason }) => reason === "fallback" && attempts[0]?.model === model)
      assert.strictEqual(value("conduit_fallbacks_total", { model }), fellBack.length)
    }
    assert.isAtLeast(value("conduit_fallbacks_total", { model: "broken" }), 3)
    assert.isAtLeast(value("conduit_provider_attempts_total", { model: "broken", outcome: "server_error" }), 6)
    assert.isAtLeast(sum("conduit_provider_first_token_seconds_count"), 5)
    // What the answers said themselves, where they could.
    const said = answers.filter(({ json }) => json?.usage !== undefined)
    assert.isAtLeast(said.length, 10)
    assert.isAtLeast(sum("conduit_tokens_total"), total(said.map(({ json }) => json.usage.total_tokens)))
    const streams = answers.filter(({ headers }) => headers["content-type"]?.startsWith("text/event-stream"))
    const costs = [
      ...said.map(({ headers }) => Number(headers["x-conduit-cost-usd"])),
      ...streams.map((answer) => Number(/"cost_usd":([\d.e-]+)/.exec(answer.text)?.[1] ?? 0))
    ]
    assert.isAtLeast(sum("conduit_cost_usd_total"), total(costs) - 1e-12)
  })

  it("shows circuits as /v1/models does, and each model in one state", async () => {
    const [{ sum, value }, listed] = [await scrape(), await request(`${conduit.url}/v1/models`)]
    for (const { id } of models) {
      const { circuit } = listed.json.data.find((one: { id: string }) => one.id === id).conduit
      assert.strictEqual(sum("conduit_circuit_state", { model: id }), 1)
      assert.strictEqual(value("conduit_circuit_state", { model: id, state: circuit }), 1, `${id} ${circuit}`)
    }
    assert.strictEqual(value("conduit_circuit_state", { model: "broken", state: "closed" }), 0)
  })

  it("compares the rewards of judged decisions with what they expected", async () => {
    const { value } = await scrape()
    const reference = { costUsd: costReferenceUsd(models), latencySeconds: 2 }
    assert.lengthOf(judged, 3)
    for (const model of new Set(judged.map(({ chosen }) => chosen))) {
      const own = judged.filter(({ chosen }) => chosen === model)
      assert.strictEqual(value("conduit_reward_judgements_total", { model }), own.length)
      for (const { reward } of own) assert.isNumber(reward)
      assert.approximately(
        value("conduit_reward_realised_sum_total", { model }),
        total(own.map(({ reward }) => reward)),
        1e-9
      )
      const expected = own.map(({ candidates, request: { weights } }) => {
        const candidate = candidates.find((one) => one.model === model)!
        return (
          weights.quality * candidate.quality +
          weights.cost * costScore(candidate.cost_usd, reference.costUsd) +
          weights.latency * latencyScore(candidate.latency_seconds, reference.latencySeconds)
        )
      })
      assert.approximately(value("conduit_reward_predicted_sum_total", { model }), total(expected), 1e-5)
    }
  })

  it("counts feedback by its answer, and the share that has found its decision", async () => {
    const { samples, value } = await scrape()
    assert.deepStrictEqual(
      Object.fromEntries(samples("conduit_feedback_total").map(({ labels, value }) => [labels["status"], value])),
      { recorded: 3, superseded: 1, parked: 1, conflict: 1, not_found: 1, refused: 0 }
    )
    assert.strictEqual(value("conduit_feedback_joined_total"), 1)
    assert.strictEqual(value("conduit_feedback_join_ratio"), 1)
  })

  it("tells how the learning, the database and the process are", async () => {
    const { sum, value } = await scrape()
    assert.isAbove(value("conduit_learning_events_folded_total"), made.length)
    assert.isAbove(value("conduit_learning_position"), 5)
    for (const name of ["conduit_learning_records_dropped_total", "conduit_learning_unpersisted"]) {
      assert.strictEqual(value(name), 0)
    }
    assert.isBelow(value("conduit_snapshot_age_seconds"), 180)
    assert.strictEqual(value("conduit_database_up"), 1)
    assert.strictEqual(value("conduit_database_pool_size"), 10)
    assert.isAtLeast(sum("conduit_database_pool_connections"), 1)
    assert.isAtMost(sum("conduit_database_pool_connections"), 10)
    assert.strictEqual(value("conduit_lifecycle_phase", { phase: "running" }), 1)
    assert.strictEqual(sum("conduit_lifecycle_phase"), 1)
    assert.isAbove(value("conduit_log_messages_total", { level: "INFO" }), 0)
    assert.isAbove(value("process_cpu_seconds_total"), 0.1)
    assert.isAbove(value("process_resident_memory_bytes"), 30_000_000)
    await eventually("all is stored and folded", 5_000, async () => {
      const now = await scrape()
      return now.value("conduit_learning_pending") + now.value("conduit_learning_lag_commits") === 0 ? true : undefined
    })
  })

  it("shows what is being served, and the call that it waits for", async () => {
    const held = request(`${conduit.url}/v1/chat/completions`, {
      body: chat("hold this", { model: "small", mock: { gate: "held" } })
    })
    await mock.waiting("held", 1)
    const { value } = await scrape()
    assert.strictEqual(value("conduit_requests_active"), 1)
    assert.strictEqual(value("conduit_upstream_connections", { state: "running" }), 1)
    assert.strictEqual(value("conduit_upstream_connections", { state: "queued" }), 0)
    assert.isAtLeast(value("conduit_upstream_connections", { state: "connected" }), 1)
    mock.openGate("held")
    assert.strictEqual((await held).status, 200)
    assert.strictEqual((await scrape()).value("conduit_requests_active"), 0)
  })

  it("makes no series of what clients send, and shows none of it", async () => {
    const hostile = async (word: string) => {
      const ask = (path: string, options: Parameters<typeof request>[1]) => request(`${conduit.url}${path}`, options)
      await ask(`/${word}`, {})
      await ask(`/v1/models/${word}`, {})
      await ask(`/v1/decisions/${word}`, {})
      await ask("/v1/chat/completions", { body: chat("x", { model: word }) })
      await ask("/v1/chat/completions", {
        body: chat(word, {
          model: "small",
          conduit: { task: word, session_id: word, user_id: word },
          [word]: word
        }),
        headers: { "x-request-id": word, "user-agent": word }
      })
      await ask("/v1/feedback", {
        body: { decision_id: randomUUID(), kind: "comment", value: word, source: word },
        headers: { "idempotency-key": word }
      })
      await ask("/v1/feedback", { body: { session_id: word, kind: "score", value: 1 } })
    }
    const methods = ["PROPFIND", "PURGE", "LOCK", "MKCOL"]
    await hostile("canary-first")
    await request(`${conduit.url}/v1/models`, { method: "REPORT" })
    const before = (await scrape()).series
    const words = Array.from({ length: 12 }, (_, i) => `canary-${i}-${randomUUID()}`)
    for (const word of words) await hostile(word)
    for (const method of methods) await request(`${conduit.url}/v1/models`, { method })
    const after = await text()
    assert.sameMembers([...exposition(after).series], [...before])
    assert.notInclude(after, "canary")
    for (const method of methods) assert.notInclude(after, method)
  })
})
