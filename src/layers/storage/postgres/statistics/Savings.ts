import { refusedError } from "../../../../domain/routing/Outcome.ts"
import { unlearnedReasons } from "../../../../domain/routing/Fault.ts"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type RouterId, uuidV7Floor, uuidV7Millis } from "../../../../domain/basics/Ids.ts"
import { cellsOf } from "../../../../domain/stats/Cells.ts"
import type { Span } from "../../../../domain/stats/Cover.ts"
import { folds, type SavingsRows, type SavingsSums } from "../../../../domain/stats/Savings.ts"
import type { StatsQuery } from "../../../../domain/stats/Stats.ts"
import { parameters, run, type Statement } from "../Statement.ts"
import {
  answerer,
  bounded,
  conditions,
  costScore,
  latencyScore,
  presets,
  quality,
  reading,
  references,
  reward,
  type StatsError,
  sum,
  summed,
  weight
} from "./Parts.ts"
import { drawnReasons } from "../../../../domain/routing/Decision.ts"

/** One of the six numbers of candidate `c.k`, from 1: quality, deviation, cost, latency, score, propensity. */
const predicted = (offset: number) => bounded(`b.predictions[6 * c.k - ${5 - offset}]::float8`)

const total = (value: string, condition = "") => sum(`coalesce(sum(${value}) FILTER (WHERE routed${condition}), 0)`)
const number = (condition: string) => sum(`(count(*) FILTER (WHERE ${condition}))::float8`)

/** Over the pairs of a request and one of its candidates. */
const sums: Record<keyof SavingsSums, ReturnType<typeof sum>> = {
  requests: number("routed"),
  priced: number("routed AND priced"),
  actual: total("cost_usd", " AND priced"),
  own: total("cost_usd", " AND priced AND own"),
  others: total("expected_cost", " AND priced AND NOT own"),
  answers: number("routed AND odds IS NOT NULL"),
  odds: total("odds"),
  oddsSquared: total("odds * odds"),
  answersActual: total("odds * cost_usd"),
  answersPredicted: total("odds * expected_cost"),
  quality: total("expected_quality"),
  reward: total("expected_reward"),
  judged: number("routed AND weight > 0"),
  weight: total("weight"),
  weightSquared: total("weight * weight"),
  qualityResidual: total("weight * (first_quality - expected_quality)"),
  rewardResidual: total("weight * (first_reward - expected_reward)"),
  realWeight: total("real_weight"),
  realQuality: total("real_weight * quality"),
  realReward: total("real_weight * reward"),
  realUnknown: number("routed AND real_unknown")
}

/** Refusals of one request say nothing about the model. */
const unlearned = [...unlearnedReasons, refusedError].map((reason) => `'${reason}'`).join(", ")

/**
 * The sums of `Savings.ts`: each request of the sample beside each of its candidates. A fallback is a failure of the
 * first choice, whose propensity is stored; a session's later requests were not drawn. `per_judged` is how many answers
 * of a model stand behind a judged one. What was decided in the same stretch of time is in one fold, or else, where that is
 * all, what is of the same session. `OFFSET 0` has each column worked out once, and not again in each sum that it is part of.
 */
const savingsStatement = (routerId: RouterId, query: StatsQuery, cells: ReadonlyArray<Span>): Statement => {
  const given = parameters()
  const floorsOf = (end: keyof Span) => cells.map((cell) => uuidV7Floor(cell[end]))
  const { cost, latency } = references(given, query)
  const text = `
    WITH base AS MATERIALIZED (
      SELECT d.models, d.excluded_by, d.predictions, ${answerer} AS model, d.chosen, d.ok,
        ${bounded("d.propensity")} AS propensity, ${bounded("d.cost_usd")} AS cost_usd,
        d.propensity >= 1e-50 AND d.reason IN (${drawnReasons.map((reason) => `'${reason}'`).join(", ")}) AS drawn,
        coalesce(d.answered_by <> d.chosen, false) AS fell_back, ${weight("quality")} AS quality_weight,
        ${weight("cost")} AS cost_weight, ${weight("latency")} AS latency_weight,
        ${cells.length === 1 ? `get_byte(sha256(convert_to(coalesce(d.session_id, d.id::text), 'UTF8')), 0)` : "cell.number::int"} % ${folds} AS fold,
        CASE WHEN NOT d.ok THEN 0 WHEN d.learned_weight > 0 THEN ${quality} END AS quality, ${reward(cost, latency)} AS reward
      FROM unnest(${given.add("uuid[]", floorsOf("fromMillis"))}, ${given.add("uuid[]", floorsOf("untilMillis"))})
        WITH ORDINALITY AS cell(low, high, number) JOIN decisions d ON d.id >= cell.low AND d.id < cell.high JOIN ${presets}
      WHERE ${conditions(given, routerId, query)} AND d.ok IS NOT NULL AND NOT d.aborted AND (d.error IS NULL OR d.error NOT IN (${unlearned}))
        AND d.reason <> 'pinned'),
    shares AS (
      SELECT model, CASE WHEN bool_or(ok) THEN (count(*) FILTER (WHERE ok))::float8 / nullif(count(quality) FILTER (WHERE ok), 0) ELSE 1 END AS per_judged
      FROM base GROUP BY model),
    predictions AS (
      SELECT b.*, c.model AS candidate, b.excluded_by IS NULL OR b.excluded_by[c.k] IS NULL AS routed,
        ${predicted(0)} AS expected_quality, ${predicted(2)} AS expected_cost, ${predicted(3)} AS expected_seconds
      FROM base b, LATERAL unnest(string_to_array(b.models, ',')) WITH ORDINALITY AS c(model, k) OFFSET 0),
    pairs AS (
      SELECT b.candidate, b.fold, b.cost_usd, b.model = b.candidate AS own, b.routed, b.expected_quality, b.expected_cost,
        b.ok AND b.cost_usd IS NOT NULL AND b.expected_cost IS NOT NULL AS priced,
        b.quality_weight * b.expected_quality + b.cost_weight * ${costScore("b.expected_cost", cost)}
          + b.latency_weight * ${latencyScore("b.expected_seconds", latency)} AS expected_reward,
        b.quality, b.reward,
        b.ok AND s.per_judged IS NULL AS real_unknown,
        CASE WHEN b.quality IS NULL OR s.per_judged IS NULL THEN 0 WHEN b.ok THEN s.per_judged ELSE 1 END AS real_weight,
        CASE WHEN NOT b.drawn OR b.chosen <> b.candidate THEN 0
             WHEN b.fell_back OR NOT b.ok THEN 1 / b.propensity
             WHEN b.quality IS NULL THEN 0 ELSE s.per_judged / b.propensity END AS weight,
        CASE WHEN b.drawn AND b.chosen = b.candidate AND NOT b.fell_back AND b.ok AND b.cost_usd IS NOT NULL
             AND b.expected_cost IS NOT NULL THEN 1 / b.propensity - 1 END AS odds,
        CASE WHEN b.fell_back THEN 0 ELSE b.quality END AS first_quality, CASE WHEN b.fell_back THEN 0 ELSE b.reward END AS first_reward
      FROM predictions b LEFT JOIN shares s ON s.model = b.model OFFSET 0)
    SELECT candidate AS model, fold, ${summed(sums, (sql) => sql)}, (SELECT count(*) FROM base)::float8 AS all_requests
    FROM pairs GROUP BY candidate, fold`
  return { text, values: given.values }
}

const SavingsRowColumns = Schema.Struct({
  model: Schema.String,
  fold: Schema.Number,
  all_requests: Schema.Number,
  ...sums
})
const decodeSavings = Schema.decodeUnknown(Schema.Array(SavingsRowColumns))

/** Whoever they are of: so many decisions are read. */
const mostRead = 400_000

/** About how many decisions of anybody are in the window: as if they were spread evenly over the time that the table has. */
const tableStatement: Statement = {
  text: `SELECT greatest(0, reltuples)::float8 AS rows, (SELECT id FROM decisions ORDER BY id LIMIT 1) AS first,
    (SELECT id FROM decisions ORDER BY id DESC LIMIT 1) AS last FROM pg_class WHERE oid = 'decisions'::regclass`,
  values: []
}
const TableRow = Schema.Struct({
  rows: Schema.Number,
  first: Schema.NullOr(Schema.String),
  last: Schema.NullOr(Schema.String)
})
const decodeTable = Schema.decodeUnknown(Schema.Array(TableRow))

const readOf = (query: StatsQuery, row: typeof TableRow.Type | undefined): number => {
  if (row === undefined || row.first === null || row.last === null) return 0
  const [first, last] = [uuidV7Millis(row.first), uuidV7Millis(row.last) + 1]
  const common = Math.min(last, query.untilMillis) - Math.max(first, query.fromMillis)
  return (row.rows * Math.max(0, common)) / (last - first)
}

export const selectSavings = (
  sql: SqlClient.SqlClient,
  routerId: RouterId,
  query: StatsQuery,
  sampled: number
): Effect.Effect<SavingsRows, StatsError> =>
  reading(
    sql,
    Effect.gen(function* () {
      const [table] = yield* Effect.flatMap(run(sql, tableStatement), decodeTable)
      const every = Math.ceil(Math.max(1 / sampled, readOf(query, table) / mostRead))
      const statement = savingsStatement(routerId, query, cellsOf(query, every))
      const rows = yield* Effect.flatMap(run(sql, statement), decodeSavings)
      return { sampled: 1 / every, requests: rows[0]?.all_requests ?? 0, rows }
    })
  )
