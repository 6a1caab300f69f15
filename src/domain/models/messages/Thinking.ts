import type { Reasoning, ThinkingPart, Toward } from "../canonical/Conversation.ts"
import { seal, sealMark, unseal } from "../canonical/Seal.ts"
import { arrayOf, isObject, type JsonObject } from "../Json.ts"
import { sourceOf } from "../RequestText.ts"

// How Anthropic's models are asked to think, and the thoughts that they sign.
// https://platform.claude.com/docs/en/build-with-claude/extended-thinking

/**
 * What stands where a signature belongs on thoughts of an upstream that signs none: clients send thoughts back as they got
 * them, and these must not reach an upstream that would check it.
 */
const unsigned = "conduit-unsigned"

const isForeign = ({ signature, type }: JsonObject): boolean =>
  type === "thinking" && typeof signature === "string" && (signature === unsigned || signature.startsWith(sealMark))

/** A request without thoughts that another upstream had; most have none, and pass as they came. */
export const withoutUnsigned = (body: JsonObject): JsonObject => {
  const source = sourceOf(body)
  if (!source.includes(unsigned) && !source.includes(sealMark)) return body
  const messages = arrayOf(body["messages"]).map((message) => {
    if (!isObject(message) || !Array.isArray(message["content"])) return message
    return {
      ...message,
      content: message["content"].filter((block: unknown) => !isObject(block) || !isForeign(block))
    }
  })
  return { ...body, messages }
}

/** Signatures and seals of other protocols go out sealed, and come back to them. */
export const signatureOf = (part: ThinkingPart): string => {
  const { of, sealed, signature } = part
  if (of !== "messages") return signature === null && sealed === null ? unsigned : seal([part])
  return signature ?? unsigned
}

/** Thoughts as a block of an answer or a request. */
export const thinkingIn = (block: JsonObject): ThinkingPart => {
  const { data, signature, thinking } = block
  if (block["type"] === "redacted_thinking") {
    return { type: "thinking", text: "", signature: null, sealed: String(data), of: "messages" }
  }
  const text = typeof thinking === "string" ? thinking : ""
  const [foreign] = typeof signature === "string" ? (unseal(signature) ?? []) : []
  if (foreign !== undefined) return foreign
  return typeof signature === "string" && signature !== "" && !isForeign(block)
    ? { type: "thinking", text, signature, sealed: null, of: "messages" }
    : { type: "thinking", text, signature: null, sealed: null, of: "chat" }
}

/** Anthropic takes no smaller budget. */
const leastBudget = 1024

const budgets: Readonly<Record<string, number>> = {
  minimal: leastBudget,
  low: 4096,
  medium: 10_240,
  high: 24_576,
  xhigh: 31_999,
  max: 31_999
}

/** Of an answer's tokens, the thoughts among them, what thoughts may take at most. */
const mostOfAnswer = 0.8

/** Those up to 4.5 take a budget; those after it find it themselves, guided by an effort. */
const takesBudget = (upstream: string): boolean => {
  const version =
    /claude-(?:opus|sonnet|haiku)-(\d)(?:[-.](\d)(?!\d))?/.exec(upstream) ??
    /claude-(\d)(?:[-.](\d)(?!\d))?/.exec(upstream)
  if (version === null) return false
  const [major, minor] = [Number(version[1]), Number(version[2] ?? 0)]
  return major < 4 || (major === 4 && minor <= 5)
}

/** Null where it cannot think within so few tokens, or was not asked to. */
export const thinkingFor = (
  reasoning: Reasoning,
  maxTokens: number,
  { upstream }: Toward
): { readonly thinking: JsonObject; readonly effort: string | null } | null => {
  const { budgetTokens, effort, mode } = reasoning
  if (mode === "off") return { thinking: { type: "disabled" }, effort: null }
  if (!takesBudget(upstream)) {
    const said = effort === "minimal" ? "low" : effort
    const named = said ?? (budgetTokens === null ? null : effortOf(budgetTokens))
    return { thinking: { type: mode === "between_tools" ? mode : "adaptive" }, effort: named }
  }
  if (mode === "adaptive" && effort === null) return null
  const wanted = budgetTokens ?? budgets[effort ?? "medium"] ?? budgets["medium"] ?? leastBudget
  const budget = Math.min(wanted, Math.floor(maxTokens * mostOfAnswer))
  return budget < leastBudget ? null : { thinking: { type: "enabled", budget_tokens: budget }, effort: null }
}

const effortOf = (budgetTokens: number): string =>
  budgetTokens < 4096 ? "low" : budgetTokens < 16_384 ? "medium" : "high"
