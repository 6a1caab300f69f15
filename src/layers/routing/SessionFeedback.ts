import type { Clock } from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { sameContent } from "../../domain/learning/CommitPlan.ts"
import {
  creditSession,
  mostSessionDecisions,
  type SessionFeedback,
  sessionKey
} from "../../domain/learning/Feedback.ts"
import { type DecisionId, uuidV7Millis } from "../../domain/basics/Ids.ts"
import type { BanditStateShape } from "../../services/learning/BanditState.ts"
import type { DatabaseError, DatabaseShape, FeedbackResult } from "../../services/storage/Database.ts"
import type { IdsShape } from "../../services/running/Ids.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { TelemetryShape } from "../../services/observing/Telemetry.ts"
import { countAnswers } from "./FeedbackAnswers.ts"
import {
  IdempotencyConflict,
  ParkingFull,
  type RouterShape,
  SessionNotFound,
  type SessionFeedbackResult
} from "../../services/routing/Router.ts"

interface Parts {
  readonly log: LearningLogShape
  readonly database: DatabaseShape
  readonly state: BanditStateShape
  readonly telemetry: Pick<TelemetryShape, "feedbackAnswered">
  readonly ids: IdsShape
  readonly clock: Clock
  readonly expiryMs: number
}

const isCredited = (status: FeedbackResult["status"] | undefined) =>
  status !== "conflict" && status !== "not_yours" && status !== "parking_full"

/** Feedback on a session: one feedback on each of its newest answered decisions, in one commit. */
export const make = ({
  database,
  expiryMs,
  ids,
  log,
  clock,
  state,
  telemetry
}: Parts): RouterShape["sessionFeedback"] => {
  const routerId = log.router.id

  /** What the first feedback with this key was answered; none if there is none. */
  const answeredBefore = (
    given: SessionFeedback,
    key: string
  ): Effect.Effect<Option.Option<SessionFeedbackResult>, DatabaseError | IdempotencyConflict> =>
    Effect.gen(function* () {
      const found = yield* database.feedbackByKey(routerId, key)
      if (Option.isNone(found)) return Option.none()
      const first = found.value
      const judged = yield* database.decision(routerId, first.decisionId)
      const isOfSession = Option.exists(judged, ({ record }) => record.decision.request.sessionId === given.sessionId)
      const [again] = creditSession(given, [first.decisionId], () => first.id)
      if (!isOfSession || again === undefined || !sameContent(first, again)) return yield* new IdempotencyConflict()
      const decisionIds = [first.decisionId]
      while (decisionIds.length < mostSessionDecisions) {
        const next = yield* database.feedbackByKey(routerId, sessionKey(key, decisionIds.length))
        if (Option.isNone(next)) break
        decisionIds.push(next.value.decisionId)
      }
      return Option.some({ id: first.id, decisionIds, status: first.answered })
    })

  /** Answered, young enough to be judged, newest first: what is stored, and what this replica has not stored yet. */
  const newestOf = (session: Pick<SessionFeedback, "sessionId" | "owner" | "formerOwners">) =>
    Effect.suspend(() => {
      // First what is pending: a decision that is stored meanwhile is in both then, not in neither.
      const pending = log.pendingOfSession(session)
      return Effect.map(database.sessionDecisions(routerId, session, mostSessionDecisions), (stored) =>
        Array.from(new Set<DecisionId>([...pending, ...stored]))
          .filter((id) => clock.unsafeCurrentTimeMillis() - uuidV7Millis(id) <= expiryMs)
          .sort((a, b) => (a < b ? 1 : -1))
      )
    })

  return Effect.fnUntraced(function* (given) {
    const key = given.idempotencyKey
    const before = key === null ? Option.none() : yield* answeredBefore(given, key)
    if (Option.isSome(before)) return before.value

    const decisions = yield* newestOf(given)
    const submissions = creditSession(given, decisions, () => ids.uuidV7(clock.unsafeCurrentTimeMillis()))
    if (submissions.length === 0) return yield* new SessionNotFound({ sessionId: given.sessionId })
    const { position, results } = yield* log.feedbackAll(submissions)
    const [newest] = results
    if (newest === undefined || newest.status === "not_yours") {
      return yield* new SessionNotFound({ sessionId: given.sessionId })
    }
    if (newest.status === "conflict") {
      // Somebody sent the same at the same time, and a decision came in between; or the key is another feedback's.
      const meanwhile = key === null ? Option.none() : yield* answeredBefore(given, key)
      return yield* Option.isSome(meanwhile) ? Effect.succeed(meanwhile.value) : new IdempotencyConflict()
    }
    if (newest.status === "parking_full") return yield* new ParkingFull()
    yield* state.caughtUp(position)
    const credited = submissions.filter((_, rank) => isCredited(results[rank]?.status))
    return { id: newest.id, decisionIds: credited.map(({ decisionId }) => decisionId), status: newest.status }
  }, countAnswers(telemetry))
}
