import { isObject, type JsonObject } from "../models/Json.ts"
import { serviceTierOf } from "../models/Said.ts"

/** What a call used, in tokens: `fresh + cached + written = input`, and reasoning is a part of the output. */
export interface TokenUsage {
  /** All that was sent. */
  readonly inputTokens: number
  /** Of the input, read from a cache. */
  readonly cachedTokens: number
  /** Of the input, written to a cache that lives for five minutes, and for an hour. */
  readonly writtenTokens: number
  readonly written1hTokens: number
  readonly audioInputTokens: number
  /** All that was made. */
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly audioOutputTokens: number
  /** In which it was served, such as `flex` or `priority`; null for the standard one. */
  readonly serviceTier: string | null
}

export const plainUsage = (inputTokens: number, outputTokens: number): TokenUsage => ({
  inputTokens,
  cachedTokens: 0,
  writtenTokens: 0,
  written1hTokens: 0,
  audioInputTokens: 0,
  outputTokens,
  reasoningTokens: 0,
  audioOutputTokens: 0,
  serviceTier: null
})

const objectOf = (value: unknown): JsonObject => (isObject(value) ? value : {})

/** Each member by its own name: a name that is looked up costs ten times as much, and there are twenty. */
const count = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null

interface Counts {
  readonly input: number | null
  readonly output: number | null
  readonly total: number | null
  readonly cached: number
  readonly written: number
  readonly written1h: number
  readonly reasoning: number
}

/** The sum that holds says whether a part stands beside the others or inside them. */
const isBeside = (whole: number, part: number, other: number, total: number | null): boolean =>
  part > whole || (part > 0 && total !== null && total === whole + part + other && total !== whole + other)

/** `input_tokens` of Anthropic's own form is what is fresh; every other form counts all that was sent. */
const inputOf = (usage: JsonObject, counts: Counts): number | null => {
  const { cached, output, total, written, written1h } = counts
  // What Google's own tools said to its model stands beside the prompt.
  const input = counts.input === null ? null : counts.input + (count(usage["toolUsePromptTokenCount"]) ?? 0)
  const parts = cached + written + written1h
  if (input === null) return total === null || output === null ? null : Math.max(0, total - output)
  const isAnthropic = usage["prompt_tokens"] === undefined && usage["cache_read_input_tokens"] !== undefined
  return isAnthropic || isBeside(input, parts, output ?? 0, total) ? input + parts : input
}

/** Google's counts of one kind of tokens: `[{ modality: "AUDIO", tokenCount: 12 }]`. */
const audioIn = (details: unknown): number =>
  Array.isArray(details)
    ? details.reduce<number>(
        (sum, one) => sum + (objectOf(one)["modality"] === "AUDIO" ? (count(objectOf(one)["tokenCount"]) ?? 0) : 0),
        0
      )
    : 0

/** Reasoning stands outside the output of xAI and Gemini. */
const outputOf = (usage: JsonObject, input: number, { output, reasoning, total }: Counts): number | null => {
  if (output === null) return total === null ? null : Math.max(0, total - input)
  const isGemini = usage["thoughtsTokenCount"] !== undefined
  return isGemini || isBeside(output, reasoning, input, total) ? output + reasoning : output
}

/**
 * Reads what a call used, whatever form its upstream counts in: OpenAI's chat and Responses, Anthropic's, Gemini's,
 * DeepSeek's (`prompt_cache_hit_tokens`), Mistral's (`num_cached_tokens`), xAI's (reasoning outside of
 * `completion_tokens`), Ollama's. Null if it counts neither input nor output.
 */
export const usageOf = (usage: JsonObject | null): TokenUsage | null => {
  if (usage === null) return null
  const inputDetails = objectOf(usage["prompt_tokens_details"] ?? usage["input_tokens_details"])
  const outputDetails = objectOf(usage["completion_tokens_details"] ?? usage["output_tokens_details"])
  const creation = objectOf(usage["cache_creation"] ?? inputDetails["cache_write_tokens_details"])
  const written1h = count(creation["ephemeral_1h_input_tokens"]) ?? count(creation["ephemeral_1h_tokens"]) ?? 0
  const writtenAll = count(inputDetails["cache_write_tokens"]) ?? count(usage["cache_creation_input_tokens"])
  const hit = count(usage["prompt_cache_hit_tokens"])
  const miss = count(usage["prompt_cache_miss_tokens"])
  const counts: Counts = {
    input:
      count(usage["prompt_tokens"]) ??
      count(usage["input_tokens"]) ??
      count(usage["promptTokenCount"]) ??
      count(usage["prompt_eval_count"]) ??
      (hit === null && miss === null ? null : (hit ?? 0) + (miss ?? 0)),
    output:
      count(usage["completion_tokens"]) ??
      count(usage["output_tokens"]) ??
      count(usage["candidatesTokenCount"]) ??
      count(usage["eval_count"]),
    total: count(usage["total_tokens"]) ?? count(usage["totalTokenCount"]),
    cached:
      count(inputDetails["cached_tokens"]) ??
      hit ??
      count(usage["cache_read_input_tokens"]) ??
      count(usage["num_cached_tokens"]) ??
      count(usage["cached_tokens"]) ??
      count(usage["cachedContentTokenCount"]) ??
      0,
    written: Math.max(
      0,
      (writtenAll ?? count(creation["ephemeral_5m_input_tokens"]) ?? 0) - (writtenAll === null ? 0 : written1h)
    ),
    written1h,
    reasoning:
      count(outputDetails["reasoning_tokens"]) ??
      count(outputDetails["thinking_tokens"]) ??
      count(usage["reasoning_tokens"]) ??
      count(usage["thoughtsTokenCount"]) ??
      0
  }
  const inputTokens = inputOf(usage, counts)
  const outputTokens = inputTokens === null ? null : outputOf(usage, inputTokens, counts)
  if (inputTokens === null || outputTokens === null) return null
  return {
    inputTokens,
    cachedTokens: Math.min(counts.cached, inputTokens),
    writtenTokens: counts.written,
    written1hTokens: counts.written1h,
    audioInputTokens: count(inputDetails["audio_tokens"]) ?? audioIn(usage["promptTokensDetails"]),
    outputTokens,
    reasoningTokens: Math.min(counts.reasoning, outputTokens),
    audioOutputTokens: count(outputDetails["audio_tokens"]) ?? audioIn(usage["candidatesTokensDetails"]),
    serviceTier: serviceTierOf(usage["service_tier"])
  }
}
