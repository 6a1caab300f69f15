import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type DecisionId, uuidV7Millis } from "../../domain/basics/Ids.ts"
import type { BanditStateShape } from "../../services/learning/BanditState.ts"
import type { DatabaseShape } from "../../services/storage/Database.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { TelemetryShape } from "../../services/observing/Telemetry.ts"
import { countAnswers } from "./FeedbackAnswers.ts"
import {
  DecisionNotFound,
  IdempotencyConflict,
  OutcomeConflict,
  ParkingFull,
  type RouterShape
} from "../../services/routing/Router.ts"

/** An id may be ahead of this clock by as much: the clocks of two replicas differ. */
const clockSkewMillis = 60_000

interface Parts {
  readonly log: LearningLogShape
  readonly database: DatabaseShape
  readonly state: BanditStateShape
  readonly telemetry: Pick<TelemetryShape, "feedbackAnswered">
  readonly nowMillis: () => number
  readonly expiryMs: number
}

/** What is said about a decision after it was made, and what can be read of it. */
export const make = ({
  database,
  expiryMs,
  log,
  nowMillis,
  state,
  telemetry
}: Parts): Pick<RouterShape, "report" | "feedback" | "decisions" | "decision"> => {
  /** Fails unless the id is of an age at which its decision can still be judged. */
  const plausible = (id: DecisionId) =>
    Effect.suspend(() => {
      const ageMillis = nowMillis() - uuidV7Millis(id)
      return ageMillis > expiryMs || ageMillis < -clockSkewMillis
        ? Effect.fail(new DecisionNotFound({ decisionId: id }))
        : Effect.void
    })

  return {
    report: Effect.fnUntraced(function* (report) {
      yield* plausible(report.decisionId)
      const { position, status } = yield* log.report(report)
      if (status === "unknown") return yield* new DecisionNotFound({ decisionId: report.decisionId })
      if (status === "conflict") return yield* new OutcomeConflict({ decisionId: report.decisionId })
      yield* state.caughtUp(position)
    }),

    feedback: Effect.fnUntraced(function* (submission) {
      yield* plausible(submission.decisionId)
      const { id, position, status } = yield* log.feedback(submission)
      if (status === "not_yours") return yield* new DecisionNotFound({ decisionId: submission.decisionId })
      if (status === "conflict") return yield* new IdempotencyConflict()
      if (status === "parking_full") return yield* new ParkingFull()
      if (status !== "parked") yield* state.caughtUp(position)
      return { id, status }
    }, countAnswers(telemetry)),

    decisions: (query) => database.decisions(log.router.id, query),

    decision: Effect.fnUntraced(function* (id, caller) {
      const pending = log.pendingDecision(id)
      const found =
        pending === undefined
          ? yield* database.decision(log.router.id, id)
          : Option.some({ record: pending, feedback: [] })
      if (Option.isNone(found) || found.value.record.decision.owner !== caller.owner) {
        return yield* new DecisionNotFound({ decisionId: id })
      }
      return found.value
    })
  }
}
