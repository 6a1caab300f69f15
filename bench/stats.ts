// What GET /v1/stats takes of the database: 90 days of 1,000,000 decisions a day, as the sums that they would have made, and
// the decisions of one hour, which a window reads that begins within it.
// node bench/run.mjs stats [days, 90] [models, 5] [tasks, 10] [owners, 3]
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { RouterId, uuidV7Floor } from "../src/domain/basics/Ids.ts"
import { hourMillis } from "../src/domain/stats/Cover.ts"
import { type StatsQuery, stepsOf } from "../src/domain/stats/Stats.ts"
import { Database } from "../src/services/storage/Database.ts"
import { databaseAt } from "../test/support/closing.ts"
import { query, startPostgres } from "../test/support/postgres.ts"
import { argument, cpuMicros, median, row } from "./support/measure.ts"

const days = argument(0, 90)
const models = argument(1, 5)
const tasks = argument(2, 10)
const owners = argument(3, 3)
const rounds = 15
const decisionsADay = 1_000_000
const routerId = RouterId("bench")
const untilHour = Math.ceil(Date.UTC(2026, 5, 1) / hourMillis) + 15
const fromHour = untilHour - days * 24

/** Rows of sums whose histograms span three octaves. */
const makeSums = (url: string, hours: 1 | 24) =>
  query(
    url,
    `INSERT INTO decision_sums
     SELECT (SELECT key FROM routers), b.bucket, ${hours}, n, n - 5, 2, 1, 1, 1, 3, n / 20, n - 4, n / 10, n / 10 + 2,
       'owner-' || o, 'task-' || t, 'model-' || m, n * 431.7, n * 212.3, n * 0.000123456789, n * 0.0712345, n * 0.0523456, n * 0.0823, n * 0.0623,
       (SELECT sum(('1e' || 12 * (70 + i))::numeric * (n / 24 + i)) FROM generate_series(1, 24) i),
       (SELECT sum(('1e' || 12 * (50 + i))::numeric * (n / 48 + i)) FROM generate_series(1, 16) i)
     FROM generate_series(${fromHour - (fromHour % hours)}, ${untilHour - 1}, ${hours}) AS b(bucket), generate_series(1, ${models}) m,
       generate_series(1, ${tasks}) t, generate_series(1, ${owners}) o,
       LATERAL (SELECT ${Math.ceil((decisionsADay / 24 / models / tasks / owners) * hours)} AS n) n`
  )

/** The decisions of an hour, of all owners. */
const makeDecisions = (url: string, hour: number) =>
  query(
    url,
    `INSERT INTO decisions (id, policy_position, propensity, request_input_tokens, router_key, ok, aborted, stream, exploration,
       chosen, algorithm, version, features_version, preference, reason, owner, task, input_tokens, output_tokens, cost_usd, latency_ms,
       first_token_ms, learned_quality, learned_weight, features, models, predictions)
     SELECT (left(lpad(to_hex(ms), 12, '0'), 8) || '-' || right(lpad(to_hex(ms), 12, '0'), 4) || '-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
       1, 0.5, 100, (SELECT key FROM routers), true, false, false, false, 'model-' || 1 + i % ${models}, 'thompson', '1', 'lexical-1',
       'balanced', 'best', 'owner-' || 1 + i % ${owners}, 'task-' || 1 + i % ${tasks}, 431, 212, 0.000123, 500 + i % 3000,
       CASE WHEN i % 2 = 0 THEN 200 + i % 500 END, CASE WHEN i % 10 = 0 THEN 0.8 END, CASE WHEN i % 10 = 0 THEN 1 END,
       decode(repeat('00', 96), 'hex'), 'model-1,model-2,model-3', '{0.5,0.1,0.001,1,0.5,0.3,0.5,0.1,0.001,1,0.5,0.3,0.5,0.1,0.001,1,0.5,0.3}'
     FROM (SELECT i, ${hour * hourMillis}::bigint + i * 3600000::bigint / ${Math.ceil(decisionsADay / 24)} AS ms
       FROM generate_series(0, ${Math.ceil(decisionsADay / 24) - 1}) i) t`
  )

const asked = (fromMillis: number, untilMillis: number, more: Partial<StatsQuery> = {}): StatsQuery => ({
  owner: "owner-1",
  model: null,
  task: null,
  fromMillis,
  untilMillis,
  ...stepsOf(fromMillis, untilMillis),
  costReferenceUsd: 0.001,
  latencyReferenceSeconds: 2,
  groupBy: [],
  savings: true,
  ...more
})

const postgres = await startPostgres()
try {
  await Effect.gen(function* () {
    const db = yield* Database
    yield* db.router(Option.some(routerId))
    yield* Effect.promise(async () => {
      await makeSums(postgres.url, 1)
      await makeSums(postgres.url, 24)
      await makeDecisions(postgres.url, fromHour)
      await query(postgres.url, "TRUNCATE decision_changes")
      await query(
        postgres.url,
        `INSERT INTO summing SELECT key, '${uuidV7Floor(0)}' FROM routers ON CONFLICT (router_key) DO UPDATE SET summed_from = excluded.summed_from`
      )
      await query(postgres.url, "VACUUM ANALYZE")
    })
    const sizes = yield* Effect.promise(() =>
      query<{ bytes: string; rows: string }>(
        postgres.url,
        "SELECT pg_total_relation_size('decision_sums') AS bytes, (SELECT count(*) FROM decision_sums) AS rows"
      )
    )
    row("rows of sums", [Number(sizes[0]?.rows)])
    row("  bytes a decision", [Number(sizes[0]?.bytes) / (days * decisionsADay)])
    const from = fromHour * hourMillis
    const until = untilHour * hourMillis
    row("GET /v1/stats without savings, ms", ["CPU", "least", "median"])
    for (const [name, statsQuery] of [
      [`${days} days`, asked(from, until)],
      [`${days} days, by task and model`, asked(from, until, { groupBy: ["task", "model"] })],
      [`${days} days, by day and model`, asked(from, until, { groupBy: ["step", "model"] })],
      [`${days} days, from half past an hour on`, asked(from + hourMillis / 2, until)],
      ["25 days, steps of 6 hours", asked(until - 25 * 24 * hourMillis, until)],
      ["4 days, steps of an hour", asked(until - 4 * 24 * hourMillis, until)],
      ["one hour, read from its decisions", asked(from, from + hourMillis)]
    ] as const) {
      yield* db.stats(routerId, statsQuery)
      const backends = yield* Effect.promise(() =>
        query<{ pid: number }>(postgres.url, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'conduit-%'")
      )
      const spentMicros = () => backends.reduce((sum, { pid }) => sum + cpuMicros(pid), cpuMicros(process.pid))
      const before = spentMicros()
      const times: Array<number> = []
      for (let i = 0; i < rounds; i++) {
        const startedMs = performance.now()
        yield* db.stats(routerId, statsQuery)
        times.push(performance.now() - startedMs)
      }
      row(`  ${name}`, [(spentMicros() - before) / 1000 / rounds, Math.min(...times), median(times)])
    }
  }).pipe(Effect.provide(Layer.fresh(databaseAt(postgres.url))), Effect.scoped, Effect.runPromise)
} finally {
  await postgres.dispose()
}
