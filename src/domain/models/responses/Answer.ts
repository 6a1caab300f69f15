import type { Response, ResponseUsage } from "openai/resources/responses/responses"
import { type TokenUsage, usageOf } from "../../routing/Usage.ts"
import type { About, Answer, Stop } from "../canonical/Answer.ts"
import type { Conversation, Part, Tool, ToolChoice } from "../canonical/Conversation.ts"
import { asAsked } from "../canonical/Custom.ts"
import { textPart } from "../canonical/Reading.ts"
import { arrayOf, isObject, type JsonObject, textOf } from "../Json.ts"
import { usageIn } from "../Said.ts"
import { flatName, groupedName, reasoningBody, thinkingOf, toolsBody } from "./Items.ts"
import { formatBody } from "./Request.ts"

// OpenAI's Responses: the whole answer, to the canonical form and from it.
// https://platform.openai.com/docs/api-reference/responses/object

// From an answer.

/** Why it ended: Responses say it by their status, and what is in it. */
export const stopOf = (body: JsonObject, parts: ReadonlyArray<Part>): Stop => {
  const details = body["incomplete_details"]
  const why = isObject(details) ? details["reason"] : null
  const has = (type: Part["type"]) => parts.some((part) => part.type === type)
  const reason =
    why === "content_filter"
      ? "filter"
      : body["status"] === "incomplete"
        ? "length"
        : has("call")
          ? "calls"
          : has("refusal")
            ? "refusal"
            : "end"
  return { reason, sequence: null }
}

/** The parts of an item of `output`. */
export const partsOf = (item: JsonObject): ReadonlyArray<Part> => {
  switch (item["type"]) {
    case "message":
      return arrayOf(item["content"]).flatMap((given): ReadonlyArray<Part> => {
        const part = isObject(given) ? given : {}
        if (part["type"] === "refusal") return [{ type: "refusal", text: String(part["refusal"] ?? "") }]
        return part["type"] === "output_text" ? [textPart(String(part["text"] ?? ""))] : []
      })
    case "reasoning":
      return [thinkingOf(item)]
    case "function_call":
    case "custom_tool_call":
      return [callOf(item)]
    default:
      return [{ type: "native", of: "responses", value: item }]
  }
}

export const callOf = (item: JsonObject) => {
  const isCustom = item["type"] === "custom_tool_call"
  const namespace = textOf(item["namespace"])
  const name = textOf(item["name"]) ?? ""
  return {
    type: "call" as const,
    kind: isCustom ? ("custom" as const) : ("function" as const),
    id: textOf(item["call_id"]) ?? textOf(item["id"]) ?? "",
    name: namespace === null ? name : flatName(namespace, name),
    input: textOf(isCustom ? item["input"] : item["arguments"]) ?? "",
    cache: null
  }
}

export const readAnswer = (body: JsonObject): Answer => {
  const parts = arrayOf(body["output"]).flatMap((item) => (isObject(item) ? partsOf(item) : []))
  return { parts, stop: stopOf(body, parts), usage: usageOf(usageIn(body)) }
}

// To an answer.

/** OpenAI counts what was cached inside of `input_tokens`, and thoughts inside of `output_tokens`. */
export const usageBody = (usage: TokenUsage): ResponseUsage => ({
  input_tokens: usage.inputTokens,
  input_tokens_details: {
    cached_tokens: usage.cachedTokens,
    cache_write_tokens: usage.writtenTokens + usage.written1hTokens
  },
  output_tokens: usage.outputTokens,
  output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  total_tokens: usage.inputTokens + usage.outputTokens
})

type Incomplete = NonNullable<Response["incomplete_details"]>

const incompletes: { readonly [R in Stop["reason"]]?: Incomplete["reason"] } = {
  length: "max_output_tokens",
  window: "max_output_tokens",
  filter: "content_filter"
}

/** Ids of items, of the id of their answer. */
export const itemId = (prefix: "msg" | "rs" | "fc" | "ctc", { id }: About, at: number): string =>
  `${prefix}_${id.slice(id.indexOf("_") + 1)}_${at}`

export const refusalText = "The model declined to answer."

/** What is shown where a model declined and said nothing. */
export const withRefusal = ({ parts, stop }: Pick<Answer, "parts" | "stop">): ReadonlyArray<Part> =>
  stop.reason === "refusal" && !parts.some(({ type }) => type === "text" || type === "refusal")
    ? [...parts, { type: "refusal", text: refusalText }]
    : parts

/** An item of `output`, or null for a part that Responses have no place for. */
export const itemOf = (part: Part, at: number, about: About): JsonObject | null => {
  switch (part.type) {
    case "text":
      return messageBody(about, at, [{ type: "output_text", text: part.text, annotations: [], logprobs: [] }])
    case "refusal":
      return messageBody(about, at, [{ type: "refusal", refusal: part.text }])
    case "thinking":
      return reasoningBody(part, itemId("rs", about, at))
    case "call": {
      const { id, input, kind, name } = asAsked(part, about.conversation.tools)
      if (kind === "custom") {
        return {
          type: "custom_tool_call",
          id: itemId("ctc", about, at),
          call_id: id,
          name,
          input,
          status: "completed"
        }
      }
      const group = groupedName(about.conversation.tools, name) ?? null
      return {
        type: "function_call",
        id: itemId("fc", about, at),
        call_id: id,
        name: group?.name ?? name,
        ...(group === null ? {} : { namespace: group.namespace }),
        arguments: input === "" ? "{}" : input,
        status: "completed"
      }
    }
    case "native":
      return part.of === "responses" ? part.value : null
    default:
      return null
  }
}

const messageBody = (about: About, at: number, content: ReadonlyArray<JsonObject>): JsonObject => ({
  type: "message",
  id: itemId("msg", about, at),
  role: "assistant",
  status: "completed",
  content
})

/** The complete object, of which strict clients miss every member that is not there; its output is what has come. */
export const responseBody = (
  about: About,
  state: {
    readonly output: ReadonlyArray<JsonObject>
    /** Null while it goes on. */
    readonly stop: Stop | null
    readonly usage: TokenUsage | null
  }
): JsonObject => {
  const { conversation, createdSeconds, id, model } = about
  const { maxTokens, more, parallelCalls, temperature, topP, user } = conversation
  const incomplete = state.stop === null ? undefined : incompletes[state.stop.reason]
  return {
    id,
    object: "response",
    created_at: createdSeconds,
    status: state.stop === null ? "in_progress" : incomplete === undefined ? "completed" : "incomplete",
    background: false,
    error: null,
    incomplete_details: incomplete === undefined ? null : { reason: incomplete },
    instructions: null,
    max_output_tokens: maxTokens,
    max_tool_calls: more["max_tool_calls"] ?? null,
    model,
    output: state.output,
    parallel_tool_calls: parallelCalls ?? true,
    previous_response_id: null,
    prompt_cache_key: more["prompt_cache_key"] ?? null,
    reasoning: { effort: effortOf(conversation), summary: null },
    safety_identifier: more["safety_identifier"] ?? null,
    service_tier: "default",
    store: false,
    temperature: temperature ?? 1,
    text: { format: conversation.format === null ? { type: "text" } : formatBody(conversation.format) },
    tool_choice: choiceOf(conversation.toolChoice, conversation.tools),
    tools: toolsBody(conversation.tools),
    top_logprobs: 0,
    top_p: topP ?? 1,
    truncation: "disabled",
    usage: state.usage === null ? null : usageBody(state.usage),
    user,
    metadata: more["metadata"] ?? {}
  }
}

const effortOf = ({ reasoning }: Conversation): string | null =>
  reasoning === null ? null : reasoning.mode === "off" ? "none" : reasoning.effort

const choiceOf = (choice: ToolChoice | null, tools: ReadonlyArray<Tool>): unknown => {
  if (choice === null) return "auto"
  if (choice.type !== "named") return choice.type
  const isCustom = tools.some((tool) => tool.type === "custom" && tool.name === choice.name)
  return { type: isCustom ? "custom" : "function", name: choice.name }
}

export const writeAnswer = (answer: Answer, about: About): JsonObject =>
  responseBody(about, {
    output: withRefusal(answer)
      .map((part, at) => itemOf(part, at, about))
      .filter((item) => item !== null),
    stop: answer.stop,
    usage: answer.usage
  })
