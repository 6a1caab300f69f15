import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { BudgetList } from "../../src/services/api/BudgetSchemas.ts"
import { chat, type ConduitProcess, kill9, request, startConduit } from "../support/conduit.ts"
import { lock } from "../support/hostile.ts"
import { query } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { hasRedis, startRedis, type TestRedis } from "../support/redis.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { eventually } from "../support/traffic.ts"

const fixture = serviceFixture()
let upstream: Upstream
beforeAll(async () => {
  upstream = await startUpstream({
    models: [{ name: "fixed", answerTokens: 10_000, outputUsdPerMTok: 5_000, inputUsdPerMTok: 0 }]
  })
})
afterAll(() => upstream.close())

const limitMs = 15_000
const admin = { authorization: "Bearer admin-secret-of-tests" }
/** Each answer has ten tokens, which cost five cents. */
const models = [{ id: "fixed", inputUsdPerMTok: 0, outputUsdPerMTok: 5_000 }]
const maxTokens = 10
const costUsd = 0.05

const replica = (routerId: string, env: Record<string, string> = {}) =>
  startConduit({
    databaseUrl: fixture.database.url,
    upstream: upstream.url,
    models,
    env: {
      CONDUIT_ROUTER_ID: routerId,
      CONDUIT_ADMIN_KEYS: "ops:admin-secret-of-tests",
      CONDUIT_OVERLOAD_DELAY: "0",
      ...env
    }
  })

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })
const create = async (conduit: ConduitProcess, name: string, limits: Record<string, number | boolean>) => {
  const made = await request(`${conduit.url}/v1/keys`, { body: { name, limits }, headers: admin })
  assert.strictEqual(made.status, 200, made.text)
  return bearer(String(made.json.secret))
}
const ask = (conduit: ConduitProcess, headers: Record<string, string>, content = "hello", more = {}) =>
  request(`${conduit.url}/v1/chat/completions`, { body: chat(content, { max_tokens: maxTokens, ...more }), headers })
const knownTo = (conduit: ConduitProcess, headers: Record<string, string>) =>
  eventually("the key is known", limitMs, async () =>
    (await request(`${conduit.url}/v1/models`, { headers })).status === 200 ? true : undefined
  )
const outcome = ({ json, status }: { readonly status: number; readonly json: any }): string =>
  status === 200 ? "answered" : String(json?.error?.code)
const countedBy = (answers: ReadonlyArray<string>) => {
  const counts: Record<string, number> = {}
  for (const one of answers) counts[one] = (counts[one] ?? 0) + 1
  return counts
}
const concurrently = async (count: number, one: (index: number) => ReturnType<typeof request>) =>
  Promise.all(Array.from({ length: count }, (_, index) => one(index)))

const budgets = async (conduit: ConduitProcess, headers: Record<string, string>): Promise<BudgetList["data"]> =>
  (await request(`${conduit.url}/v1/budgets`, { headers })).json.data

/** What the database says was spent, and what its rows cost, in whole cents. */
const centsOf = async (name: string) => {
  const [row] = await query<{ spent: number; rows: number }>(
    fixture.database.url,
    `SELECT (SELECT coalesce(round(sum(usd) * 100), 0)::int FROM budget_spent WHERE owner = $1) AS spent,
       (SELECT coalesce(round(sum(cost_usd::numeric) * 100), 0)::int FROM decisions WHERE owner = $1) AS rows`,
    [name]
  )
  return row ?? { spent: -1, rows: -1 }
}
const storedCents = (name: string, cents: number) =>
  eventually(`${cents} cents are stored of ${name}`, limitMs, async () => {
    const { rows, spent } = await centsOf(name)
    assert.strictEqual(spent, rows)
    return rows === cents ? true : undefined
  })

describe("a key with limits and a budget", () => {
  it("lets exactly its share of two hundred requests at once pass, on one replica", async () => {
    const conduit = await replica("one")
    const headers = await create(conduit, "one", { requests_per_minute: 60, usd_per_day: 1 })
    const answers = await concurrently(200, () => ask(conduit, headers))
    assert.deepStrictEqual(countedBy(answers.map(outcome)), {
      answered: 1 / costUsd,
      budget_spent: 60 - 1 / costUsd,
      key_limit_reached: 140
    })
    for (const answer of answers) {
      assert.strictEqual(answer.headers["x-ratelimit-limit-requests"], "60")
      assert.match(String(answer.headers["x-ratelimit-reset-requests"]), /^(?:60|[1-5]?\d)s$|^1m0s$/)
      assert.strictEqual(answer.headers["x-conduit-limits"], "replica")
      if (answer.status === 429) assert.isAtMost(Number(answer.headers["retry-after"]), 60)
    }
    await storedCents("one", 100)
    // What was refused was no choice.
    const metrics = await request(`${conduit.url}/metrics`, { headers: admin })
    const decided = metrics.text.matchAll(/^conduit_decisions_total\{.*\} (\d+)$/gm)
    assert.strictEqual(
      [...decided].reduce((sum, [, count]) => sum + Number(count), 0),
      1 / costUsd
    )
    // A new window of requests would not help: the day has to end, which is nothing to wait for.
    const poor = await create(conduit, "poor", { usd_per_day: costUsd })
    assert.strictEqual((await ask(conduit, poor)).status, 200)
    await storedCents("poor", 5)
    const spent = await eventually("the budget is spent", limitMs, async () => {
      const answer = await ask(conduit, poor)
      return answer.json.error.details.spent_usd === costUsd ? answer : undefined
    })
    assert.strictEqual(outcome(spent), "budget_spent")
    assert.strictEqual(spent.headers["x-should-retry"], "false")
    assert.strictEqual(spent.headers["retry-after"], "60")
    assert.strictEqual(spent.headers["x-conduit-budget-remaining-usd"], "0")
    assert.match(String(spent.json.error.details.resets_at), /T00:00:00\.000Z$/)
    const own = await budgets(conduit, poor)
    assert.deepStrictEqual(own, [
      {
        subject: "key",
        name: "poor",
        day: { limit_usd: costUsd, spent_usd: costUsd, left_usd: 0, resets_at: spent.json.error.details.resets_at },
        month: null,
        reserved_usd: 0,
        paced: false,
        pacing: null
      }
    ])
    assert.includeMembers(
      (await budgets(conduit, admin)).map(({ name }) => name),
      ["one", "poor"]
    )
    await conduit.logged("The budget of key poor for this day is used to 80 %")
    await conduit.logged("The budget of key poor for this day is used to 100 %")
    const { text } = await request(`${conduit.url}/metrics`, { headers: admin })
    for (const percent of [80, 100]) {
      assert.match(text, new RegExp(`^conduit_budget_alerts_total\\{percent="${percent}"\\} 2$`, "m"))
    }
  })

  it("has places at once, and tokens of a minute", async () => {
    const conduit = await replica("places")
    const headers = await create(conduit, "places", { concurrent_requests: 2 })
    const held = [1, 2].map(() => ask(conduit, headers, "hello", { mock: { gate: "places" } }))
    await upstream.waiting("places", 2)
    const third = await ask(conduit, headers)
    assert.deepStrictEqual(
      [outcome(third), third.json.error.details.limit],
      ["key_limit_reached", "concurrent_requests"]
    )
    upstream.openGate("places")
    for (const one of await Promise.all(held)) assert.strictEqual(one.status, 200, one.text)
    assert.strictEqual((await ask(conduit, headers)).status, 200)

    const tokens = await create(conduit, "tokens", { tokens_per_minute: 25 })
    const answers: Array<string> = []
    for (let i = 0; i < 4; i++) {
      const answer = await ask(conduit, tokens)
      answers.push(outcome(answer))
      assert.strictEqual(answer.headers["x-ratelimit-limit-tokens"], "25")
    }
    assert.strictEqual(answers[0], "answered")
    assert.strictEqual(answers.at(-1), "key_limit_reached")
  })

  it("is bounded by the router's budget too, and by a request without max_tokens no more than by what it used", async () => {
    const conduit = await replica("whole", { CONDUIT_BUDGET_USD_PER_DAY: "0.25" })
    const headers = await create(conduit, "any", {})
    const answers = await concurrently(20, () => ask(conduit, headers))
    assert.deepStrictEqual(countedBy(answers.map(outcome)), { answered: 5, budget_spent: 15 })
    const ofRouter = await eventually("the router's budget is spent", limitMs, async () => {
      const [found] = await budgets(conduit, admin)
      return found?.day?.spent_usd === 0.25 ? found : undefined
    })
    assert.deepInclude(ofRouter, { subject: "router", name: "whole", reserved_usd: 0 })
    assert.strictEqual(ofRouter.day?.left_usd, 0)
    assert.deepStrictEqual(await budgets(conduit, headers), [])
    const [refused] = answers.filter(({ status }) => status === 429)
    assert.include(String(refused?.json.error.message), "the budget of router whole is used up")

    const wide = await replica("wide")
    const rich = await create(wide, "rich", { usd_per_day: 60 })
    const [first] = await concurrently(1, () => ask(wide, rich, "hello", { max_tokens: 10_000 }))
    // It costs 50 USD, and was put aside by what was known of the model, as the limit did not bind.
    assert.strictEqual(first?.status, 200, first?.text)
    // Of what is left it holds a part, which it gives back when it ends.
    assert.strictEqual((await ask(wide, rich)).status, 200)
    wide.kill("SIGTERM")
    assert.strictEqual((await wide.ended()).code, 0)
    const loans = await query<{ usd: number }>(
      fixture.database.url,
      "SELECT usd::float8 AS usd FROM budget_loans WHERE subject = 'key rich'"
    )
    assert.deepStrictEqual(loans, [{ usd: 0 }])
  })
})

describe("a budget of a replica that was killed between answers and their rows", () => {
  it("is what its rows cost, and what was put aside is there again when the loan ends", async () => {
    const killed = await replica("crashed")
    const headers = await create(killed, "crashed", { usd_per_day: 1 })
    assert.strictEqual((await ask(killed, headers)).status, 200)
    await storedCents("crashed", 5)

    const held = await lock(fixture.database.url, "LOCK TABLE decisions IN ACCESS EXCLUSIVE MODE")
    const answers = await concurrently(3, () => ask(killed, headers))
    assert.deepStrictEqual(countedBy(answers.map(outcome)), { answered: 3 })
    await kill9(killed)
    await held.release()
    // The server may carry out what its dead client sent last, or not.
    await eventually("no statement is under way", limitMs, async () => {
      const active =
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()"
      return (await query(fixture.database.url, active)).length === 0 ? true : undefined
    })

    const next = await replica("crashed")
    // Its loan ends by itself, fifteen seconds after it was made; those are not waited for here.
    const ended = await query<{ ends: number }>(
      fixture.database.url,
      "UPDATE budget_loans l SET ends_at = now() FROM budget_loans old WHERE old.ctid = l.ctid AND l.subject = 'key crashed' RETURNING extract(epoch FROM old.ends_at - now())::float8 AS ends"
    )
    assert.isNotEmpty(ended)
    for (const { ends } of ended) assert.isAtMost(ends, 15)
    const { rows, spent } = await centsOf("crashed")
    assert.strictEqual(spent, rows)
    assert.include([5, 10, 15, 20], rows)
    const rest = await concurrently(25, () => ask(next, headers))
    const share = (100 - rows) / 5
    assert.deepStrictEqual(countedBy(rest.map(outcome)), { answered: share, budget_spent: 25 - share })
    await storedCents("crashed", 100)
  })
})

describe("a budget that is paced", () => {
  it.each([
    ["of the router", { CONDUIT_BUDGET_USD_PER_DAY: "1", CONDUIT_BUDGET_PACED: "true" }, {}],
    ["of a key", {}, { usd_per_day: 1, paced: true }]
  ])(
    "%s is spread over its day: dear answers lose score, and the decision says what money was charged",
    async (whose, env, limits) => {
      const conduit = await startConduit({
        databaseUrl: fixture.database.url,
        configuration: [
          `providers: { local: { kind: openai-compatible, baseUrl: "${upstream.url}" } }`,
          "models:",
          "  - { id: dear, provider: local, upstream: fixed, inputUsdPerMTok: 0, outputUsdPerMTok: 500, priorQuality: 0.95 }",
          "  - { id: cheap, provider: local, upstream: fixed, inputUsdPerMTok: 0, outputUsdPerMTok: 0.01, priorQuality: 0.4 }"
        ].join("\n"),
        env: {
          CONDUIT_ROUTER_ID: `paced-${whose.replaceAll(" ", "-")}`,
          CONDUIT_ADMIN_KEYS: "ops:admin-secret-of-tests",
          ...env
        }
      })
      const headers = await create(conduit, `paced-${whose.replaceAll(" ", "-")}`, limits)
      const chosen: Array<string> = []
      let last = ""
      for (let i = 0; i < 24; i++) {
        const more = { conduit: { preference: "quality" } }
        const answer = await ask(conduit, headers, `question ${i}`, more)
        assert.strictEqual(answer.status, 200, answer.text)
        chosen.push(String(answer.headers["x-conduit-model"]))
        last = String(answer.headers["x-conduit-decision-id"])
      }
      // A few of half a cent are more than a day of such a hurry has; then nobody is asked for quality any more.
      assert.include(chosen.slice(0, 4), "dear")
      // But for the hundredth of all choices that is drawn among all, to measure.
      assert.isAtMost(chosen.slice(12).filter((model) => model === "dear").length, 2, chosen.join(" "))
      const { json } = await eventually("the decision is stored", limitMs, async () => {
        const found = await request(`${conduit.url}/v1/decisions/${last}`, { headers })
        return found.status === 200 && found.json.outcome !== null ? found : undefined
      })
      assert.isAbove(json.pacing.multiplier, 0)
      assert.isAbove(json.pacing.budget_usd, 0)
      const own = `paced-${whose.replaceAll(" ", "-")}`
      const budget = (await budgets(conduit, admin)).find(({ name }) => name === own)
      assert.isTrue(budget?.paced)
      assert.isAbove(budget?.pacing?.score_per_request ?? 0, 0)
      const dear = json.candidates.find(({ model }: { model: string }) => model === "dear")
      assert.isBelow(dear.parts.cost, 0)

      const routed = await request(`${conduit.url}/v1/route`, { headers, body: { prompt: "and of a choice alone?" } })
      assert.strictEqual(routed.status, 200, routed.text)
      const id = String(routed.headers["x-conduit-decision-id"])
      await eventually("the choice is stored", limitMs, async () =>
        (await query(fixture.database.url, `SELECT FROM decisions WHERE id = '${id}'`)).length === 1 ? true : undefined
      )
      const stored = (await request(`${conduit.url}/v1/decisions/${id}`, { headers })).json
      assert.isNull(stored.outcome)
      assert.isAbove(stored.pacing.multiplier, 0)
    }
  )
})

describe.skipIf(!hasRedis)("replicas that share a Redis", () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.dispose())

  it("let exactly the share of all pass together, and lose no cent by a kill -9", async () => {
    const env = { REDIS_URL: redis.url, CONDUIT_REDIS_TIMEOUT: "2 seconds" }
    const all = await Promise.all([1, 2, 3].map(() => replica("three", env)))
    const [a, b, c] = all
    if (a === undefined || b === undefined || c === undefined) throw new Error("three replicas")
    const headers = await create(a, "three", { requests_per_minute: 60, usd_per_day: 1 })
    await Promise.all(all.map((one) => knownTo(one, headers)))

    // All three are alive, and asked at once.
    const alive = await create(a, "alive", { requests_per_minute: 60, usd_per_day: 1 })
    await Promise.all(all.map((one) => knownTo(one, alive)))
    const together = await concurrently(200, (index) => ask(all[index % 3] ?? a, alive))
    assert.deepStrictEqual(countedBy(together.map(outcome)), {
      answered: 20,
      budget_spent: 40,
      key_limit_reached: 140
    })
    await storedCents("alive", 100)

    // Two on one replica are never answered: it is killed while they are in flight.
    const lost = [1, 2].map(() => ask(c, headers, "hello", { mock: { gate: "never" } }).catch(() => null))
    await upstream.waiting("never", 2)
    await kill9(c)
    await Promise.all(lost)
    const answers = await concurrently(200, (index) => ask(index % 2 === 0 ? a : b, headers))
    const counts = countedBy(answers.map(outcome))
    // What was in flight is put aside yet: eighteen are left, and fifty-eight of the minute's sixty.
    assert.deepStrictEqual(counts, { answered: 18, budget_spent: 40, key_limit_reached: 142 })
    for (const { headers } of answers) assert.strictEqual(headers["x-conduit-limits"], "shared")
    await storedCents("three", 90)
    upstream.openGate("never")

    // The loan of the replica that was killed ends, and what it had is there again, to the cent.
    const budgetOnly = await query(fixture.database.url, "SELECT subject FROM budget_loans WHERE subject = 'key three'")
    assert.isNotEmpty(budgetOnly)
    const rest = await eventually(
      "the rest can be spent",
      60_000,
      async () => {
        const [row] = await query<{ left: number }>(
          fixture.database.url,
          "SELECT coalesce(round(sum(usd) * 100), 0)::int AS left FROM budget_loans WHERE subject = 'key three' AND ends_at > now()"
        )
        return row?.left === 0 ? true : undefined
      },
      500
    )
    assert.isTrue(rest)
    await storedCents("three", 90)
    const [own] = await budgets(a, headers)
    assert.closeTo(own?.day?.left_usd ?? 0, 0.1, 1e-9)
    assert.strictEqual(own?.reserved_usd, 0)
  })

  it("go on by themselves while it is stopped or frozen: no request fails, and the answer says who counts", async () => {
    const timeoutMs = 4_000
    const conduit = await replica("frozen", { REDIS_URL: redis.url, CONDUIT_REDIS_TIMEOUT: String(timeoutMs / 1000) })
    const headers = await create(conduit, "frozen", { requests_per_minute: 10_000 })
    const who = async () => {
      const answer = await ask(conduit, headers)
      assert.strictEqual(answer.status, 200, answer.text)
      return answer.headers["x-conduit-limits"]
    }
    const becomes = (expected: string) =>
      eventually(expected, limitMs, async () => ((await who()) === expected ? true : undefined))
    await becomes("shared")
    const twentyMs = async (expected: string) => {
      const startedAt = performance.now()
      for (let i = 0; i < 20; i++) assert.strictEqual(await who(), expected)
      return performance.now() - startedAt
    }
    const sharedMs = await twentyMs("shared")
    redis.pause()
    // It is waited for once an episode, for half of the time-out, and not for each request.
    assert.isBelow(await twentyMs("replica"), 10 * sharedMs + (20 * timeoutMs) / 4)
    redis.resume()
    await becomes("shared")
    await redis.kill()
    await becomes("replica")
    await redis.start()
    await becomes("shared")
  })
})
