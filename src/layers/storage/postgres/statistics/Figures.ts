import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type RouterId, uuidV7Floor, uuidV7Millis } from "../../../../domain/basics/Ids.ts"
import {
  type Cover,
  coverOf,
  hourMillis,
  hourQuarters,
  isByQuarters,
  quarterCoverOf,
  quarterMillis,
  type Span,
  type SumRange
} from "../../../../domain/stats/Cover.ts"
import {
  type Dimension,
  type Figures,
  mostCombined,
  mostGroups,
  noFigures,
  noStats,
  type Sample,
  type StatsQuery,
  type StatsRows
} from "../../../../domain/stats/Stats.ts"
import { binsIn, percentilesIn } from "../../../../domain/stats/Times.ts"
import { summedFor } from "../rows/Owner.ts"
import { type Parameters, parameters, run, type Statement } from "../Statement.ts"
import { countNames, isFailure, measured, measureNames, noted, numberNames, sumsOf, timeNames } from "./Measures.ts"
import { reading, type StatsError } from "./Parts.ts"

/** A router as the statements name it, and which sums and rows an answer is made of. */
interface CoveredRouter {
  readonly key: number
  readonly cover: Cover
}

/** The decisions that no sum tells of, each with a `sign`: those of the rest of the window, and what changed since. */
const liveRows = ({ add }: Parameters, { cover, key }: CoveredRouter): string => {
  const ids = (span: Span, id: string) =>
    `${id} >= ${add("uuid", uuidV7Floor(span.fromMillis))} AND ${id} < ${add("uuid", uuidV7Floor(span.untilMillis))}`
  const rest = cover.rest.map(
    (span) => `SELECT 1 AS sign, d.* FROM decisions d WHERE d.router_key = ${add("int", key)} AND ${ids(span, "d.id")}`
  )
  const changed =
    cover.summed === null
      ? []
      : [
          noted(`(SELECT DISTINCT ON (decision_id) decision_id, before FROM decision_changes
            WHERE router_key = ${add("int", key)} AND ${ids(cover.summed, "decision_id")} ORDER BY decision_id, seq)`)
        ]
  return [...rest, ...changed].join("\nUNION ALL ") || "SELECT 1 AS sign, d.* FROM decisions d WHERE false"
}

const filters = (given: Parameters, query: StatsQuery): string =>
  [
    "true",
    ...summedFor(given, "owner", query),
    ...(query.model === null ? [] : [`model = ${given.addText(query.model)}`]),
    ...(query.task === null ? [] : [`task = ${given.addText(query.task)}`])
  ].join(" AND ")

/** One `SELECT` of each range of sums. */
const sumRows = (
  given: Parameters,
  { cover, key }: CoveredRouter,
  query: StatsQuery,
  table: string,
  columnsOf: (range: SumRange) => string
) =>
  cover.sums.map(
    ({ from, hours, until }) => `SELECT ${columnsOf({ from, hours, until })} FROM ${table} s
      WHERE router_key = ${given.add("int", key)} AND ${filters(given, query)} AND hours = ${given.add("smallint", hours)}
        AND bucket >= ${given.add("int", from)} AND bucket < ${given.add("int", until)}`
  )

const floats = (names: ReadonlyArray<string>) => names.map((name) => `${name}::float8`)

/** What `grouping(model, task, step)` answers has a bit for each that is not grouped by. */
const bits: Record<Dimension, number> = { model: 4, task: 2, step: 1 }
const kindOf = (dimensions: ReadonlyArray<Dimension>) =>
  dimensions.reduce((kind, dimension) => kind & ~bits[dimension], bits.model | bits.task | bits.step)

const usual: ReadonlyArray<ReadonlyArray<Dimension>> = [[], ["model"], ["task"], ["step"]]
const steps = kindOf(["step"])

/** Adds up what the answer is told apart by. Of models and tasks only the most frequent ones are answered. */
const figuresStatement = (found: CoveredRouter, query: StatsQuery): Statement => {
  const given = parameters()
  const asked = kindOf(query.groupBy)
  const sets = [...usual, ...(usual.some((one) => kindOf(one) === asked) ? [] : [query.groupBy])]
  const stepOfId = `width_bucket(d.id, ${given.add("uuid[]", query.stepsMillis.map(uuidV7Floor))}) - 1`
  const stepsIn = (unitMillis: number) =>
    `'{${query.stepsMillis.map((millis) => Math.floor(millis / unitMillis)).join(",")}}'::int[]`
  const columns = [...floats([...countNames, ...numberNames]), ...timeNames].join(", ")
  const parts = [
    `SELECT model, task, step, ${columns} FROM live`,
    ...sumRows(
      given,
      found,
      query,
      "decision_sums",
      ({ hours }) =>
        `model, task, width_bucket(bucket, ${stepsIn(hours === 0 ? quarterMillis : hourMillis)}) - 1 AS step, ${columns}`
    )
  ]
  const summed = measureNames.map((name) => `sum(${name}) AS ${name}`).join(", ")
  const text = `
    WITH live AS (
      SELECT d.model, d.task, ${stepOfId} AS step, ${sumsOf("float8")}
      FROM (${measured(given, given.add("int", found.key), liveRows(given, found), query)}) d WHERE ${filters(given, query)} GROUP BY 1, 2, 3),
    parts AS (${parts.join("\nUNION ALL ")}),
    grouped AS (
      SELECT grouping(model, task, step) AS kind, model, nullif(task, '') AS task, step, ${summed}
      FROM parts GROUP BY GROUPING SETS (${sets.map((set) => `(${set.join(", ")})`).join(", ")})),
    ranked AS (
      SELECT *, row_number() OVER (PARTITION BY kind ORDER BY requests DESC, model, task, step) AS rank,
        (count(*) OVER (PARTITION BY kind))::float8 AS groups FROM grouped WHERE requests > 0)
    SELECT kind, model, task, step, groups, ${[...countNames, ...numberNames].join(", ")},
      ${timeNames.map((name) => `${name}::text`).join(", ")}
    FROM ranked WHERE kind = ${steps} OR rank <= CASE WHEN kind = ${asked} THEN ${mostCombined} ELSE ${mostGroups} END
    ORDER BY kind, step, rank`
  return { text, values: given.values }
}

/** The failed ones have an index of their own. */
const errorsStatement = (found: CoveredRouter, query: StatsQuery): Statement => {
  const given = parameters()
  const parts = [
    `SELECT d.model, coalesce(d.error, '') AS reason, d.sign AS count FROM (${measured(given, given.add("int", found.key), liveRows(given, found), query)}) d
     WHERE ${isFailure} AND ${filters(given, query)}`,
    ...sumRows(given, found, query, "failure_sums", () => "model, reason, count")
  ]
  const text = `
    SELECT model, nullif(reason, '') AS reason, sum(count)::float8 AS count FROM (${parts.join("\nUNION ALL ")}) p
    GROUP BY 1, 2 HAVING sum(count) > 0 ORDER BY 3 DESC, 1, 2 LIMIT ${mostGroups}`
  return { text, values: given.values }
}

const FiguresRow = Schema.Struct({
  kind: Schema.Number,
  model: Schema.NullOr(Schema.String),
  task: Schema.NullOr(Schema.String),
  step: Schema.NullOr(Schema.Number),
  groups: Schema.Number,
  requests: Schema.Number,
  answered: Schema.Number,
  failed: Schema.Number,
  refused: Schema.Number,
  empty: Schema.Number,
  aborted: Schema.Number,
  fallbacks: Schema.Number,
  explored: Schema.Number,
  priced: Schema.Number,
  judged: Schema.Number,
  rewarded: Schema.Number,
  input_tokens: Schema.Number,
  output_tokens: Schema.Number,
  cost_usd: Schema.Number,
  quality: Schema.Number,
  quality_squares: Schema.Number,
  reward: Schema.Number,
  reward_squares: Schema.Number,
  latencies: Schema.String,
  first_tokens: Schema.String
})
type FiguresRow = typeof FiguresRow.Type
const decodeFigures = Schema.decodeUnknown(Schema.Array(FiguresRow))

const ErrorRow = Schema.Struct({ model: Schema.String, reason: Schema.NullOr(Schema.String), count: Schema.Number })
const decodeErrors = Schema.decodeUnknown(Schema.Array(ErrorRow))

const RouterRow = Schema.Struct({ key: Schema.Number, summed_from: Schema.NullOr(Schema.String) })
const decodeRouter = Schema.decodeUnknown(Schema.Array(RouterRow))

const sampleOf = (count: number, sum: number, squares: number): Sample | null => {
  if (count === 0) return null
  const mean = sum / count
  return { count, mean, variance: count < 2 ? null : Math.max(0, squares - sum * mean) / (count - 1) }
}

const figuresOf = (row: FiguresRow): Figures => ({
  requests: row.requests,
  answered: row.answered,
  failed: row.failed,
  aborted: row.aborted,
  refused: row.refused,
  empty: row.empty,
  fallbacks: row.fallbacks,
  explored: row.explored,
  inputTokens: row.input_tokens,
  outputTokens: row.output_tokens,
  costUsd: row.cost_usd,
  priced: row.priced,
  latencyMs: percentilesIn(binsIn(row.latencies)),
  firstTokenMs: percentilesIn(binsIn(row.first_tokens)),
  quality: sampleOf(row.judged, row.quality, row.quality_squares),
  reward: sampleOf(row.rewarded, row.reward, row.reward_squares)
})

const rowsOf = (query: StatsQuery, rows: ReadonlyArray<FiguresRow>): Omit<StatsRows, "errors"> => {
  const by = (...dimensions: ReadonlyArray<Dimension>) => rows.filter((row) => row.kind === kindOf(dimensions))
  const [total] = by()
  const tasks = by("task")
  const groups = query.groupBy.length === 0 ? [] : by(...query.groupBy)
  return {
    totals: total === undefined ? noFigures : figuresOf(total),
    byModel: by("model")
      .slice(0, mostGroups)
      .map((row) => ({ model: row.model ?? "", ...figuresOf(row) })),
    byTask: tasks.slice(0, mostGroups).map((row) => ({ task: row.task, ...figuresOf(row) })),
    tasks: tasks[0]?.groups ?? 0,
    overTime: by("step").map((row) => ({ step: row.step ?? 0, ...figuresOf(row) })),
    groups: groups.map((row) => ({ model: row.model, task: row.task, step: row.step, ...figuresOf(row) })),
    groupCount: groups[0]?.groups ?? 0
  }
}

/**
 * Steps within hours are made of sums of quarter minutes, as far as these are whole: those of an hour add up to its own sum.
 * They do not where they were begun within the hour, are gone already, or a program added up that does not know them.
 */
const byQuarters = (
  sql: SqlClient.SqlClient,
  found: CoveredRouter,
  query: StatsQuery,
  fromMillis: number
): Effect.Effect<CoveredRouter, StatsError> => {
  if (!isByQuarters(query.stepsMillis)) return Effect.succeed(found)
  const given = parameters()
  const key = given.add("int", found.key)
  const names = [...countNames, ...numberNames]
  const sumsIn = (hours: 0 | 1, unit: number) => `
    SELECT bucket / ${unit} AS hour, ${names.map((name) => `sum(${name}) AS ${name}`).join(", ")} FROM decision_sums
    WHERE router_key = ${key} AND hours = ${hours} AND bucket >= ${given.add("int", Math.floor(query.fromMillis / hourMillis) * unit)}
      AND bucket < ${given.add("int", Math.ceil(query.untilMillis / hourMillis) * unit)} GROUP BY 1`
  const row = (of: string) => `(${names.map((name) => `${of}.${name}`).join(", ")})`
  const text = `
    SELECT max(hour) AS hour FROM (${sumsIn(1, 1)}) h FULL JOIN (${sumsIn(0, hourQuarters)}) q USING (hour)
    WHERE ${row("h")} IS DISTINCT FROM ${row("q")}`
  return Effect.map(Effect.flatMap(run(sql, { text, values: given.values }), decodeHour), ([{ hour }]) => ({
    key: found.key,
    cover: quarterCoverOf(
      query,
      query.stepsMillis,
      Math.max(fromMillis, hour === null ? -Infinity : (hour + 1) * hourMillis)
    )
  }))
}

const decodeHour = Schema.decodeUnknown(Schema.Tuple(Schema.Struct({ hour: Schema.NullOr(Schema.Number) })))

/** No id is lower than that of 1970: then all is in the sums. */
const summedFromMillis = (id: string | null) =>
  id === null ? Infinity : uuidV7Millis(id) === 0 ? 0 : uuidV7Millis(id) + 1

export const selectStats = (
  sql: SqlClient.SqlClient,
  routerId: RouterId,
  query: StatsQuery
): Effect.Effect<StatsRows, StatsError> =>
  reading(
    sql,
    Effect.gen(function* () {
      const known = sql`
        SELECT r.key, s.summed_from FROM routers r LEFT JOIN summing s ON s.router_key = r.key WHERE r.id = ${routerId}`
      const [router] = yield* Effect.flatMap(known, decodeRouter)
      if (router === undefined) return noStats
      const fromMillis = summedFromMillis(router.summed_from)
      const found = { key: router.key, cover: coverOf(query, query.stepsMillis, fromMillis) }
      const figures = found.cover.summed === null ? yield* byQuarters(sql, found, query, fromMillis) : found
      const rows = rowsOf(query, yield* Effect.flatMap(run(sql, figuresStatement(figures, query)), decodeFigures))
      const { empty, failed } = rows.totals
      const errors =
        failed + empty === 0 ? [] : yield* Effect.flatMap(run(sql, errorsStatement(found, query)), decodeErrors)
      return { ...rows, errors }
    })
  )
