import { errorIn } from "./ErrorSaid.ts"
import type { AnswerStream } from "./AnswerStream.ts"
import type { StreamFailure } from "./AnswerStream.ts"
import { type Label, mendAnswer } from "./Form.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "./Json.ts"
import { choiceSaid, isEmpty, type Said, usageIn } from "./Said.ts"

/** A whole answer as it was read: for the client, in OpenAI's form, and what it says of itself. */
export interface WholeAnswer {
  readonly text: string
  readonly said: Said
}

const failed = (reason: StreamFailure["reason"], detail: string): StreamFailure => ({ reason, error: null, detail })

/** Reads the body of an answer of status 2xx; why it is no answer, if it is none. */
export const readAnswer = (json: string, label: Label): WholeAnswer | StreamFailure => {
  const body = parseJson(json)
  const error = errorIn(body)
  if (error !== null) return { reason: "reported", error, detail: error.message ?? "the provider reported an error" }
  if (!isObject(body)) return failed("bad_answer", "the answer is not a JSON object")
  const choices = arrayOf(body["choices"]).map(choiceSaid)
  if (choices.length === 0) return failed("bad_answer", "the answer has no choices")
  const usage = usageIn(body)
  const hasSubstance = choices.some((choice) => choice.hasSubstance)
  const reasons = choices.map(({ finishReason }) => finishReason)
  if (isEmpty(hasSubstance, reasons, usage)) return failed("empty", "the answer is empty")
  return {
    text: mendAnswer(json, body, label),
    said: {
      id: textOf(body["id"]),
      usage,
      finishReason: reasons.at(-1) ?? null,
      servedModel: typeof body["model"] === "string" ? body["model"] : null,
      isRefusal: choices.some(({ isRefusal }) => isRefusal),
      characters: choices.reduce((sum, { characters }) => sum + characters, 0),
      toolCallIds: choices.flatMap(({ toolCallIds }) => toolCallIds)
    }
  }
}

export const isAnswer = (read: WholeAnswer | StreamFailure): read is WholeAnswer => "text" in read

/** Lets a whole answer that came instead of a stream be one; false if it is neither an answer nor an error. */
export const streamWhole = (json: string, chat: AnswerStream, nowMs: number): boolean => {
  const body = parseJson(json)
  if (errorIn(body) !== null) {
    chat.event(null, json, nowMs)
    return true
  }
  if (!isObject(body) || arrayOf(body["choices"]).length === 0) return false
  const { choices, usage, ...head } = body
  const send = (chunk: JsonObject) =>
    chat.event(null, JSON.stringify({ ...head, object: "chat.completion.chunk", ...chunk }), nowMs)
  arrayOf(choices).forEach((choice, position) => {
    if (!isObject(choice)) return
    const { finish_reason: reason, index = position, message, ...more } = choice
    send({ choices: [{ ...more, index, delta: deltaOf(message), finish_reason: null }] })
    send({ choices: [{ index, delta: {}, finish_reason: reason ?? "stop" }] })
  })
  if (isObject(usage)) send({ choices: [], usage })
  chat.event(null, "[DONE]", nowMs)
  return true
}

/** A message as one delta: calls are numbered there. */
const deltaOf = (message: unknown): JsonObject => {
  if (!isObject(message)) return {}
  const calls = message["tool_calls"]
  return Array.isArray(calls)
    ? { ...message, tool_calls: arrayOf(calls).map((call, index) => (isObject(call) ? { index, ...call } : call)) }
    : message
}
