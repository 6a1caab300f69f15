import * as Effect from "effect/Effect"
import type { RouterError } from "../../services/routing/Router.ts"
import type { FeedbackAnswer, TelemetryShape } from "../../services/observing/Telemetry.ts"

/** Counts what a feedback was answered, whichever way. */
export const countAnswers =
  ({ feedbackAnswered }: Pick<TelemetryShape, "feedbackAnswered">) =>
  <A extends { readonly status: FeedbackAnswer }, E extends Pick<RouterError, "_tag">, R>(
    answered: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> =>
    Effect.tapBoth(answered, {
      onSuccess: ({ status }) => Effect.sync(() => feedbackAnswered(status)),
      onFailure: ({ _tag }) => Effect.sync(() => feedbackAnswered(refusalOf(_tag)))
    })

const refusalOf = (tag: RouterError["_tag"]): FeedbackAnswer => {
  switch (tag) {
    case "DecisionNotFound":
    case "SessionNotFound":
      return "not_found"
    case "IdempotencyConflict":
      return "conflict"
    default:
      return "refused"
  }
}
