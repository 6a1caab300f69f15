import * as Schema from "effect/Schema"
import type { CommitPlan, Learned, NewlyLearned, StoredFeedback } from "../../../domain/learning/CommitPlan.ts"
import type { Candidate } from "../../../domain/routing/Decision.ts"
import type { DecisionRecord } from "../../../domain/routing/DecisionRecord.ts"
import { DecisionId, ModelId, type RouterId, uuidV7Millis } from "../../../domain/basics/Ids.ts"
import type { Attempt, Outcome } from "../../../domain/routing/Outcome.ts"
import { storable } from "../../../domain/basics/StorableText.ts"
import { normalise, preferences, type Weights } from "../../../domain/routing/Weights.ts"

const DecisionIdColumn = Schema.String.pipe(Schema.fromBrand(DecisionId))
const ModelIdColumn = Schema.String.pipe(Schema.fromBrand(ModelId))
const NullableNumber = Schema.NullOr(Schema.Number)
const NullableText = Schema.NullOr(Schema.String)

const ExcludedByColumn = Schema.Literal(
  "max_cost_usd",
  "max_latency_ms",
  "min_quality",
  "allowed_models",
  "provider",
  "context",
  "price_unknown",
  "disabled",
  "circuit"
)

/** Model ids, which contain no comma: a text array's headers would be as long as the names. */
const ModelsColumn = Schema.split(",").pipe(Schema.compose(Schema.Array(ModelIdColumn)))

/** Attempts without their keys: model, ok, status, latency in milliseconds, error. Null is the one that the outcome tells. */
const AttemptsColumn = Schema.parseJson(
  Schema.Array(Schema.Tuple(ModelIdColumn, Schema.Boolean, NullableNumber, Schema.Number, NullableText))
)

const exact = { exact: true } as const
const ConstraintsColumn = Schema.parseJson(
  Schema.Struct({
    max_cost_usd: Schema.optionalWith(Schema.Number, exact),
    max_latency_ms: Schema.optionalWith(Schema.Number, exact),
    min_quality: Schema.optionalWith(Schema.Number, exact),
    allowed_models: Schema.optionalWith(Schema.Array(Schema.String), exact),
    provider: Schema.optionalWith(Schema.String, exact)
  })
)

const DecisionRow = Schema.Struct({
  id: DecisionIdColumn,
  policy_position: Schema.Number,
  cost_usd: NullableNumber,
  propensity: Schema.Number,
  learned_quality: NullableNumber,
  learned_weight: NullableNumber,
  learned_position: NullableNumber,
  latency_ms: NullableNumber,
  first_token_ms: NullableNumber,
  request_input_tokens: Schema.Number,
  request_max_tokens: NullableNumber,
  input_tokens: NullableNumber,
  output_tokens: NullableNumber,
  ok: Schema.NullOr(Schema.Boolean),
  aborted: Schema.NullOr(Schema.Boolean),
  stream: Schema.Boolean,
  exploration: Schema.Boolean,
  chosen: ModelIdColumn,
  answered_by: Schema.NullOr(ModelIdColumn),
  algorithm: Schema.String,
  version: Schema.String,
  features_version: Schema.String,
  preference: Schema.Literal("balanced", "quality", "cost", "speed"),
  reason: Schema.Literal("best", "explore", "pinned", "session", "only_eligible", "fallback", "control", "static"),
  seed: Schema.String,
  owner: NullableText,
  task: NullableText,
  user_id: NullableText,
  session_id: NullableText,
  finish_reason: NullableText,
  error: NullableText,
  weights: Schema.NullOr(Schema.Tuple(Schema.Number, Schema.Number, Schema.Number)),
  constraints: Schema.NullOr(ConstraintsColumn),
  features: Schema.Uint8ArrayFromSelf,
  models: ModelsColumn,
  excluded_by: Schema.NullOr(Schema.Array(Schema.NullOr(Schema.Union(ExcludedByColumn, Schema.Literal(""))))),
  predictions: Schema.Array(NullableNumber),
  attempts: Schema.NullOr(AttemptsColumn),
  prompt: NullableText
})
type DecisionRow = typeof DecisionRow.Type

export const decodeDecisionRow = Schema.decodeUnknown(DecisionRow)

/** What `SELECT` names, of `decisions d` and `prompts p`; int8 columns as float8, exact up to 2^53. */
export const decisionColumns = Object.keys(DecisionRow.fields)
  .map((name) =>
    name === "prompt"
      ? "p.prompt"
      : name === "seed"
        ? "(SELECT r.seed FROM routers r WHERE r.key = d.router_key) AS seed"
        : name.endsWith("_position")
          ? `d.${name}::float8`
          : `d.${name}`
  )
  .join(", ")

export const encodeAttempts = Schema.encodeSync(AttemptsColumn)

/** The rows of `json_to_recordset`: column and type. `learned_position` is the commit's own. */
export const decisionRecordset =
  "id uuid, policy_position bigint, cost_usd float8, propensity float8, learned_quality float8, learned_weight float8, " +
  "latency_ms float8, first_token_ms float8, request_input_tokens float8, request_max_tokens float8, input_tokens float8, " +
  "output_tokens float8, ok boolean, aborted boolean, stream boolean, exploration boolean, chosen text, answered_by text, " +
  "algorithm text, version text, features_version text, preference text, reason text, owner text, task text, " +
  "user_id text, session_id text, finish_reason text, error text, weights float8[], constraints text, features bytea, " +
  "models text, excluded_by text[], predictions real[], attempts text"

export const decisionRecordsetColumns = decisionRecordset.split(", ").map((column) => column.split(" ")[0])

/** Little-endian float32 in a row: an array's header would be a fifth of it. */
const hexOf = (features: Float32Array): string => {
  const bytes = Buffer.alloc(features.length * 4)
  features.forEach((value, i) => bytes.writeFloatLE(value, i * 4))
  return bytes.toString("hex")
}

const float32Of = (bytes: Uint8Array): Float32Array => {
  const buffer = Buffer.from(bytes)
  return Float32Array.from({ length: buffer.length / 4 }, (_, i) => buffer.readFloatLE(i * 4))
}

const presetWeights = (row: Pick<DecisionRow, "preference">): Weights => normalise(preferences[row.preference])

const sameWeights = (a: Weights, b: Weights): boolean =>
  a.quality === b.quality && a.cost === b.cost && a.latency === b.latency

/** What the decision knew of a candidate, in the order in which `candidatesOf` reads it: one array for all of them. */
const predictionsOf = (c: Candidate) => [c.quality, c.qualitySd, c.costUsd, c.latencySeconds, c.score, c.propensity]
const predictionsEach = 6

/** The usual case: the first model called answered. */
const toldByOutcome = (outcome: Outcome | null): ReadonlyArray<Attempt> =>
  outcome === null || !outcome.ok || outcome.latencyMs === null
    ? []
    : [{ model: outcome.model, ok: true, status: 200, latencyMs: outcome.latencyMs, error: null }]

const isToldByOutcome = (attempts: ReadonlyArray<Attempt>, outcome: Outcome | null): boolean => {
  const [told] = toldByOutcome(outcome)
  const [only, ...more] = attempts
  return (
    told !== undefined &&
    only !== undefined &&
    more.length === 0 &&
    only.model === told.model &&
    only.ok === told.ok &&
    only.status === told.status &&
    only.latencyMs === told.latencyMs &&
    only.error === told.error
  )
}

const excludedCell = (candidate: Candidate): string | null => candidate.excludedBy ?? (candidate.eligible ? null : "")

export const decisionJson = ({
  record,
  learned
}: {
  readonly record: DecisionRecord
  readonly learned: NewlyLearned | null
}) => {
  const { attempts, decision, outcome } = record
  const { candidates, request } = decision
  return {
    id: decision.id,
    policy_position: decision.policy.position,
    propensity: decision.propensity,
    learned_quality: learned?.quality ?? null,
    learned_weight: learned?.weight ?? null,
    ...outcomeJson(outcome),
    answered_by: outcome === null || outcome.model === decision.chosen ? null : outcome.model,
    request_input_tokens: request.inputTokens,
    request_max_tokens: request.maxTokens,
    stream: request.stream,
    exploration: decision.exploration,
    chosen: decision.chosen,
    algorithm: decision.policy.algorithm,
    version: decision.policy.version,
    features_version: request.featuresVersion,
    preference: request.preference,
    reason: decision.reason,
    owner: decision.owner,
    task: request.task,
    user_id: request.userId,
    session_id: request.sessionId,
    weights: sameWeights(request.weights, presetWeights(request))
      ? null
      : [request.weights.quality, request.weights.cost, request.weights.latency],
    constraints: Object.keys(request.constraints).length === 0 ? null : JSON.stringify(request.constraints),
    features: `\\x${hexOf(decision.features)}`,
    models: candidates.map((c) => c.model).join(","),
    excluded_by: candidates.every((c) => excludedCell(c) === null) ? null : candidates.map(excludedCell),
    predictions: candidates.flatMap(predictionsOf),
    attempts: isToldByOutcome(attempts, outcome)
      ? null
      : encodeAttempts(attempts.map((a) => [a.model, a.ok, a.status, a.latencyMs, a.error] as const))
  }
}

export const promptJson = ({ record }: CommitPlan["decisions"][number]) => ({
  decision_id: record.decision.id,
  prompt: record.prompt
})

const outcomeJson = (outcome: Outcome | null) => ({
  ok: outcome?.ok ?? null,
  aborted: outcome?.aborted ?? null,
  answered_by: outcome?.model ?? null,
  finish_reason: outcome?.finishReason ?? null,
  input_tokens: outcome?.inputTokens ?? null,
  output_tokens: outcome?.outputTokens ?? null,
  cost_usd: outcome?.costUsd ?? null,
  latency_ms: outcome?.latencyMs ?? null,
  first_token_ms: outcome?.firstTokenMs ?? null,
  error: outcome?.error ?? null
})

export const decisionUpdateRecordset =
  "id uuid, ok boolean, aborted boolean, answered_by text, finish_reason text, input_tokens float8, output_tokens float8, " +
  "cost_usd float8, latency_ms float8, first_token_ms float8, error text, learned_quality float8, learned_weight float8"

export const decisionUpdateJson = (update: CommitPlan["decisionUpdates"][number]) => ({
  id: update.id,
  ...outcomeJson(update.outcome),
  learned_quality: update.learned?.quality ?? null,
  learned_weight: update.learned?.weight ?? null
})

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
        error: row.error
      }

const candidatesOf = (row: DecisionRow): ReadonlyArray<Candidate> =>
  row.models.map((model, i) => {
    const excluded = row.excluded_by?.[i] ?? null
    const from = i * predictionsEach
    const [quality, qualitySd, costUsd, latencySeconds, score, propensity] = row.predictions.slice(
      from,
      from + predictionsEach
    )
    return {
      model,
      eligible: excluded === null,
      excludedBy: excluded === "" ? null : excluded,
      quality: quality ?? 0,
      qualitySd: qualitySd ?? 0,
      costUsd: costUsd ?? null,
      latencySeconds: latencySeconds ?? 0,
      score: score ?? 0,
      propensity: propensity ?? 0
    }
  })

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
        weights: quality === null ? presetWeights(row) : { quality, cost, latency },
        constraints: row.constraints ?? {},
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
      seed: row.seed
    },
    attempts:
      row.attempts?.map(([model, ok, status, latencyMs, error]): Attempt => ({
        model,
        ok,
        status,
        latencyMs,
        error
      })) ?? toldByOutcome(outcome),
    outcome,
    prompt: row.prompt
  }
}

export const learnedOf = (row: DecisionRow): Learned | null =>
  row.learned_quality === null || row.learned_weight === null || row.learned_position === null
    ? null
    : { quality: row.learned_quality, weight: row.learned_weight, position: row.learned_position }

const FeedbackRow = Schema.Struct({
  id: Schema.String,
  decision_id: DecisionIdColumn,
  created_at_ms: Schema.Number,
  confidence: Schema.Number,
  superseded_by: NullableText,
  parked: Schema.Boolean,
  kind: Schema.Literal("score", "thumbs", "rating", "task_success", "regeneration", "comment"),
  value: Schema.Union(Schema.Number, Schema.Boolean, Schema.String),
  source: Schema.String,
  comment: NullableText,
  owner: NullableText,
  answered: Schema.Literal("recorded", "superseded", "parked"),
  idempotency_key: Schema.String
})

export const decodeFeedbackRow = Schema.decodeUnknown(FeedbackRow)

export const feedbackColumns = Object.keys(FeedbackRow.fields)
  .map((name) => (name === "created_at_ms" ? `f.${name}::float8` : `f.${name}`))
  .join(", ")

export const feedbackRecordset =
  "id uuid, decision_id uuid, created_at_ms bigint, confidence float8, superseded_by uuid, parked boolean, kind text, " +
  "value jsonb, source text, comment text, owner text, answered text, idempotency_key text"

export const feedbackRecordsetColumns = feedbackRecordset.split(", ").map((column) => column.split(" ")[0])

export const feedbackJson = (row: StoredFeedback) => ({
  id: row.id,
  decision_id: row.decisionId,
  created_at_ms: Math.trunc(row.createdAtMillis),
  confidence: row.confidence,
  superseded_by: row.supersededBy,
  parked: row.parked,
  kind: row.kind,
  value: row.value,
  source: row.source,
  comment: row.comment,
  owner: row.owner,
  answered: row.answered,
  idempotency_key: row.idempotencyKey
})

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

/** What cannot be stored is rare, and as JSON it is escaped; `\\u0000` in a text looks the same and costs only time. */
const unstorable = /\\u(?:0000|d[89a-f])/

/** JSON for `json_to_recordset`. */
export const toJson = (rows: ReadonlyArray<unknown>): string => {
  const text = JSON.stringify(rows)
  return unstorable.test(text)
    ? JSON.stringify(rows, (_key, value: unknown) => (typeof value === "string" ? storable(value) : value))
    : text
}
