import { type RouterId, uuidV7Floor } from "../../../domain/basics/Ids.ts"
import { storable } from "../../../domain/basics/StorableText.ts"
import type { DecisionQuery } from "../../../services/storage/Database.ts"
import { decisionColumns } from "./Rows.ts"

/** As it is shown; the same text as in the index. */
const shownReason = "(CASE WHEN d.answered_by <> d.chosen THEN 'fallback' ELSE d.reason END)"
const facets = "(ARRAY[coalesce(d.answered_by, d.chosen), d.algorithm, d.task, d.user_id])"

const outcomes: Record<NonNullable<DecisionQuery["outcome"]>, string> = {
  ok: "d.ok",
  failed: "d.ok IS NOT TRUE AND NOT d.ok AND NOT d.aborted",
  aborted: "d.ok IS NOT TRUE AND d.aborted",
  pending: "d.ok IS NOT TRUE AND d.ok IS NULL"
}

/** One page of decisions: only the conditions that the query has, so that the planner sees which index serves them. */
export const listStatement = (
  routerId: RouterId,
  query: DecisionQuery
): { readonly text: string; readonly values: ReadonlyArray<unknown> } => {
  const values: Array<unknown> = [routerId]
  const conditions = ["d.router_key = (SELECT key FROM routers WHERE id = $1)"]
  const where = (condition: (parameter: string) => string, value: unknown) => {
    if (value === null) return
    values.push(typeof value === "string" ? storable(value) : value)
    conditions.push(condition(`$${values.length}`))
  }
  if (query.owner === null) conditions.push("d.owner IS NULL")
  where((owner) => `d.owner = ${owner}::text`, query.owner)
  where((id) => `d.id < ${id}::uuid`, query.before)
  where((id) => `d.id >= ${id}::uuid`, query.fromMillis === null ? null : uuidV7Floor(query.fromMillis))
  where((id) => `d.id < ${id}::uuid`, query.untilMillis === null ? null : uuidV7Floor(query.untilMillis))
  where((reason) => `${shownReason} = ${reason}::text`, query.reason)
  const faceted = (column: string) => (value: string) =>
    `${facets} @> ARRAY[${value}::text] AND ${column} = ${value}::text`
  where(faceted("coalesce(d.answered_by, d.chosen)"), query.model)
  where(faceted("d.algorithm"), query.algorithm)
  where(faceted("d.task"), query.task)
  where(faceted("d.user_id"), query.userId)
  if (query.outcome !== null) conditions.push(outcomes[query.outcome])
  values.push(query.limit)
  return {
    text: `SELECT ${decisionColumns} FROM decisions d LEFT JOIN prompts p ON p.decision_id = d.id
           WHERE ${conditions.join(" AND ")} ORDER BY d.id DESC LIMIT $${values.length}`,
    values
  }
}
