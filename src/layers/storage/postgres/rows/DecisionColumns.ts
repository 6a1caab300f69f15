import * as Schema from "effect/Schema"
import { endianness } from "node:os"
import type { NewlyLearned } from "../../../../domain/learning/CommitPlan.ts"
import type { DecisionRecord } from "../../../../domain/routing/DecisionRecord.ts"
import type { Outcome } from "../../../../domain/routing/Outcome.ts"
import { normalise, preferences, type Preference, type Weights } from "../../../../domain/routing/Weights.ts"
import { attemptsCellOf } from "./Attempts.ts"
import { exclusionsOf, predictionsOf } from "./Candidates.ts"
import {
  AttemptsCell,
  ConstraintsCell,
  DetailsCell,
  DecisionIdCell,
  ExcludedByCell,
  ModelIdCell,
  ModelsCell,
  NullableBoolean,
  NullableNumber,
  NullableText,
  PreferenceCell,
  ReasonCell
} from "./Cells.ts"
import { columnOf, selected } from "./Column.ts"

// The columns of `decisions`, in three groups by what writes them. Insert, update, select and decoding follow from here.

const presets = new Map<Preference, Weights>()

export const presetWeights = (preference: Preference): Weights => {
  const known = presets.get(preference)
  if (known !== undefined) return known
  const weights = normalise(preferences[preference])
  presets.set(preference, weights)
  return weights
}

/** Null where they are those of the preference. */
const weightsOf = ({ preference, weights }: DecisionRecord["decision"]["request"]) => {
  const preset = presetWeights(preference)
  const isPreset =
    weights.quality === preset.quality && weights.cost === preset.cost && weights.latency === preset.latency
  return isPreset ? null : [weights.quality, weights.cost, weights.latency]
}

const isLittleEndian = endianness() === "LE"

/** Little-endian float32 in a row: an array's header would be a fifth of it. */
const bytesOf = (features: Float32Array): Uint8Array => {
  const bytes = new Uint8Array(features.buffer, features.byteOffset, features.byteLength)
  return isLittleEndian ? bytes : Buffer.from(bytes).swap32()
}

const decided = columnOf<DecisionRecord>()

/** Written once, with the decision. */
export const decidedColumns = {
  id: decided("uuid", DecisionIdCell, ({ decision }) => decision.id),
  policy_position: decided("bigint", Schema.Number, ({ decision }) => decision.policy.position),
  propensity: decided("float8", Schema.Number, ({ decision }) => decision.propensity),
  request_input_tokens: decided("float8", Schema.Number, ({ decision }) => decision.request.inputTokens),
  request_max_tokens: decided("float8", NullableNumber, ({ decision }) => decision.request.maxTokens),
  stream: decided("boolean", Schema.Boolean, ({ decision }) => decision.request.stream),
  exploration: decided("boolean", Schema.Boolean, ({ decision }) => decision.exploration),
  chosen: decided("text", ModelIdCell, ({ decision }) => decision.chosen),
  algorithm: decided("text", Schema.String, ({ decision }) => decision.policy.algorithm),
  version: decided("text", Schema.String, ({ decision }) => decision.policy.version),
  features_version: decided("text", Schema.String, ({ decision }) => decision.request.featuresVersion),
  preference: decided("text", PreferenceCell, ({ decision }) => decision.request.preference),
  reason: decided("text", ReasonCell, ({ decision }) => decision.reason),
  owner: decided("text", NullableText, ({ decision }) => decision.owner),
  task: decided("text", NullableText, ({ decision }) => decision.request.task),
  asked_model: decided("text", NullableText, ({ decision }) => decision.request.askedModel),
  user_id: decided("text", NullableText, ({ decision }) => decision.request.userId),
  session_id: decided("text", NullableText, ({ decision }) => decision.request.sessionId),
  weights: decided(
    "float8[]",
    Schema.NullOr(Schema.Tuple(Schema.Number, Schema.Number, Schema.Number)),
    ({ decision }) => weightsOf(decision.request)
  ),
  constraints: decided("text", Schema.NullOr(ConstraintsCell), ({ decision: { request } }) =>
    Object.keys(request.constraints).length === 0 ? null : JSON.stringify(request.constraints)
  ),
  features: decided("bytea", Schema.Uint8ArrayFromSelf, ({ decision }) => bytesOf(decision.features)),
  models: decided("text", ModelsCell, ({ decision }) => decision.candidates.map((c) => c.model).join(",")),
  excluded_by: decided("text[]", Schema.NullOr(ExcludedByCell), ({ decision }) => exclusionsOf(decision.candidates)),
  predictions: decided("real[]", Schema.Array(NullableNumber), ({ decision }) => predictionsOf(decision.candidates)),
  attempts: decided("text", Schema.NullOr(AttemptsCell), ({ attempts, outcome }) => attemptsCellOf(attempts, outcome)),
  // A report on the decision adds none.
  details: decided("text", Schema.NullOr(DetailsCell), ({ decision: { pacing }, outcome }) =>
    pacing === undefined && (outcome === null || outcome.details === null)
      ? null
      : JSON.stringify(pacing === undefined ? outcome?.details : { ...outcome?.details, pacing })
  )
}

const ended = columnOf<Outcome | null>()

/** Written with the decision, or by a report on it. */
export const outcomeColumns = {
  ok: ended("boolean", NullableBoolean, (outcome) => outcome?.ok ?? null),
  aborted: ended("boolean", NullableBoolean, (outcome) => outcome?.aborted ?? null),
  // Null where the chosen model answered.
  answered_by: ended(
    "text",
    Schema.NullOr(ModelIdCell),
    (outcome) => outcome?.model ?? null,
    (value, row) => `nullif(${value}, ${row}.chosen)`
  ),
  finish_reason: ended("text", NullableText, (outcome) => outcome?.finishReason ?? null),
  input_tokens: ended("float8", NullableNumber, (outcome) => outcome?.inputTokens ?? null),
  output_tokens: ended("float8", NullableNumber, (outcome) => outcome?.outputTokens ?? null),
  cost_usd: ended("float8", NullableNumber, (outcome) => outcome?.costUsd ?? null),
  latency_ms: ended("float8", NullableNumber, (outcome) => outcome?.latencyMs ?? null),
  first_token_ms: ended("float8", NullableNumber, (outcome) => outcome?.firstTokenMs ?? null),
  error: ended("text", NullableText, (outcome) => outcome?.error ?? null)
}

const judged = columnOf<NewlyLearned | null>()

/** Written by feedback, or with the decision if that came later. `learned_position` is that of the first such commit. */
export const learnedColumns = {
  learned_quality: judged("float8", NullableNumber, (learned) => learned?.quality ?? null),
  learned_weight: judged("float8", NullableNumber, (learned) => learned?.weight ?? null)
}

export const DecisionRow = Schema.Struct({
  ...decidedColumns,
  ...outcomeColumns,
  ...learnedColumns,
  learned_position: NullableNumber,
  seed: Schema.String,
  prompt: NullableText
})
export type DecisionRow = typeof DecisionRow.Type

/** What `SELECT` names, of `decisions d` and `prompts p`. */
export const decisionSelection = [
  selected({ ...decidedColumns, ...outcomeColumns, ...learnedColumns }, "d"),
  "d.learned_position::float8",
  "(SELECT r.seed FROM routers r WHERE r.key = d.router_key) AS seed",
  "p.prompt"
].join(", ")
