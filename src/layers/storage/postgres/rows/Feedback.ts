import * as Schema from "effect/Schema"
import type { StoredFeedback } from "../../../../domain/learning/CommitPlan.ts"
import { DecisionIdCell, NullableText } from "./Cells.ts"
import { columnOf, rowOf, selected } from "./Column.ts"
import { feedbackKinds, storedStatuses } from "../../../../domain/learning/Feedback.ts"

const column = columnOf<StoredFeedback>()

/** The columns of `feedback`. Insert, select and decoding follow from here. */
export const feedbackColumns = {
  id: column("uuid", Schema.String, (row) => row.id),
  decision_id: column("uuid", DecisionIdCell, (row) => row.decisionId),
  created_at_ms: column("bigint", Schema.Number, (row) => Math.trunc(row.createdAtMillis)),
  confidence: column("float8", Schema.Number, (row) => row.confidence),
  superseded_by: column("uuid", NullableText, (row) => row.supersededBy),
  parked: column("boolean", Schema.Boolean, (row) => row.parked),
  kind: column("text", Schema.Literal(...feedbackKinds), (row) => row.kind),
  value: column("jsonb", Schema.Union(Schema.Number, Schema.Boolean, Schema.String), (row) => row.value),
  source: column("text", Schema.String, (row) => row.source),
  comment: column("text", NullableText, (row) => row.comment),
  owner: column("text", NullableText, (row) => row.owner),
  answered: column("text", Schema.Literal(...storedStatuses), (row) => row.answered),
  idempotency_key: column("text", Schema.String, (row) => row.idempotencyKey)
}

const FeedbackRow = Schema.Struct(feedbackColumns)

export const decodeFeedback = Schema.decodeUnknown(FeedbackRow)

/** What `SELECT` names, of `feedback f`. */
export const feedbackSelection = selected(feedbackColumns, "f")

export const feedbackJson = (row: StoredFeedback) => rowOf(feedbackColumns, row)

export const feedbackOf = (row: typeof FeedbackRow.Type): StoredFeedback => ({
  id: row.id,
  decisionId: row.decision_id,
  kind: row.kind,
  value: row.value,
  confidence: row.confidence,
  comment: row.comment,
  source: row.source,
  idempotencyKey: row.idempotency_key,
  createdAtMillis: row.created_at_ms,
  owner: row.owner,
  supersededBy: row.superseded_by,
  parked: row.parked,
  answered: row.answered
})
