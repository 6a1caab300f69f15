import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as Tracer from "effect/Tracer"
import type { ProtocolName } from "../../domain/models/canonical/Conversation.ts"
import type { Decision, RoutingRequest } from "../../domain/routing/Decision.ts"
import type { OutcomeReport } from "../../domain/routing/DecisionRecord.ts"
import type { FeedbackSubmission, SessionFeedback, StoredStatus } from "../../domain/learning/Feedback.ts"
import type { DecisionId, ModelId } from "../../domain/basics/Ids.ts"
import type { Reader } from "../../domain/basics/Owner.ts"
import type { Abilities } from "../../domain/routing/Capability.ts"
import type { Dialect } from "../../domain/routing/Dialect.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { Savings } from "../../domain/stats/Savings.ts"
import type { StatsQuery, StatsRows } from "../../domain/stats/Stats.ts"
import type { LearnedModel, NoEligibleModel } from "../learning/BanditState.ts"
import type { DatabaseError, DecisionQuery, StoredDecision, WindowTooLong } from "../storage/Database.ts"
import type { TokenUsage } from "../../domain/routing/Usage.ts"
import type { CircuitState } from "../../domain/routing/CircuitState.ts"
import type { BudgetSpent, BudgetUnavailable, LimitReached, Meter } from "./Metering.ts"
import type { ChatBody } from "../models/LanguageModels.ts"

/** Decides, calls, falls back, learns. */
export interface RouterShape {
  readonly complete: (request: RoutingRequest, body: ChatBody, caller: Caller) => Effect.Effect<Answer, RouterError>

  /**
   * As `complete`, for a stream: `open` is called once, when the first event of the answering model is there, or when that
   * takes long; other models may still be tried then. Once a model answers nothing fails any more: what breaks the stream
   * is told to the sink. Interruption too is told to the sink.
   */
  readonly stream: (
    request: RoutingRequest,
    body: ChatBody,
    caller: Caller,
    open: (head: StreamHead) => StreamSink
  ) => Effect.Effect<void, RouterError>

  /** The same as plain functions, which both wrap: for who serves thousands a second. */
  readonly begin: (chat: Chat) => ChatRun

  /** Decides only; the decision is stored before it is answered. */
  readonly route: (request: RoutingRequest, caller: Caller) => Effect.Effect<Decision, RouterError>
  readonly report: (report: OutcomeReport) => Effect.Effect<void, RouterError>
  readonly feedback: (
    submission: FeedbackSubmission
  ) => Effect.Effect<{ readonly id: string; readonly status: StoredStatus }, RouterError>

  /**
   * Credits the newest answered decisions of the session, all in one commit, as `creditSession` says. A repetition of
   * the idempotency key answers what the first one was answered.
   */
  readonly sessionFeedback: (given: SessionFeedback) => Effect.Effect<SessionFeedbackResult, RouterError>

  /** The stored ones, newest first: what is still on its way to the database is missing. */
  readonly decisions: (query: DecisionQuery) => Effect.Effect<ReadonlyArray<StoredDecision>, RouterError>
  readonly decision: (id: DecisionId, caller: Caller) => Effect.Effect<StoredDecision, RouterError>
  /** The stored decisions of all replicas, added up. */
  readonly stats: (query: StatsQuery) => Effect.Effect<Stats, RouterError>
  readonly models: () => ReadonlyArray<RoutedModel>
}

export class Router extends Context.Tag("conduit/services/Router")<Router, RouterShape>() {}

/** Who asks. */
export interface Caller extends Reader {
  /** Ids of those that may answer; absent for all. */
  readonly allowedModels?: ReadonlyArray<string>
  /** What bounds its use; absent for nothing. */
  readonly meter?: Meter
}

/** A chat, and who hears of it. */
export interface Chat {
  readonly request: RoutingRequest
  readonly body: ChatBody
  /** The chat that a body of another protocol would be: what conversation it is a turn of. */
  readonly form?: ChatBody | undefined
  /** That the body is in and the answer shall be: OpenAI's chat if it does not say. */
  readonly protocol?: ProtocolName | undefined
  /** Header fields that go on to an upstream of that protocol. */
  readonly forwarded?: Readonly<Record<string, string>> | undefined
  readonly caller: Caller
  /** Told of each model before it is called. */
  readonly onCall?: (model: ModelId) => void
  /** As `stream` takes it; null for a whole answer. */
  readonly open: ((head: StreamHead) => StreamSink) | null
  /** The request's own span, if it belongs to a trace. */
  readonly span: Tracer.AnySpan | undefined
  /** Logs on its behalf. */
  readonly log: (line: Effect.Effect<void>) => void
  /**
   * Called once, perhaps before `begin` returns, when nothing of it is under way any more: with a whole answer, with null
   * after a stream, or with why there is neither. `about` belongs to the line that logs a bug.
   */
  readonly onEnd: (exit: Exit.Exit<Answer | null, RouterError>, about?: Readonly<Record<string, string>>) => void
}

export interface ChatRun {
  /** Ends it at once; what it has come to is an outcome. Does nothing after the end. */
  readonly interrupt: () => void
}

/** Of the newest decision's feedback, and to whom it was credited, newest first. */
export interface SessionFeedbackResult {
  readonly id: string
  readonly decisionIds: ReadonlyArray<DecisionId>
  readonly status: StoredStatus
}

export interface Stats extends StatsRows {
  /** Null where the query asks for none, or names a model: what one model answered says nothing about the choice. */
  readonly savings: (Savings & { readonly sampled: number }) | null
}

/** What the headers of an answer say. */
export interface AnswerHead {
  readonly decisionId: DecisionId
  /** The model that answered. */
  readonly model: ModelId
  /** One of `reasons`. */
  readonly reason: string
  /** Of the first choice. */
  readonly propensity: number
  readonly simulated: boolean
  /** What was spelt differently for the model, as `max_tokens->max_completion_tokens`; null if nothing was. */
  readonly adjusted: string | null
  /** By which the upstream knows the call that answered; null if it said none. */
  readonly upstreamRequestId: string | null
  /** Time not spent waiting for models so far. */
  readonly overheadMs: number
}

/** Of a stream; it may begin before it is known who answers. */
export interface StreamHead extends Omit<AnswerHead, "model"> {
  readonly model: ModelId | null
}

export interface Answer extends AnswerHead {
  readonly status: number
  /** OpenAI's object as the upstream sent it; `model` is the id of the model that answered. */
  readonly text: string
  readonly usage: TokenUsage | null
  readonly costUsd: number | null
  readonly latencyMs: number
}

/** Where the events of a stream go. */
export interface StreamSink {
  /** Data payloads, in order, an event each; calls `more` when the client can take more, perhaps at once. */
  readonly events: (payloads: ReadonlyArray<string>, more: () => void) => void
  /** Shows a sign of life now. */
  readonly alive: () => void
  /** What still comes are counts and the end: no more signs of life. */
  readonly finishing: () => void
  /** The answer is whole. */
  readonly end: () => void
  /** The answer is broken: the error, and no end. */
  readonly fail: (error: RouterError | Interrupted) => void
}

export interface RoutedModel {
  readonly model: Model
  readonly learned: LearnedModel
  readonly circuit: CircuitState
  /** What it can do, as far as anybody says, and how it spells a request. */
  readonly abilities: Abilities
  readonly dialect: Dialect
}

/** `ClientFault` of the table of faults. */
const Fault = Schema.Struct({
  status: Schema.Number,
  type: Schema.String,
  code: Schema.String,
  param: Schema.NullOr(Schema.String),
  message: Schema.NullOr(Schema.String),
  shouldRetry: Schema.NullOr(Schema.Literal(false)),
  retryAfterSeconds: Schema.NullOr(Schema.Number)
})

export type RouterError =
  | NoEligibleModel
  | LimitReached
  | BudgetSpent
  | BudgetUnavailable
  | UnknownModel
  | AllModelsFailed
  | UpstreamRejected
  | DecisionNotFound
  | SessionNotFound
  | IdempotencyConflict
  | OutcomeConflict
  | ParkingFull
  | WindowTooLong
  | StatsBusy
  | DatabaseError

export class UnknownModel extends Schema.TaggedError<UnknownModel>()("UnknownModel", { model: Schema.String }) {
  override get message() {
    return `there is no model ${JSON.stringify(this.model)}: GET /v1/models lists them, "auto" lets Conduit choose`
  }
}

const AttemptsTold = Schema.Array(
  Schema.Struct({ model: Schema.String, reason: Schema.String, status: Schema.NullOr(Schema.Number) })
)
const defaulted = <A, I>(schema: Schema.Schema<A, I>, value: A) =>
  schema.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => value)
  )
const unlessSaid = <A, I>(schema: Schema.Schema<A | null, I>) => defaulted(schema, null)

/** Every model that was tried failed. */
export class AllModelsFailed extends Schema.TaggedError<AllModelsFailed>()("AllModelsFailed", {
  decisionId: Schema.String,
  /** The last attempt, or the total deadline, ran out of time. */
  timedOut: Schema.Boolean,
  /** Seconds until one of them might answer, if all said so. */
  retryAfterSeconds: Schema.NullOr(Schema.Number),
  attempts: AttemptsTold,
  /** Of a limit that ran out: which one. */
  limit: unlessSaid(Schema.NullOr(Schema.String)),
  /** What a client sees; as `timedOut` and `retryAfterSeconds` say, unless it is more than that. */
  fault: unlessSaid(Schema.NullOr(Fault))
}) {
  override get message() {
    const tried = this.attempts.map((a) => `${a.model} ${a.reason}${a.status === null ? "" : ` (HTTP ${a.status})`}`)
    return `no model answered: ${tried.join(", ")}${this.limit === null ? "" : `: ${this.limit}`}`
  }
}

/** All models that were asked refused the request, or the one that the client named did: in the upstream's own words. */
export class UpstreamRejected extends Schema.TaggedError<UpstreamRejected>()("UpstreamRejected", {
  decisionId: Schema.String,
  model: Schema.String,
  status: Schema.Number,
  detail: Schema.String,
  attempts: defaulted(AttemptsTold, []),
  fault: unlessSaid(Schema.NullOr(Fault))
}) {
  override get message() {
    return `${this.model} refused the request (HTTP ${this.status}): ${this.detail}`
  }
}

export class DecisionNotFound extends Schema.TaggedError<DecisionNotFound>()("DecisionNotFound", {
  decisionId: Schema.String
}) {
  override get message() {
    return `there is no decision ${JSON.stringify(this.decisionId.slice(0, 64))}, or it is too old, or it is not yours`
  }
}

export class SessionNotFound extends Schema.TaggedError<SessionNotFound>()("SessionNotFound", {
  sessionId: Schema.String
}) {
  override get message() {
    return `there is no answered decision of a session ${JSON.stringify(this.sessionId.slice(0, 64))}, or they are too old, or not yours`
  }
}

export class IdempotencyConflict extends Schema.TaggedError<IdempotencyConflict>()("IdempotencyConflict", {}) {
  override get message() {
    return "this Idempotency-Key was used with other content"
  }
}

export class OutcomeConflict extends Schema.TaggedError<OutcomeConflict>()("OutcomeConflict", {
  decisionId: Schema.String
}) {
  override get message() {
    return `decision ${this.decisionId} has another outcome already`
  }
}

/** Too much feedback waits for decisions that have not appeared. */
export class ParkingFull extends Schema.TaggedError<ParkingFull>()("ParkingFull", {}) {
  override get message() {
    return "this decision is not stored yet, and too much feedback waits for such decisions already: send it again later"
  }
}

/** Statistics are added up one at a time, so that they never keep the database from what requests need. */
export class StatsBusy extends Schema.TaggedError<StatsBusy>()("StatsBusy", {}) {
  override get message() {
    return "other statistics are being added up: ask again later"
  }
}

/** The shutdown ended the request, or it came too late to begin. */
export class Interrupted extends Schema.TaggedError<Interrupted>()("Interrupted", {}) {
  override get message() {
    return "the service is shutting down and did not serve this request to its end: send it again"
  }
}
