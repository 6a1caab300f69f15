import type * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlError from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type * as ParseResult from "effect/ParseResult"
import { type RouterId, uuidV7Floor } from "../../../domain/basics/Ids.ts"
import type { StatsQuery } from "../../../domain/stats/Stats.ts"
import { storable } from "../../../domain/basics/StorableText.ts"
import { preferences } from "../../../domain/routing/Weights.ts"
import { transact } from "./Start.ts"

// What the statements of statistics are made of.

export interface Statement {
  readonly text: string
  readonly values: ReadonlyArray<unknown>
}

/** Numbered parameters, as they come. */
export const parameters = () => {
  const values: Array<unknown> = []
  const add = (type: string, value: unknown) => {
    values.push(typeof value === "string" ? storable(value) : value)
    return `$${values.length}::${type}`
  }
  return { values, add }
}

export type Add = ReturnType<typeof parameters>["add"]

export const answerer = "coalesce(d.answered_by, d.chosen)"

/** The primary key is the order of time, so a window is a range of it. */
export const conditions = (add: Add, routerId: RouterId, query: StatsQuery): string =>
  [
    `d.router_key = (SELECT key FROM routers WHERE id = ${add("text", routerId)})`,
    `d.id >= ${add("uuid", uuidV7Floor(query.fromMillis))}`,
    `d.id < ${add("uuid", uuidV7Floor(query.untilMillis))}`,
    query.owner === null ? "d.owner IS NULL" : `d.owner = ${add("text", query.owner)}`,
    ...(query.model === null ? [] : [`${answerer} = ${add("text", query.model)}`]),
    ...(query.task === null ? [] : [`d.task = ${add("text", query.task)}`])
  ].join(" AND ")

export const presets = `(VALUES ${Object.entries(preferences)
  .map(([name, w]) => `('${name}', ${w.quality}::float8, ${w.cost}::float8, ${w.latency}::float8)`)
  .join(", ")}) AS preset(preference, quality, cost, latency) USING (preference)`

export const weight = (name: "quality" | "cost" | "latency") =>
  `coalesce(d.weights[${["quality", "cost", "latency"].indexOf(name) + 1}], preset.${name})`

export const costScore = (usd: string, reference: string) =>
  `(CASE WHEN ${usd} IS NULL THEN 0.5 ELSE 1 / (1 + ${usd} / ${reference}) END)`

/** As `Reward.ts` has it; what is learned of a decision is the combination of all judgements on it. */
export const reward = (cost: string, latency: string) =>
  `CASE WHEN d.aborted THEN NULL WHEN NOT d.ok THEN 0 WHEN d.ok AND d.learned_weight > 0 THEN
     ${weight("quality")} * d.learned_quality + ${weight("cost")} * ${costScore("d.cost_usd", cost)}
     + ${weight("latency")} * coalesce(1 / (1 + coalesce(d.first_token_ms, d.latency_ms) / 1000 / ${latency}), 0.5) END`

/** The last 16 bits of an id are random. */
export const sample = (add: Add, share: number): string =>
  share < 1
    ? `AND get_byte(uuid_send(d.id), 14) * 256 + get_byte(uuid_send(d.id), 15) < ${add("int", Math.round(share * 65_536))}`
    : ""

export type StatsError = SqlError.SqlError | ParseResult.ParseError

export const run = (sql: SqlClient.SqlClient, { text, values }: Statement) => sql.unsafe(text, values)

/**
 * All statements see the same rows. Compiling them takes longer than running them, and with the usual memory each of the
 * sorts goes to disk. Behind a pooler the session's limit may be on another connection. For this transaction alone.
 */
export const reading = <A>(
  sql: SqlClient.SqlClient,
  effect: Effect.Effect<A, StatsError>
): Effect.Effect<A, StatsError> =>
  transact(
    sql,
    sql
      .unsafe("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
      .pipe(
        Effect.zipRight(
          sql.unsafe(
            "SELECT set_config('jit', 'off', true), set_config('work_mem', '64MB', true), set_config('statement_timeout', '5s', true)"
          )
        ),
        Effect.zipRight(effect)
      )
  )
