import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type * as ParseResult from "effect/ParseResult"
import type { Existing, StoredFeedback } from "../../../../domain/learning/CommitPlan.ts"
import type { RouterId } from "../../../../domain/basics/Ids.ts"
import { run, type Statement } from "../Statement.ts"
import { decisionSelection } from "../rows/DecisionColumns.ts"
import { decodeDecision, learnedOf, recordOf } from "../rows/Decisions.ts"
import { decodeFeedback, feedbackOf, feedbackSelection } from "../rows/Feedback.ts"
import type { StoreError } from "./Transaction.ts"

/** `routerId`, `ids` and the rest are parameters or literals. */
export const decisionsById = (routerId: string, ids: string) =>
  `SELECT ${decisionSelection} FROM decisions d JOIN routers r ON r.key = d.router_key
   LEFT JOIN prompts p ON p.decision_id = d.id WHERE r.id = ${routerId} AND d.id = ANY(${ids}::uuid[]) ORDER BY d.id`

export const feedbackBy = (routerId: string, condition: string) =>
  `SELECT ${feedbackSelection} FROM feedback f JOIN routers r ON r.key = f.router_key
   WHERE r.id = ${routerId} AND ${condition} ORDER BY f.created_at_ms, f.id`

export const decodeDecisions = (
  routerId: RouterId,
  rows: ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<NonNullable<ReturnType<Existing["decisions"]["get"]>>>, ParseResult.ParseError> =>
  Effect.forEach(rows, (row) =>
    Effect.map(decodeDecision(row), (decoded) => ({ record: recordOf(routerId, decoded), learned: learnedOf(decoded) }))
  )

export const decodeFeedbacks = (
  rows: ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<StoredFeedback>, ParseResult.ParseError> =>
  Effect.forEach(rows, (row) => Effect.map(decodeFeedback(row), feedbackOf))

export const selectDecisions = (
  sql: SqlClient.SqlClient,
  routerId: RouterId,
  statement: Statement
): Effect.Effect<Effect.Effect.Success<ReturnType<typeof decodeDecisions>>, StoreError> =>
  Effect.flatMap(run(sql, statement), (rows) => decodeDecisions(routerId, rows))

export const selectFeedback = (
  sql: SqlClient.SqlClient,
  statement: Statement
): Effect.Effect<ReadonlyArray<StoredFeedback>, StoreError> => Effect.flatMap(run(sql, statement), decodeFeedbacks)
