import { emptyError, refusedError } from "../../../../domain/routing/Outcome.ts"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type RouterId, uuidV7Floor } from "../../../../domain/basics/Ids.ts"
import {
  type Figures,
  mostGroups,
  noFigures,
  type Sample,
  type StatsQuery,
  type StatsRows
} from "../../../../domain/stats/Stats.ts"
import { type Parameters, parameters, run, type Statement } from "../Statement.ts"
import {
  answerer,
  bounded,
  conditions,
  presets,
  quality,
  reading,
  references,
  reward,
  sample,
  type StatsError,
  sum,
  summed
} from "./Parts.ts"

const stepOf = ({ add }: Parameters, query: StatsQuery): string =>
  `width_bucket(d.id, ${add("uuid[]", query.stepsMillis.map(uuidV7Floor))}) - 1 AS step`

/** Over the rows of `figuresStatement`'s `d`. */
const sums = {
  requests: sum("count(*)"),
  answered: sum("count(*) FILTER (WHERE ok AND NOT refused)"),
  failed: sum("count(*) FILTER (WHERE NOT ok AND NOT aborted AND NOT is_empty)"),
  refused: sum("count(*) FILTER (WHERE ok AND refused)"),
  empty: sum("count(*) FILTER (WHERE NOT ok AND NOT aborted AND is_empty)"),
  aborted: sum("count(*) FILTER (WHERE aborted)"),
  fallbacks: sum("count(*) FILTER (WHERE fell_back)"),
  explored: sum("count(*) FILTER (WHERE exploration)"),
  inputTokens: sum("sum(input_tokens)"),
  outputTokens: sum("sum(output_tokens)"),
  costUsd: sum("sum(cost_usd)"),
  priced: sum("count(cost_usd)"),
  judged: sum("count(quality)"),
  quality: sum("sum(quality)"),
  qualitySquares: sum("sum(quality * quality)"),
  rewarded: sum("count(reward)"),
  reward: sum("sum(reward)"),
  rewardSquares: sum("sum(reward * reward)")
}

/**
 * Everything but percentiles. One pass over the window adds up each combination, which workers can do together; the rest
 * is a few thousand rows. Of the models and tasks only the most frequent ones are answered.
 */
const figuresStatement = (routerId: RouterId, query: StatsQuery): Statement => {
  const given = parameters()
  const { cost, latency } = references(given, query)
  const text = `
    WITH d AS (
      SELECT ${answerer} AS model, d.task, ${stepOf(given, query)}, d.ok, d.aborted,
        d.error IS NOT DISTINCT FROM '${refusedError}' AS refused, d.error IS NOT DISTINCT FROM '${emptyError}' AS is_empty,
        d.answered_by <> d.chosen AS fell_back, d.exploration, ${bounded("d.input_tokens")} AS input_tokens,
        ${bounded("d.output_tokens")} AS output_tokens, ${bounded("d.cost_usd")} AS cost_usd,
        CASE WHEN d.ok AND d.learned_weight > 0 THEN ${quality} END AS quality, ${reward(cost, latency)} AS reward
      FROM decisions d JOIN ${presets}
      WHERE ${conditions(given, routerId, query)}),
    combined AS (SELECT model, task, step, ${summed(sums, (sql) => sql)} FROM d GROUP BY model, task, step),
    grouped AS (
      SELECT grouping(model, task, step) AS grouped_by, model, task, step,
        ${summed(sums, (_, name) => `coalesce(sum("${name}"), 0)::float8`)}
      FROM combined GROUP BY GROUPING SETS ((), (model), (task), (step))),
    ranked AS (
      SELECT *, row_number() OVER (PARTITION BY grouped_by ORDER BY requests DESC, model, task) AS rank,
        (count(*) OVER (PARTITION BY grouped_by))::float8 AS groups FROM grouped)
    SELECT * FROM ranked WHERE grouped_by = ${groupedBy.step} OR rank <= ${mostGroups} ORDER BY grouped_by, step, rank`
  return { text, values: given.values }
}

const percentiles = (column: string) =>
  `percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY ${column}) AS ${column}`

/** Each set sorts all rows, so there must not be too many of them. */
const percentilesStatement = (
  routerId: RouterId,
  query: StatsQuery,
  share: number,
  shown: { readonly models: ReadonlyArray<string | null>; readonly tasks: ReadonlyArray<string | null> }
): Statement => {
  const given = parameters()
  const text = `
    WITH d AS (
      SELECT ${answerer} AS model, d.task, ${stepOf(given, query)}, d.latency_ms, d.first_token_ms
      FROM decisions d WHERE ${conditions(given, routerId, query)} AND d.ok ${sample(given, share)})
    SELECT grouping(model, task, step) AS grouped_by, model, task, step, ${percentiles("latency_ms")}, ${percentiles("first_token_ms")}
    FROM d GROUP BY GROUPING SETS ((), (model), (task), (step))
    HAVING grouping(model, task) = 3 OR (grouping(model) = 0 AND model = ANY(${given.add("text[]", shown.models)}))
      OR (grouping(task) = 0 AND (task IS NULL OR task = ANY(${given.add("text[]", shown.tasks)})))`
  return { text, values: given.values }
}

/** What `grouping(model, task, step)` answers: a bit for each that is not grouped by. */
const groupedBy = { model: 3, task: 5, step: 6, nothing: 7 }

/** The failed ones have an index of their own. */
const errorsStatement = (routerId: RouterId, query: StatsQuery): Statement => {
  const given = parameters()
  const text = `
    SELECT ${answerer} AS model, d.error AS reason, count(*)::float8 AS count
    FROM decisions d WHERE ${conditions(given, routerId, query)} AND d.ok IS NOT TRUE AND NOT d.ok AND NOT d.aborted
    GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT ${mostGroups}`
  return { text, values: given.values }
}

const Group = {
  grouped_by: Schema.Number,
  model: Schema.NullOr(Schema.String),
  task: Schema.NullOr(Schema.String),
  step: Schema.NullOr(Schema.Number)
}
const FiguresRow = Schema.Struct({ ...Group, groups: Schema.Number, ...sums })
type FiguresRow = typeof FiguresRow.Type
const decodeFigures = Schema.decodeUnknown(Schema.Array(FiguresRow))

const PercentilesColumn = Schema.NullOr(Schema.Tuple(Schema.Number, Schema.Number, Schema.Number, Schema.Number))
const PercentilesRow = Schema.Struct({ ...Group, latency_ms: PercentilesColumn, first_token_ms: PercentilesColumn })
type PercentilesRow = typeof PercentilesRow.Type
const decodePercentiles = Schema.decodeUnknown(Schema.Array(PercentilesRow))

const ErrorRow = Schema.Struct({ model: Schema.String, reason: Schema.NullOr(Schema.String), count: Schema.Number })
const decodeErrors = Schema.decodeUnknown(Schema.Array(ErrorRow))

const percentilesOf = (cell: PercentilesRow["latency_ms"] = null): Figures["latencyMs"] => {
  if (cell === null) return null
  const [p50, p90, p95, p99] = cell
  return { p50, p90, p95, p99 }
}

const sampleOf = (count: number, sum: number, squares: number): Sample | null => {
  if (count === 0) return null
  const mean = sum / count
  return { count, mean, variance: count < 2 ? null : Math.max(0, squares - sum * mean) / (count - 1) }
}

const figuresOf = (row: FiguresRow, times: PercentilesRow | undefined): Figures => ({
  requests: row.requests,
  answered: row.answered,
  failed: row.failed,
  aborted: row.aborted,
  refused: row.refused,
  empty: row.empty,
  fallbacks: row.fallbacks,
  explored: row.explored,
  inputTokens: row.inputTokens,
  outputTokens: row.outputTokens,
  costUsd: row.costUsd,
  priced: row.priced,
  latencyMs: percentilesOf(times?.latency_ms),
  firstTokenMs: percentilesOf(times?.first_token_ms),
  quality: sampleOf(row.judged, row.quality, row.qualitySquares),
  reward: sampleOf(row.rewarded, row.reward, row.rewardSquares)
})

/** Percentiles are of so many answers, drawn from all of them. */
const mostTimes = 100_000

const keyOf = ({ grouped_by, model, step, task }: Pick<FiguresRow, keyof typeof Group>) =>
  JSON.stringify([grouped_by, model, task, step])

export const selectStats = (
  sql: SqlClient.SqlClient,
  routerId: RouterId,
  query: StatsQuery
): Effect.Effect<StatsRows, StatsError> =>
  reading(
    sql,
    Effect.gen(function* () {
      const rows = yield* Effect.flatMap(run(sql, figuresStatement(routerId, query)), decodeFigures)
      const by = (kind: number) => rows.filter((row) => row.grouped_by === kind)
      const [models, tasks] = [by(groupedBy.model), by(groupedBy.task)]
      const total = rows.find((row) => row.grouped_by === groupedBy.nothing)
      const share = Math.min(1, mostTimes / Math.max(1, total?.answered ?? 0))
      const shown = { models: models.map(({ model }) => model), tasks: tasks.map(({ task }) => task) }
      const times = new Map(
        (yield* Effect.flatMap(run(sql, percentilesStatement(routerId, query, share, shown)), decodePercentiles)).map(
          (row) => [keyOf(row), row]
        )
      )
      const figures = (row: FiguresRow) => figuresOf(row, times.get(keyOf(row)))
      const errors =
        total === undefined || total.failed === 0
          ? []
          : yield* Effect.flatMap(run(sql, errorsStatement(routerId, query)), decodeErrors)
      return {
        totals: total === undefined ? noFigures : figures(total),
        byModel: models.map((row) => ({ model: row.model ?? "", ...figures(row) })),
        byTask: tasks.map((row) => ({ task: row.task, ...figures(row) })),
        tasks: tasks[0]?.groups ?? 0,
        overTime: by(groupedBy.step).map((row) => ({ step: row.step ?? 0, ...figures(row) })),
        errors
      }
    })
  )
