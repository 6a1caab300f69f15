import type { ThinkingPart } from "../canonical/Conversation.ts"
import { arrayOf, isObject, type JsonObject, textOf } from "../Json.ts"

// Thoughts in a chat have no place of OpenAI's. Text stands in `reasoning_content` (DeepSeek, vLLM) or `reasoning`; signed
// and sealed ones in `reasoning_details`, as OpenRouter has it, which clients send back in a loop of tools.
// https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks

/** How OpenRouter calls what each of them signs. */
const formats = {
  messages: "anthropic-claude-v1",
  responses: "openai-responses-v1",
  chat: "openai-responses-v1",
  gemini: "google-gemini-v1"
} as const satisfies Readonly<Record<ThinkingPart["of"], string>>

const partOf = (detail: JsonObject): ThinkingPart | null => {
  const { data, format, signature, summary, text } = detail
  const of = textOf(signature) !== null || textOf(data) !== null ? signerOf(format) : "chat"
  switch (detail["type"]) {
    case "reasoning.text":
      return { type: "thinking", text: textOf(text) ?? "", signature: textOf(signature), sealed: null, of }
    case "reasoning.encrypted":
      // Google's signatures may stand without a thought.
      return of === "gemini"
        ? { type: "thinking", text: "", signature: textOf(data), sealed: null, of }
        : { type: "thinking", text: "", signature: null, sealed: textOf(data), of }
    case "reasoning.summary":
      return { type: "thinking", text: textOf(summary) ?? "", signature: null, sealed: null, of: "chat" }
    default:
      return null
  }
}

const signerOf = (format: unknown): ThinkingPart["of"] => {
  if (typeof format !== "string") return "messages"
  if (format.startsWith("openai-responses")) return "responses"
  return format.startsWith("google-gemini") ? "gemini" : "messages"
}

/** The thoughts of an assistant's message. */
export const thinkingIn = (message: JsonObject): ReadonlyArray<ThinkingPart> => {
  const details = arrayOf(message["reasoning_details"]).flatMap((detail) =>
    isObject(detail) ? (partOf(detail) ?? []) : []
  )
  if (details.length > 0) return details
  const text = textOf(message["reasoning_content"]) ?? textOf(message["reasoning"])
  return text === null ? [] : [{ type: "thinking", text, signature: null, sealed: null, of: "chat" }]
}

/** What is signed or sealed, to be sent back. */
export const detailOf = ({ of, sealed, signature, text }: ThinkingPart, index: number): JsonObject | null => {
  const format = formats[of]
  const data = sealed ?? (of === "gemini" && text === "" ? signature : null)
  if (data !== null) return { type: "reasoning.encrypted", data, format, index }
  return signature === null ? null : { type: "reasoning.text", text, signature, format, index }
}
