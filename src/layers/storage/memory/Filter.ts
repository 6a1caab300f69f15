import { uuidV7Millis } from "../../../domain/basics/Ids.ts"
import { reads } from "../../../domain/basics/Owner.ts"
import type { DecisionRecord } from "../../../domain/routing/DecisionRecord.ts"
import { outcomeKind } from "../../../domain/routing/Outcome.ts"
import type { DecisionQuery } from "../../../services/storage/Database.ts"

/** Whether a list by that query shows the decision. */
export const matches = (record: DecisionRecord, query: DecisionQuery): boolean => {
  const { decision, outcome } = record
  const answeredBy = outcome?.model ?? decision.chosen
  const reason = answeredBy === decision.chosen ? decision.reason : "fallback"
  const millis = uuidV7Millis(decision.id)
  return (
    reads(query, decision.owner) &&
    (query.model === null || answeredBy === query.model) &&
    (query.fromMillis === null || millis >= query.fromMillis) &&
    (query.untilMillis === null || millis < query.untilMillis) &&
    (query.userId === null || decision.request.userId === query.userId) &&
    (query.task === null || decision.request.task === query.task) &&
    (query.algorithm === null || decision.policy.algorithm === query.algorithm) &&
    (query.reason === null || reason === query.reason) &&
    (query.outcome === null || outcomeKind(outcome) === query.outcome) &&
    (query.before === null || decision.id < query.before)
  )
}
