import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Http from "node:http"
import { planConstants } from "../../domain/learning/CommitPlan.ts"
import type { FeedbackSubmission } from "../../domain/learning/Feedback.ts"
import { DecisionId } from "../../domain/basics/Ids.ts"
import { DecisionsQuery } from "../../services/api/DecisionsQuery.ts"
import { FeedbackHeaders, FeedbackRequest, OutcomeRequest } from "../../services/api/Requests.ts"
import type {
  CompleteAnswer,
  DecisionList,
  FeedbackAnswer,
  ModelList,
  OutcomeAnswer,
  SessionFeedbackAnswer
} from "../../services/api/Responses.ts"
import type { IdsShape } from "../../services/running/Ids.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import {
  DecisionNotFound,
  UnknownModel,
  type Answer,
  type AnswerHead,
  type Caller,
  type RouterShape
} from "../../services/routing/Router.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import type { TracingShape } from "../../services/observing/Tracing.ts"
import { decoder, readJson } from "./Body.ts"
import type { AnyError } from "./ErrorTable.ts"
import type { Exchange, Handler } from "./Exchange.ts"
import { InvalidRequest } from "./HttpErrors.ts"
import { autoEntry, decisionEntry, modelEntry, usdText } from "./Present.ts"
import { query } from "./Query.ts"
import { json } from "./Reply.ts"
import { fromChat, fromComplete, fromRoute, type RoutingInput } from "./RoutingInput.ts"
import { openSink } from "./SseSink.ts"
import * as Stats from "./StatsHandler.ts"

export interface Dependencies {
  readonly router: RouterShape
  readonly tracing: Pick<TracingShape, "within">
  readonly settings: SettingsShape
  readonly catalog: ModelCatalogShape
  readonly ids: IdsShape
  /** Unix time, seconds. */
  readonly startedAtSeconds: number
}

const decodeOutcome = decoder(OutcomeRequest)
const decodeFeedback = decoder(FeedbackRequest)
const decodeDecisionsQuery = decoder(DecisionsQuery)
const decodeFeedbackHeaders = decoder(FeedbackHeaders, { unknownKeys: "ignored" })

/** The routes of `/v1`, each a paragraph: read, decode, ask the router, present. */
export const make = ({ catalog, ids, router, settings, startedAtSeconds, tracing }: Dependencies) => {
  const limits = { bytes: settings.http.maxBodyBytes, millis: Duration.toMillis(settings.http.bodyTimeout) }
  const preferred = () => catalog.current().policy.preference
  const reference = () => ({
    costUsd: catalog.current().costReferenceUsd,
    latencySeconds: planConstants.latencyReferenceSeconds
  })

  const decoded = <A, E extends AnyError>(
    request: Http.IncomingMessage,
    decode: (body: unknown) => Either.Either<A, E>
  ) => tracing.within("decode", Effect.flatMap(readJson(request, limits), decode))

  const chat: Handler = (exchange) =>
    Effect.gen(function* () {
      const { request } = exchange
      const input = yield* decoded(request, (body) => fromChat(body, request.headers, preferred()))
      if (input.request.stream) return yield* stream(exchange, input)
      const answer = yield* complete(exchange, input)
      return json(answer.body, { ...headHeaders(answer), ...costHeader(answer) }, answer.status)
    })

  const stream = (exchange: Exchange, { body, request }: RoutingInput) => {
    const { onBroken, requestId, response } = exchange
    return Effect.as(
      router.stream(request, body, watchedCaller(exchange), (head) =>
        openSink(response, { ...headHeaders(head), "x-request-id": requestId }, requestId, onBroken)
      ),
      null
    )
  }

  const complete = (exchange: Exchange, { body, request }: RoutingInput) =>
    router.complete(request, body, watchedCaller(exchange))

  const completeSimply: Handler = (exchange) =>
    Effect.gen(function* () {
      const { request } = exchange
      const input = yield* decoded(request, (body) => fromComplete(body, request.headers, preferred()))
      const answer = yield* complete(exchange, input)
      const { id } = answer.body
      const shown: CompleteAnswer = {
        id: typeof id === "string" ? id : answer.decisionId,
        decision_id: answer.decisionId,
        model: answer.model,
        content: contentOf(answer.body),
        usage:
          answer.usage === null
            ? null
            : {
                prompt_tokens: answer.usage.inputTokens,
                completion_tokens: answer.usage.outputTokens,
                total_tokens: answer.usage.inputTokens + answer.usage.outputTokens
              },
        cost_usd: answer.costUsd,
        latency_ms: answer.latencyMs
      }
      return json(shown, { ...headHeaders(answer), ...costHeader(answer) })
    })

  const route: Handler = ({ caller, request }) =>
    Effect.gen(function* () {
      const input = yield* decoded(request, (body) => fromRoute(body, request.headers, preferred()))
      const decision = yield* router.route(input.request, caller)
      return json(decisionEntry({ decision, attempts: [], outcome: null, prompt: null }, [], reference()), {
        "x-conduit-decision-id": decision.id,
        "x-conduit-model": decision.chosen,
        "x-conduit-reason": decision.reason,
        "x-conduit-propensity": String(decision.propensity)
      })
    })

  const outcomes: Handler = ({ caller, request }) =>
    Effect.gen(function* () {
      const report = yield* decoded(request, decodeOutcome)
      const decisionId = yield* decisionIdOf(report.decision_id)
      yield* router.report({
        decisionId,
        ok: report.ok,
        inputTokens: report.input_tokens ?? null,
        outputTokens: report.output_tokens ?? null,
        latencyMs: report.latency_ms ?? null,
        error: report.error ?? null,
        owner: caller.owner
      })
      const shown: OutcomeAnswer = { decision_id: decisionId, status: "recorded" }
      return json(shown)
    })

  const feedback: Handler = ({ caller, request }) =>
    Effect.gen(function* () {
      const headers = yield* decodeFeedbackHeaders(request.headers)
      const given = yield* decoded(request, decodeFeedback)
      const now = yield* Clock.currentTimeMillis
      const about = yield* subjectOf(given)
      if (about.sessionId !== null) return yield* sessionFeedback(about.sessionId, given, headers, caller, now)
      const decisionId = yield* decisionIdOf(about.decisionId)
      const id = ids.uuidV7(now)
      const submission: FeedbackSubmission = {
        id,
        decisionId,
        kind: given.kind,
        value: given.value,
        confidence: given.confidence ?? 1,
        comment: given.comment ?? null,
        source: given.source ?? "api",
        idempotencyKey: ownKey(caller, headers["idempotency-key"]) ?? id,
        createdAtMillis: now,
        owner: caller.owner
      }
      const result = yield* router.feedback(submission)
      const shown: FeedbackAnswer = { id: result.id, decision_id: decisionId, status: result.status }
      return json(shown)
    })

  const sessionFeedback = (
    sessionId: string,
    given: FeedbackRequest,
    headers: FeedbackHeaders,
    caller: Caller,
    createdAtMillis: number
  ) =>
    Effect.map(
      router.sessionFeedback({
        sessionId,
        kind: given.kind,
        value: given.value,
        confidence: given.confidence ?? 1,
        comment: given.comment ?? null,
        source: given.source ?? null,
        idempotencyKey: ownKey(caller, headers["idempotency-key"]),
        createdAtMillis,
        owner: caller.owner
      }),
      ({ decisionIds, id, status }) => {
        const shown: SessionFeedbackAnswer = { id, session_id: sessionId, decision_ids: decisionIds, status }
        return json(shown)
      }
    )

  const decisions: Handler = ({ caller, request }) =>
    Effect.gen(function* () {
      const asked = yield* decodeDecisionsQuery(yield* query(request))
      const limit = asked.limit ?? defaultDecisions
      // One more than is shown tells whether there is a next page.
      const found = yield* router.decisions({
        owner: caller.owner,
        model: asked.model ?? null,
        fromMillis: asked.from ?? null,
        untilMillis: asked.until ?? null,
        userId: asked.user_id ?? null,
        task: asked.task ?? null,
        algorithm: asked.algorithm ?? null,
        reason: asked.reason ?? null,
        outcome: asked.outcome ?? null,
        before: asked.cursor ?? null,
        limit: limit + 1
      })
      const page = found.slice(0, limit)
      const shown: DecisionList = {
        object: "list",
        data: page.map(({ feedback, record }) => decisionEntry(record, feedback, reference())),
        next_cursor: found.length > limit ? (page.at(-1)?.record.decision.id ?? null) : null
      }
      return json(shown)
    })

  const decision: Handler = ({ caller, id }) =>
    Effect.gen(function* () {
      const stored = yield* router.decision(yield* decisionIdOf(id), caller)
      return json(decisionEntry(stored.record, stored.feedback, reference()))
    })

  const models: Handler = () =>
    Effect.sync(() => {
      const all = router.models()
      const list: ModelList = {
        object: "list",
        data: [autoEntry(all, startedAtSeconds), ...all.map((one) => modelEntry(one, startedAtSeconds))]
      }
      return json(list)
    })

  const model: Handler = ({ id }) =>
    Effect.suspend(() => {
      const all = router.models()
      if (id === "auto") return Effect.succeed(json(autoEntry(all, startedAtSeconds)))
      const found = all.find((one) => one.model.id === id)
      return found === undefined
        ? Effect.fail(new UnknownModel({ model: id.slice(0, 128) }))
        : Effect.succeed(json(modelEntry(found, startedAtSeconds)))
    })

  const stats = Stats.make(router, reference)

  return { chat, completeSimply, route, outcomes, feedback, decisions, decision, stats, models, model }
}

const defaultDecisions = 50

/** The one of the two that feedback is about. */
const subjectOf = ({
  decision_id: decisionId,
  session_id: sessionId
}: FeedbackRequest): Either.Either<
  { readonly decisionId: string; readonly sessionId: null } | { readonly decisionId: null; readonly sessionId: string },
  InvalidRequest
> => {
  if (decisionId !== undefined && sessionId === undefined) return Either.right({ decisionId, sessionId: null })
  if (decisionId === undefined && sessionId !== undefined) return Either.right({ decisionId: null, sessionId })
  const detail =
    decisionId === undefined ? "is missing: decision_id or session_id is needed" : "excludes session_id: send one"
  return Either.left(new InvalidRequest({ param: "decision_id", detail }))
}

const decisionIdOf = (id: string): Either.Either<DecisionId, DecisionNotFound> =>
  Either.mapLeft(DecisionId.either(id), () => new DecisionNotFound({ decisionId: id.slice(0, 64) }))

/** Two callers may use the same key; no key of a client has a space in it. */
const ownKey = ({ owner }: Caller, key: string | undefined): string | null =>
  key === undefined ? null : owner === null ? key : `${owner} ${key}`

const headHeaders = (head: AnswerHead): Record<string, string> => {
  const headers: Record<string, string> = {
    "x-conduit-decision-id": head.decisionId,
    "x-conduit-model": head.model,
    "x-conduit-reason": head.reason,
    "x-conduit-propensity": String(head.propensity),
    "x-conduit-overhead-ms": head.overheadMs.toFixed(3)
  }
  if (head.simulated) headers["x-conduit-simulated"] = "true"
  return headers
}

const costHeader = (answer: Answer): Record<string, string> =>
  answer.costUsd === null ? {} : { "x-conduit-cost-usd": usdText(answer.costUsd) }

/** The text of the first choice; null if it has none, as when the model calls a tool. */
const contentOf = (body: Readonly<Record<string, unknown>>): string | null => {
  const choice: unknown = Array.isArray(body["choices"]) ? body["choices"][0] : undefined
  const message = property(choice, "message")
  const content = property(message, "content")
  return typeof content === "string" ? content : null
}

const property = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined

/** A request that does not drain says which model it waits for. */
const watchedCaller = ({ caller, inFlight }: Exchange): Caller =>
  inFlight === undefined
    ? caller
    : {
        ...caller,
        onCall: (model) => {
          inFlight.model = model
        }
      }
