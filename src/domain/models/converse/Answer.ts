import { usageOf } from "../../routing/Usage.ts"
import type { Answer, Stop, StopReason } from "../canonical/Answer.ts"
import type { Part } from "../canonical/Conversation.ts"
import { textPart } from "../canonical/Reading.ts"
import { arrayOf, isObject, type JsonObject, textOf } from "../Json.ts"

// Amazon Bedrock's Converse: the whole answer, to the canonical form.
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax

/** `broken`: what should have been said is not there, so it is no answer. */
const stops: Readonly<Record<string, StopReason | "broken">> = {
  end_turn: "end",
  tool_use: "calls",
  max_tokens: "length",
  stop_sequence: "sequence",
  guardrail_intervened: "filter",
  content_filtered: "filter",
  malformed_model_output: "broken",
  malformed_tool_use: "broken",
  model_context_window_exceeded: "window"
}

export const stopReasonOf = (word: string): StopReason | "broken" =>
  (Object.hasOwn(stops, word) ? stops[word] : undefined) ?? "end"

export const stopOf = (word: unknown): Stop => {
  const reason = stopReasonOf(String(word))
  return { reason: reason === "broken" ? "end" : reason, sequence: null }
}

/** Amazon counts as Anthropic does, what was cached outside of the fresh tokens: in its words. */
export const countsOf = (usage: unknown): JsonObject | null => {
  if (!isObject(usage)) return null
  const written1h = arrayOf(usage["cacheDetails"]).reduce<number>(
    (sum, one) => sum + (isObject(one) && one["ttl"] === "1h" ? Number(one["inputTokens"] ?? 0) : 0),
    0
  )
  const written = Number(usage["cacheWriteInputTokens"] ?? 0)
  return {
    input_tokens: usage["inputTokens"],
    output_tokens: usage["outputTokens"],
    cache_read_input_tokens: Number(usage["cacheReadInputTokens"] ?? 0),
    cache_creation_input_tokens: written,
    ...(written1h === 0
      ? {}
      : { cache_creation: { ephemeral_5m_input_tokens: written - written1h, ephemeral_1h_input_tokens: written1h } })
  }
}

/** The blocks of an answer. */
export const blocksIn = ({ output }: JsonObject): ReadonlyArray<JsonObject> => {
  const message = isObject(output) ? output["message"] : null
  return arrayOf(isObject(message) ? message["content"] : null).filter(isObject)
}

export const partOf = (block: JsonObject): ReadonlyArray<Part> => {
  const { reasoningContent: reasoning, text, toolUse } = block
  if (typeof text === "string") return [textPart(text)]
  if (isObject(toolUse)) {
    const { input, name, toolUseId: id } = toolUse
    const text = JSON.stringify(input ?? {})
    return [{ type: "call", kind: "function", id: String(id), name: String(name), input: text, cache: null }]
  }
  if (!isObject(reasoning)) return []
  const { reasoningText: said, redactedContent: sealed } = reasoning
  const signature = isObject(said) ? textOf(said["signature"]) : null
  const of = signature === null && textOf(sealed) === null ? ("chat" as const) : ("messages" as const)
  const thought = isObject(said) ? (textOf(said["text"]) ?? "") : ""
  return [{ type: "thinking", text: thought, signature, sealed: textOf(sealed), of }]
}

/** Of an answer that is one, as `readConverse` lets it through. */
export const readAnswer = (body: JsonObject): Answer => ({
  parts: blocksIn(body).flatMap(partOf),
  stop: stopOf(body["stopReason"]),
  usage: usageOf(countsOf(body["usage"]))
})
