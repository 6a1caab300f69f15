import { finishReasonOf } from "./Finish.ts"
import { arrayOf, isObject, type JsonObject, partsText, partsThinking, textOf } from "./Json.ts"

/** What an answer has said of itself so far, in the upstream's own words. */
export interface Said {
  /** By which the upstream names the answer; null if it gave none. */
  readonly id: string | null
  /** The newest `usage` object as it came, for whoever counts money; null if there was none. */
  readonly usage: JsonObject | null
  /** Of the choice that finished last, as the upstream said it. */
  readonly finishReason: string | null
  /** The name by which the upstream calls the model that answered. */
  readonly servedModel: string | null
  /** The model, or a filter, declined to answer: `refusal`, `content_filter`. */
  readonly isRefusal: boolean
  /** Of text, reasoning and tool arguments that came. */
  readonly characters: number
  /** Ids of the tool calls that it makes. */
  readonly toolCallIds: ReadonlyArray<string>
}

/** What OpenAI, Anthropic and Groq call the tier that has the standard price. */
const standardTiers: ReadonlySet<string> = new Set(["auto", "default", "standard", "on_demand"])

/** The tier in which an answer was served, as it is said; null for the standard one. */
export const serviceTierOf = (said: unknown): string | null =>
  typeof said === "string" && /^[a-z][a-z0-9_-]{0,31}$/.test(said) && !standardTiers.has(said) ? said : null

/** Usage stands at the top, or inside `x_groq`; OpenAI names the tier that it is priced by beside it, Anthropic in it. */
export const usageIn = (body: JsonObject): JsonObject | null => {
  const usage = usageObjectIn(body)
  const tier = serviceTierOf(body["service_tier"])
  return usage === null || tier === null || usage["service_tier"] !== undefined
    ? usage
    : { ...usage, service_tier: tier }
}

const usageObjectIn = (body: JsonObject): JsonObject | null => {
  if (isObject(body["usage"])) return body["usage"]
  const groq = body["x_groq"]
  return isObject(groq) && isObject(groq["usage"]) ? groq["usage"] : null
}

/** What a message or a delta holds besides its role. */
const isSubstance = (value: unknown): boolean =>
  value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0)

const hasSubstance = (content: JsonObject): boolean => {
  for (const name in content) if (name !== "role" && isSubstance(content[name])) return true
  return false
}

const lengthOf = (value: unknown): number => (typeof value === "string" ? value.length : 0)

const contentLength = (content: unknown): number =>
  Array.isArray(content) ? partsText(content).length + partsThinking(content).length : lengthOf(content)

const noIds: ReadonlyArray<string> = []

const argumentsLength = (calls: unknown): number =>
  calls === undefined
    ? 0
    : arrayOf(calls).reduce<number>((sum, call) => {
        const called = isObject(call) ? call["function"] : undefined
        return sum + (isObject(called) ? lengthOf(called["arguments"]) : 0)
      }, 0)

const idsOf = (calls: unknown): ReadonlyArray<string> =>
  calls === undefined ? noIds : arrayOf(calls).flatMap((call) => (isObject(call) ? (textOf(call["id"]) ?? []) : []))

/** Of a choice, whole or in a chunk. */
export interface ChoiceSaid {
  readonly index: number
  /** The upstream's own word; null while it says none. */
  readonly finishReason: string | null
  readonly hasToolCalls: boolean
  readonly toolCallIds: ReadonlyArray<string>
  readonly hasSubstance: boolean
  readonly isRefusal: boolean
  readonly characters: number
}

export const choiceSaid = (choice: unknown, position: number): ChoiceSaid => {
  const { delta, finish_reason: word, index, message, stop_reason: stopReason } = isObject(choice) ? choice : {}
  const content = isObject(delta) ? delta : isObject(message) ? message : {}
  const calls = content["tool_calls"]
  return {
    index: typeof index === "number" && Number.isInteger(index) ? index : position,
    finishReason: textOf(word),
    hasToolCalls: arrayOf(calls).length > 0,
    toolCallIds: idsOf(calls),
    hasSubstance: hasSubstance(content),
    isRefusal:
      textOf(content["refusal"]) !== null ||
      finishReasonOf(word, false) === "content_filter" ||
      stopReason === "refusal",
    characters:
      contentLength(content["content"]) +
      lengthOf(content["reasoning_content"]) +
      lengthOf(content["reasoning"]) +
      argumentsLength(calls)
  }
}

/** An answer that says nothing though it stopped by itself: no text, no call, no refusal, no token. */
export const isEmpty = (hasSubstance: boolean, reasons: Iterable<string | null>, usage: JsonObject | null): boolean => {
  if (hasSubstance || Number(usage?.["completion_tokens"] ?? 0) > 0) return false
  for (const reason of reasons) {
    const known = finishReasonOf(reason, false)
    if (known !== null && known !== "stop") return false
  }
  return true
}
