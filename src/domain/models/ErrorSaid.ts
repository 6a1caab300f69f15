import { arrayOf, isObject, type JsonObject, textOf } from "./Json.ts"

/** What an upstream says of an error, in its own words. */
export interface ErrorSaid {
  readonly message: string | null
  readonly type: string | null
  readonly code: string | null
  readonly param: string | null
  /** The HTTP status that the error names, from 400 to 599; null if it names none. */
  readonly status: number | null
}

const statusOf = (value: unknown): number | null => {
  const number = typeof value === "string" && /^\d{3}$/.test(value) ? Number(value) : value
  return typeof number === "number" && Number.isInteger(number) && number >= 400 && number <= 599 ? number : null
}

const wordOf = (value: unknown): string | null => (typeof value === "number" ? String(value) : textOf(value))

/** FastAPI's `detail` is a text, or a list of what is wrong where. */
const detailOf = (detail: unknown): string | null => {
  const first: unknown = arrayOf(detail)[0]
  return textOf(detail) ?? (isObject(first) ? textOf(first["msg"]) : null)
}

const said = (error: JsonObject): ErrorSaid => ({
  message: textOf(error["message"]) ?? detailOf(error["detail"]) ?? textOf(error["error"]),
  type: textOf(error["type"]),
  code: wordOf(error["code"]),
  param: textOf(error["param"]),
  status: statusOf(error["code"]) ?? statusOf(error["status"]) ?? statusOf(error["status_code"])
})

const onlyMessage = (message: string): ErrorSaid => ({ message, type: null, code: null, param: null, status: null })

/** Of the member `error`: an object, or a text. Null, false and an empty text say that there is none. */
const ofMember = (error: unknown): ErrorSaid | null => {
  if (isObject(error)) return said(error)
  const message = textOf(error)
  if (message !== null) return onlyMessage(message)
  return error === true ? onlyMessage("the provider reported an error") : null
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
    return isFlat ? said(body) : null
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
  errorIn(body) ?? (isObject(body) ? said(body) : onlyMessage(textOf(body) ?? "the provider reported an error"))
