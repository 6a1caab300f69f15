import * as Either from "effect/Either"
import type { Unfit } from "./canonical/Conversation.ts"
import { arrayOf, isObject, type JsonObject, parseJson, partsText, textOf } from "./Json.ts"

// OpenAI's legacy completions, as the chat of one message that a prompt is.
// https://platform.openai.com/docs/api-reference/completions

/** What a chat cannot be asked for, and why. */
const without: Readonly<Record<string, string>> = {
  suffix: "models that chat do not fill in the middle",
  echo: "models that chat do not repeat the prompt",
  logprobs: "models that chat have no probabilities of a prompt; chats have logprobs and top_logprobs",
  best_of: "ask for n answers of a chat"
}

const saysNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === false || value === ""

/** The chat that a request for a completion is; or why it is none. */
export const chatOf = (body: JsonObject): Either.Either<JsonObject, Unfit> => {
  const { prompt, ...rest } = body
  for (const [param, detail] of Object.entries(without)) {
    const value = rest[param]
    const isOne = param === "best_of" && value === 1
    if (!saysNothing(value) && !isOne) return Either.left({ param, detail, lacks: null })
  }
  const [one, ...others] = Array.isArray(prompt) ? arrayOf(prompt) : [prompt]
  if (typeof one !== "string" || others.length > 0) {
    return Either.left({ param: "prompt", detail: "must be one text: send several requests for several", lacks: null })
  }
  const kept = Object.entries(rest).filter(([name]) => !Object.hasOwn(without, name))
  return Either.right({ ...Object.fromEntries(kept), messages: [{ role: "user", content: one }] })
}

const wordOf = ({ finish_reason: word }: JsonObject): unknown => word ?? null

/** The same for a whole answer and for a chunk of a stream. */
const completionOf = (chat: JsonObject, choice: (choice: JsonObject) => string): JsonObject => ({
  ...chat,
  object: "text_completion",
  choices: arrayOf(chat["choices"])
    .filter(isObject)
    .map((one) => ({
      index: one["index"] ?? 0,
      text: choice(one),
      logprobs: null,
      finish_reason: wordOf(one)
    }))
})

const textIn = (message: unknown): string => {
  if (!isObject(message)) return ""
  const { content, refusal } = message
  return textOf(content) ?? (Array.isArray(content) ? partsText(content) : (textOf(refusal) ?? ""))
}

const translated = (json: string, choice: (choice: JsonObject) => string): string => {
  const chat = parseJson(json)
  return isObject(chat) ? JSON.stringify(completionOf(chat, choice)) : json
}

/** The body of an answer. */
export const completionText = (json: string): string => translated(json, ({ message }) => textIn(message))

/** A chunk of a stream. */
export const completionChunk = (json: string): string => translated(json, ({ delta }) => textIn(delta))
