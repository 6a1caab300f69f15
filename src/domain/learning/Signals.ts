import { arrayOf, isObject, type JsonObject, partsText, textOf } from "../models/Json.ts"
import { isLearned } from "../routing/Fault.ts"
import { type Outcome, outcomeKind } from "../routing/Outcome.ts"

/** What is seen of an answer without anybody judging it; each counts by a weight of its own, and not at all without one. */
export const signalNames = ["failure", "refusal", "empty", "truncation", "regeneration", "tool_errors"] as const
export type Signal = (typeof signalNames)[number]

/** The weights of those that count, (0, 1]. */
export type SignalWeights = { readonly [S in Signal]?: number }

/** The quality that it stands for: what people would have said is learned from answers that they have judged too. */
export const signalQuality: Readonly<Record<Signal, number>> = {
  failure: 0,
  refusal: 0,
  empty: 0,
  truncation: 0.3,
  regeneration: 0.2,
  tool_errors: 0.2
}

/** Of how a decision ended; `maxTokens` is the caller's own limit, which is not the model's fault. */
export const signalOf = (outcome: Outcome, maxTokens: number | null): Signal | null => {
  switch (outcomeKind(outcome)) {
    case "refused":
      return "refusal"
    case "empty":
      return "empty"
    case "failed":
      return isLearned(outcome.error) ? "failure" : null
    case "ok":
      return maxTokens === null && (outcome.finishReason === "length" || outcome.finishReason === "max_tokens")
        ? "truncation"
        : null
    case "aborted":
    case "pending":
      return null
  }
}

/** How tools begin that say that they could not do what the model asked. */
const saysError = /^\s*(?:\{\s*"error"|\[?(?:error|exception|traceback)\b)/i

const textIn = (content: unknown): string => textOf(content) ?? partsText(content)

const isError = (result: JsonObject, content: unknown): boolean =>
  result["is_error"] === true || saysError.test(textIn(content).slice(0, 200))

/** The calls whose results the request brings, and that went wrong: the newest turn's only, in whatever protocol. */
export const failedCalls = (body: JsonObject): ReadonlyArray<string> => {
  const turns = arrayOf(body["messages"] ?? body["input"]).filter(isObject)
  const failed: Array<string> = []
  const add = (id: unknown) => {
    if (typeof id === "string") failed.push(id)
  }
  for (let i = turns.length - 1; i >= 0; i--) {
    const turn = turns[i]
    if (turn === undefined) break
    const { content, role, type } = turn
    const results = arrayOf(content).filter((block) => isObject(block) && block["type"] === "tool_result")
    if (role === "tool") {
      if (isError(turn, content)) add(turn["tool_call_id"])
    } else if (type === "function_call_output") {
      if (isError(turn, turn["output"])) add(turn["call_id"])
    } else if (role === "user" && results.length > 0) {
      for (const result of results)
        if (isObject(result) && isError(result, result["content"])) add(result["tool_use_id"])
    } else break
  }
  return failed
}
