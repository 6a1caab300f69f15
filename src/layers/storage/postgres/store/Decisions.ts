import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { toFeedback } from "../../../../domain/learning/CommitPlan.ts"
import { DecisionId, type RouterId } from "../../../../domain/basics/Ids.ts"
import { storable } from "../../../../domain/basics/StorableText.ts"
import { type DatabaseShape, WindowTooLong } from "../../../../services/storage/Database.ts"
import { sqlState, toDatabaseError } from "../DatabaseError.ts"
import { selectStats } from "../statistics/Figures.ts"
import { addUp } from "../statistics/Summing.ts"
import { selectSavings } from "../statistics/Savings.ts"
import { guarded, repeated, type StoreError } from "./Transaction.ts"
import { listStatement } from "./Listing.ts"
import { decisionsById, feedbackBy, selectDecisions, selectFeedback } from "./Reading.ts"

type Decisions = Pick<DatabaseShape, "decision" | "decisions" | "sessionDecisions" | "stats" | "savings" | "addUp">

/** A statement that was cancelled at its limit had too much to read. */
const inTime =
  (operation: string) =>
  <A>(effect: Effect.Effect<A, StoreError>) =>
    Effect.mapError(repeated(effect), (error) =>
      sqlState(error) === "57014" ? new WindowTooLong() : toDatabaseError(operation)(error)
    )

export const makeDecisions = (sql: SqlClient.SqlClient): Decisions => {
  const feedbackOn = (routerId: RouterId, ids: ReadonlyArray<DecisionId>) =>
    selectFeedback(sql, { text: feedbackBy("$1", "f.decision_id = ANY($2::uuid[])"), values: [routerId, ids] })

  return {
    decision: Effect.fn("Database.decision")(function* (routerId, id: DecisionId) {
      const [found] = yield* selectDecisions(sql, routerId, {
        text: decisionsById("$1", "$2"),
        values: [routerId, [id]]
      })
      if (found === undefined) return Option.none()
      const feedback = yield* feedbackOn(routerId, [id])
      return Option.some({ record: found.record, feedback: feedback.map(toFeedback) })
    }, guarded("decision")),

    decisions: Effect.fn("Database.decisions")(function* (routerId, query) {
      const found = yield* selectDecisions(sql, routerId, listStatement(routerId, query))
      const feedback = yield* feedbackOn(
        routerId,
        found.map(({ record }) => record.decision.id)
      )
      return found.map(({ record }) => ({
        record,
        feedback: feedback.filter((one) => one.decisionId === record.decision.id).map(toFeedback)
      }))
    }, guarded("decisions")),

    stats: Effect.fn("Database.stats")((routerId, query) => selectStats(sql, routerId, query), inTime("stats")),

    addUp: Effect.fn("Database.addUp")((routerId, options) => addUp(sql, routerId, options), guarded("addUp")),

    savings: Effect.fn("Database.savings")(
      (routerId, query, sampled) => selectSavings(sql, routerId, query, sampled),
      inTime("savings")
    ),

    sessionDecisions: Effect.fn("Database.sessionDecisions")(
      (routerId, session, limit) =>
        sql<{ id: string }>`
          SELECT d.id FROM decisions d JOIN routers r ON r.key = d.router_key
          WHERE r.id = ${routerId} AND d.session_id = ${storable(session.sessionId)}
            AND (d.owner IS NOT DISTINCT FROM ${session.owner} OR d.owner = ANY(${session.formerOwners ?? []}::text[])) AND d.ok
          ORDER BY d.id DESC LIMIT ${limit}`.pipe(Effect.map((rows) => rows.map((row) => DecisionId(row.id)))),
      guarded("sessionDecisions")
    )
  }
}
