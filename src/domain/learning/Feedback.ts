import type { DecisionId } from "../basics/Ids.ts"
import { type Asker, askerOf } from "../basics/Owner.ts"

export const feedbackKinds = ["score", "thumbs", "rating", "task_success", "regeneration", "comment"] as const
export type FeedbackKind = (typeof feedbackKinds)[number]

/**
 * What became of feedback that is stored. `superseded`: it took the place of an earlier one of the same kind and source.
 * `parked`: its decision is not stored yet.
 */
export const storedStatuses = ["recorded", "superseded", "parked"] as const
export type StoredStatus = (typeof storedStatuses)[number]

export const isStored = (status: string): status is StoredStatus => storedStatuses.some((one) => one === status)

/** What somebody said about an answer, in the API's own terms. */
export interface FeedbackSubmission extends Asker {
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
  /** The id of an earlier one of the same commit: this one is stored only if that one is new, and else a conflict. */
  readonly follows?: string
}

/** A stored feedback. */
export interface Feedback extends FeedbackSubmission {
  readonly supersededBy: string | null
  readonly parked: boolean
}

/** What somebody said about a whole session. */
export interface SessionFeedback extends Asker {
  readonly sessionId: string
  readonly kind: FeedbackKind
  /** As sent: number, boolean, or string, by kind. */
  readonly value: number | boolean | string
  /** (0, 1], for the newest decision. */
  readonly confidence: number
  readonly comment: string | null
  /** The client's own; null if it named none. */
  readonly source: string | null
  /** The client's own; null if it sent none. */
  readonly idempotencyKey: string | null
  readonly createdAtMillis: number
}

/** A judgement of a session is credited to so many of its answered decisions, the newest ones. */
export const mostSessionDecisions = 8

/**
 * The share of a session judgement's confidence that one decision gets: 1 for the newest (rank 0), half as much for each
 * older one, 0 from rank 8 on. What somebody says of a session is mostly about its latest answers, and all of it together
 * counts for less than two judged answers.
 */
export const sessionCredit = (rank: number): number => (rank < mostSessionDecisions ? 0.5 ** rank : 0)

/**
 * The idempotency key of the row at that rank: the newest decision's has the client's own. A client's key has no space,
 * so no other feedback has a derived one.
 */
export const sessionKey = (key: string, rank: number): string => (rank === 0 ? key : `${key} #${rank + 1}`)

/**
 * A session's judgement as one submission for each of `decisions` (newest first) that has a credit. A comment has no
 * quality to credit and goes to the newest only, as does the remark that accompanies another kind. Without a key of the
 * client the newest row's id is the key. The others follow the newest: what is sent twice is credited once, even if the
 * session has gone on between the two.
 */
export const creditSession = (
  given: SessionFeedback,
  decisions: ReadonlyArray<DecisionId>,
  newId: () => string
): ReadonlyArray<FeedbackSubmission> => {
  const count = given.kind === "comment" ? 1 : mostSessionDecisions
  const rows = decisions.slice(0, count).map((decisionId) => ({ id: newId(), decisionId }))
  const [newest] = rows
  if (newest === undefined) return []
  return rows.map(({ decisionId, id }, rank) => ({
    id,
    decisionId,
    kind: given.kind,
    value: given.value,
    confidence: given.confidence * sessionCredit(rank),
    comment: rank === 0 ? given.comment : null,
    source: given.source === null ? "session" : `session:${given.source}`,
    idempotencyKey: sessionKey(given.idempotencyKey ?? newest.id, rank),
    createdAtMillis: given.createdAtMillis,
    ...askerOf(given),
    ...(rank === 0 ? {} : { follows: newest.id })
  }))
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
