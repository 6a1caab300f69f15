import type { Message, StopReason as WireStop, Usage } from "@anthropic-ai/sdk/resources/messages/messages"
import { type TokenUsage, usageOf } from "../../routing/Usage.ts"
import type { About, Answer, Stop, StopReason } from "../canonical/Answer.ts"
import type { Part } from "../canonical/Conversation.ts"
import { stringOf, textPart } from "../canonical/Reading.ts"
import { arrayOf, isObject, type JsonObject } from "../Json.ts"
import { callId, inputOf } from "./Blocks.ts"
import { signatureOf, thinkingIn } from "./Thinking.ts"

// Anthropic's Messages: the whole answer, to the canonical form and from it.
// https://platform.claude.com/docs/en/api/messages

const stops: Readonly<Record<WireStop, StopReason>> = {
  end_turn: "end",
  max_tokens: "length",
  stop_sequence: "sequence",
  tool_use: "calls",
  pause_turn: "pause",
  refusal: "refusal",
  model_context_window_exceeded: "window"
}

const isStop = (word: string): word is WireStop => Object.hasOwn(stops, word)

export const stopOf = ({ stop_reason: word, stop_sequence: sequence }: JsonObject): Stop => ({
  reason: typeof word === "string" && isStop(word) ? stops[word] : "end",
  sequence: stringOf(sequence)
})

const words: Readonly<Record<StopReason, WireStop>> = {
  end: "end_turn",
  length: "max_tokens",
  sequence: "stop_sequence",
  calls: "tool_use",
  pause: "pause_turn",
  filter: "refusal",
  refusal: "refusal",
  window: "model_context_window_exceeded"
}

/** Why it ended, in the members that an answer and the end of a stream have of it. */
export const stopBody = (
  { reason, sequence }: Stop,
  refusal: string
): Pick<Message, "stop_reason" | "stop_sequence" | "stop_details"> => ({
  stop_reason: words[reason],
  stop_sequence: sequence,
  stop_details:
    words[reason] === "refusal"
      ? { type: "refusal", category: null, explanation: refusal === "" ? null : refusal }
      : null
})

/** Of an answer that is one, as `readMessage` lets it through. */
export const readAnswer = (body: JsonObject): Answer => ({
  parts: arrayOf(body["content"]).flatMap((block) => (isObject(block) ? partOf(block) : [])),
  stop: stopOf(body),
  usage: isObject(body["usage"]) ? usageOf(body["usage"]) : null
})

/** A block of an answer. */
export const partOf = (block: JsonObject): Part => {
  switch (block["type"]) {
    case "text":
      return textPart(String(block["text"]))
    case "thinking":
    case "redacted_thinking":
      return thinkingIn(block)
    case "tool_use":
      return {
        type: "call",
        kind: "function",
        id: String(block["id"]),
        name: String(block["name"]),
        input: JSON.stringify(block["input"] ?? {}),
        cache: null
      }
    default:
      return { type: "native", of: "messages", value: block }
  }
}

/** Anthropic counts what was read from a cache, and written to one, outside of `input_tokens`; thoughts are output. */
export const usageBody = (usage: TokenUsage): Usage => {
  const { cachedTokens, inputTokens, outputTokens, reasoningTokens, written1hTokens, writtenTokens } = usage
  return {
    input_tokens: Math.max(0, inputTokens - cachedTokens - writtenTokens - written1hTokens),
    cache_creation_input_tokens: writtenTokens + written1hTokens,
    cache_read_input_tokens: cachedTokens,
    cache_creation: { ephemeral_5m_input_tokens: writtenTokens, ephemeral_1h_input_tokens: written1hTokens },
    output_tokens: outputTokens,
    output_tokens_details: { thinking_tokens: reasoningTokens },
    server_tool_use: null,
    service_tier: null,
    speed: null,
    inference_geo: null
  }
}

/** What stands in its place where nobody counted. */
export const estimatedUsage = (inputTokens: number): TokenUsage => ({
  inputTokens,
  cachedTokens: 0,
  writtenTokens: 0,
  written1hTokens: 0,
  audioInputTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  audioOutputTokens: 0,
  serviceTier: null
})

/** The message without its content and its end, as a stream begins. */
export const emptyMessage = ({ id, inputTokens, model }: About): Message => ({
  id,
  type: "message",
  role: "assistant",
  model,
  content: [],
  container: null,
  diagnostics: null,
  stop_reason: null,
  stop_sequence: null,
  stop_details: null,
  usage: usageBody(estimatedUsage(inputTokens))
})

export const refusalIn = (parts: ReadonlyArray<Part>): string =>
  parts.map((part) => (part.type === "refusal" ? part.text : "")).join("")

export const writeAnswer = ({ parts, stop, usage }: Answer, about: About): JsonObject => ({
  ...emptyMessage(about),
  content: parts.flatMap(blockOf),
  ...stopBody(stop, refusalIn(parts)),
  usage: usageBody(usage ?? estimatedUsage(about.inputTokens))
})

/** A part as the block that it is in an answer; none for what has no counterpart. */
export const blockOf = (part: Part): ReadonlyArray<JsonObject> => {
  switch (part.type) {
    case "text":
    case "refusal":
      return part.text === "" ? [] : [{ type: "text", text: part.text, citations: null }]
    case "thinking":
      return part.sealed !== null && part.of === "messages"
        ? [{ type: "redacted_thinking", data: part.sealed }]
        : part.text === "" && part.signature === null && part.sealed === null
          ? []
          : [{ type: "thinking", thinking: part.text, signature: signatureOf(part) }]
    case "call":
      return [
        { type: "tool_use", id: callId(part.id), name: part.name, input: inputOf(part), caller: { type: "direct" } }
      ]
    case "native":
      return part.of === "messages" ? [part.value] : []
    default:
      return []
  }
}
