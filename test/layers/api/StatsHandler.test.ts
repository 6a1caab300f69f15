import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { type Figures, noFigures, noStats } from "../../../src/domain/stats/Stats.ts"
import { DatabaseError, WindowTooLong } from "../../../src/services/storage/Database.ts"
import { type Stats, StatsBusy } from "../../../src/services/routing/Router.ts"
import { serveApi } from "../../support/httpApi.ts"
import { recordingRouter } from "../../support/recordingRouter.ts"
import { unnamed } from "../../support/apiKeys.ts"

const errorOf = (body: string) => JSON.parse(body).error
const hour = 3_600_000
const until = Date.UTC(2026, 0, 31, 9, 30)

const figures: Figures = {
  requests: 20,
  answered: 12,
  failed: 3,
  aborted: 1,
  fallbacks: 2,
  explored: 5,
  inputTokens: 1000,
  outputTokens: 2000,
  costUsd: 0.0125,
  priced: 11,
  latencyMs: { p50: 1, p90: 2, p95: 3, p99: 4 },
  refused: 0,
  empty: 0,
  firstTokenMs: null,
  quality: { count: 6, mean: 0.75, variance: 0.04 },
  reward: { count: 2, mean: 0.5, variance: 0.02 }
}
const estimate = { value: 1.5, low: 1, high: 2, reason: null }
const unknown = { value: null, low: null, high: null, reason: "too little" }
const compared = {
  model: "large",
  requests: 14,
  savedUsd: estimate,
  savedShare: estimate,
  predictedSavedUsd: 2.5,
  qualityGain: unknown,
  rewardGain: unknown
}
const found: Stats = {
  totals: figures,
  byModel: [{ model: "small", ...figures }],
  byTask: [{ task: null, ...figures, requests: 18 }],
  tasks: 4,
  groups: [],
  groupCount: 0,
  overTime: [{ step: 1, ...figures }],
  errors: [{ model: "small", reason: "timeout", count: 3 }],
  savings: { best: compared, dearest: compared, unknown: ["tiny"], sampled: 0.25 }
}

describe("GET /v1/stats", () => {
  it.live("asks for the last 24 hours of the asking key", () =>
    Effect.gen(function* () {
      const hash = createHash("sha256").update("sk-right").digest("hex")
      const router = recordingRouter()
      const api = yield* serveApi(router, { apiKeys: unnamed(hash) })
      const before = Date.now()
      const answered = yield* api.ask("GET", "/v1/stats", { headers: { "x-api-key": "sk-right" } })
      assert.strictEqual(answered.status, 200, answered.body)
      const [query] = router.addedUp
      assert.isDefined(query)
      const { fromMillis, stepsMillis, untilMillis, ...rest } = query!
      assert.deepStrictEqual(rest, {
        owner: hash.slice(0, 16),
        model: null,
        task: null,
        costReferenceUsd: 0.001,
        latencyReferenceSeconds: 2,
        groupBy: [],
        savings: true
      })
      // Whole hours: the one that is not over is in it.
      assert.deepStrictEqual([untilMillis % hour, fromMillis % hour], [0, 0])
      assert.isTrue(untilMillis > before && untilMillis <= Date.now() + hour)
      assert.isTrue(fromMillis <= before - 24 * hour && fromMillis > before - 25 * hour)
      const shown = JSON.parse(answered.body).window
      assert.isTrue(Date.parse(shown.until) >= before && Date.parse(shown.until) <= Date.now())
      assert.isAtMost(stepsMillis.length, 100)
      assert.strictEqual((yield* api.ask("GET", "/v1/stats")).status, 401)
    }).pipe(Effect.scoped)
  )

  it.live("passes windows and filters on", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const at = "until=2026-01-31T09:30:00Z"
      for (const text of [
        `window=30m&${at}`,
        `window=7d&${at}`,
        `from=2026-01-31T00:00:00%2B01:00&${at}`,
        `model=vendor/large:1&task=${encodeURIComponent("ü & co")}&${at}`
      ]) {
        const answered = yield* api.ask("GET", `/v1/stats?${text}`)
        assert.strictEqual(answered.status, 200, answered.body)
      }
      assert.deepStrictEqual(
        router.addedUp.map(({ fromMillis, model, task, untilMillis }) => [
          untilMillis,
          until - fromMillis,
          model,
          task
        ]),
        [
          [until, hour / 2, null, null],
          [until, 7 * 24 * hour, null, null],
          [until, 10.5 * hour, null, null],
          [until, 24 * hour, "vendor/large:1", "ü & co"]
        ]
      )
    }).pipe(Effect.scoped)
  )

  it.live("shows figures with shares and intervals, and estimates or why there is none", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter({ stats: () => Effect.succeed(found) }))
      const shown = JSON.parse((yield* api.ask("GET", "/v1/stats?until=2026-01-31T09:30:00Z")).body)
      assert.deepStrictEqual(shown.window, {
        from: "2026-01-30T09:30:00.000Z",
        until: "2026-01-31T09:30:00.000Z",
        step_seconds: 3600
      })
      assert.strictEqual(shown.object, "stats")
      const { feedback_coverage: coverage, quality, reward, ...counts } = shown.totals
      assert.deepStrictEqual(counts, {
        requests: 20,
        answered: 12,
        failed: 3,
        aborted: 1,
        refused: 0,
        empty: 0,
        pending: 4,
        fallbacks: 2,
        exploration_share: 0.25,
        input_tokens: 1000,
        output_tokens: 2000,
        cost_usd: 0.0125,
        cost_known: 11,
        latency_ms: { p50: 1, p90: 2, p95: 3, p99: 4 },
        first_token_ms: null,
        judged: 6
      })
      assert.strictEqual(coverage.value, 0.5)
      assert.isTrue(coverage.low > 0.2 && coverage.low < 0.3 && coverage.high > 0.7 && coverage.high < 0.8)
      assert.deepInclude(quality, { mean: 0.75, count: 6 })
      assert.closeTo(quality.high - 0.75, 2.571 * Math.sqrt(0.04 / 6), 0.002)
      assert.deepStrictEqual(reward, { mean: 0.5, low: null, high: null, sd: Math.sqrt(0.02), count: 2 })
      assert.deepStrictEqual(shown.by_model, [{ model: "small", ...shown.totals }])
      assert.deepInclude(shown.by_task[0], { task: null, requests: 18 })
      assert.deepStrictEqual(shown.other_tasks, { tasks: 3, requests: 2 })
      assert.strictEqual(shown.over_time[0].from, "2026-01-30T10:00:00.000Z")
      assert.deepStrictEqual(shown.errors, [{ model: "small", reason: "timeout", count: 3 }])
      const comparison = {
        model: "large",
        requests: 14,
        saved_usd: estimate,
        saved_share: estimate,
        predicted_saved_usd: 2.5,
        quality_gain: unknown,
        reward_gain: unknown
      }
      assert.deepStrictEqual(shown.savings, {
        sampled: 0.25,
        against_best: comparison,
        against_dearest: comparison,
        unknown: ["tiny"]
      })
    }).pipe(Effect.scoped)
  )

  it.live("has the steps that are asked for, and groups by what is named", () =>
    Effect.gen(function* () {
      const group = { model: "small", task: null, step: 2 }
      const router = recordingRouter()
      const api = yield* serveApi({
        ...router,
        stats: (query) =>
          Effect.as(router.stats(query), {
            ...found,
            groups: [{ ...group, step: query.groupBy.includes("step") ? 2 : null, ...figures }],
            groupCount: 1001
          })
      })
      const at = "until=2026-01-31T09:30:00Z"
      const ask = (text: string) =>
        Effect.map(api.ask("GET", `/v1/stats?${at}&${text}`), ({ body }) => JSON.parse(body))
      const byDay = yield* ask("window=7d&group_by=day,model")
      assert.deepStrictEqual([byDay.window.step_seconds, byDay.groups.length, byDay.other_groups], [86_400, 1, 1000])
      assert.deepInclude(byDay.groups[0], { model: "small", from: "2026-01-26T00:00:00.000Z", requests: 20 })
      assert.notProperty(byDay.groups[0], "task")
      const byTask = yield* ask("group_by=task,model")
      assert.deepInclude(byTask.groups[0], { model: "small", task: null, requests: 20 })
      assert.notProperty(byTask.groups[0], "from")
      const steps = yield* ask("window=30m&interval=5m")
      assert.deepStrictEqual([steps.window.step_seconds, steps.groups], [300, null])
      assert.deepStrictEqual(
        router.addedUp.map(({ groupBy, stepsMillis }) => [groupBy, stepsMillis.length]),
        [
          [["step", "model"], 8],
          [["task", "model"], 25],
          [[], 6]
        ]
      )
    }).pipe(Effect.scoped)
  )

  it.live("shows nothing as zeros and nulls, and the first step from where the window begins", () =>
    Effect.gen(function* () {
      const empty: Stats = {
        ...noStats,
        overTime: [{ step: 0, ...noFigures }],
        savings: null
      }
      const api = yield* serveApi(recordingRouter({ stats: () => Effect.succeed(empty) }))
      const from = "2026-01-30T09:37:00Z"
      const shown = JSON.parse((yield* api.ask("GET", `/v1/stats?from=${from}&until=2026-01-31T09:30:00Z`)).body)
      assert.deepInclude(shown.totals, { requests: 0, pending: 0, judged: 0, feedback_coverage: null, reward: null })
      assert.isNull(shown.totals.exploration_share)
      assert.deepStrictEqual([shown.other_tasks, shown.savings], [null, null])
      assert.strictEqual(shown.over_time[0].from, "2026-01-30T09:37:00.000Z")
    }).pipe(Effect.scoped)
  )

  const invalid: ReadonlyArray<readonly [query: string, param: string]> = [
    ["sort=model", "sort"],
    ["__proto__=1", "__proto__"],
    ["window=", "window"],
    ["window=0h", "window"],
    ["window=1w", "window"],
    ["window=24", "window"],
    ["window=-1h", "window"],
    ["window=10000d", "window"],
    ["window=1h&window=2h", "window"],
    ["window=1h&from=2026-01-01T00:00:00Z", "window"],
    ["from=yesterday", "from"],
    ["from=2030-01-01T00:00:00Z&until=2029-01-01T00:00:00Z", "from"],
    ["from=2026-01-01T00:00:00Z&until=2026-01-01T00:00:00Z", "from"],
    ["from=9999-01-01T00:00:00Z", "from"],
    ["until=2026-02-30T00:00:00Z", "until"],
    ["model=", "model"],
    ["model=%00", "model"],
    [`task=${"x".repeat(65)}`, "task"],
    ["interval=0m", "interval"],
    ["interval=fast", "interval"],
    ["interval=1m", "interval"],
    ["interval=1h&group_by=day", "interval"],
    ["group_by=owner", "group_by"],
    ["group_by=", "group_by"],
    ["group_by=model,model", "group_by"],
    ["group_by=hour,day", "group_by"],
    ["group_by=hour&window=90d", "group_by"]
  ]
  for (const [query, param] of invalid) {
    it.live(`answers 400 naming ${param} to ${query.slice(0, 60)}`, () =>
      Effect.gen(function* () {
        const router = recordingRouter()
        const api = yield* serveApi(router)
        const answered = yield* api.ask("GET", `/v1/stats?${query}`)
        assert.deepStrictEqual([answered.status, errorOf(answered.body).param], [400, param], answered.body)
        assert.deepStrictEqual(router.addedUp, [])
      }).pipe(Effect.scoped)
    )
  }

  it.live("answers 503 with Retry-After where the database is away, the window too long, or others are first", () =>
    Effect.gen(function* () {
      for (const [error, code] of [
        [new DatabaseError({ operation: "stats", reason: "connection", detail: "gone" }), "database_unavailable"],
        [new WindowTooLong(), "window_too_long"],
        [new StatsBusy(), "stats_busy"]
      ] as const) {
        const api = yield* serveApi(recordingRouter({ stats: () => Effect.fail(error) }))
        const answered = yield* api.ask("GET", "/v1/stats")
        assert.deepStrictEqual([answered.status, errorOf(answered.body).code], [503, code])
        assert.match(answered.headers["retry-after"] ?? "", /^[1-9]\d*$/)
      }
    }).pipe(Effect.scoped)
  )

  it.live("asks to read again where the database is away, and does not where it will fail again", () =>
    Effect.gen(function* () {
      const failing = (reason: "connection" | "constraint") =>
        serveApi(
          recordingRouter({ stats: () => Effect.fail(new DatabaseError({ operation: "stats", reason, detail: "no" })) })
        )
      const away = yield* (yield* failing("connection")).ask("GET", "/v1/stats")
      assert.strictEqual(errorOf(away.body).message, "the database does not answer this now: ask again")
      const broken = yield* (yield* failing("constraint")).ask("GET", "/v1/stats")
      assert.deepStrictEqual([broken.status, errorOf(broken.body).code], [500, "database_error"])
      assert.notProperty(broken.headers, "retry-after")
    }).pipe(Effect.scoped)
  )

  it.live("answers 405 to a POST, and HEAD without a body", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      assert.strictEqual((yield* api.post("/v1/stats", {})).headers["allow"], "GET, HEAD, OPTIONS")
      const head = yield* api.ask("HEAD", "/v1/stats")
      assert.deepStrictEqual([head.status, head.body], [200, ""])
    }).pipe(Effect.scoped)
  )

  it.live("is described with its parameters and with a definition of every field, as it is answered", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter({ stats: () => Effect.succeed(found) }))
      const document = JSON.parse((yield* api.ask("GET", "/openapi.json")).body)
      const { parameters, responses } = document.paths["/v1/stats"].get
      assert.sameMembers(
        parameters.map((one: { name: string }) => one.name),
        ["window", "from", "until", "model", "task", "interval", "group_by", "savings"]
      )
      for (const one of parameters) assert.isString(one.schema.description ?? one.description, one.name)
      assert.sameMembers(Object.keys(responses), ["200", "400", "401", "403", "405", "431", "500", "503"])
      assert.deepStrictEqual(responses[200].content["application/json"].schema, { $ref: "#/components/schemas/Stats" })

      const defined = new Set<string>()
      const undefinedFields: Array<string> = []
      const walk = (schema: any, path: string) => {
        for (const inner of [...(schema.anyOf ?? []), ...(schema.items === undefined ? [] : [schema.items])]) {
          walk(inner, path)
        }
        for (const [name, inner] of Object.entries<any>(schema.properties ?? {})) {
          const here = path === "" ? name : `${path}.${name}`
          defined.add(here)
          if (typeof inner.description !== "string" || inner.description.length < 10) undefinedFields.push(here)
          walk(inner, here)
        }
      }
      walk(document.components.schemas.Stats, "")
      assert.deepStrictEqual(undefinedFields, [])
      const answered = new Set<string>()
      const visit = (value: unknown, path: string) => {
        if (Array.isArray(value)) for (const one of value) visit(one, path)
        else if (typeof value === "object" && value !== null) {
          for (const [name, inner] of Object.entries(value)) {
            answered.add(path === "" ? name : `${path}.${name}`)
            visit(inner, path === "" ? name : `${path}.${name}`)
          }
        }
      }
      const withAll: Stats = { ...found, totals: { ...figures, firstTokenMs: figures.latencyMs } }
      const whole = yield* serveApi(recordingRouter({ stats: () => Effect.succeed(withAll) }))
      visit(JSON.parse((yield* whole.ask("GET", "/v1/stats")).body), "")
      assert.isAbove(answered.size, 90)
      for (const field of answered) assert.isTrue(defined.has(field), field)
    }).pipe(Effect.scoped)
  )
})
