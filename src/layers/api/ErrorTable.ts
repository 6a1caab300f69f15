import * as Match from "effect/Match"
import type { NoEligibleModel } from "../../services/learning/BanditState.ts"
import type { AllModelsFailed, Interrupted, RouterError, UpstreamRejected } from "../../services/routing/Router.ts"
import type { ClientFault } from "../../domain/routing/Fault.ts"
import type { KeyExists, KeyNotFound } from "../../services/api/Keys.ts"
import type { ErrorEnvelope } from "../../services/api/Responses.ts"
import { type DatabaseError, isPermanent } from "../../services/storage/Database.ts"
import type { HttpError } from "./HttpErrors.ts"

export type AnyError = RouterError | Interrupted | HttpError | KeyExists | KeyNotFound

/** What a client sees of an error. */
export interface PublicError {
  readonly status: number
  /** OpenAI's, or the upstream's own. */
  readonly type: string
  readonly code: string
  readonly message: string
  readonly param?: string | null
  readonly details?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

const longestRetrySeconds = 60

/** Clients of OpenAI sleep as long as it says, or repeat at once: what takes longer they are told not to wait for. */
const retryAfter = (seconds: number): Readonly<Record<string, string>> => {
  const whole = Math.max(1, Math.ceil(seconds))
  return whole <= longestRetrySeconds
    ? { "retry-after": String(whole) }
    : { "retry-after": String(longestRetrySeconds), "x-should-retry": "false" }
}

const invalid = (status: number, code: string, error: { readonly message: string }): PublicError => ({
  status,
  type: "invalid_request_error",
  code,
  message: error.message
})

/** An operator does not act within seconds. */
const disabledRetrySeconds = 30

const noEligibleModel = (e: NoEligibleModel): PublicError => {
  const details = { excluded: e.excluded.map(({ model, excludedBy }) => ({ model, excluded_by: excludedBy })) }
  if (!e.isAnyEnabled) {
    return {
      status: 503,
      type: "server_error",
      code: "no_model_enabled",
      message: e.message,
      details,
      headers: retryAfter(disabledRetrySeconds)
    }
  }
  if (!e.passes) return { ...invalid(422, "no_eligible_model", e), details }
  const shared = { message: e.message, details, headers: retryAfter(e.retryAfterSeconds ?? 5) }
  return e.isLimited
    ? { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded", ...shared }
    : { status: 503, type: "server_error", code: "circuits_open", ...shared }
}

/** Models were asked: the decision keeps what each of them said. */
const decided = (e: { readonly decisionId: string }) => ({ "x-conduit-decision-id": e.decisionId })

/** As the table of faults says; without the upstream's words, ours. */
const asFault = (fault: ClientFault, e: AllModelsFailed | UpstreamRejected): PublicError => ({
  status: fault.status,
  type: fault.type,
  code: fault.code,
  message: fault.message ?? e.message,
  param: fault.param,
  details: { attempts: e.attempts },
  headers: {
    ...decided(e),
    ...(fault.retryAfterSeconds === null ? {} : retryAfter(fault.retryAfterSeconds)),
    // OpenAI's own clients ask it before they look at the status.
    ...(fault.shouldRetry === null ? {} : { "x-should-retry": String(fault.shouldRetry) })
  }
})

const allModelsFailed = (e: AllModelsFailed): PublicError => {
  if (e.fault !== null) return asFault(e.fault, e)
  const shared = { message: e.message, details: { attempts: e.attempts }, headers: decided(e) }
  if (e.timedOut) return { status: 504, type: "server_error", code: "upstream_timeout", ...shared }
  return e.retryAfterSeconds === null
    ? { status: 502, type: "server_error", code: "all_models_failed", ...shared }
    : {
        status: 429,
        type: "rate_limit_error",
        code: "rate_limit_exceeded",
        ...shared,
        headers: { ...shared.headers, ...retryAfter(e.retryAfterSeconds) }
      }
}

const upstreamRejected = (e: UpstreamRejected): PublicError =>
  e.fault === null
    ? {
        ...invalid(e.status === 413 || e.status === 422 ? e.status : 400, "upstream_rejected", e),
        headers: decided(e)
      }
    : asFault(e.fault, e)

/** Its own message has the driver's words, which are for the log. */
const databaseError = (e: DatabaseError): PublicError => {
  const isWrite = e.operation === "commit"
  if (isWrite && e.reason === "constraint") {
    return invalid(422, "not_storable", {
      message: "the database cannot store what this request says, now or later: send something else"
    })
  }
  if (isPermanent(e)) {
    return {
      status: 500,
      type: "server_error",
      code: "database_error",
      message: "the database refuses this request, and will refuse it again: the log of the service says why"
    }
  }
  const message = !isWrite
    ? "the database does not answer this now: ask again"
    : e.mayBeStored === true
      ? "the database did not confirm this in time, and it may be stored all the same: send it again, feedback with the same Idempotency-Key, which stores it once"
      : "the database did not take this now: send it again, feedback with the same Idempotency-Key"
  return { status: 503, type: "server_error", code: "database_unavailable", message, headers: retryAfter(2) }
}

/** Not now: ask again after so many seconds. */
const unavailable = (code: string, error: { readonly message: string }, seconds: number): PublicError => ({
  status: 503,
  type: "server_error",
  code,
  message: error.message,
  headers: retryAfter(seconds)
})

/** As `unavailable`; whoever asks again had better connect anew, to another process. */
const leaving = (code: string, error: { readonly message: string }, seconds: number): PublicError => ({
  ...unavailable(code, error, seconds),
  headers: { ...retryAfter(seconds), connection: "close" }
})

/** The connection ends with it: what follows on it cannot be told apart. */
const closing = (status: number, code: string, error: { readonly message: string }): PublicError => ({
  ...invalid(status, code, error),
  headers: { connection: "close" }
})

/** The only place that knows both our errors and HTTP: a new error does not compile without a line here. Whole, because it is a table. */
export const toPublic: (error: AnyError) => PublicError = Match.type<AnyError>().pipe(
  Match.withReturnType<PublicError>(),
  Match.tagsExhaustive({
    MalformedBody: (e) => invalid(400, "malformed_body", e),
    InvalidRequest: (e) => ({ ...invalid(400, "invalid_request", e), param: e.param }),
    UpstreamRejected: upstreamRejected,
    Unauthorized: (e) => ({
      status: 401,
      type: "authentication_error",
      code: "invalid_api_key",
      message: e.message,
      headers: { "www-authenticate": e.needed === "page" ? 'Basic realm="Conduit", charset="UTF-8"' : "Bearer" }
    }),
    LimitReached: (e) => ({
      status: 429,
      type: "rate_limit_error",
      code: "key_limit_reached",
      message: e.message,
      details: { limit: e.limit, most: e.most, counted: e.counted },
      headers: retryAfter(e.retryAfterSeconds)
    }),
    BudgetSpent: (e) => ({
      status: 429,
      type: "rate_limit_error",
      code: "budget_spent",
      message: e.message,
      details: {
        period: e.period,
        limit_usd: e.limitUsd,
        spent_usd: e.spentUsd,
        resets_at: new Date(e.resetsAtMillis).toISOString()
      },
      headers: retryAfter(e.retryAfterSeconds)
    }),
    BudgetUnavailable: (e) => ({
      status: 503,
      type: "server_error",
      code: "budget_unavailable",
      message: e.message,
      headers: retryAfter(2)
    }),
    Forbidden: (e) => ({ status: 403, type: "permission_error", code: "insufficient_scope", message: e.message }),
    KeyNotFound: (e) => ({ ...invalid(404, "key_not_found", e), param: "name" }),
    KeyExists: (e) => ({ ...invalid(409, "key_exists", e), param: "name" }),
    RouteNotFound: (e) => invalid(404, "not_found", e),
    UnknownModel: (e) => ({ ...invalid(404, "model_not_found", e), param: "model" }),
    DecisionNotFound: (e) => ({ ...invalid(404, "decision_not_found", e), param: "decision_id" }),
    SessionNotFound: (e) => ({ ...invalid(404, "session_not_found", e), param: "session_id" }),
    MethodNotAllowed: (e) => ({ ...invalid(405, "method_not_allowed", e), headers: { allow: e.allow } }),
    BodyTimeout: (e) => closing(408, "body_timeout", e),
    IdempotencyConflict: (e) => ({ ...invalid(409, "idempotency_conflict", e), param: "Idempotency-Key" }),
    OutcomeConflict: (e) => ({ ...invalid(409, "outcome_conflict", e), param: "decision_id" }),
    MalformedHttp: (e) => closing(400, "malformed_http", e),
    HeadersTooLarge: (e) => closing(431, "headers_too_large", e),
    RequestTimeout: (e) => closing(408, "request_timeout", e),
    BodyTooLarge: (e) => invalid(413, "body_too_large", e),
    UnsupportedMediaType: (e) => invalid(415, "unsupported_media_type", e),
    UnsupportedCoding: (e) => ({
      ...invalid(415, "unsupported_coding", e),
      headers: { "accept-encoding": e.accepted }
    }),
    NoEligibleModel: noEligibleModel,
    AllModelsFailed: allModelsFailed,
    InternalError: (e) => ({ status: 500, type: "server_error", code: "internal_error", message: e.message }),
    Starting: (e) => leaving("starting", e, 5),
    Overloaded: (e) => unavailable("overloaded", e, e.retryAfterSeconds),
    Interrupted: (e) => leaving("shutting_down", e, 1),
    ParkingFull: (e) => unavailable("parking_full", e, 5),
    WindowTooLong: (e) => unavailable("window_too_long", e, 30),
    StatsBusy: (e) => unavailable("stats_busy", e, 5),
    DatabaseError: databaseError
  })
)

export const envelope = (error: PublicError, requestId: string): ErrorEnvelope => ({
  error: {
    message: error.message,
    type: error.type,
    code: error.code,
    param: error.param ?? null,
    request_id: requestId,
    ...(error.details === undefined ? {} : { details: error.details })
  }
})
