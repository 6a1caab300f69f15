import type { IncomingHttpHeaders } from "node:http"
import { type AnyError, envelope, type PublicError, toPublic } from "./ErrorTable.ts"
import type { RoutePath } from "../../services/api/Routes.ts"
import { named, namedEvent } from "./NamedEvents.ts"
import { json, type Reply } from "./Reply.ts"
import { chatForm, type StreamForm } from "./SseSink.ts"

/** What the clients of one API expect of whatever is answered there, errors before the body is read included. */
export interface Door {
  readonly failure: (error: AnyError, requestId: string) => Reply
  /** Header fields that have the request's id. */
  readonly requestIdHeaders: ReadonlyArray<string>
  readonly stream: StreamForm
}

const openai: Door = {
  failure: (error, requestId) => failed(toPublic(error), (shown) => envelope(shown, requestId)),
  requestIdHeaders: ["x-request-id"],
  stream: chatForm
}

const failed = (shown: PublicError, body: (shown: PublicError) => unknown): Reply => ({
  ...json(body(shown), shown.headers, shown.status),
  error: shown.code
})

/** Anthropic's type of an error, by its status. https://platform.claude.com/docs/en/api/errors */
const typeOf = (status: number): string => {
  const types: Readonly<Record<number, string>> = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error"
  }
  return types[status] ?? (status >= 500 ? "api_error" : "invalid_request_error")
}

/** Claude Code shortens its history when it reads these words, as Anthropic says them. */
const tooLong = "prompt is too long"

const messageOf = ({ code, message }: PublicError): string =>
  code === "context_length_exceeded" && !message.includes(tooLong) ? `${tooLong}: ${message}` : message

/** Anthropic's envelope; what it has besides is Conduit's. */
const anthropicEnvelope = (shown: PublicError, requestId: string) => ({
  type: "error",
  error: {
    type: typeOf(shown.status),
    message: messageOf(shown),
    code: shown.code,
    param: shown.param ?? null,
    ...(shown.details === undefined ? {} : { details: shown.details })
  },
  request_id: requestId
})

const anthropic: Door = {
  failure: (error, requestId) => failed(toPublic(error), (shown) => anthropicEnvelope(shown, requestId)),
  requestIdHeaders: ["request-id", "x-request-id"],
  stream: {
    framed: (payload) => namedEvent(payload),
    end: named("message_stop", '{"type":"message_stop"}'),
    alive: named("ping", '{"type":"ping"}'),
    broken: (error, requestId) => named("error", JSON.stringify(anthropicEnvelope(toPublic(error), requestId)))
  }
}

/** By the path; and by the version that all of Anthropic's clients name, whatever it is, where a path is both APIs'. */
export const doorFor = (path: RoutePath | null, headers: IncomingHttpHeaders): Door =>
  path?.dialect === "anthropic" || headers["anthropic-version"] !== undefined ? anthropic : openai

export const speaksAnthropic = (door: Door): boolean => door === anthropic
