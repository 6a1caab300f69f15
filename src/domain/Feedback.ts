import type { DecisionId } from "./Ids.ts"

export type FeedbackKind = "score" | "thumbs" | "rating" | "task_success" | "regeneration" | "comment"

/** What somebody said about an answer, in the API's own terms. */
export interface FeedbackSubmission {
  /** Given by the service, a UUIDv7. */
  readonly id: string
  readonly decisionId: DecisionId
  readonly kind: FeedbackKind
  /** As sent: number, boolean, or string, by kind. */
  readonly value: number | boolean | string
  /** (0, 1]. */
  readonly confidence: number
  readonly comment: string | null
  readonly source: string
  /** The client's own, or the id. */
  readonly idempotencyKey: string
  readonly createdAtMillis: number
  /** The key that sent it, hashed. */
  readonly owner: string | null
}

/** A stored feedback. */
export interface Feedback extends FeedbackSubmission {
  readonly supersededBy: string | null
  readonly parked: boolean
}

/** Quality in [0, 1] and its weight; null for a kind that says nothing about quality. */
export const judgement = (
  feedback: Pick<FeedbackSubmission, "kind" | "value" | "confidence">
): { readonly quality: number; readonly weight: number } | null => {
  switch (feedback.kind) {
    case "score":
      return { quality: Number(feedback.value), weight: feedback.confidence }
    case "thumbs":
      return { quality: feedback.value === "up" ? 1 : 0, weight: feedback.confidence }
    case "rating":
      return { quality: (Number(feedback.value) - 1) / 4, weight: feedback.confidence }
    case "task_success":
      return { quality: feedback.value === true ? 1 : 0, weight: feedback.confidence }
    case "regeneration":
      return feedback.value === true ? { quality: 0.2, weight: 0.5 * feedback.confidence } : null
    case "comment":
      return null
  }
}

/**
 * All judgements on one decision as one: the weighted mean, and a weight of at most 1, so that an answer judged
 * three times does not count as three answers. Null if none says anything about quality.
 */
export const combine = (
  feedback: ReadonlyArray<Pick<FeedbackSubmission, "kind" | "value" | "confidence">>
): { readonly quality: number; readonly weight: number } | null => {
  let sum = 0
  let weight = 0
  for (const one of feedback) {
    const judged = judgement(one)
    if (judged === null) continue
    sum += judged.weight * judged.quality
    weight += judged.weight
  }
  return weight > 0 ? { quality: sum / weight, weight: Math.min(1, weight) } : null
}
