import * as Effect from "effect/Effect"
import type { Decision } from "../../domain/routing/Decision.ts"
import type { Attempt } from "../../domain/routing/Outcome.ts"
import { NoEligibleModel } from "../../services/learning/BanditState.ts"
import type { Outage } from "./Circuit.ts"
import type { RoutedRequest } from "./RoutedRequest.ts"

// What the router says of its work. A text of the client is in none of it: no prompt, task, user or session.

const round = (millis: number) => Math.round(millis * 1000) / 1000

/** The table of scores, or of who was excluded by what. */
export const decided = (decision: Decision | NoEligibleModel, tookMs: number): Effect.Effect<void> =>
  decision instanceof NoEligibleModel
    ? Effect.logDebug("no model is left to choose", {
        latency_ms: round(tookMs),
        candidates: decision.excluded.map(({ excludedBy, model }) => ({ model, excluded_by: excludedBy }))
      })
    : Effect.logDebug("decided", {
        decision_id: decision.id,
        model_id: decision.chosen,
        latency_ms: round(tookMs),
        reason: decision.reason,
        propensity: decision.propensity,
        exploration: decision.exploration,
        algorithm: decision.policy.algorithm,
        position: decision.policy.position,
        weights: decision.request.weights,
        stream: decision.request.stream,
        input_tokens: decision.request.inputTokens,
        candidates: decision.candidates.map((candidate) => ({
          model: candidate.model,
          eligible: candidate.eligible,
          excluded_by: candidate.excludedBy,
          quality: candidate.quality,
          quality_sd: candidate.qualitySd,
          cost_usd: candidate.costUsd,
          latency_seconds: candidate.latencySeconds,
          score: candidate.score,
          propensity: candidate.propensity
        }))
      })

export const called = (routed: RoutedRequest, attempt: Attempt): Effect.Effect<void> =>
  Effect.logDebug("called", {
    ...about(routed, attempt),
    ok: attempt.ok,
    status: attempt.status,
    error: attempt.error
  })

/** What one call was about. */
const about = ({ decision }: RoutedRequest, attempt: Attempt) => ({
  decision_id: decision.id,
  model_id: attempt.model,
  latency_ms: round(attempt.latencyMs)
})

/** Its price and its quality may be another's. */
export const servedByOther = ({ decision }: RoutedRequest, model: string, served: string): Effect.Effect<void> =>
  Effect.logWarning(`model ${model} is asked, and ${served} answers: what is known of ${model} may not hold for it`, {
    decision_id: decision.id,
    model_id: model
  })

export const outageBegan = (routed: RoutedRequest, attempt: Attempt, forMillis: number): Effect.Effect<void> =>
  Effect.logWarning(
    `model ${attempt.model} failed again and again (${attempt.error}): it is left out for ${forMillis / 1000} s, then tried by one request at a time`,
    about(routed, attempt)
  )

export const outageEnded = (
  routed: RoutedRequest,
  attempt: Attempt,
  outage: Outage,
  nowMillis: number
): Effect.Effect<void> => {
  const seconds = ((nowMillis - outage.sinceMillis) / 1000).toFixed(1)
  return Effect.logInfo(
    `model ${attempt.model} answers again after ${seconds}s: ${outage.failures} failed call(s), ${outage.keptAway} decision(s) were made without it`,
    about(routed, attempt)
  )
}
