import type * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlError from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { type RouterId, uuidV7Floor } from "../../domain/Ids.ts"
import { folds, type SavingsRows, type SavingsSums } from "../../domain/Savings.ts"
import { type Figures, mostGroups, noFigures, type StatsQuery, type StatsRows } from "../../domain/Stats.ts"
import { storable } from "../../domain/StorableText.ts"
import { preferences } from "../../domain/Weights.ts"
import { transact } from "./start.ts"

interface Statement {
  readonly text: string
  readonly values: ReadonlyArray<unknown>
}

/** Numbered parameters, as they come. */
const parameters = () => {
  const values: Array<unknown> = []
  const add = (type: string, value: unknown) => {
    values.push(typeof value === "string" ? storable(value) : value)
    return `$${values.length}::${type}`
  }
  return { values, add }
}

type Add = ReturnType<typeof parameters>["add"]

const answerer = "coalesce(d.answered_by, d.chosen)"

/** The primary key is the order of time, so a window is a range of it. */
const conditions = (add: Add, routerId: RouterId, query: StatsQuery): string =>
  [
    `d.router_key = (SELECT key FROM routers WHERE id = ${add("text", routerId)})`,
    `d.id >= ${add("uuid", uuidV7Floor(query.fromMillis))}`,
    `d.id < ${add("uuid", uuidV7Floor(query.untilMillis))}`,
    query.owner === null ? "d.owner IS NULL" : `d.owner = ${add("text", query.owner)}`,
    ...(query.model === null ? [] : [`${answerer} = ${add("text", query.model)}`]),
    ...(query.task === null ? [] : [`d.task = ${add("text", query.task)}`])
  ].join(" AND ")

const presets = `(VALUES ${Object.entries(preferences)
  .map(([name, w]) => `('${name}', ${w.quality}::float8, ${w.cost}::float8, ${w.latency}::float8)`)
  .join(", ")}) AS preset(preference, quality, cost, latency) USING (preference)`

const weight = (name: "quality" | "cost" | "latency") =>
  `coalesce(d.weights[${["quality", "cost", "latency"].indexOf(name) + 1}], preset.${name})`

const costScore = (usd: string, reference: string) =>
  `(CASE WHEN ${usd} IS NULL THEN 0.5 ELSE 1 / (1 + ${usd} / ${reference}) END)`

/** As `Reward.ts` has it; what is learned of a decision is the combination of all judgements on it. */
const reward = (cost: string, latency: string) =>
  `CASE WHEN d.aborted THEN NULL WHEN NOT d.ok THEN 0 WHEN d.ok AND d.learned_weight > 0 THEN
     ${weight("quality")} * d.learned_quality + ${weight("cost")} * ${costScore("d.cost_usd", cost)}
     + ${weight("latency")} / (1 + coalesce(d.first_token_ms, d.latency_ms, 0) / 1000 / ${latency}) END`

const percentiles = (column: string) => `percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY ${column})`

/** One pass over the window, added up four ways. Of the models and tasks only the most frequent ones are answered. */
export const figuresStatement = (routerId: RouterId, query: StatsQuery): Statement => {
  const { add, values } = parameters()
  const cost = add("float8", query.costReferenceUsd)
  const latency = add("float8", query.latencyReferenceSeconds)
  const steps = add("uuid[]", query.stepsMillis.map(uuidV7Floor))
  const text = `
    WITH d AS (
      SELECT ${answerer} AS model, d.task, width_bucket(d.id, ${steps}) - 1 AS step, d.ok, d.aborted,
        d.answered_by <> d.chosen AS fell_back, d.exploration, d.input_tokens, d.output_tokens, d.cost_usd,
        CASE WHEN d.ok THEN d.latency_ms END AS latency_ms, CASE WHEN d.ok THEN d.first_token_ms END AS first_token_ms,
        CASE WHEN d.ok AND d.learned_weight > 0 THEN d.learned_quality END AS quality, ${reward(cost, latency)} AS reward
      FROM decisions d JOIN ${presets}
      WHERE ${conditions(add, routerId, query)}),
    grouped AS (
      SELECT grouping(model, task, step) AS grouped_by, model, task, step, count(*)::float8 AS requests,
        (count(*) FILTER (WHERE ok))::float8 AS answered, (count(*) FILTER (WHERE NOT ok AND NOT aborted))::float8 AS failed,
        (count(*) FILTER (WHERE aborted))::float8 AS aborted, (count(*) FILTER (WHERE fell_back))::float8 AS fallbacks,
        (count(*) FILTER (WHERE exploration))::float8 AS explored,
        coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
        coalesce(sum(cost_usd), 0) AS cost_usd, count(cost_usd)::float8 AS priced,
        ${percentiles("latency_ms")} AS latency_ms, ${percentiles("first_token_ms")} AS first_token_ms,
        count(quality)::float8 AS judged, avg(quality) AS quality, var_samp(quality) AS quality_variance,
        count(reward)::float8 AS rewarded, avg(reward) AS reward, var_samp(reward) AS reward_variance
      FROM d GROUP BY GROUPING SETS ((), (model), (task), (step))),
    ranked AS (
      SELECT *, row_number() OVER (PARTITION BY grouped_by ORDER BY requests DESC, model, task) AS rank,
        (count(*) OVER (PARTITION BY grouped_by))::float8 AS groups FROM grouped)
    SELECT * FROM ranked WHERE grouped_by = ${groupedBy.step} OR rank <= ${mostGroups} ORDER BY grouped_by, step, rank`
  return { text, values }
}

/** What `grouping(model, task, step)` answers: a bit for each that is not grouped by. */
const groupedBy = { model: 3, task: 5, step: 6, nothing: 7 }

/** The failed ones have an index of their own. */
export const errorsStatement = (routerId: RouterId, query: StatsQuery): Statement => {
  const { add, values } = parameters()
  const text = `
    SELECT ${answerer} AS model, d.error AS reason, count(*)::float8 AS count
    FROM decisions d WHERE ${conditions(add, routerId, query)} AND d.ok IS NOT TRUE AND NOT d.ok AND NOT d.aborted
    GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT ${mostGroups}`
  return { text, values }
}

/** Index of the first of the six numbers of candidate `c.k`, from 1: quality, deviation, cost, latency, score, propensity. */
const predicted = (offset: number) => `b.predictions[6 * c.k - ${5 - offset}]`

/**
 * The sums of `Savings.ts`: each request of the sample beside each of its candidates. A fallback is a failure of the
 * first choice, whose propensity is stored; a session's later requests were not drawn. `per_judged` is how many answers
 * of a model stand behind a judged one.
 */
export const savingsStatement = (routerId: RouterId, query: StatsQuery, sampled: number): Statement => {
  const { add, values } = parameters()
  const cost = add("float8", query.costReferenceUsd)
  const latency = add("float8", query.latencyReferenceSeconds)
  // The last 16 bits of an id are random.
  const sample =
    sampled < 1
      ? `AND get_byte(uuid_send(d.id), 14) * 256 + get_byte(uuid_send(d.id), 15) < ${add("int", Math.round(sampled * 65_536))}`
      : ""
  const text = `
    WITH base AS MATERIALIZED (
      SELECT d.models, d.excluded_by, d.predictions, ${answerer} AS model, d.chosen, d.reason, d.propensity, d.ok, d.cost_usd,
        d.propensity > 0 AND d.reason IN ('best', 'explore', 'control', 'only_eligible') AS drawn,
        coalesce(d.answered_by <> d.chosen, false) AS fell_back, ${weight("quality")} AS quality_weight,
        ${weight("cost")} AS cost_weight, ${weight("latency")} AS latency_weight,
        get_byte(sha256(convert_to(coalesce(d.session_id, d.id::text), 'UTF8')), 0) % ${folds} AS fold,
        CASE WHEN NOT d.ok THEN 0 WHEN d.learned_weight > 0 THEN d.learned_quality END AS quality, ${reward(cost, latency)} AS reward
      FROM decisions d JOIN ${presets}
      WHERE ${conditions(add, routerId, query)} AND d.ok IS NOT NULL AND NOT d.aborted AND d.error IS DISTINCT FROM 'rejected'
        AND d.reason <> 'pinned' ${sample}),
    shares AS (
      SELECT model, CASE WHEN bool_or(ok) THEN (count(*) FILTER (WHERE ok))::float8 / nullif(count(quality) FILTER (WHERE ok), 0) ELSE 1 END AS per_judged
      FROM base GROUP BY model),
    pairs AS (
      SELECT c.model, b.fold, b.ok, b.cost_usd, b.model = c.model AS own,
        b.excluded_by IS NULL OR b.excluded_by[c.k] IS NULL AS routed,
        ${predicted(0)} AS expected_quality, ${predicted(2)} AS expected_cost,
        b.quality_weight * ${predicted(0)} + b.cost_weight * ${costScore(predicted(2), cost)}
          + b.latency_weight / (1 + ${predicted(3)} / ${latency}) AS expected_reward,
        b.quality, b.reward,
        CASE WHEN b.quality IS NULL OR s.per_judged IS NULL THEN 0 WHEN b.ok THEN s.per_judged ELSE 1 END AS real_weight,
        CASE WHEN NOT b.drawn OR b.chosen <> c.model THEN 0
             WHEN b.fell_back OR NOT b.ok THEN 1 / b.propensity
             WHEN b.quality IS NULL THEN 0 ELSE s.per_judged / b.propensity END AS weight,
        CASE WHEN b.drawn AND b.chosen = c.model AND NOT b.fell_back AND b.ok AND b.cost_usd IS NOT NULL
             AND ${predicted(2)} IS NOT NULL THEN 1 / b.propensity - 1 END AS odds,
        CASE WHEN b.fell_back THEN 0 ELSE b.quality END AS first_quality, CASE WHEN b.fell_back THEN 0 ELSE b.reward END AS first_reward
      FROM base b LEFT JOIN shares s ON s.model = b.model, LATERAL unnest(string_to_array(b.models, ',')) WITH ORDINALITY AS c(model, k))
    SELECT model, fold, (count(*) FILTER (WHERE routed))::float8 AS requests,
      (count(*) FILTER (WHERE routed AND ok AND cost_usd IS NOT NULL AND expected_cost IS NOT NULL))::float8 AS priced,
      coalesce(sum(cost_usd) FILTER (WHERE routed AND ok AND expected_cost IS NOT NULL), 0) AS actual,
      coalesce(sum(cost_usd) FILTER (WHERE routed AND ok AND expected_cost IS NOT NULL AND own), 0) AS own,
      coalesce(sum(expected_cost::float8) FILTER (WHERE routed AND ok AND cost_usd IS NOT NULL AND NOT own), 0) AS others,
      (count(odds) FILTER (WHERE routed))::float8 AS answers,
      coalesce(sum(odds) FILTER (WHERE routed), 0) AS odds,
      coalesce(sum(odds * odds) FILTER (WHERE routed), 0) AS "oddsSquared",
      coalesce(sum(odds * cost_usd) FILTER (WHERE routed), 0) AS "answersActual",
      coalesce(sum(odds * expected_cost) FILTER (WHERE routed), 0) AS "answersPredicted",
      coalesce(sum(expected_quality::float8) FILTER (WHERE routed), 0) AS quality,
      coalesce(sum(expected_reward) FILTER (WHERE routed), 0) AS reward,
      (count(*) FILTER (WHERE routed AND weight > 0))::float8 AS judged,
      coalesce(sum(weight) FILTER (WHERE routed), 0) AS weight,
      coalesce(sum(weight * weight) FILTER (WHERE routed), 0) AS "weightSquared",
      coalesce(sum(weight * (first_quality - expected_quality)) FILTER (WHERE routed), 0) AS "qualityResidual",
      coalesce(sum(weight * (first_reward - expected_reward)) FILTER (WHERE routed), 0) AS "rewardResidual",
      coalesce(sum(real_weight) FILTER (WHERE routed), 0) AS "realWeight",
      coalesce(sum(real_weight * quality) FILTER (WHERE routed), 0) AS "realQuality",
      coalesce(sum(real_weight * reward) FILTER (WHERE routed), 0) AS "realReward",
      (SELECT count(*) FROM base)::float8 AS all_requests
    FROM pairs GROUP BY model, fold`
  return { text, values }
}

const Nullable = Schema.NullOr(Schema.Number)
const PercentilesColumn = Schema.NullOr(Schema.Tuple(Schema.Number, Schema.Number, Schema.Number, Schema.Number))
const FiguresRow = Schema.Struct({
  grouped_by: Schema.Number,
  groups: Schema.Number,
  model: Schema.NullOr(Schema.String),
  task: Schema.NullOr(Schema.String),
  step: Nullable,
  requests: Schema.Number,
  answered: Schema.Number,
  failed: Schema.Number,
  aborted: Schema.Number,
  fallbacks: Schema.Number,
  explored: Schema.Number,
  input_tokens: Schema.Number,
  output_tokens: Schema.Number,
  cost_usd: Schema.Number,
  priced: Schema.Number,
  latency_ms: PercentilesColumn,
  first_token_ms: PercentilesColumn,
  judged: Schema.Number,
  quality: Nullable,
  quality_variance: Nullable,
  rewarded: Schema.Number,
  reward: Nullable,
  reward_variance: Nullable
})
type FiguresRow = typeof FiguresRow.Type
const decodeFigures = Schema.decodeUnknown(Schema.Array(FiguresRow))

const ErrorRow = Schema.Struct({ model: Schema.String, reason: Schema.NullOr(Schema.String), count: Schema.Number })
const decodeErrors = Schema.decodeUnknown(Schema.Array(ErrorRow))

const sums: Record<keyof SavingsSums, typeof Schema.Number> = {
  requests: Schema.Number,
  priced: Schema.Number,
  actual: Schema.Number,
  own: Schema.Number,
  others: Schema.Number,
  answers: Schema.Number,
  odds: Schema.Number,
  oddsSquared: Schema.Number,
  answersActual: Schema.Number,
  answersPredicted: Schema.Number,
  quality: Schema.Number,
  reward: Schema.Number,
  judged: Schema.Number,
  weight: Schema.Number,
  weightSquared: Schema.Number,
  qualityResidual: Schema.Number,
  rewardResidual: Schema.Number,
  realWeight: Schema.Number,
  realQuality: Schema.Number,
  realReward: Schema.Number
}
const SavingsRowColumns = Schema.Struct({
  model: Schema.String,
  fold: Schema.Number,
  all_requests: Schema.Number,
  ...sums
})
const decodeSavings = Schema.decodeUnknown(Schema.Array(SavingsRowColumns))

const percentilesOf = (cell: FiguresRow["latency_ms"]): Figures["latencyMs"] => {
  if (cell === null) return null
  const [p50, p90, p95, p99] = cell
  return { p50, p90, p95, p99 }
}

const sampleOf = (count: number, mean: number | null, variance: number | null): Figures["quality"] =>
  mean === null ? null : { count, mean, variance }

const figuresOf = (row: FiguresRow): Figures => ({
  requests: row.requests,
  answered: row.answered,
  failed: row.failed,
  aborted: row.aborted,
  fallbacks: row.fallbacks,
  explored: row.explored,
  inputTokens: row.input_tokens,
  outputTokens: row.output_tokens,
  costUsd: row.cost_usd,
  priced: row.priced,
  latencyMs: percentilesOf(row.latency_ms),
  firstTokenMs: percentilesOf(row.first_token_ms),
  quality: sampleOf(row.judged, row.quality, row.quality_variance),
  reward: sampleOf(row.rewarded, row.reward, row.reward_variance)
})

/**
 * Compiling these statements takes longer than running them, and with the usual memory each of the sorts goes to disk.
 * For this transaction alone.
 */
const tuned = "SELECT set_config('jit', 'off', true), set_config('work_mem', '64MB', true)"

type StatsError = SqlError.SqlError | ParseResult.ParseError

const run = (sql: SqlClient.SqlClient, { text, values }: Statement) => sql.unsafe(text, values)

export const selectStats = (
  sql: SqlClient.SqlClient,
  routerId: RouterId,
  query: StatsQuery
): Effect.Effect<StatsRows, StatsError> =>
  transact(
    sql,
    Effect.gen(function* () {
      yield* sql.unsafe(tuned)
      const rows = yield* Effect.flatMap(run(sql, figuresStatement(routerId, query)), decodeFigures)
      const totals = rows.find((row) => row.grouped_by === groupedBy.nothing)
      const errors =
        totals === undefined || totals.failed === 0
          ? []
          : yield* Effect.flatMap(run(sql, errorsStatement(routerId, query)), decodeErrors)
      const by = (kind: number) => rows.filter((row) => row.grouped_by === kind)
      return {
        totals: totals === undefined ? noFigures : figuresOf(totals),
        byModel: by(groupedBy.model).map((row) => ({ model: row.model ?? "", ...figuresOf(row) })),
        byTask: by(groupedBy.task).map((row) => ({ task: row.task, ...figuresOf(row) })),
        tasks: by(groupedBy.task)[0]?.groups ?? 0,
        overTime: by(groupedBy.step).map((row) => ({ step: row.step ?? 0, ...figuresOf(row) })),
        errors
      }
    })
  )

export const selectSavings = (
  sql: SqlClient.SqlClient,
  routerId: RouterId,
  query: StatsQuery,
  sampled: number
): Effect.Effect<SavingsRows, StatsError> =>
  transact(
    sql,
    Effect.gen(function* () {
      yield* sql.unsafe(tuned)
      const rows = yield* Effect.flatMap(run(sql, savingsStatement(routerId, query, sampled)), decodeSavings)
      return { sampled, requests: rows[0]?.all_requests ?? 0, rows }
    })
  )
