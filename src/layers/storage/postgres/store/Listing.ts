import { type RouterId, uuidV7Floor } from "../../../../domain/basics/Ids.ts"
import { emptyError, refusedError } from "../../../../domain/routing/Outcome.ts"
import type { DecisionQuery } from "../../../../services/storage/Database.ts"
import { decisionSelection } from "../rows/DecisionColumns.ts"
import { ownedBy } from "../rows/Owner.ts"
import { parameters, type Statement } from "../Statement.ts"

/** As it is shown; the same text as in the index. */
const shownReason = "(CASE WHEN d.answered_by <> d.chosen THEN 'fallback' ELSE d.reason END)"
const facets = "(ARRAY[coalesce(d.answered_by, d.chosen), d.algorithm, d.task, d.user_id])"

const outcomes: Record<NonNullable<DecisionQuery["outcome"]>, string> = {
  ok: `d.ok AND d.error IS DISTINCT FROM '${refusedError}'`,
  refused: `d.ok AND d.error = '${refusedError}'`,
  empty: `d.ok IS NOT TRUE AND NOT d.ok AND NOT d.aborted AND d.error = '${emptyError}'`,
  failed: `d.ok IS NOT TRUE AND NOT d.ok AND NOT d.aborted AND d.error IS DISTINCT FROM '${emptyError}'`,
  aborted: "d.ok IS NOT TRUE AND d.aborted",
  pending: "d.ok IS NOT TRUE AND d.ok IS NULL"
}

/** One page of decisions: only the conditions that the query has, so that the planner sees which index serves them. */
export const listStatement = (routerId: RouterId, query: DecisionQuery): Statement => {
  const { add, addText, values } = parameters()
  const conditions = [`d.router_key = (SELECT key FROM routers WHERE id = ${add("text", routerId)})`]
  const where = (value: string | null, condition: (parameter: string) => string) => {
    if (value !== null) conditions.push(condition(addText(value)))
  }
  const whereId = (comparison: "<" | ">=", id: string | null) => {
    if (id !== null) conditions.push(`d.id ${comparison} ${add("uuid", id)}`)
  }
  const faceted = (column: string) => (value: string) => `${facets} @> ARRAY[${value}] AND ${column} = ${value}`
  conditions.push(...ownedBy({ add, addText }, "d.owner", query))
  whereId("<", query.before)
  whereId(">=", query.fromMillis === null ? null : uuidV7Floor(query.fromMillis))
  whereId("<", query.untilMillis === null ? null : uuidV7Floor(query.untilMillis))
  where(query.reason, (reason) => `${shownReason} = ${reason}`)
  where(query.model, faceted("coalesce(d.answered_by, d.chosen)"))
  where(query.algorithm, faceted("d.algorithm"))
  where(query.task, faceted("d.task"))
  where(query.userId, faceted("d.user_id"))
  if (query.outcome !== null) conditions.push(outcomes[query.outcome])
  const text = `SELECT ${decisionSelection} FROM decisions d LEFT JOIN prompts p ON p.decision_id = d.id
    WHERE ${conditions.join(" AND ")} ORDER BY d.id DESC LIMIT ${add("int", query.limit)}`
  return { text, values }
}
