import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RouterId } from "../../../domain/basics/Ids.ts"
import { folds, type SavingsRows, type SavingsSums } from "../../../domain/stats/Savings.ts"
import type { StatsQuery } from "../../../domain/stats/Stats.ts"
import {
  answerer,
  conditions,
  costScore,
  parameters,
  presets,
  reading,
  reward,
  run,
  sample,
  type Statement,
  type StatsError,
  weight
} from "./PgStatsSql.ts"

/** Index of the first of the six numbers of candidate `c.k`, from 1: quality, deviation, cost, latency, score, propensity. */
const predicted = (offset: number) => `b.predictions[6 * c.k - ${5 - offset}]`

/**
 * The sums of `Savings.ts`: each request of the sample beside each of its candidates. A fallback is a failure of the
 * first choice, whose propensity is stored; a session's later requests were not drawn. `per_judged` is how many answers
 * of a model stand behind a judged one.
 */
const savingsStatement = (routerId: RouterId, query: StatsQuery, sampled: number): Statement => {
  const { add, values } = parameters()
  const cost = add("float8", query.costReferenceUsd)
  const latency = add("float8", query.latencyReferenceSeconds)
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
        AND d.reason <> 'pinned' ${sample(add, sampled)}),
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
        b.ok AND s.per_judged IS NULL AS real_unknown,
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
      (count(*) FILTER (WHERE routed AND real_unknown))::float8 AS "realUnknown",
      (SELECT count(*) FROM base)::float8 AS all_requests
    FROM pairs GROUP BY model, fold`
  return { text, values }
}

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
  realReward: Schema.Number,
  realUnknown: Schema.Number
}
const SavingsRowColumns = Schema.Struct({
  model: Schema.String,
  fold: Schema.Number,
  all_requests: Schema.Number,
  ...sums
})
const decodeSavings = Schema.decodeUnknown(Schema.Array(SavingsRowColumns))

export const selectSavings = (
  sql: SqlClient.SqlClient,
  routerId: RouterId,
  query: StatsQuery,
  sampled: number
): Effect.Effect<SavingsRows, StatsError> =>
  reading(
    sql,
    Effect.map(Effect.flatMap(run(sql, savingsStatement(routerId, query, sampled)), decodeSavings), (rows) => ({
      sampled,
      requests: rows[0]?.all_requests ?? 0,
      rows
    }))
  )
