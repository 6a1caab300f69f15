import { emptyError, refusedError } from "../../../../domain/routing/Outcome.ts"
import { binDigits, binEdges } from "../../../../domain/stats/Times.ts"
import type { Parameters } from "../Statement.ts"
import { answerer, bounded, presets, quality, reward } from "./Parts.ts"

// What is added up of a decision: the same of stored rows, of changes that no sum has yet, and for the sums themselves.

const isRefused = `d.error IS NOT DISTINCT FROM '${refusedError}'`
const isEmpty = `d.error IS NOT DISTINCT FROM '${emptyError}'`
export const isFailure = "d.ok IS NOT TRUE AND NOT d.ok AND NOT d.aborted"

/** Conditions of `d`: how many decisions meet them. */
const counts = {
  requests: "true",
  answered: `d.ok AND NOT ${isRefused}`,
  failed: `${isFailure} AND NOT ${isEmpty}`,
  refused: `d.ok AND ${isRefused}`,
  empty: `${isFailure} AND ${isEmpty}`,
  aborted: "d.aborted",
  fallbacks: "d.answered_by <> d.chosen",
  explored: "d.exploration",
  priced: "d.cost_usd IS NOT NULL",
  judged: "d.judged_quality IS NOT NULL",
  rewarded: "d.reward IS NOT NULL"
}

/** Numbers of `d`, null for none. */
const numbers = {
  input_tokens: bounded("d.input_tokens"),
  output_tokens: bounded("d.output_tokens"),
  cost_usd: bounded("d.cost_usd"),
  quality: "d.judged_quality",
  quality_squares: "d.judged_quality * d.judged_quality",
  reward: "d.reward",
  reward_squares: "d.reward * d.reward"
}

/** Times of `d` in milliseconds, counted by bin: each bin has some digits of one number. */
const times = { latencies: "d.latency_ms", first_tokens: "d.first_token_ms" }

const edges = `'{${binEdges.join(",")}}'::float8[]`
const counted = (ms: string) => `('1e' || ${binDigits} * width_bucket(${ms}, ${edges}))::numeric`

export const countNames = Object.keys(counts)
export const numberNames = Object.keys(numbers)
export const timeNames = Object.keys(times)
export const measureNames = [...countNames, ...numberNames, ...timeNames]

const each = (texts: Readonly<Record<string, string>>, sum: (text: string) => string) =>
  Object.entries(texts).map(([name, text]) => `coalesce(${sum(text)}, 0) AS ${name}`)

/**
 * Sums over rows `d` of `measured`, each as often as its `sign` says: as decimals, which do not depend on the order, or as
 * floats, which are faster.
 */
export const sumsOf = (numberType: "numeric" | "float8"): string =>
  [
    ...each(counts, (condition) => `sum(d.sign) FILTER (WHERE ${condition})`),
    ...each(numbers, (number) => `sum(d.sign * (${number})::${numberType})`),
    ...each(times, (ms) => `sum(d.sign * ${counted(ms)}) FILTER (WHERE d.ok AND ${ms} IS NOT NULL)`)
  ].join(", ")

/** Of the time of decision `d`: all references are read once, and looked up by the id, which is a time. */
const referenceAt = (key: string): string => {
  const known = (column: string) =>
    `(SELECT array_agg(r.${column} ORDER BY r.since) FROM cost_references r WHERE r.router_key = ${key})`
  return `(${known("cost_usd")})[width_bucket(d.id, ${known("since")})]`
}

/**
 * The columns of `rows` that the sums are of. `rows` are decisions of the router, each with a `sign`: -1 takes one back.
 * `OFFSET 0` has each column worked out once, and not again in each sum that it is part of.
 */
export const measured = (
  { add }: Parameters,
  key: string,
  rows: string,
  asked: { readonly costReferenceUsd: number; readonly latencyReferenceSeconds: number }
): string => {
  const within = (reference: number) => add("float8", Math.min(1e50, Math.max(1e-50, reference)))
  // Of the time when it was decided: so it stays what it was when prices change.
  const reference = `coalesce(${referenceAt(key)}, ${within(asked.costReferenceUsd)})`
  return `SELECT d.sign, d.id, coalesce(d.owner, '') AS owner, coalesce(d.task, '') AS task, ${answerer} AS model, d.ok, d.aborted,
      d.error, d.answered_by, d.chosen, d.exploration, d.input_tokens, d.output_tokens, d.cost_usd, d.latency_ms, d.first_token_ms,
      CASE WHEN d.ok AND d.learned_weight > 0 THEN ${quality} END AS judged_quality,
      ${reward(reference, within(asked.latencyReferenceSeconds))} AS reward
    FROM (${rows}) d JOIN ${presets} OFFSET 0`
}

/** What was noted of decisions, of `noted` with their rows as they were: those are taken back, and the present ones added. */
export const noted = (name: string): string =>
  `SELECT -1 AS sign, d.* FROM ${name} n, LATERAL jsonb_populate_record(NULL::decisions, n.before) d WHERE n.before IS NOT NULL
   UNION ALL SELECT 1 AS sign, d.* FROM ${name} n JOIN decisions d ON d.id = n.decision_id`

/** What a decision's id says of its time, in such units since 1970. */
export const timeOf = (id: string, unitMillis: number): string =>
  `(('x' || left(${id}::text, 8) || substr(${id}::text, 10, 4))::bit(48)::bigint / ${unitMillis})::int`
