import * as Schema from "effect/Schema"
import type { CommitPlan, Learned } from "../../../../domain/learning/CommitPlan.ts"
import type { DecisionRecord } from "../../../../domain/routing/DecisionRecord.ts"
import { type RouterId, uuidV7Millis } from "../../../../domain/basics/Ids.ts"
import type { Outcome, OutcomeDetails } from "../../../../domain/routing/Outcome.ts"
import { attemptsOf } from "./Attempts.ts"
import { candidatesOf } from "./Candidates.ts"
import { rowOf } from "./Column.ts"
import { arraysOf } from "./ColumnArray.ts"
import { decidedColumns, DecisionRow, learnedColumns, outcomeColumns, presetWeights } from "./DecisionColumns.ts"

export const decodeDecision = Schema.decodeUnknown(DecisionRow)

/** The cells of new decisions, column by column: so many come that each row as JSON would be felt. */
export const decisionArrays = (decisions: CommitPlan["decisions"]) => [
  ...arraysOf(
    decidedColumns,
    decisions.map(({ record }) => record)
  ),
  ...arraysOf(
    outcomeColumns,
    decisions.map(({ record }) => record.outcome)
  ),
  ...arraysOf(
    learnedColumns,
    decisions.map(({ learned }) => learned)
  )
]

/** What changes in the row of a stored decision, as JSON. */
export const decisionUpdateJson = ({ id, learned, outcome }: CommitPlan["decisionUpdates"][number]) => ({
  id,
  ...rowOf(outcomeColumns, outcome),
  ...rowOf(learnedColumns, learned)
})

export const promptJson = ({ record }: CommitPlan["decisions"][number]) => ({
  decision_id: record.decision.id,
  prompt: record.prompt
})

const float32Of = (bytes: Uint8Array): Float32Array => {
  const buffer = Buffer.from(bytes)
  return Float32Array.from({ length: buffer.length / 4 }, (_, i) => buffer.readFloatLE(i * 4))
}

/** Of the outcome; what the choice was charged for money is the decision's. */
const detailsOf = ({ details }: DecisionRow): OutcomeDetails | null => {
  if (details === null || details.pacing === undefined) return details
  const { pacing: _, ...others } = details
  return Object.keys(others).length === 0 ? null : others
}

const outcomeOf = (row: DecisionRow): Outcome | null =>
  row.ok === null
    ? null
    : {
        model: row.answered_by ?? row.chosen,
        ok: row.ok,
        aborted: row.aborted ?? false,
        finishReason: row.finish_reason,
        inputTokens: row.input_tokens,
        outputTokens: row.output_tokens,
        costUsd: row.cost_usd,
        latencyMs: row.latency_ms,
        firstTokenMs: row.first_token_ms,
        error: row.error,
        details: detailsOf(row)
      }

export const recordOf = (routerId: RouterId, row: DecisionRow): DecisionRecord => {
  const [quality, cost, latency] = row.weights ?? [null, null, null]
  const outcome = outcomeOf(row)
  return {
    decision: {
      id: row.id,
      createdAtMillis: uuidV7Millis(row.id),
      routerId,
      owner: row.owner,
      policy: { algorithm: row.algorithm, version: row.version, position: row.policy_position },
      request: {
        task: row.task,
        preference: row.preference,
        weights: quality === null ? presetWeights(row.preference) : { quality, cost, latency },
        constraints: row.constraints ?? {},
        askedModel: row.asked_model,
        userId: row.user_id,
        sessionId: row.session_id,
        stream: row.stream,
        inputTokens: row.request_input_tokens,
        maxTokens: row.request_max_tokens,
        featuresVersion: row.features_version
      },
      features: float32Of(row.features),
      candidates: candidatesOf(row),
      chosen: row.chosen,
      propensity: row.propensity,
      reason: row.reason,
      exploration: row.exploration,
      seed: row.seed,
      ...(row.details?.pacing === undefined ? {} : { pacing: row.details.pacing })
    },
    attempts: attemptsOf(row.attempts, outcome),
    outcome,
    prompt: row.prompt
  }
}

export const learnedOf = (row: DecisionRow): Learned | null =>
  row.learned_quality === null || row.learned_weight === null || row.learned_position === null
    ? null
    : { quality: row.learned_quality, weight: row.learned_weight, position: row.learned_position }
