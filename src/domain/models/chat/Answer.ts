import type { ChatCompletion } from "openai/resources/chat/completions"
import type { CompletionUsage } from "openai/resources/completions"
import { type TokenUsage, usageOf } from "../../routing/Usage.ts"
import type { About, Answer, Stop, StopReason } from "../canonical/Answer.ts"
import type { CallPart, Part } from "../canonical/Conversation.ts"
import { textPart } from "../canonical/Reading.ts"
import { type FinishReason, finishReasonOf } from "../Finish.ts"
import { arrayOf, isObject, type JsonObject, partsText, textOf } from "../Json.ts"
import { usageIn } from "../Said.ts"
import { detailOf, thinkingIn } from "./Thinking.ts"

// OpenAI's Chat Completions: the whole answer, to the canonical form and from it.
// https://platform.openai.com/docs/api-reference/chat/object

const stops: Readonly<Record<FinishReason, StopReason>> = {
  stop: "end",
  length: "length",
  tool_calls: "calls",
  function_call: "calls",
  content_filter: "filter"
}

/** A reason in the upstream's own word says more than OpenAI's. */
const ownWords: Readonly<Record<string, StopReason>> = {
  refusal: "refusal",
  model_context_window_exceeded: "window",
  pause_turn: "pause"
}

export const stopOf = (word: unknown, hasCalls: boolean): Stop => {
  const own = typeof word === "string" && Object.hasOwn(ownWords, word) ? ownWords[word] : undefined
  return { reason: own ?? stops[finishReasonOf(word, hasCalls) ?? "stop"], sequence: null }
}

const finishes: Readonly<Record<StopReason, ChatCompletion.Choice["finish_reason"]>> = {
  end: "stop",
  sequence: "stop",
  pause: "stop",
  length: "length",
  window: "length",
  calls: "tool_calls",
  filter: "content_filter",
  refusal: "content_filter"
}

export const finishReason = ({ reason }: Stop): ChatCompletion.Choice["finish_reason"] => finishes[reason]

/** Of an answer in OpenAI's form, as `readAnswer` of a whole answer lets it through: its first choice. */
export const readAnswer = (body: JsonObject): Answer => {
  const [choice] = arrayOf(body["choices"])
  const { finish_reason: word, message } = isObject(choice) ? choice : {}
  const given = isObject(message) ? message : {}
  const calls = arrayOf(given["tool_calls"]).flatMap(callOf)
  const text = textOf(given["content"]) ?? partsText(given["content"])
  const refusal = textOf(given["refusal"])
  const parts: ReadonlyArray<Part> = [
    ...thinkingIn(given),
    ...(text === "" ? [] : [textPart(text)]),
    ...(refusal === null ? [] : [{ type: "refusal" as const, text: refusal }]),
    ...calls
  ]
  const stop = stopOf(word, calls.length > 0)
  return {
    parts,
    stop: refusal === null || stop.reason !== "end" ? stop : { ...stop, reason: "refusal" },
    usage: usageOf(usageIn(body))
  }
}

const callOf = (call: unknown): ReadonlyArray<CallPart> => {
  if (!isObject(call)) return []
  const { custom, function: called, id } = call
  const isCustom = isObject(custom)
  const inner = isCustom ? custom : isObject(called) ? called : {}
  const input = textOf(isCustom ? inner["input"] : inner["arguments"]) ?? ""
  return [
    {
      type: "call",
      kind: isCustom ? "custom" : "function",
      id: String(id),
      name: String(inner["name"]),
      input,
      cache: null
    }
  ]
}

/** OpenAI counts what was cached inside of `prompt_tokens`, and thoughts inside of `completion_tokens`. */
export const usageBody = (usage: TokenUsage): CompletionUsage => ({
  prompt_tokens: usage.inputTokens,
  completion_tokens: usage.outputTokens,
  total_tokens: usage.inputTokens + usage.outputTokens,
  prompt_tokens_details: {
    cached_tokens: usage.cachedTokens,
    audio_tokens: usage.audioInputTokens,
    ...(usage.writtenTokens + usage.written1hTokens === 0
      ? {}
      : { cache_write_tokens: usage.writtenTokens + usage.written1hTokens })
  },
  completion_tokens_details: { reasoning_tokens: usage.reasoningTokens, audio_tokens: usage.audioOutputTokens }
})

const joined = (parts: ReadonlyArray<Part>, type: "text" | "refusal" | "thinking"): string =>
  parts.map((part) => (part.type === type ? part.text : "")).join("")

export const writeAnswer = ({ parts, stop, usage }: Answer, { createdSeconds, id, model }: About): JsonObject => {
  const text = joined(parts, "text")
  const refusal = joined(parts, "refusal")
  const thinking = joined(parts, "thinking")
  const details = parts.filter((part) => part.type === "thinking").flatMap((part, i) => detailOf(part, i) ?? [])
  const calls = parts.flatMap((part) => (part.type === "call" ? callBody(part) : []))
  const message = {
    role: "assistant" as const,
    content: text === "" ? null : text,
    refusal: refusal === "" ? null : refusal,
    ...(thinking === "" ? {} : { reasoning_content: thinking }),
    ...(details.length === 0 ? {} : { reasoning_details: details }),
    ...(calls.length === 0 ? {} : { tool_calls: [...calls] })
  }
  const body: ChatCompletion = {
    id,
    object: "chat.completion",
    created: createdSeconds,
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason(stop) }],
    ...(usage === null ? {} : { usage: usageBody(usage) })
  }
  return { ...body }
}

const callBody = ({ id, input, kind, name }: CallPart) =>
  kind === "custom"
    ? { id, type: "custom" as const, custom: { name, input } }
    : { id, type: "function" as const, function: { name, arguments: input === "" ? "{}" : input } }
