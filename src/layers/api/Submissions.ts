import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { FeedbackSubmission } from "../../domain/learning/Feedback.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import {
  feedbackByKind,
  FeedbackHeaders,
  FeedbackKindOf,
  type FeedbackRequest,
  OutcomeRequest
} from "../../services/api/Requests.ts"
import type { FeedbackAnswer, OutcomeAnswer, SessionFeedbackAnswer } from "../../services/api/Responses.ts"
import type { Caller, RouterShape } from "../../services/routing/Router.ts"
import type { IdsShape } from "../../services/running/Ids.ts"
import { askerOf } from "../../domain/basics/Owner.ts"
import { decoder } from "./Body.ts"
import type { Handler, ReadBody } from "./Handler.ts"
import type { InvalidRequest } from "./HttpErrors.ts"
import { decisionEntry, decisionIdOf, type ShownWith } from "./Present.ts"
import { countContentTokens as countedContentTokens } from "./GeminiDoor.ts"
import { countTokens as countedTokens } from "./MessagesDoor.ts"
import { json } from "./Reply.ts"
import { fromRoute } from "./RoutingInput.ts"

export interface SubmissionDependencies {
  readonly router: Pick<RouterShape, "route" | "report" | "feedback" | "sessionFeedback">
  readonly readBody: ReadBody
  readonly ids: IdsShape
  readonly preferred: () => Preference
  readonly reference: () => ShownWith
}

const decodeOutcome = decoder(OutcomeRequest)
const decodeKind = decoder(FeedbackKindOf)
type DecodeFeedback = (body: unknown) => Either.Either<FeedbackRequest, InvalidRequest>
const decodeByKind: { readonly [K in FeedbackRequest["kind"]]: DecodeFeedback } = {
  score: decoder(feedbackByKind.score),
  thumbs: decoder(feedbackByKind.thumbs),
  rating: decoder(feedbackByKind.rating),
  task_success: decoder(feedbackByKind.task_success),
  regeneration: decoder(feedbackByKind.regeneration),
  comment: decoder(feedbackByKind.comment)
}
/** The kind first: a union would look it up as whatever text it can be turned into. */
const decodeFeedback: DecodeFeedback = (body) =>
  Either.flatMap(decodeKind(body), ({ kind }) => decodeByKind[kind](body))
const decodeFeedbackHeaders = decoder(FeedbackHeaders, { unknownKeys: "ignored" })

/** Decides only; the caller calls the model. */
export const route =
  ({ preferred, readBody, reference, router }: SubmissionDependencies): Handler =>
  (exchange) =>
    Effect.gen(function* () {
      const { caller, request } = exchange
      const input = yield* readBody(exchange, (body) => fromRoute(body, request.headers, preferred()))
      const decision = yield* router.route(input.request, caller)
      return json(decisionEntry({ decision, attempts: [], outcome: null, prompt: null }, [], reference()), {
        "x-conduit-decision-id": decision.id,
        "x-conduit-model": decision.chosen,
        "x-conduit-reason": decision.reason,
        "x-conduit-propensity": String(decision.propensity)
      })
    })

/** What came of a decision that only was decided. */
export const outcomes =
  ({ readBody, router }: SubmissionDependencies): Handler =>
  (exchange) =>
    Effect.gen(function* () {
      const report = yield* readBody(exchange, decodeOutcome)
      const decisionId = yield* decisionIdOf(report.decision_id)
      yield* router.report({
        decisionId,
        ok: report.ok,
        inputTokens: report.input_tokens ?? null,
        outputTokens: report.output_tokens ?? null,
        latencyMs: report.latency_ms ?? null,
        error: report.error ?? null,
        ...askerOf(exchange.caller)
      })
      const shown: OutcomeAnswer = { decision_id: decisionId, status: "recorded" }
      return json(shown)
    })

/** A judgement of one answer, or of a session. */
export const feedback = (dependencies: SubmissionDependencies): Handler => {
  const { ids, readBody, router } = dependencies
  return (exchange) =>
    Effect.gen(function* () {
      const { caller, request } = exchange
      const headers = yield* decodeFeedbackHeaders(request.headers)
      const given = yield* readBody(exchange, decodeFeedback)
      const now = yield* Clock.currentTimeMillis
      // Its schema has exactly one of the two.
      const { decision_id: subject = "", session_id: sessionId } = given
      const idempotencyKey = ownKey(caller, headers["idempotency-key"])
      if (sessionId !== undefined) {
        const result = yield* router.sessionFeedback({
          ...judgement(given),
          sessionId,
          source: given.source ?? null,
          idempotencyKey,
          createdAtMillis: now,
          ...askerOf(caller)
        })
        const shown: SessionFeedbackAnswer = {
          id: result.id,
          session_id: sessionId,
          decision_ids: result.decisionIds,
          status: result.status
        }
        return json(shown)
      }
      const decisionId = yield* decisionIdOf(subject)
      const id = ids.uuidV7(now)
      const submission: FeedbackSubmission = {
        ...judgement(given),
        id,
        decisionId,
        source: given.source ?? "api",
        idempotencyKey: idempotencyKey ?? id,
        createdAtMillis: now,
        ...askerOf(caller)
      }
      const result = yield* router.feedback(submission)
      const shown: FeedbackAnswer = { id: result.id, decision_id: decisionId, status: result.status }
      return json(shown)
    })
}

const judgement = ({ comment, confidence, kind, value }: FeedbackRequest) => ({
  kind,
  value,
  confidence: confidence ?? 1,
  comment: comment ?? null
})

/** Two callers may use the same key; no key of a client has a space in it. */
const ownKey = ({ owner }: Caller, key: string | undefined): string | null =>
  key === undefined ? null : owner === null ? key : `${owner} ${key}`

/** An estimate of what a message would have as its input, without asking a model. */
export const countTokens =
  ({ readBody }: Pick<SubmissionDependencies, "readBody">): Handler =>
  (exchange) =>
    Effect.map(readBody(exchange, countedTokens), (tokens) => json({ input_tokens: tokens }))

/** The same in Google's words. */
export const countContentTokens =
  ({ readBody }: Pick<SubmissionDependencies, "readBody">): Handler =>
  (exchange) =>
    Effect.map(readBody(exchange, countedContentTokens), (tokens) => json({ totalTokens: tokens }))
