import { withMembers } from "../basics/JsonText.ts"
import type { Model } from "../routing/Model.ts"
import type { ProtocolName } from "./canonical/Conversation.ts"
import { reasoningOfEffort } from "./canonical/Reading.ts"
import { member } from "./gemini/Members.ts"
import { thinkingConfig } from "./gemini/Thinking.ts"
import { arrayOf, isObject, type JsonObject, membersIn } from "./Json.ts"
import { thinkingFor } from "./messages/Thinking.ts"
import { rememberSource, sourceOf } from "./RequestText.ts"

/**
 * What an entry of `conduit.yaml` asks of its model, by OpenAI's names: entries of one upstream with different parameters are
 * different models to choose from. What the caller says itself counts before it.
 */
export interface ModelParams {
  /** `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`. */
  readonly reasoning_effort?: string
  /** Of an answer. */
  readonly max_tokens?: number
  readonly temperature?: number
  /** `low`, `medium` or `high`. */
  readonly verbosity?: string
}

export const reasoningEfforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const
export const verbosities = ["low", "medium", "high"] as const

/** A request with what its model's entry adds. */
export interface Parametrised {
  readonly body: JsonObject
  /** Of the entry's parameters those that the caller left open; null where there are none. */
  readonly added: ModelParams | null
}

type Toward = Pick<Model, "abilities" | "maxOutputTokens" | "upstream">

/** The members that say a parameter in a protocol; null where the caller has said it, or it cannot be said. */
type Saying<A> = (body: JsonObject, value: A, toward: Toward) => JsonObject | null

type Sayings = { readonly [P in keyof ModelParams]-?: Saying<NonNullable<ModelParams[P]>> }

const isSaid = (value: unknown): boolean => value !== undefined && value !== null

const unlessSaid =
  (name: string, ...others: ReadonlyArray<string>) =>
  (body: JsonObject, value: unknown): JsonObject | null =>
    [name, ...others].some((member) => isSaid(body[member])) ? null : { [name]: value }

/** A member of an object at the top, which keeps what else it has. */
const within =
  (outer: string, name: string) =>
  (body: JsonObject, value: unknown): JsonObject | null => {
    const given = body[outer]
    if (isSaid(given) && !isObject(given)) return null
    const known = isObject(given) ? given : {}
    return isSaid(known[name]) ? null : { [outer]: { ...known, [name]: value } }
  }

const cannotSay = () => null

/** Anthropic's calls for a tool forbid thoughts, and so does a loop of tools that was begun without any. */
const mayThink = ({ messages, temperature, tool_choice: choice, top_k: topK }: JsonObject): boolean => {
  if ((isSaid(temperature) && temperature !== 1) || isSaid(topK)) return false
  if (isObject(choice) && (choice["type"] === "any" || choice["type"] === "tool")) return false
  const turns = arrayOf(messages).filter(isObject)
  const last = arrayOf(turns.at(-1)?.["content"])
  if (!last.some((block) => isObject(block) && block["type"] === "tool_result")) return true
  const asking = arrayOf(turns.findLast(({ role }) => role === "assistant")?.["content"])
  return asking.some((block) => isObject(block) && String(block["type"]).endsWith("thinking"))
}

const effortOfMessages: Saying<string> = (body, value, toward) => {
  const reasoning = reasoningOfEffort(value)
  const output = isObject(body["output_config"]) ? body["output_config"] : {}
  if (reasoning === null || isSaid(body["thinking"]) || isSaid(output["effort"]) || !mayThink(body)) return null
  if (toward.abilities.reasoning?.can === false) return null
  const most = body["max_tokens"]
  const asked = thinkingFor(reasoning, typeof most === "number" ? most : (toward.maxOutputTokens ?? 0), toward)
  if (asked === null) return null
  return {
    thinking: asked.thinking,
    ...(asked.effort === null ? {} : { output_config: { ...output, effort: asked.effort } })
  }
}

/** With thoughts Anthropic takes no temperature. */
const temperatureOfMessages: Saying<number> = (body, value) => {
  const thinking = body["thinking"]
  const thinks = isObject(thinking) && thinking["type"] !== "disabled"
  return thinks || isSaid(body["top_p"]) || isSaid(body["temperature"]) ? null : { temperature: Math.min(value, 1) }
}

const configName = "generationConfig"

/** A member of Google's configuration, which may be spelt in its other way. */
const withinConfig =
  (name: string) =>
  (body: JsonObject, value: unknown): JsonObject | null => {
    const given = member(body, configName)
    const config = isObject(given) ? given : {}
    if (isSaid(member(config, name)) || (isSaid(given) && !isObject(given))) return null
    const at = isSaid(body[configName]) || !isSaid(given) ? configName : "generation_config"
    return { [at]: { ...config, [name]: value } }
  }

const effortOfGemini: Saying<string> = (body, value, { abilities, upstream }) => {
  const reasoning = reasoningOfEffort(value)
  if (reasoning === null || abilities.reasoning?.can === false) return null
  const asked = thinkingConfig(reasoning, upstream)
  // Who says nothing of thoughts is shown none.
  return asked === null ? null : withinConfig("thinkingConfig")(body, { ...asked.config, includeThoughts: undefined })
}

/** How each protocol of callers says them. Thoughts come first: they forbid some of the others. */
const sayings: Readonly<Record<ProtocolName, Sayings>> = {
  chat: {
    max_tokens: unlessSaid("max_tokens", "max_completion_tokens"),
    reasoning_effort: unlessSaid("reasoning_effort", "reasoning"),
    temperature: unlessSaid("temperature"),
    verbosity: unlessSaid("verbosity")
  },
  messages: {
    max_tokens: unlessSaid("max_tokens"),
    reasoning_effort: effortOfMessages,
    temperature: temperatureOfMessages,
    verbosity: cannotSay
  },
  responses: {
    max_tokens: unlessSaid("max_output_tokens"),
    reasoning_effort: within("reasoning", "effort"),
    temperature: unlessSaid("temperature"),
    verbosity: within("text", "verbosity")
  },
  gemini: {
    max_tokens: withinConfig("maxOutputTokens"),
    reasoning_effort: effortOfGemini,
    temperature: withinConfig("temperature"),
    verbosity: cannotSay
  }
}

/** The entry's parameters under the caller's own: every other byte of the request stays as it came. */
export const parametrised = (
  body: JsonObject,
  protocol: ProtocolName,
  params: ModelParams,
  toward: Toward
): Parametrised => {
  const said = sayings[protocol]
  let merged = body
  const added: { -readonly [P in keyof ModelParams]: ModelParams[P] } = {}
  const add = (members: JsonObject | null): boolean => {
    if (members !== null) merged = { ...merged, ...members }
    return members !== null
  }
  const { max_tokens, reasoning_effort, temperature, verbosity } = params
  if (max_tokens !== undefined && add(said.max_tokens(merged, max_tokens, toward))) added.max_tokens = max_tokens
  if (reasoning_effort !== undefined && add(said.reasoning_effort(merged, reasoning_effort, toward))) {
    added.reasoning_effort = reasoning_effort
  }
  if (temperature !== undefined && add(said.temperature(merged, temperature, toward))) added.temperature = temperature
  if (verbosity !== undefined && add(said.verbosity(merged, verbosity, toward))) added.verbosity = verbosity
  if (membersIn(added) === 0) return { body, added: null }
  const changed = Object.entries(merged).filter(([name, value]) => body[name] !== value)
  rememberSource(
    merged,
    withMembers(sourceOf(body), new Map(changed.map(([name, value]) => [name, JSON.stringify(value)])))
  )
  return { body: merged, added }
}

/** How long an answer of the model may be: as the caller says, else its entry; null if neither does. */
export const answerLimit = ({ params }: { readonly params?: ModelParams }, maxTokens: number | null): number | null =>
  maxTokens ?? params?.max_tokens ?? null

/** As people read it: `reasoning_effort high, max_tokens 500`. */
export const paramsText = (params: ModelParams): string =>
  Object.entries(params)
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(", ")
