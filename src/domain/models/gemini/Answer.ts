import type { FinishReason, GenerateContentResponseUsageMetadata } from "@google/genai"
import { type TokenUsage, usageOf } from "../../routing/Usage.ts"
import type { About, Answer, Stop, StopReason } from "../canonical/Answer.ts"
import type { Part } from "../canonical/Conversation.ts"
import { Reading } from "../canonical/Reading.ts"
import { arrayOf, isObject, type JsonObject, textOf } from "../Json.ts"
import { callBody, callIdsOf, notThought, partsOf, sourceBody, Thoughts, wirePart, withSignature } from "./Parts.ts"

// Google's generateContent: the whole answer, to the canonical form and from it.
// https://ai.google.dev/api/generate-content#GenerateContentResponse

/** `broken`: what should have been said is not there, so it is no answer. */
const stops: Readonly<Record<`${FinishReason}`, StopReason | "broken">> = {
  FINISH_REASON_UNSPECIFIED: "end",
  STOP: "end",
  MAX_TOKENS: "length",
  SAFETY: "filter",
  RECITATION: "filter",
  LANGUAGE: "filter",
  OTHER: "filter",
  BLOCKLIST: "filter",
  PROHIBITED_CONTENT: "filter",
  SPII: "filter",
  MALFORMED_FUNCTION_CALL: "broken",
  IMAGE_SAFETY: "filter",
  UNEXPECTED_TOOL_CALL: "broken",
  TOO_MANY_TOOL_CALLS: "broken",
  IMAGE_PROHIBITED_CONTENT: "filter",
  NO_IMAGE: "broken",
  IMAGE_RECITATION: "filter",
  IMAGE_OTHER: "filter",
  CONTINUATION: "pause"
}

/** Those that the types of the vendor's client of 2026-11 have besides. */
const newerStops: Readonly<Record<string, StopReason | "broken">> = {
  MISSING_THOUGHT_SIGNATURE: "broken",
  MODEL_ARMOR: "filter"
}

const isKnown = (word: string): word is keyof typeof stops => Object.hasOwn(stops, word)

/** Why a candidate ended. A word that nobody knew when this was written means that it came to its end. */
export const stopReasonOf = (word: string): StopReason | "broken" =>
  isKnown(word) ? stops[word] : ((Object.hasOwn(newerStops, word) ? newerStops[word] : undefined) ?? "end")

/** Why the prompt was refused before a model saw it; null if it was not. */
export const blockReasonOf = ({ promptFeedback: feedback }: JsonObject): string | null =>
  isObject(feedback) ? textOf(feedback["blockReason"]) : null

/** The first candidate; null where there is none. */
export const candidateIn = ({ candidates }: JsonObject): JsonObject | null => {
  const first = arrayOf(candidates).find((one) => isObject(one) && (one["index"] ?? 0) === 0)
  return isObject(first) ? first : null
}

export const partsIn = (candidate: JsonObject | null): unknown => {
  const content = candidate?.["content"]
  return isObject(content) ? (content["parts"] ?? []) : []
}

/** Null while it goes on. */
export const stopIn = (body: JsonObject, hasCalls: boolean): Stop | null => {
  if (blockReasonOf(body) !== null) return { reason: "filter", sequence: null }
  const word = textOf(candidateIn(body)?.["finishReason"])
  if (word === null) return null
  const reason = stopReasonOf(word)
  return {
    reason: reason === "broken" ? "end" : hasCalls && reason === "end" ? "calls" : reason,
    sequence: null
  }
}

export const usageIn = ({ usageMetadata: usage }: JsonObject): TokenUsage | null =>
  isObject(usage) ? usageOf(usage) : null

/** Of an answer that is one, as `readContent` lets it through. */
export const readAnswer = (body: JsonObject): Answer => {
  const parts = partsOf(new Reading(), partsIn(candidateIn(body)), "parts", callIdsOf(body))
  const hasCalls = parts.some(({ type }) => type === "call")
  return { parts, stop: stopIn(body, hasCalls) ?? { reason: "end", sequence: null }, usage: usageIn(body) }
}

const finishes: Readonly<Record<StopReason, `${FinishReason}`>> = {
  end: "STOP",
  sequence: "STOP",
  pause: "STOP",
  calls: "STOP",
  length: "MAX_TOKENS",
  window: "MAX_TOKENS",
  filter: "SAFETY",
  refusal: "SAFETY"
}

/** Google counts what was cached inside of the prompt, and thoughts outside of the candidates. */
const usageBody = (usage: TokenUsage): GenerateContentResponseUsageMetadata => ({
  promptTokenCount: usage.inputTokens,
  candidatesTokenCount: usage.outputTokens - usage.reasoningTokens,
  totalTokenCount: usage.inputTokens + usage.outputTokens,
  ...(usage.cachedTokens === 0 ? {} : { cachedContentTokenCount: usage.cachedTokens }),
  ...(usage.reasoningTokens === 0 ? {} : { thoughtsTokenCount: usage.reasoningTokens })
})

/** An answer, or a piece of one. */
export const contentBody = (
  { createdSeconds, id, model }: About,
  parts: ReadonlyArray<JsonObject>,
  ended: { readonly stop: Stop; readonly usage: TokenUsage | null } | null
): JsonObject => ({
  candidates: [
    {
      content: { parts, role: "model" },
      ...(ended === null ? {} : { finishReason: finishes[ended.stop.reason] }),
      index: 0
    }
  ],
  ...(ended === null || ended.usage === null ? {} : { usageMetadata: usageBody(ended.usage) }),
  modelVersion: model,
  createTime: new Date(createdSeconds * 1000).toISOString(),
  responseId: id
})

/** Thoughts are told to who asks for them; what is signed or sealed of them comes back in any case. */
export const showsThoughts = ({ conversation }: About): boolean => conversation.more["includeThoughts"] === true

export const writeAnswer = ({ parts, stop, usage }: Answer, about: About): JsonObject => {
  const thoughts = new Thoughts()
  const hasThoughts = parts.some(({ type }) => type === "thinking")
  let hasCalled = hasThoughts
  const written = parts.flatMap((part): ReadonlyArray<JsonObject> => {
    if (part.type === "thinking") {
      const before = thoughts.add(part)
      const isShown = showsThoughts(about) && part.text !== ""
      return isShown ? [...before, wirePart({ text: part.text, thought: true })] : before
    }
    const bodies = bodiesOf(part)
    if (bodies.length === 0) return []
    const isFirstCall = part.type === "call" && !hasCalled
    if (part.type === "call") hasCalled = true
    const signature = thoughts.signature() ?? (isFirstCall ? notThought : null)
    return bodies.map((body, i) => (i === 0 ? withSignature(body, signature) : body))
  })
  return contentBody(about, [...written, ...thoughts.rest()], { stop, usage })
}

/** A part without its signature; none for what has no counterpart. */
export const bodiesOf = (part: Part): ReadonlyArray<JsonObject> => {
  switch (part.type) {
    case "text":
    case "refusal":
      return part.text === "" ? [] : [wirePart({ text: part.text })]
    case "call":
      return [callBody(part)]
    case "image": {
      const body = sourceBody(part.source)
      return body === null ? [] : [body]
    }
    case "native":
      return part.of === "gemini" ? [part.value] : []
    default:
      return []
  }
}
