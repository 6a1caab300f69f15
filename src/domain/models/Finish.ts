/** OpenAI's finish reasons. */
const standard = ["stop", "length", "tool_calls", "content_filter", "function_call"] as const
export type FinishReason = (typeof standard)[number]

/** What other protocols say instead; any other word means that the answer came to its end. */
const synonyms: Readonly<Record<string, FinishReason>> = {
  max_tokens: "length",
  model_length: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool_calls",
  tool_call: "tool_calls",
  safety: "content_filter",
  refusal: "content_filter",
  recitation: "content_filter"
}

export const isStandard = (word: string): word is FinishReason => standard.some((reason) => reason === word)

/** OpenAI's word for what an upstream said; null for what says nothing: null, the empty text, no text. */
export const finishReasonOf = (word: unknown, hasToolCalls: boolean): FinishReason | null => {
  if (typeof word !== "string" || word === "") return null
  const known = word.toLowerCase()
  const reason = isStandard(known) ? known : Object.hasOwn(synonyms, known) ? synonyms[known] : undefined
  return reason === undefined || reason === "stop" ? (hasToolCalls ? "tool_calls" : "stop") : reason
}
