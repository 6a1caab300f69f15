import type * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlError from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { type RouterId, uuidV7Floor } from "../../../../domain/basics/Ids.ts"
import { preferences, type Weights } from "../../../../domain/routing/Weights.ts"
import type { StatsQuery } from "../../../../domain/stats/Stats.ts"
import { ownedBy } from "../rows/Owner.ts"
import type { Parameters } from "../Statement.ts"
import { snapshot, transact } from "../store/Transaction.ts"
import { neutral } from "../../../../domain/routing/Reference.ts"

// What the statements of statistics are made of.

/** A sum of the answer: its SQL, and the schema of its column. So a record of sums says what is selected and decoded. */
export const sum = (sql: string) => Object.assign(Schema.Number.annotations({}), { sql })

/** What `SELECT` names of a record of sums. */
export const summed = (
  sums: Readonly<Record<string, { readonly sql: string }>>,
  text: (sql: string, name: string) => string
): string =>
  Object.entries(sums)
    .map(([name, { sql }]) => `${text(sql, name)} AS "${name}"`)
    .join(", ")

/**
 * A number from 0 on as sums take it: what is below 1e-50 is 0, what is above 1e50 is that. PostgreSQL fails where a
 * product leaves the range of a double (1e-308 to 1e308); one of up to five such numbers never does.
 */
export const bounded = (number: string): string =>
  `(CASE WHEN ${number} < 1e-50::float8 THEN 0 WHEN ${number} > 1e50::float8 THEN 1e50::float8 ELSE ${number} END)`

/** What costs and latencies are measured with, within the same bounds. */
export const references = ({ add }: Parameters, query: StatsQuery) => {
  const within = (reference: number) => add("float8", Math.min(1e50, Math.max(1e-50, reference)))
  return { cost: within(query.costReferenceUsd), latency: within(query.latencyReferenceSeconds) }
}

export const answerer = "coalesce(d.answered_by, d.chosen)"

/** The primary key is the order of time, so a window is a range of it. */
export const conditions = (given: Parameters, routerId: RouterId, query: StatsQuery): string =>
  [
    `d.router_key = (SELECT key FROM routers WHERE id = ${given.add("text", routerId)})`,
    `d.id >= ${given.add("uuid", uuidV7Floor(query.fromMillis))}`,
    `d.id < ${given.add("uuid", uuidV7Floor(query.untilMillis))}`,
    ...ownedBy(given, "d.owner", query),
    ...(query.model === null ? [] : [`${answerer} = ${given.addText(query.model)}`]),
    ...(query.task === null ? [] : [`d.task = ${given.addText(query.task)}`])
  ].join(" AND ")

export const presets = `(VALUES ${Object.entries(preferences)
  .map(([name, w]) => `('${name}', ${w.quality}::float8, ${w.cost}::float8, ${w.latency}::float8)`)
  .join(", ")}) AS preset(preference, quality, cost, latency) USING (preference)`

export const weight = (name: keyof Weights) =>
  bounded(`coalesce(d.weights[${["quality", "cost", "latency"].indexOf(name) + 1}], preset.${name})`)

/** As `Score.ts` has it. */
export const costScore = (usd: string, reference: string) =>
  `(CASE WHEN ${usd} IS NULL THEN ${neutral} ELSE 1 / (1 + ${usd} / ${reference}) END)`

/** As `Score.ts` has it. */
export const latencyScore = (seconds: string, reference: string) =>
  `coalesce(1 / (1 + ${seconds} / ${reference}), ${neutral})`

/** Of an answer that was judged. */
export const quality = bounded("d.learned_quality")

/** As `Reward.ts` has it; what is learned of a decision is the combination of all judgements on it. */
export const reward = (cost: string, latency: string) =>
  `CASE WHEN d.aborted THEN NULL WHEN NOT d.ok THEN 0 WHEN d.ok AND d.learned_weight > 0 THEN
     ${weight("quality")} * ${quality} + ${weight("cost")} * ${costScore(bounded("d.cost_usd"), cost)}
     + ${weight("latency")} * ${latencyScore(`${bounded("coalesce(d.first_token_ms, d.latency_ms)")} / 1000`, latency)} END`

export type StatsError = SqlError.SqlError | ParseResult.ParseError

/**
 * Compiling these statements takes longer than running them, and with the usual memory each of the sorts goes to disk. Rows
 * are sorted only where nothing else will do: they make few groups, which the planner cannot know. Behind a pooler the
 * session's limit may be on another connection. For this transaction alone.
 */
export const reading = <A>(
  sql: SqlClient.SqlClient,
  effect: Effect.Effect<A, StatsError>
): Effect.Effect<A, StatsError> =>
  transact(
    sql,
    `${snapshot}; SET LOCAL jit = off; SET LOCAL enable_sort = off; SET LOCAL work_mem = '64MB'; SET LOCAL statement_timeout = '5s'`
  )(effect)
