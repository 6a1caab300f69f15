import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { retryAfterSeconds } from "../../domain/basics/RetryAfter.ts"
import { ProviderError } from "../../services/models/LanguageModels.ts"

const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** The object that the text is in JSON; null if it is none. */
export const jsonObject = (text: string): Readonly<Record<string, unknown>> | null => {
  const value = Option.getOrNull(parse(text))
  return Predicate.isReadonlyRecord(value) ? value : null
}

const maxDetailChars = 500

// oxlint-disable-next-line no-control-regex -- control characters are what it removes
const controls = /[\u0000-\u001f\u007f]+/g

/** OpenAI's `{"error":{"message"}}`, or `{"error":"..."}`, as one short line. */
const upstreamMessage = (body: Readonly<Record<string, unknown>> | null): string | null => {
  const error = body?.["error"]
  const message = Predicate.isReadonlyRecord(error) ? error["message"] : error
  return typeof message === "string" && message !== "" ? message.replace(controls, " ").slice(0, maxDetailChars) : null
}

const reasonOf = (status: number): ProviderError["reason"] => {
  switch (status) {
    case 429:
      return "rate_limited"
    case 401:
    case 403:
      return "unauthorized"
    case 400:
    case 413:
    case 415:
    case 422:
      return "rejected"
    default:
      // 404 too: the configuration names a model that the provider does not have, another one may work.
      return "server_error"
  }
}

/** The error of an answer with another status than 2xx. */
export const refusal = (
  model: string,
  answer: { readonly status: number; readonly body: string; readonly retryAfter: string | null },
  nowMillis: number
): ProviderError => {
  const reason = reasonOf(answer.status)
  // A message about a key tends to quote it.
  const said =
    reason === "unauthorized" ? "the provider does not accept the key" : upstreamMessage(jsonObject(answer.body))
  return new ProviderError({
    model,
    reason,
    status: answer.status,
    retryAfterSeconds: retryAfterSeconds(answer.retryAfter, nowMillis),
    detail: said ?? `the provider answered HTTP ${answer.status}`
  })
}

/** The error inside a body or an event of status 200, as some gateways send it; null if there is none. */
export const embeddedError = (
  model: string,
  status: number,
  body: Readonly<Record<string, unknown>>
): ProviderError | null => {
  const error = body["error"]
  if (error === undefined || error === null) return null
  const code =
    Predicate.isReadonlyRecord(error) && typeof error["code"] === "number" && error["code"] >= 400 ? error["code"] : 500
  const reason = reasonOf(code)
  return new ProviderError({
    model,
    reason,
    status,
    retryAfterSeconds: null,
    detail: (reason === "unauthorized" ? null : upstreamMessage(body)) ?? "the provider reported an error"
  })
}

export const failure = (
  model: string,
  reason: "connection" | "timeout" | "bad_answer" | "cut" | "rejected",
  status: number | null,
  detail: string
): ProviderError => new ProviderError({ model, reason, status, retryAfterSeconds: null, detail })
