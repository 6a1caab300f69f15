import * as Either from "effect/Either"
import { DecisionId, type ModelId } from "../../domain/basics/Ids.ts"
import { type Charge, penalty } from "../../domain/learning/BudgetPacing.ts"
import type { ModelParams } from "../../domain/models/ModelParams.ts"
import type { Alias } from "../../domain/routing/Alias.ts"
import type { Candidate, Decision } from "../../domain/routing/Decision.ts"
import { type Outcome, outcomeKind } from "../../domain/routing/Outcome.ts"
import type { DecisionRecord } from "../../domain/routing/DecisionRecord.ts"
import { combine, type Feedback } from "../../domain/learning/Feedback.ts"
import { reward } from "../../domain/learning/Reward.ts"
import { costScore, latencyScore } from "../../domain/routing/Score.ts"
import type { DecisionEntry, ModelEntry, ModelList } from "../../services/api/Responses.ts"
import { DecisionNotFound, type RoutedModel } from "../../services/routing/Router.ts"

/** What a cost and a latency are measured with. */
export interface RewardReference {
  readonly costUsd: number
  readonly latencySeconds: number
}

/** What decisions are shown with, as it is configured now. */
export interface ShownWith extends RewardReference {
  /** What the entry of a model asks of it. */
  readonly paramsOf: (model: ModelId) => ModelParams | undefined
}

/** An id of a decision, or of an answer, which is made of it; one that its upstream keeps says behind it where. */
const answerId = /^(?:resp_|msg_|chatcmpl-|cmpl-|embd-)?([\da-f-]{36})(?:_[\w-]*)?$/

export const decisionIdOf = (id: string): Either.Either<DecisionId, DecisionNotFound> =>
  Either.mapLeft(
    DecisionId.either(answerId.exec(id.toLowerCase())?.[1] ?? ""),
    () => new DecisionNotFound({ decisionId: id.slice(0, 64) })
  )

/** Decimal USD without exponent; the number itself says the same in JSON. */
export const usdText = (usd: number): string => {
  const fixed = usd.toFixed(12)
  return fixed.replace(/\.?0+$/, "")
}

/** A decision as the API shows it. After a fallback `chosen` is the model that answered. */
export const decisionEntry = (
  { attempts, decision, outcome, prompt }: DecisionRecord,
  feedback: ReadonlyArray<Feedback>,
  reference: ShownWith
): DecisionEntry => {
  const fellBack = outcome !== null && outcome.model !== decision.chosen
  const { weights } = decision.request
  const { pacing } = decision
  const judged = combine(feedback.filter((f) => f.supersededBy === null))
  return {
    id: decision.id,
    created_at: new Date(decision.createdAtMillis).toISOString(),
    router_id: decision.routerId,
    policy: decision.policy,
    ...pacingEntry(pacing),
    request: requestEntry(decision.request),
    candidates: decision.candidates.map((c) => ({
      model: c.model,
      ...paramsEntry(reference.paramsOf(c.model)),
      eligible: c.eligible,
      excluded_by: c.excludedBy,
      quality: c.quality,
      quality_sd: c.qualitySd,
      cost_usd: c.costUsd,
      ...(c.conversationUsd === undefined ? {} : { conversation_cost_usd: c.conversationUsd }),
      latency_seconds: c.latencySeconds,
      score: c.score,
      parts: {
        quality: weights.quality * c.quality,
        cost:
          weights.cost * costScore(weighedUsd(c), reference.costUsd) -
          (pacing === undefined ? 0 : penalty(pacing, weighedUsd(c))),
        latency: weights.latency * latencyScore(c.latencySeconds, reference.latencySeconds)
      },
      propensity: c.propensity
    })),
    chosen: fellBack ? outcome.model : decision.chosen,
    propensity: decision.propensity,
    reason: fellBack ? "fallback" : decision.reason,
    exploration: decision.exploration,
    seed: decision.seed,
    attempts: attempts.map((a) => ({
      model: a.model,
      ok: a.ok,
      status: a.status,
      latency_ms: a.latencyMs,
      error: a.error
    })),
    outcome: outcome === null ? null : outcomeEntry(outcome),
    feedback: feedback.map((f) => ({
      id: f.id,
      kind: f.kind,
      value: f.value,
      confidence: f.confidence,
      comment: f.comment,
      source: f.source,
      created_at: new Date(f.createdAtMillis).toISOString(),
      superseded_by: f.supersededBy
    })),
    reward: outcome === null ? null : reward(outcome, judged, weights, reference),
    ...(prompt === null ? {} : { prompt })
  }
}

/** What is compared of a candidate. */
const weighedUsd = ({ conversationUsd, costUsd }: Candidate) =>
  conversationUsd === undefined ? costUsd : conversationUsd

const pacingEntry = (pacing: Charge | undefined) =>
  pacing === undefined ? {} : { pacing: { multiplier: pacing.multiplier, budget_usd: pacing.budgetUsd } }

/** Most models are asked nothing besides. */
const paramsEntry = (params: ModelParams | undefined) => (params === undefined ? {} : { params })

const outcomeEntry = (outcome: Outcome): NonNullable<DecisionEntry["outcome"]> => ({
  kind: outcomeKind(outcome),
  ok: outcome.ok,
  aborted: outcome.aborted,
  finish_reason: outcome.finishReason,
  input_tokens: outcome.inputTokens,
  output_tokens: outcome.outputTokens,
  cost_usd: outcome.costUsd,
  latency_ms: outcome.latencyMs,
  first_token_ms: outcome.firstTokenMs,
  error: outcome.error,
  usage_estimated: outcome.details?.usageEstimated ?? false,
  cached_tokens: outcome.details?.cachedTokens ?? null,
  written_tokens: outcome.details?.writtenTokens ?? null,
  reasoning_tokens: outcome.details?.reasoningTokens ?? null,
  price_source: outcome.details?.priceSource ?? null,
  cache_price_assumed: outcome.details?.cachePriceAssumed ?? false,
  service_tier: outcome.details?.serviceTier ?? null,
  service_tier_price_assumed: outcome.details?.tierPriceAssumed ?? false,
  served_model: outcome.details?.servedModel ?? null,
  upstream_request_id: outcome.details?.upstreamRequestId ?? null,
  params: outcome.details?.params ?? {}
})

const requestEntry = (request: Decision["request"]): DecisionEntry["request"] => ({
  task: request.task,
  preference: request.preference,
  weights: request.weights,
  constraints: { ...request.constraints },
  asked_model: request.askedModel,
  user_id: request.userId,
  session_id: request.sessionId,
  stream: request.stream,
  input_tokens: request.inputTokens,
  max_tokens: request.maxTokens,
  features_version: request.featuresVersion
})

export const modelEntry = (
  { abilities, circuit, dialect, learned, model }: RoutedModel,
  createdSeconds: number
): ModelEntry => ({
  id: model.id,
  object: "model",
  created: createdSeconds,
  owned_by: model.provider,
  context_length: model.contextWindow,
  max_output_tokens: model.maxOutputTokens,
  conduit: {
    provider: model.provider,
    upstream: model.upstream,
    alias_for: null,
    available: model.unavailable === null,
    reason: model.unavailable,
    simulated: model.simulated,
    input_usd_per_mtok: model.inputUsdPerMTok,
    output_usd_per_mtok: model.outputUsdPerMTok,
    price_source: model.priceSource,
    context_window: model.contextWindow,
    smallest_context_window: null,
    context_window_source: model.limitSources?.contextWindow ?? null,
    max_output_tokens_source: model.limitSources?.maxOutputTokens ?? null,
    retirement: retirementEntry(model),
    embeddings: model.embeddings ?? null,
    capabilities: { ...abilities },
    dialect: { ...dialect },
    params: { ...model.params },
    quality: learned.quality,
    tasks: learned.tasks,
    changed: learned.changes.at(-1) ?? null,
    success_rate: learned.successRate,
    output_tokens: { mean: learned.outputTokensMean },
    latency_seconds: { mean: learned.latencySecondsMean },
    share: learned.share,
    circuit
  }
})

const retirementEntry = ({ retirement }: RoutedModel["model"]): ModelEntry["conduit"]["retirement"] =>
  retirement === undefined
    ? null
    : {
        state: retirement.state,
        at: retirement.atMillis === null ? null : new Date(retirement.atMillis).toISOString(),
        replacement: retirement.replacement
      }

/** The entry that clients choose to let Conduit choose. */
export const autoEntry = (models: ReadonlyArray<RoutedModel>, createdSeconds: number): ModelEntry => {
  // It stands for chats.
  const available = models.filter(({ model }) => model.unavailable === null && model.embeddings === undefined)
  const windows = available.flatMap(({ model }) => model.contextWindow ?? [])
  const outputs = available.flatMap(({ model }) => model.maxOutputTokens ?? [])
  const largest = windows.length === 0 ? null : Math.max(...windows)
  return {
    id: "auto",
    object: "model",
    created: createdSeconds,
    owned_by: "conduit",
    context_length: largest,
    max_output_tokens: outputs.length === 0 ? null : Math.max(...outputs),
    conduit: {
      provider: "conduit",
      upstream: null,
      alias_for: null,
      available: available.length > 0,
      reason: available.length > 0 ? null : "no model is available",
      simulated: available.length > 0 && available.every(({ model }) => model.simulated),
      input_usd_per_mtok: null,
      output_usd_per_mtok: null,
      price_source: null,
      context_window: largest,
      smallest_context_window: windows.length === 0 ? null : Math.min(...windows),
      context_window_source: null,
      max_output_tokens_source: null,
      retirement: null,
      embeddings: null,
      capabilities: {},
      dialect: {},
      params: {},
      quality: null,
      tasks: [],
      changed: null,
      success_rate: null,
      output_tokens: null,
      latency_seconds: null,
      share: null,
      circuit: null
    }
  }
}

/** An alias under its own name, or the name that begins as it does: as what it stands for. */
export const aliasEntry = (
  alias: Alias,
  asked: string,
  models: ReadonlyArray<RoutedModel>,
  createdSeconds: number
): ModelEntry => {
  const one = models.find(({ model }) => model.id === alias.model)
  const some = alias.models === null ? models : models.filter(({ model }) => alias.models?.includes(model.id) ?? true)
  const entry = one === undefined ? autoEntry(some, createdSeconds) : modelEntry(one, createdSeconds)
  const stands = alias.model !== null ? [alias.model] : (alias.models ?? ["auto"])
  return { ...entry, id: asked, conduit: { ...entry.conduit, alias_for: [...stands] } }
}

/** A model as Anthropic's list has it; what Conduit knows besides stands where it always does. */
export const anthropicModel = (entry: ModelEntry) => ({
  type: "model",
  id: entry.id,
  display_name: entry.id,
  created_at: new Date(entry.created * 1000).toISOString(),
  max_input_tokens: entry.context_length,
  max_tokens: entry.max_output_tokens,
  conduit: entry.conduit
})

/** All of them on one page. */
export const anthropicModels = ({ data }: ModelList) => ({
  data: data.map(anthropicModel),
  first_id: data[0]?.id ?? null,
  last_id: data.at(-1)?.id ?? null,
  has_more: false
})

/** A model as Google's list has it. */
export const googleModel = ({ conduit, context_length: window, id, max_output_tokens: most }: ModelEntry) => ({
  name: `models/${id}`,
  displayName: id,
  ...(window === null ? {} : { inputTokenLimit: window }),
  ...(most === null ? {} : { outputTokenLimit: most }),
  supportedGenerationMethods: ["generateContent", "countTokens"],
  conduit
})

export const googleModels = ({ data }: ModelList) => ({ models: data.map(googleModel) })
