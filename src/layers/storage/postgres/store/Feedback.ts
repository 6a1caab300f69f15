import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { toSubmission } from "../../../../domain/learning/CommitPlan.ts"
import type { DatabaseShape } from "../../../../services/storage/Database.ts"
import { feedbackSelection } from "../rows/Feedback.ts"
import { guarded } from "./Transaction.ts"
import { feedbackBy, selectFeedback } from "./Reading.ts"

export const makeFeedback = (sql: SqlClient.SqlClient): Pick<DatabaseShape, "feedbackByKey" | "joinable"> => ({
  feedbackByKey: Effect.fn("Database.feedbackByKey")(
    (routerId, idempotencyKey) =>
      Effect.map(
        selectFeedback(sql, {
          text: feedbackBy("$1", "f.idempotency_key = $2"),
          values: [routerId, idempotencyKey]
        }),
        ([row]) => Option.fromNullable(row)
      ),
    guarded("feedbackByKey")
  ),

  joinable: Effect.fn("Database.joinable")(
    (routerId, limit) =>
      Effect.map(
        selectFeedback(sql, {
          text: `SELECT ${feedbackSelection} FROM feedback f JOIN routers r ON r.key = f.router_key
                 JOIN decisions d ON d.id = f.decision_id AND d.router_key = f.router_key
                 WHERE r.id = $1 AND f.parked ORDER BY f.id LIMIT $2`,
          values: [routerId, limit]
        }),
        (rows) => rows.map(toSubmission)
      ),
    guarded("joinable")
  )
})
