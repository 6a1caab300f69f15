import { ChatStream } from "./ChatStream.ts"
import { type StreamFailure } from "./AnswerStream.ts"
import type { Label } from "./Form.ts"
import { arrayOf, isObject, type JsonObject, parseJson } from "./Json.ts"
import { readAnswer, type WholeAnswer } from "./WholeAnswer.ts"

type Fields = Record<string, unknown>

/** Texts go on, calls by their index, anything else is as it was said last. */
const addDelta = (message: Fields, delta: JsonObject): void => {
  for (const [name, value] of Object.entries(delta)) {
    if (name === "tool_calls") message[name] = withCalls(arrayOf(message[name]), arrayOf(value))
    else if (name !== "role" && typeof value === "string") message[name] = `${String(message[name] ?? "")}${value}`
    else if (value !== null || message[name] === undefined) message[name] = value
  }
}

const withCalls = (calls: ReadonlyArray<unknown>, parts: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const merged = [...calls]
  for (const part of parts) {
    if (!isObject(part)) continue
    const { index, ...more } = part
    const at = typeof index === "number" ? index : merged.length
    const known = merged[at]
    merged[at] = isObject(known) ? withPart(known, more) : more
  }
  return merged
}

const withPart = (call: JsonObject, part: JsonObject): JsonObject => {
  const before = isObject(call["function"]) ? call["function"] : {}
  const more = isObject(part["function"]) ? part["function"] : {}
  return {
    ...call,
    ...part,
    function: {
      ...before,
      ...more,
      arguments: `${String(before["arguments"] ?? "")}${String(more["arguments"] ?? "")}`
    }
  }
}

/** Puts a whole answer together from the events of a stream that came instead of one. */
export const answerFromStream = (
  events: Iterable<{ readonly name: string | null; readonly data: string }>,
  label: Label,
  choicesAsked: number
): WholeAnswer | StreamFailure => {
  const chat = new ChatStream({ ...label, withUsage: true }, choicesAsked)
  for (const { data, name } of events) chat.event(name, data, 0)
  chat.bodyEnd(null)
  if (typeof chat.state === "object") return chat.state

  const choices = new Map<unknown, Fields & { readonly message: Fields }>()
  let head: JsonObject = {}
  for (const payload of chat.take()) {
    const chunk = parseJson(payload)
    if (!isObject(chunk)) continue
    const { choices: told, ...more } = chunk
    head = { ...more, ...head }
    for (const part of arrayOf(told)) {
      if (!isObject(part)) continue
      const { delta, finish_reason: reason, index, ...rest } = part
      const choice = choices.get(index) ?? { index, message: { role: "assistant", content: null } }
      choices.set(index, choice)
      if (isObject(delta)) addDelta(choice.message, delta)
      Object.assign(choice, rest, reason === null ? {} : { finish_reason: reason })
    }
  }
  const counts = parseJson(chat.usageChunk ?? "")
  const whole = {
    ...head,
    object: "chat.completion",
    choices: [...choices.values()],
    ...(isObject(counts) ? { usage: counts["usage"] } : {})
  }
  const read = readAnswer(JSON.stringify(whole), label)
  return "text" in read ? { text: read.text, said: { ...read.said, servedModel: chat.said.servedModel } } : read
}
