import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import { type Answered, chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, query, type TestDatabase } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { eventually } from "../support/traffic.ts"

const models = [
  { id: "small" },
  { id: "large", inputUsdPerMTok: 5, outputUsdPerMTok: 15 },
  { id: "broken", inputUsdPerMTok: 100, outputUsdPerMTok: 100 }
]
const priceOf = (model: string) => models.find(({ id }) => id === model)?.outputUsdPerMTok ?? 0.1

let database: TestDatabase
let mock: Upstream
let replicas: ReadonlyArray<ConduitProcess>
const agent = new Http.Agent({ keepAlive: true })

beforeAll(async () => {
  database = await createDatabase()
  mock = await startUpstream({
    models: [
      { name: "small", quality: 0.5 },
      { name: "large", quality: 0.9 },
      { name: "broken", faults: { "500": 1 } }
    ]
  })
  const start = () =>
    startConduit({
      databaseUrl: database.url,
      upstream: mock.url,
      models,
      env: { CONDUIT_API_KEYS: "sk-ann,sk-bob,sk-eve", CONDUIT_ROUTER_ID: "shared" }
    })
  replicas = [await start(), await start()]
})
afterAll(async () => {
  agent.destroy()
  await killAll()
  await mock.close()
  await database.drop()
})

let turn = 0
const as = (key: string, path: string, options: Parameters<typeof request>[1] = {}): Promise<Answered> => {
  const { url } = replicas[turn++ % replicas.length]!
  return request(`${url}${path}`, {
    agent,
    ...options,
    headers: { authorization: `Bearer ${key}`, ...options?.headers }
  })
}

/** What a client notes of its own requests. */
interface Noted {
  readonly id: string
  readonly model: string
  readonly task: string | null
  readonly ok: boolean
  readonly fellBack: boolean
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costUsd: number
  readonly routed: boolean
  judged: number | null
}
const noted: Array<Noted> = []

const ask = async (model: string, conduit: Record<string, unknown> = {}) => {
  const answer = await as("sk-ann", "/v1/chat/completions", {
    body: { ...chat("add two numbers", { conduit }), model }
  })
  noted.push({
    id: String(answer.headers["x-conduit-decision-id"]),
    model: answer.status === 200 ? answer.json.model : model,
    task: typeof conduit["task"] === "string" ? conduit["task"] : null,
    ok: answer.status === 200,
    fellBack: answer.headers["x-conduit-reason"] === "fallback",
    inputTokens: answer.json.usage?.prompt_tokens ?? 0,
    outputTokens: answer.json.usage?.completion_tokens ?? 0,
    costUsd: Number(answer.headers["x-conduit-cost-usd"] ?? 0),
    routed: model === "auto",
    judged: null
  })
}

const judge = async (one: Noted, value: number) => {
  const said = await as("sk-ann", "/v1/feedback", { body: { decision_id: one.id, kind: "score", value } })
  assert.strictEqual(said.status, 200, said.text)
  one.judged = value
}

const stored = (count: number) =>
  eventually("the decisions are stored", 20_000, async () => {
    const [row] = await query<{ count: number }>(database.url, "SELECT count(*)::int AS count FROM decisions")
    return row?.count === count ? true : undefined
  })

const sum = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0)
const mean = (values: ReadonlyArray<number>) => sum(values) / values.length

const decisionsOf = async (key: string) => {
  const all: Array<any> = []
  let cursor: string | null = null
  do {
    const page: Answered = await as(key, `/v1/decisions?limit=200${cursor === null ? "" : `&cursor=${cursor}`}`)
    all.push(...page.json.data)
    cursor = page.json.next_cursor
  } while (cursor !== null)
  return all
}

const stats = async (key: string, more = "") => {
  const answer = await as(key, `/v1/stats?${more}`)
  assert.strictEqual(answer.status, 200, answer.text)
  return answer.json
}

/** Sums of doubles differ in their last digits by how much of them had been added up before. */
const rounded = (figures: unknown): unknown =>
  JSON.parse(JSON.stringify(figures, (_, value) => (typeof value === "number" ? Number(value.toPrecision(9)) : value)))

describe("GET /v1/stats", () => {
  const begun = new Date(Date.now() - 60_000).toISOString()

  beforeAll(async () => {
    const routed = { preference: "quality", constraints: { allowed_models: ["small", "large"] } }
    const wave = async (requests: ReadonlyArray<() => Promise<void>>) => {
      for (let i = 0; i < requests.length; i += 10) await Promise.all(requests.slice(i, i + 10).map((send) => send()))
    }
    // The dear model is the better one, so it is drawn often, at probabilities that differ little: good evidence.
    for (let round = 0; round < 4; round++) {
      await wave(Array.from({ length: 80 }, (_, i) => () => ask("auto", { ...routed, task: `task-${i % 3}` })))
      const fresh = noted.slice(-80)
      await wave(
        fresh.map(
          (one, i) => () =>
            i % 4 === 0 ? Promise.resolve() : judge(one, (one.model === "large" ? 0.9 : 0.1) + (i % 3) / 20)
        )
      )
    }
    await wave(Array.from({ length: 40 }, () => () => ask("large")))
    await wave(Array.from({ length: 4 }, () => () => ask("broken", { task: "task-0" })))
    await wave(Array.from({ length: 3 }, () => () => ask("broken", { fallback: true })))
    for (const { id } of [1, 2, 3].map((_, i) => ({ id: i }))) {
      const routedOnly = await as("sk-ann", "/v1/route", { body: { prompt: "add", model: "small" } })
      const outcome = {
        decision_id: routedOnly.json.id,
        ok: id === 0,
        input_tokens: 7,
        output_tokens: 11
      }
      if (id < 2) await as("sk-ann", "/v1/outcomes", { body: id === 0 ? outcome : { ...outcome, error: "no luck" } })
    }
    const leaving = new AbortController()
    const left = fetch(`${replicas[0]?.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: "Bearer sk-ann", "content-type": "application/json" },
      body: JSON.stringify({ ...chat("add two numbers", { mock: { gate: "left" } }), model: "small" }),
      signal: leaving.signal
    }).catch(() => null)
    await mock.waiting("left", 1)
    leaving.abort()
    assert.isNull(await left)
    await as("sk-bob", "/v1/chat/completions", { body: { ...chat("add two numbers"), model: "small" } })
    await stored(noted.length + 5)
  })

  it("has in its totals what the client counted itself, on both replicas alike", async () => {
    const window = `from=${encodeURIComponent(begun)}&until=${new Date(Date.now() + 60_000).toISOString()}`
    const shown = await stats("sk-ann", window)
    assert.deepStrictEqual(rounded(await stats("sk-ann", window)), rounded(shown))
    const { totals } = shown
    const ok = noted.filter((one) => one.ok)
    const judged = ok.filter((one) => one.judged !== null)
    // What was sent for the client that left is paid for, as far as it can be estimated.
    const left = (await decisionsOf("sk-ann")).find(({ outcome }) => outcome?.kind === "aborted").outcome
    assert.isTrue(left.usage_estimated)
    assert.isAbove(left.cost_usd, 0)
    assert.deepInclude(totals, {
      requests: noted.length + 4,
      answered: ok.length + 1,
      failed: noted.length - ok.length + 1,
      aborted: 1,
      refused: 0,
      empty: 0,
      pending: 1,
      fallbacks: noted.filter((one) => one.fellBack).length,
      input_tokens: sum(noted.map((one) => one.inputTokens)) + 14,
      output_tokens: sum(noted.map((one) => one.outputTokens)) + 22,
      cost_known: ok.length + 1,
      judged: judged.length
    })
    assert.isAtLeast(totals.failed, 5)
    assert.isAtLeast(totals.fallbacks, 3)
    assert.closeTo(totals.cost_usd, sum(noted.map((one) => one.costUsd)) + left.cost_usd, 1e-12)
    assert.closeTo(totals.feedback_coverage.value, judged.length / (ok.length + 1), 1e-12)
    assert.closeTo(totals.quality.mean, mean(judged.map((one) => one.judged ?? 0)), 1e-12)
    assert.isTrue(totals.quality.low < totals.quality.mean && totals.quality.mean < totals.quality.high)

    for (const one of shown.by_model) {
      const mine = noted.filter(({ model }) => model === one.model)
      // The decisions of /v1/route and the aborted one were all for this one.
      assert.strictEqual(one.requests, mine.length + (one.model === "small" ? 4 : 0), one.model)
      const usd = sum(mine.map(({ costUsd }) => costUsd)) + (one.model === "small" ? left.cost_usd : 0)
      assert.closeTo(one.cost_usd, usd, 1e-12, one.model)
    }
    assert.strictEqual(sum(shown.by_model.map((one: any) => one.requests)), totals.requests)
    for (const one of shown.by_task) {
      const mine = noted.filter(({ task }) => task === one.task)
      assert.strictEqual(one.requests, mine.length + (one.task === null ? 4 : 0), String(one.task))
    }
    assert.strictEqual(sum(shown.over_time.map((one: any) => one.requests)), totals.requests)
    assert.deepStrictEqual(shown.errors, [
      { model: "broken", reason: "server_error", count: 4 },
      { model: "small", reason: "no luck", count: 1 }
    ])
  })

  it("has the rewards and latencies that the decisions themselves show", async () => {
    const { totals } = await stats("sk-ann")
    const all = await decisionsOf("sk-ann")
    const rewards = all.flatMap((one) => (one.reward === null ? [] : [one.reward]))
    assert.strictEqual(totals.reward.count, rewards.length)
    assert.closeTo(totals.reward.mean, mean(rewards), 1e-9)
    const answered = all.filter((one) => one.outcome?.ok)
    const untold = answered.filter((one) => one.outcome.latency_ms === null)
    assert.lengthOf(untold, 1, "what was reported without a time")
    const latencies = answered.flatMap((one) => one.outcome.latency_ms ?? []).sort((a, b) => a - b)
    // Counted in bins that are 9 % wide.
    const place = 0.9 * (latencies.length - 1)
    assert.isAtLeast(totals.latency_ms.p90, latencies[Math.floor(place)] / 1.1)
    assert.isAtMost(totals.latency_ms.p90, latencies[Math.ceil(place)] * 1.1)
    assert.closeTo(totals.exploration_share, all.filter((one) => one.exploration).length / all.length, 1e-12)
  })

  it("estimates what the dearest model would have cost, which is known here", async () => {
    const { against_best: best, against_dearest: dearest, sampled } = (await stats("sk-ann")).savings
    assert.deepStrictEqual([dearest.model, sampled], ["large", 1])
    const routed = noted.filter((one) => one.routed)
    assert.strictEqual(dearest.requests, routed.length)
    const always = sum(routed.map((one) => (one.inputTokens * 5 + one.outputTokens * priceOf("large")) / 1e6))
    const actual = sum(routed.map((one) => one.costUsd))
    // The draws are of a seed that the database made up: five standard deviations, so that chance does not fail this.
    for (const [estimate, truth] of [
      [dearest.saved_usd, always - actual],
      [dearest.saved_share, 1 - actual / always]
    ]) {
      if (estimate.reason !== null) {
        // One draw against great odds can outweigh all others: seldom, and then no number is the right answer.
        assert.match(estimate.reason, /they count as \d \(10 are needed\)/)
        continue
      }
      assert.isAtMost(
        Math.abs(estimate.value - truth),
        (2.5 * (estimate.high - estimate.low)) / 2,
        `${estimate.value} is ${truth}`
      )
    }
    for (const estimate of [best.quality_gain, dearest.quality_gain]) {
      assert.strictEqual(estimate.value === null, typeof estimate.reason === "string")
    }
  })

  it("groups by what is named, and what it groups adds up to the totals", async () => {
    const { groups, other_groups: others, totals } = await stats("sk-ann", "group_by=task,model")
    assert.strictEqual(others, 0)
    assert.strictEqual(sum(groups.map((one: any) => one.requests)), totals.requests)
    for (const task of ["task-1", "task-2"]) {
      const large = groups.find((one: any) => one.task === task && one.model === "large")
      const mine = noted.filter((one) => one.task === task && one.model === "large")
      assert.strictEqual(large.requests, mine.length, task)
      assert.strictEqual(large.judged, mine.filter((one) => one.judged !== null).length, task)
    }
    const byDay = await stats("sk-ann", "group_by=day")
    assert.strictEqual(byDay.window.step_seconds, 86_400)
    assert.strictEqual(sum(byDay.groups.map((one: any) => one.requests)), totals.requests)
  })

  it("filters by task, model and time, and shows another key its own alone", async () => {
    const one = await stats("sk-ann", "task=task-1")
    assert.strictEqual(one.totals.requests, noted.filter(({ task }) => task === "task-1").length)
    const large = await stats("sk-ann", "model=large")
    assert.strictEqual(large.totals.requests, noted.filter(({ model }) => model === "large").length)
    assert.isNull(large.savings)
    assert.strictEqual((await stats("sk-ann", `until=${encodeURIComponent(begun)}`)).totals.requests, 0)
    assert.strictEqual((await stats("sk-bob")).totals.requests, 1)
    const nothing = await stats("sk-eve")
    assert.deepInclude(nothing.totals, { requests: 0, cost_usd: 0, latency_ms: null, feedback_coverage: null })
    assert.include(nothing.savings.against_best.saved_usd.reason, "no routed request")
    assert.strictEqual((await request(`${replicas[0]?.url}/v1/stats`)).status, 401)
  })

  // Last: it ends a replica.
  it("stays the same when decisions are added up, by whichever replica is left", async () => {
    const window = `from=${encodeURIComponent(begun)}&until=${new Date(Date.now() + 3_600_000).toISOString()}`
    const before = await stats("sk-ann", window)
    const other = replicas[1]!
    replicas[0]?.kill("SIGKILL")
    replicas = [other]
    await eventually("all is added up", 60_000, async () => {
      const [left] = await query<{ count: number }>(database.url, "SELECT count(*)::int AS count FROM decision_changes")
      return left?.count === 0 ? true : undefined
    })
    assert.deepStrictEqual(rounded(await stats("sk-ann", window)), rounded(before))
    const [sums] = await query(
      database.url,
      `SELECT sum(requests)::int AS requests, sum(judged)::int AS judged, round(sum(cost_usd), 12)::text AS cost,
         round(sum(quality), 12)::text AS quality FROM decision_sums WHERE hours = 1`
    )
    const [rows] = await query(
      database.url,
      `SELECT count(*)::int AS requests, count(*) FILTER (WHERE ok AND learned_weight > 0)::int AS judged,
         round(sum(cost_usd::numeric), 12)::text AS cost,
         round(sum(learned_quality::numeric) FILTER (WHERE ok AND learned_weight > 0), 12)::text AS quality FROM decisions`
    )
    assert.deepStrictEqual(sums, rows)
    // Whole hours: nothing of this is read from decisions.
    const hours = await stats("sk-ann", "window=24h")
    assert.deepStrictEqual(hours.totals.requests, before.totals.requests)
    assert.closeTo(hours.totals.cost_usd, before.totals.cost_usd, 1e-12)
  })
})
