import type { CommitPlan } from "../../../../domain/learning/CommitPlan.ts"
import type { Commit } from "../../../../services/storage/Database.ts"
import { channel } from "../Listen.ts"
import { changed, inserted, names, recordset, unnested } from "../rows/Column.ts"
import { decidedColumns, learnedColumns, outcomeColumns } from "../rows/DecisionColumns.ts"
import { decisionArrays, decisionUpdateJson, promptJson } from "../rows/Decisions.ts"
import { feedbackColumns, feedbackJson } from "../rows/Feedback.ts"
import { toJson } from "../rows/Json.ts"
import { parameters, type Statement } from "../Statement.ts"

const newDecision = { ...decidedColumns, ...outcomeColumns, ...learnedColumns }
const decisionChange = { ...outcomeColumns, ...learnedColumns }

/** The commit's own position, for the decisions that it is the first to judge. */
const judgedAt = "CASE WHEN x.learned_weight IS NOT NULL THEN (SELECT position FROM advanced) END"

// The columns in the order in which `decisionArrays` has their cells.
const decisionNames = names(newDecision)
const decisionCells = unnested(newDecision)
const insertDecisions = (arrays: string) =>
  `new_decisions AS (INSERT INTO decisions (router_key, learned_position, ${decisionNames})
     SELECT r.key, ${judgedAt}, ${decisionCells} FROM r, unnest(${arrays}) AS x(${decisionNames}))`

const addSpent = (json: string) =>
  `spent AS (INSERT INTO budget_spent AS s (router_key, owner, day, usd)
     SELECT r.key, x.owner, x.day, x.usd FROM r, json_to_recordset(${json}) AS x(owner text, day date, usd numeric)
     ON CONFLICT (router_key, owner, day) DO UPDATE SET usd = s.usd + excluded.usd)`

/** What the rows of a replica pay of what it has claimed of budgets: of its keys, and of the router. */
const payLoans = (json: string, replica: string, router: string) =>
  `paid AS (UPDATE budget_loans b SET paid = b.paid + x.usd, usd = greatest(0, b.usd - x.usd)
     FROM (SELECT 'key ' || y.owner AS subject, sum(y.usd) AS usd FROM json_to_recordset(${json}) AS y(owner text, usd numeric) GROUP BY 1
       UNION ALL SELECT 'router ' || ${router}, sum(y.usd) FROM json_to_recordset(${json}) AS y(usd numeric)) x
     WHERE b.replica = ${replica} AND b.subject = x.subject)`

/** What the decisions cost, by owner and day, in one order for all who write it, so that nobody waits in a circle. */
const spentBy = (decisions: CommitPlan["decisions"]) => {
  const sums = new Map<string, { owner: string; day: string; usd: number }>()
  for (const { record } of decisions) {
    const usd = record.outcome?.costUsd ?? 0
    if (usd <= 0) continue
    const owner = record.decision.owner ?? ""
    const day = new Date(record.decision.createdAtMillis).toISOString().slice(0, 10)
    const name = `${owner} ${day}`
    const sum = sums.get(name)
    if (sum === undefined) sums.set(name, { owner, day, usd })
    else sum.usd += usd
  }
  return Array.from(sums)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, sum]) => sum)
}

const insertPrompts = (json: string) =>
  `new_prompts AS (INSERT INTO prompts (decision_id, router_key, prompt)
     SELECT x.decision_id, r.key, x.prompt FROM r, json_to_recordset(${json}) AS x(decision_id uuid, prompt text))`

const updateDecisions = (json: string) =>
  `changed_decisions AS (UPDATE decisions d SET ${changed(decisionChange, "d")},
     learned_position = coalesce(d.learned_position, ${judgedAt})
     FROM json_to_recordset(${json}) AS x(id uuid, ${recordset(decisionChange)}) WHERE d.id = x.id)`

const insertFeedback = (json: string) =>
  `new_feedback AS (INSERT INTO feedback (router_key, ${names(feedbackColumns)})
     SELECT r.key, ${inserted(feedbackColumns)} FROM r, json_to_recordset(${json}) AS x(${recordset(feedbackColumns)}))`

const updateFeedback = (json: string) =>
  `changed_feedback AS (UPDATE feedback f SET superseded_by = x.superseded_by, parked = x.parked
     FROM json_to_recordset(${json}) AS x(id uuid, superseded_by uuid, parked boolean) WHERE f.id = x.id)`

/**
 * One commit in one statement, which has only the parts that the plan needs. The lock on the router's row, held to the
 * end of the transaction, makes the order of positions the order of commits, so a reader never skips one that commits late.
 */
export const commitStatement = (
  { commitId, replica, routerId }: Commit,
  plan: CommitPlan,
  encodedEvents: Uint8Array | null
): Statement => {
  const { add, addAll, values } = parameters()
  const id = add("text", routerId)
  const payload = add("bytea", encodedEvents)
  const parts = [
    `r AS (SELECT key, position FROM routers WHERE id = ${id})`,
    `advanced AS (UPDATE routers SET position = position + 1 WHERE id = ${id} AND ${payload} IS NOT NULL RETURNING position)`,
    `logged_commit AS (INSERT INTO learning_log (router_key, position, commit_id, payload)
       SELECT r.key, (SELECT position FROM advanced), ${add("uuid", commitId)}, ${payload} FROM r)`
  ]
  const write = (part: (json: string) => string, rows: ReadonlyArray<unknown>) => {
    if (rows.length > 0) parts.push(part(add("json", toJson(rows))))
  }
  if (plan.decisions.length > 0) parts.push(insertDecisions(addAll(decisionArrays(plan.decisions))))
  const spent = spentBy(plan.decisions)
  if (spent.length > 0) {
    const json = add("json", toJson(spent))
    parts.push(addSpent(json))
    if (replica !== undefined) parts.push(payLoans(json, add("text", replica), id))
  }
  write(insertPrompts, plan.decisions.filter(({ record }) => record.prompt !== null).map(promptJson))
  write(updateDecisions, plan.decisionUpdates.map(decisionUpdateJson))
  write(insertFeedback, plan.feedbackRows.map(feedbackJson))
  write(
    updateFeedback,
    plan.feedbackUpdates.map(({ id, parked, supersededBy }) => ({ id, superseded_by: supersededBy, parked }))
  )
  if (plan.feedbackRemoved.length > 0) {
    parts.push(`removed_feedback AS (DELETE FROM feedback WHERE id = ANY(${add("uuid[]", plan.feedbackRemoved)}))`)
  }
  const text = `WITH ${parts.join(",\n")} SELECT coalesce((SELECT position FROM advanced), r.position)::float8 AS position,
    (SELECT pg_notify('${channel}', ${id} || ' ' || position) FROM advanced) FROM r`
  return { text, values }
}
