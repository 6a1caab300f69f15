import { retryAfterSeconds } from "../../domain/basics/RetryAfter.ts"
import type { StreamFailure } from "../../domain/models/ChatStream.ts"
import { errorIn, type ErrorSaid } from "../../domain/models/ErrorSaid.ts"
import { parseJson } from "../../domain/models/Json.ts"
import { ProviderError } from "../../services/models/LanguageModels.ts"

const maxDetailChars = 500

// oxlint-disable-next-line no-control-regex -- control characters are what it removes
const controls = /[\u0000-\u001f\u007f]+/g

/** As one short line. */
const oneLine = (text: string): string => text.replace(controls, " ").slice(0, maxDetailChars)

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
  const said = errorIn(parseJson(answer.body))
  return new ProviderError({
    model,
    status: answer.status,
    retryAfterSeconds: retryAfterSeconds(answer.retryAfter, nowMillis),
    ...told(reasonOf(answer.status), said, `the provider answered HTTP ${answer.status}`)
  })
}

/** A message about a key tends to quote it. */
const told = (reason: ProviderError["reason"], said: ErrorSaid | null, otherwise: string) => {
  const message = said?.message ?? null
  if (reason === "unauthorized") {
    return {
      reason,
      said: said === null ? null : { ...said, message: null },
      detail: "the provider does not accept the key"
    }
  }
  return { reason, said, detail: message === null ? otherwise : oneLine(message) }
}

/** The error inside a body or an event of status 200. */
export const reported = (model: string, status: number, said: ErrorSaid): ProviderError =>
  new ProviderError({
    model,
    status,
    retryAfterSeconds: null,
    ...told(reasonOf(said.status ?? 500), said, "the provider reported an error")
  })

export const streamFailure = (model: string, status: number, { detail, error, reason }: StreamFailure): ProviderError =>
  reason === "reported"
    ? reported(model, status, error ?? { message: detail, type: null, code: null, param: null, status: null })
    : failure(model, reason, status, detail)

export const failure = (
  model: string,
  reason: "connection" | "timeout" | "bad_answer" | "cut" | "empty" | "rejected",
  status: number | null,
  detail: string
): ProviderError => new ProviderError({ model, reason, status, retryAfterSeconds: null, detail })
