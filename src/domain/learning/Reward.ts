import type { Candidate } from "../routing/Decision.ts"
import type { Outcome } from "../routing/Outcome.ts"
import { costScore, latencyScore } from "../routing/Score.ts"
import type { Weights } from "../routing/Weights.ts"

/**
 * What one answer was worth by the weights of its request, [0, 1]: the score's formula on what was observed. 0 for a call
 * that failed. Null while nobody judged the answer, since silence says nothing, and for a call that was cut off.
 */
export const reward = (
  outcome: Pick<Outcome, "ok" | "aborted" | "costUsd" | "latencyMs" | "firstTokenMs">,
  judgement: { readonly quality: number } | null,
  weights: Weights,
  reference: { readonly costUsd: number; readonly latencySeconds: number }
): number | null => {
  if (outcome.aborted) return null
  if (!outcome.ok) return 0
  if (judgement === null) return null
  const tookMs = outcome.firstTokenMs ?? outcome.latencyMs
  return (
    weights.quality * judgement.quality +
    weights.cost * costScore(outcome.costUsd, reference.costUsd) +
    weights.latency * latencyScore(tookMs === null ? null : tookMs / 1000, reference.latencySeconds)
  )
}

/** The reward of an answered call as the decision predicted it. */
export const expectedReward = (
  candidate: Pick<Candidate, "quality" | "costUsd" | "latencySeconds">,
  weights: Weights,
  reference: { readonly costUsd: number; readonly latencySeconds: number }
): number =>
  weights.quality * candidate.quality +
  weights.cost * costScore(candidate.costUsd, reference.costUsd) +
  weights.latency * latencyScore(candidate.latencySeconds, reference.latencySeconds)
