import type { Clock } from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type DecisionId, uuidV7Millis } from "../../domain/basics/Ids.ts"
import { type Asker, owns, reads } from "../../domain/basics/Owner.ts"
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
  readonly clock: Clock
  readonly expiryMs: number
}

/** What is said about a decision after it was made, and what can be read of it. */
export const make = ({
  database,
  expiryMs,
  log,
  clock,
  state,
  telemetry
}: Parts): Pick<RouterShape, "report" | "feedback" | "decisions" | "decision"> => {
  /** Whether there is a decision of that id, and it is this caller's. */
  const isKnown = (id: DecisionId, asker: Asker) =>
    Effect.map(findDecision(id), (found) => Option.isSome(found) && owns(asker, found.value.record.decision.owner))

  const findDecision = (id: DecisionId) => {
    const pending = log.pendingDecision(id)
    return pending === undefined
      ? database.decision(log.router.id, id)
      : Effect.succeed(Option.some({ record: pending, feedback: [] }))
  }

  /**
   * Fails if the decision is too old to be judged, or if its id is of a time to come and no row has it: a clock that
   * stepped back makes it so, and a made-up id. Feedback on that would be parked for nothing.
   */
  const plausible = (id: DecisionId, asker: Asker) =>
    Effect.gen(function* () {
      const ageMillis = clock.unsafeCurrentTimeMillis() - uuidV7Millis(id)
      const isFuture = ageMillis < -clockSkewMillis
      if (ageMillis > expiryMs || (isFuture && !(yield* isKnown(id, asker)))) {
        return yield* new DecisionNotFound({ decisionId: id })
      }
    })

  return {
    report: Effect.fnUntraced(function* (report) {
      yield* plausible(report.decisionId, report)
      const { position, status } = yield* log.report(report)
      if (status === "unknown") return yield* new DecisionNotFound({ decisionId: report.decisionId })
      if (status === "conflict") return yield* new OutcomeConflict({ decisionId: report.decisionId })
      yield* state.caughtUp(position)
    }),

    feedback: Effect.fnUntraced(function* (submission) {
      yield* plausible(submission.decisionId, submission)
      const { id, position, status } = yield* log.feedback(submission)
      if (status === "not_yours") return yield* new DecisionNotFound({ decisionId: submission.decisionId })
      if (status === "conflict") return yield* new IdempotencyConflict()
      if (status === "parking_full") return yield* new ParkingFull()
      if (status !== "parked") yield* state.caughtUp(position)
      return { id, status }
    }, countAnswers(telemetry)),

    decisions: (query) => database.decisions(log.router.id, query),

    decision: Effect.fnUntraced(function* (id, caller) {
      const found = yield* findDecision(id)
      if (Option.isNone(found) || !reads(caller, found.value.record.decision.owner)) {
        return yield* new DecisionNotFound({ decisionId: id })
      }
      return found.value
    })
  }
}
