import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "./Json.ts"

/** What an upstream says of an error, in its own words: a line each, bounded by `withoutSecrets`. */
export interface ErrorSaid {
  readonly message: string | null
  readonly type: string | null
  readonly code: string | null
  /** Path of the request's part that is wrong. */
  readonly param: string | null
  /** The HTTP status that the error names, from 400 to 599; null if it names none. */
  readonly status: number | null
}

const nothing: ErrorSaid = { message: null, type: null, code: null, param: null, status: null }

const maxMessageChars = 500
const maxNameChars = 100
/** Errors are wrapped by gateways, and gateways by gateways. */
const deepest = 5

// oxlint-disable-next-line no-control-regex -- control characters are what it removes
const controls = /[\u0000-\u001f\u007f]+/g

const lineOf = (value: unknown): string | null => {
  const line = textOf(value)?.replace(controls, " ").trim() ?? ""
  return line === "" ? null : line
}

const jsonOf = (text: string): unknown => (/^\s*[{[]/.test(text) ? parseJson(text) : undefined)

const statusOf = (value: unknown): number | null => {
  const number = typeof value === "string" && /^\d{3}$/.test(value) ? Number(value) : value
  return typeof number === "number" && Number.isInteger(number) && number >= 400 && number <= 599 ? number : null
}

/** A status is no code. */
const codeOf = (value: unknown): string | null => (statusOf(value) === null ? lineOf(value) : null)

/** FastAPI's `["body", "messages", 0]`. */
const pathOf = (location: unknown): string | null =>
  Array.isArray(location) ? lineOf(location.filter((part, i) => i > 0 || part !== "body").join(".")) : null

/** Google's `details: [{ reason: "API_KEY_INVALID" }]`. */
const reasonIn = (details: unknown): string | null => {
  if (!Array.isArray(details)) return null
  const found = details.find((detail) => isObject(detail) && typeof detail["reason"] === "string")
  return isObject(found) ? lineOf(found["reason"]) : null
}

/** The first of several errors; in a list of a validator the one that names the field. */
const firstOf = (list: ReadonlyArray<unknown>): unknown => list.find((item) => isObject(item) || item !== "")

/** Where the error of a wrapper is; `raw` is what a gateway's own upstream said. */
const innerOf = (fields: JsonObject): ReadonlyArray<unknown> => [
  isObject(fields["metadata"]) ? fields["metadata"]["raw"] : undefined,
  fields["error"],
  fields["errors"],
  fields["detail"],
  typeof fields["message"] === "string" ? jsonOf(fields["message"]) : fields["message"]
]

const ownWords = (fields: JsonObject): ErrorSaid => ({
  message: lineOf(fields["message"] ?? fields["msg"] ?? fields["error_description"]),
  type: lineOf(fields["type"] ?? fields["__type"]) ?? lineOf(fields["status"]),
  code: reasonIn(fields["details"]) ?? codeOf(fields["code"]),
  param: lineOf(fields["param"]) ?? pathOf(fields["loc"]),
  status:
    statusOf(fields["code"]) ??
    statusOf(fields["status"]) ??
    statusOf(fields["status_code"]) ??
    statusOf(fields["statusCode"])
})

const over = (inner: ErrorSaid, outer: ErrorSaid): ErrorSaid => ({
  message: inner.message ?? outer.message,
  type: inner.type ?? outer.type,
  code: inner.code ?? outer.code,
  param: inner.param ?? outer.param,
  status: inner.status ?? outer.status
})

const read = (value: unknown, depth: number): ErrorSaid => {
  if (depth > deepest) return nothing
  if (typeof value === "string") {
    const object = jsonOf(value)
    return object === undefined ? { ...nothing, message: lineOf(value) } : read(object, depth + 1)
  }
  if (Array.isArray(value)) return read(firstOf(value), depth + 1)
  if (!isObject(value)) return nothing
  return innerOf(value)
    .filter((inner) => inner !== undefined && inner !== null)
    .reduceRight<ErrorSaid>((said, inner) => over(read(inner, depth + 1), said), ownWords(value))
}

/** Shorter ones are no secrets, and would blot out words. */
const shortestSecret = 6

/**
 * What may be shown: without the secrets, the message at most 500 characters, the others 100. Blots out before it cuts:
 * half a key is a secret too.
 */
export const withoutSecrets = (said: ErrorSaid, secrets: ReadonlyArray<string>): ErrorSaid => {
  const told = secrets.filter((secret) => secret.length >= shortestSecret)
  const shown = (text: string | null, most: number) =>
    text === null ? null : told.reduce((line, secret) => line.replaceAll(secret, "[redacted]"), text).slice(0, most)
  return {
    message: shown(said.message, maxMessageChars),
    type: shown(said.type, maxNameChars),
    code: shown(said.code, maxNameChars),
    param: shown(said.param, maxNameChars),
    status: said.status
  }
}

/**
 * The words of a body that is known to be an error, in any of the spellings that are in use: OpenAI's
 * `{"error": {...}}` or `{"error": "..."}`, flat ones (vLLM, Mistral, Cohere, Bedrock), a list of either (Gemini),
 * FastAPI's `detail` (a text, an object, a list of `loc` and `msg`), errors inside texts or `metadata.raw` of gateways,
 * and plain text.
 */
export const wordsOf = (text: string): ErrorSaid =>
  // A page for people says nothing to programs.
  /^\s*</.test(text) ? nothing : read(text, 0)

/** Seconds until the request may be sent again, as Google says it among the details of an error (`RetryInfo`); null if it does not. */
export const retryDelayIn = (text: string): number | null => {
  const parsed = jsonOf(text)
  const body = Array.isArray(parsed) ? parsed[0] : parsed
  const error = isObject(body) ? body["error"] : null
  for (const detail of isObject(error) ? arrayOf(error["details"]) : []) {
    const delay = isObject(detail) ? /^(\d{1,9}(?:\.\d+)?)s$/.exec(String(detail["retryDelay"]))?.[1] : undefined
    if (delay !== undefined) return Number(delay)
  }
  return null
}

const onlyMessage = (message: string): ErrorSaid => ({ ...nothing, message })

/** Of the member `error`: an object, or a text. Null, false and an empty text say that there is none. */
const ofMember = (error: unknown): ErrorSaid | null => {
  if (error === true) return onlyMessage("the provider reported an error")
  return isObject(error) || textOf(error) !== null ? read(error, 0) : null
}

/**
 * The error that an answer is or has: OpenAI's `{"error":{...}}` or `{"error":"..."}`, Gemini's list of one, vLLM's flat
 * `{"object":"error"}`, FastAPI's `{"detail":...}`, Groq's `x_groq.error`, an `error` inside a choice or a choice that
 * finished with `error`. Null if it is none.
 */
export const errorIn = (body: unknown): ErrorSaid | null => {
  if (Array.isArray(body)) return errorIn(body[0])
  if (!isObject(body)) return null
  const groq = body["x_groq"]
  const told = ofMember(body["error"]) ?? (isObject(groq) ? ofMember(groq["error"]) : null)
  if (told !== null) return told
  if (!Array.isArray(body["choices"])) {
    const isFlat = body["object"] === "error" || body["type"] === "error" || body["detail"] !== undefined
    return isFlat ? read(body, 0) : null
  }
  for (const choice of arrayOf(body["choices"])) {
    if (!isObject(choice)) continue
    const inside = ofMember(choice["error"])
    if (inside !== null) return inside
    if (choice["finish_reason"] === "error") return onlyMessage("the model's answer ended by an error")
  }
  return null
}

/** Of a body or an event that is known to be an error, whatever its form. */
export const errorOf = (body: unknown): ErrorSaid =>
  errorIn(body) ?? (isObject(body) ? read(body, 0) : onlyMessage(textOf(body) ?? "the provider reported an error"))
