import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { FeedbackSubmission } from "../../domain/learning/Feedback.ts"
import type { Decision } from "../../domain/routing/Decision.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { Ids } from "../../services/running/Ids.ts"

/** So many are on their way to the log at most; what comes beyond is dropped and counted. */
const mostUnderWay = 256

export interface Said {
  readonly decision: Pick<Decision, "id" | "owner">
  /** `implicit:SIGNAL` or `judge:MODEL`. */
  readonly source: string
  /** [0, 1] and (0, 1]. */
  readonly quality: number
  readonly weight: number
  readonly comment?: string
}

/** Tells the log what the service itself says of answers. Nobody waits for it. */
export interface Verdicts {
  readonly say: (said: Said) => void
}

export const make = (options: {
  readonly log: Pick<LearningLogShape, "feedback">
  readonly ids: typeof Ids.Service
  readonly nowMillis: () => number
  /** Of what was not said. */
  readonly dropped: () => void
}): Effect.Effect<Verdicts> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const { dropped, ids, log, nowMillis } = options
    let underWay = 0
    return {
      say: (said) => {
        if (underWay >= mostUnderWay) return dropped()
        underWay++
        const submission = submissionOf(said, ids.uuidV7(nowMillis()), nowMillis())
        Runtime.runFork(runtime)(log.feedback(submission)).addObserver((exit) => {
          underWay--
          if (exit._tag === "Failure") dropped()
        })
      }
    }
  })

/** One of a source for each decision: what is said again is the same. */
const submissionOf = (
  { comment, decision, quality, source, weight }: Said,
  id: string,
  createdAtMillis: number
): FeedbackSubmission => ({
  id,
  decisionId: decision.id,
  kind: "score",
  value: quality,
  confidence: weight,
  comment: comment ?? null,
  source,
  idempotencyKey: `${source} ${decision.id}`,
  createdAtMillis,
  owner: decision.owner
})
