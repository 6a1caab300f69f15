import type { IncomingHttpHeaders } from "node:http"
import { type AnyError, envelope, type PublicError, toPublic } from "./ErrorTable.ts"
import { type RoutePath, routes } from "../../services/api/Routes.ts"
import { named, namedEvent, oneLine } from "./NamedEvents.ts"
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

/** Google's word for an error, by its status. https://cloud.google.com/apis/design/errors */
const wordOf = (status: number): string => {
  const words: Readonly<Record<number, string>> = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED"
  }
  return words[status] ?? (status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT")
}

/** Google's envelope: among the details stand our own code, the part that is at fault, and when to ask again. */
export const googleEnvelope = ({ code, details, headers, message, param, status }: PublicError) => {
  const wait = headers?.["retry-after"]
  const type = (name: string) => `type.googleapis.com/google.rpc.${name}`
  return {
    error: {
      code: status,
      message,
      status: wordOf(status),
      details: [
        { "@type": type("ErrorInfo"), reason: code, domain: "conduit" },
        ...(param === undefined || param === null
          ? []
          : [{ "@type": type("BadRequest"), fieldViolations: [{ field: param, description: message }] }]),
        ...(wait === undefined ? [] : [{ "@type": type("RetryInfo"), retryDelay: `${wait}s` }]),
        ...(details === undefined ? [] : [{ "@type": type("DebugInfo"), detail: JSON.stringify(details) }])
      ]
    }
  }
}

const event = (payload: string): string => `data: ${oneLine(payload)}\n\n`

/**
 * There is no event that ends a stream. A blank line shows that it lives: of Google's clients that of JavaScript takes a
 * comment before data for the whole event, that of Python takes one for a piece of JSON.
 */
export const googleForm: StreamForm = {
  framed: event,
  alive: "\n",
  end: "",
  broken: (error) => event(JSON.stringify(googleEnvelope(toPublic(error))))
}

const google: Door = {
  failure: (error) => failed(toPublic(error), googleEnvelope),
  requestIdHeaders: ["x-request-id"],
  stream: googleForm
}

/** Paths that several APIs have: who asks says whose it is. */
const sharedPaths: ReadonlySet<string> = new Set([routes.models.path, routes.model.path])

const isGoogles = ({ "x-goog-api-client": client, "x-goog-api-key": key }: IncomingHttpHeaders): boolean =>
  client !== undefined || key !== undefined

/** By the path; and by the version that all of Anthropic's clients name, whatever it is, where a path is both APIs'. */
export const doorFor = (path: RoutePath | null, headers: IncomingHttpHeaders): Door => {
  if (path?.dialect === "google") return google
  if (path?.dialect === "anthropic" || headers["anthropic-version"] !== undefined) return anthropic
  return (path === null || sharedPaths.has(path.path)) && isGoogles(headers) ? google : openai
}

export const speaksAnthropic = (door: Door): boolean => door === anthropic
export const speaksGoogle = (door: Door): boolean => door === google
