import { retryAfterSeconds } from "../../domain/basics/RetryAfter.ts"
import type { StreamFailure } from "../../domain/models/AnswerStream.ts"
import { type ErrorSaid, retryDelayIn, withoutSecrets, wordsOf } from "../../domain/models/ErrorSaid.ts"
import { type Reading, readFault, statusWithin } from "../../domain/routing/Fault.ts"
import { ProviderError } from "../../services/models/LanguageModels.ts"
import { headerOf, type ResponseHeaders } from "./ResponseHeaders.ts"
import type { Target } from "./UpstreamCall.ts"

type Whom = Pick<Target, "model" | "secrets">

const errorOf = (
  model: string,
  status: number,
  waitSeconds: number | null,
  said: ErrorSaid,
  { lacks, parameter, reason }: Reading
): ProviderError => {
  // A message about a key tends to quote it, masked or whole.
  const message = reason === "unauthorized" ? "the provider does not accept the key" : said.message
  return new ProviderError({
    model,
    reason,
    status,
    retryAfterSeconds: waitSeconds,
    said: reason === "unauthorized" ? { ...said, message: null } : said,
    detail: message ?? `the provider answered HTTP ${status}`,
    lacks,
    parameter
  })
}

const plainNumber = /^\s*\d{1,12}(\.\d+)?\s*$/

/** Seconds of `retry-after-ms`, else of `Retry-After`; null if there is neither. */
const waitSecondsOf = (headers: ResponseHeaders, nowMillis: number): number | null => {
  const millis = headerOf(headers, "retry-after-ms")
  return millis !== null && plainNumber.test(millis)
    ? Number(millis) / 1000
    : retryAfterSeconds(headerOf(headers, "retry-after"), nowMillis)
}

/** The error of an answer with another status than 2xx. */
export const refusal = (
  { model, secrets }: Whom,
  answer: { readonly status: number; readonly body: string; readonly headers: ResponseHeaders },
  nowMillis: number
): ProviderError => {
  const said = withoutSecrets(wordsOf(answer.body), secrets)
  const delay = retryDelayIn(answer.body)
  const waitSeconds = waitSecondsOf(answer.headers, nowMillis) ?? delay
  return errorOf(model, answer.status, waitSeconds, said, readFault(answer.status, said, delay))
}

/** The error inside a body or an event of status 200. */
const reported = ({ model, secrets }: Whom, status: number, error: ErrorSaid): ProviderError => {
  const shown = withoutSecrets(error, secrets)
  const meant = statusWithin(shown)
  const said = { ...shown, message: shown.message ?? "the provider reported an error", status: meant }
  return errorOf(model, status, null, said, readFault(meant, said))
}

export const streamFailure = (whom: Whom, status: number, { detail, error, reason }: StreamFailure): ProviderError =>
  reason === "reported"
    ? reported(whom, status, error ?? { message: detail, type: null, code: null, param: null, status: null })
    : failure(whom.model, reason, status, detail)

export const failure = (
  model: string,
  reason: "connection" | "timeout" | "bad_answer" | "cut" | "empty" | "rejected",
  status: number | null,
  detail: string
): ProviderError => new ProviderError({ model, reason, status, retryAfterSeconds: null, detail })
