import type { MessageCreateParamsBase as BetaParams } from "@anthropic-ai/sdk/resources/beta/messages/messages"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import { carried } from "../canonical/More.ts"
import { Writing } from "../canonical/Writing.ts"
import type {
  Conversation,
  FilePart,
  Format,
  ImagePart,
  Part,
  Reasoning,
  ResultPart,
  Source,
  TextPart,
  Tool,
  ToolChoice,
  Toward,
  Turn,
  Unfit,
  Written
} from "../canonical/Conversation.ts"
import { booleanOf, cacheOf, numberOf, Reading, saying, stringOf, textPart } from "../canonical/Reading.ts"
import { arrayOf, isObject, type JsonObject } from "../Json.ts"
import { block, cacheBody, callId, inputOf, sourceBody } from "./Blocks.ts"
import { thinkingFor, thinkingIn } from "./Thinking.ts"

// Anthropic's Messages: the request, to the canonical form and from it.
// https://platform.claude.com/docs/en/api/messages

/** What version 2026-10-21 has no longer. */
type Former = "temperature" | "top_k" | "top_p"

/** Its members, and whether the canonical form has a place for them. Checked against the vendor's own list. */
const members = {
  billing_policy: "more",
  cache_control: "more",
  compaction: "more",
  container: "more",
  context_management: "more",
  diagnostics: "more",
  fallback_credit_token: "more",
  fallbacks: "more",
  inference_geo: "more",
  max_tokens: "placed",
  mcp_servers: "more",
  messages: "placed",
  metadata: "placed",
  model: "placed",
  output_config: "placed",
  output_format: "placed",
  service_tier: "more",
  speed: "more",
  stop_sequences: "placed",
  stream: "placed",
  system: "placed",
  temperature: "placed",
  thinking: "placed",
  thread: "more",
  tool_choice: "placed",
  tools: "placed",
  top_k: "placed",
  top_p: "placed",
  user_profile_id: "more",
  workspace_id: "more"
} as const satisfies Readonly<Record<Exclude<keyof BetaParams, "betas"> | Former, "placed" | "more">>

const isMember = (name: string): name is keyof typeof members => Object.hasOwn(members, name)

// From messages.

export const readRequest = (body: JsonObject): Either.Either<Conversation, Unfit> => {
  const reading = new Reading()
  const { metadata, output_config: output, tool_choice: choice } = body
  const config = isObject(output) ? output : {}
  const entries = Object.entries(body).filter(
    ([name, value]) => value !== null && value !== undefined && name !== "conduit"
  )
  return reading.of({
    of: "messages",
    turns: [...systemOf(reading, body["system"]), ...turnsOf(reading, body["messages"])],
    tools: toolsOf(reading, body["tools"]),
    toolChoice: toolChoiceOf(choice),
    parallelCalls: isObject(choice) && choice["disable_parallel_tool_use"] === true ? false : null,
    format: formatOf(config["format"] ?? body["output_format"]),
    reasoning: reasoningOf(body["thinking"], stringOf(config["effort"])),
    maxTokens: numberOf(body["max_tokens"]),
    temperature: numberOf(body["temperature"]),
    topP: numberOf(body["top_p"]),
    topK: numberOf(body["top_k"]),
    stop: arrayOf(body["stop_sequences"]).filter((one) => typeof one === "string"),
    user: isObject(metadata) ? stringOf(metadata["user_id"]) : null,
    stream: body["stream"] === true,
    more: Object.fromEntries(entries.filter(([name]) => isMember(name) && members[name] === "more")),
    unknown: Object.fromEntries(entries.filter(([name]) => !isMember(name)))
  })
}

/** A line for Anthropic's accounting that Claude Code puts first; it changes with each request, and no other caches it. */
const isBilling = (text: string): boolean => text.startsWith("x-anthropic-billing-header")

const systemOf = (reading: Reading, system: unknown): ReadonlyArray<Turn> => {
  if (system === undefined || system === null) return []
  const parts = contentOf(reading, system, "system").filter((part) => part.type !== "text" || !isBilling(part.text))
  return parts.length === 0 ? [] : [{ role: "system", parts, name: null }]
}

const turnsOf = (reading: Reading, messages: unknown): ReadonlyArray<Turn> =>
  reading.list(messages, "messages").map((given, i) => {
    const message = reading.object(given, `messages.${i}`)
    const { role } = message
    if (role !== "user" && role !== "assistant" && role !== "system") {
      reading.wrong(`messages.${i}.role`, "must be user, assistant or system")
    }
    return {
      role: role === "assistant" || role === "system" ? role : "user",
      parts: contentOf(reading, message["content"], `messages.${i}.content`),
      name: null
    }
  })

const contentOf = (reading: Reading, content: unknown, param: string): ReadonlyArray<Part> =>
  typeof content === "string"
    ? [textPart(content)]
    : reading.list(content, param).map((part, i) => partOf(reading, part, `${param}.${i}`))

const partOf = (reading: Reading, given: unknown, param: string): Part => {
  const part = reading.object(given, param)
  const cache = cacheOf(part["cache_control"])
  switch (part["type"]) {
    case "text":
      return textPart(reading.text(part["text"], `${param}.text`), cache)
    case "image":
      return { type: "image", source: sourceIn(reading, part["source"], `${param}.source`), detail: null, cache }
    case "document": {
      const { source, title } = part
      // A document of blocks has no counterpart.
      if (isObject(source) && source["type"] === "content") return { type: "native", of: "messages", value: part }
      return { type: "file", source: sourceIn(reading, source, `${param}.source`), name: stringOf(title), cache }
    }
    case "thinking":
    case "redacted_thinking":
      return thinkingIn(part)
    case "tool_use":
      return {
        type: "call",
        kind: "function",
        id: reading.text(part["id"], `${param}.id`),
        name: reading.text(part["name"], `${param}.name`),
        input: JSON.stringify(part["input"] ?? {}),
        cache
      }
    case "tool_result":
      return resultOf(reading, part, param)
    default:
      return { type: "native", of: "messages", value: part }
  }
}

const sourceIn = (reading: Reading, given: unknown, param: string): Source => {
  const source = reading.object(given, param)
  switch (source["type"]) {
    case "base64": {
      const mediaType = reading.text(source["media_type"], `${param}.media_type`)
      return { type: "data", mediaType, base64: reading.text(source["data"], `${param}.data`) }
    }
    case "text":
      return { type: "text", mediaType: "text/plain", text: reading.text(source["data"], `${param}.data`) }
    case "url":
      return { type: "url", url: reading.text(source["url"], `${param}.url`) }
    case "file":
      return { type: "file", id: reading.text(source["file_id"], `${param}.file_id`), of: "messages" }
    default:
      reading.wrong(`${param}.type`, "must be base64, url, text or file")
      return { type: "url", url: "" }
  }
}

const resultOf = (reading: Reading, part: JsonObject, param: string): ResultPart => {
  const { content, is_error: isError, tool_use_id: id } = part
  const parts = content === undefined || content === null ? [] : contentOf(reading, content, `${param}.content`)
  return {
    type: "result",
    callId: reading.text(id, `${param}.tool_use_id`),
    parts: parts.flatMap((inner) =>
      inner.type === "text" || inner.type === "image" || inner.type === "file" || inner.type === "native" ? inner : []
    ),
    isError: isError === true,
    cache: cacheOf(part["cache_control"])
  }
}

const toolsOf = (reading: Reading, tools: unknown): ReadonlyArray<Tool> => {
  if (tools === undefined || tools === null) return []
  return reading.list(tools, "tools").map((given, i) => {
    const tool = reading.object(given, `tools.${i}`)
    const { description, input_schema: schema, name, strict, type } = tool
    if (type !== undefined && type !== null && type !== "custom") return { type: "native", of: "messages", value: tool }
    return {
      type: "function",
      name: reading.text(name, `tools.${i}.name`),
      description: stringOf(description),
      schema: reading.object(schema, `tools.${i}.input_schema`),
      strict: booleanOf(strict),
      cache: cacheOf(tool["cache_control"])
    }
  })
}

const toolChoiceOf = (choice: unknown): ToolChoice | null => {
  if (!isObject(choice)) return null
  switch (choice["type"]) {
    case "auto":
    case "none":
      return { type: choice["type"] }
    case "any":
      return { type: "required" }
    case "tool":
      return { type: "named", name: String(choice["name"]) }
    default:
      return null
  }
}

const formatOf = (format: unknown): Format | null => {
  if (!isObject(format) || !isObject(format["schema"])) return null
  return { type: "schema", name: null, description: null, schema: format["schema"], strict: true }
}

const reasoningOf = (thinking: unknown, effort: string | null): Reasoning | null => {
  const type = isObject(thinking) ? thinking["type"] : null
  const budgetTokens = isObject(thinking) ? numberOf(thinking["budget_tokens"]) : null
  switch (type) {
    case "enabled":
      return { mode: "on", effort, budgetTokens }
    case "disabled":
      return { mode: "off", effort: null, budgetTokens: null }
    case "between_tools":
      return { mode: "between_tools", effort, budgetTokens: null }
    case "adaptive":
      return { mode: "adaptive", effort, budgetTokens: null }
    default:
      // An effort without thinking guides how much is written; it is as near as another protocol comes.
      return effort === null ? null : { mode: "adaptive", effort, budgetTokens: null }
  }
}

// To messages.

/** What an answer may have where nobody said and nothing is known of the model. */
const anyMaxTokens = 4096
/** More is only asked for by who says so. */
const usualMaxTokens = 32_000

/** What an upstream of this protocol cannot do, by the member of a chat that asks for it. */
const unable: ReadonlyArray<readonly [name: string, asks: (value: unknown) => boolean, lacks: Unfit["lacks"]]> = [
  ["n", (value) => typeof value === "number" && value > 1, "choices"],
  ["logprobs", (value) => value === true, "logprobs"],
  ["top_logprobs", (value) => typeof value === "number" && value > 0, "logprobs"],
  ["audio", (value) => value !== undefined, "audio"],
  ["modalities", (value) => arrayOf(value).includes("audio"), "audio"]
]

export const writeRequest = (conversation: Conversation, toward: Toward): Either.Either<Written, Unfit> => {
  const { adjusted: left, members } = carried(conversation, {})
  for (const [name, asks, lacks] of unable) {
    if (conversation.of !== "messages" && asks(conversation.more[name])) {
      return Either.left({ param: name, detail: "an upstream of Anthropic's protocol cannot do this", lacks })
    }
  }
  const writing = new MessagesWriting(conversation, toward)
  const said = writing.members()
  return writing.of({ body: { ...members, ...said }, adjusted: [...left, ...writing.adjusted] })
}

/** A message while it is written. Whole, because what one member cannot say, all of them note in one place. */
class MessagesWriting extends Writing {
  readonly #conversation: Conversation
  readonly #toward: Toward
  readonly #maxTokens: number

  constructor(conversation: Conversation, toward: Toward) {
    super("messages")
    this.#conversation = conversation
    this.#toward = toward
    const { maxTokens } = conversation
    const { maxOutputTokens } = toward
    this.#maxTokens =
      maxTokens === null
        ? Math.min(maxOutputTokens ?? anyMaxTokens, usualMaxTokens)
        : Math.min(maxTokens, maxOutputTokens ?? maxTokens)
    if (maxTokens !== null && this.#maxTokens !== maxTokens) this.adjusted.add(`max_tokens->${this.#maxTokens}`)
  }

  members(): JsonObject {
    const { format, stop, stream, tools, turns, user } = this.#conversation
    const opening = turns.findIndex(({ role }) => role !== "system" && role !== "developer")
    const begun = opening === -1 ? turns.length : opening
    const thinking = this.#thinking()
    const written = tools.flatMap((tool, i) => this.#tool(tool, i))
    const system = [
      ...turns.slice(0, begun).flatMap(({ parts }) => this.#texts(parts, "system")),
      ...(format?.type === "json" ? [this.#jsonOnly()] : [])
    ]
    return saying({
      system: system.length === 0 ? null : system,
      messages: this.#messages(turns.slice(begun)),
      max_tokens: this.#maxTokens,
      ...this.#sampling(thinking !== null && thinking.thinking["type"] !== "disabled"),
      stop_sequences: this.#stops(stop),
      tools: written.length === 0 ? null : written,
      tool_choice: written.length === 0 ? null : this.#choice(),
      thinking: thinking?.thinking,
      output_config: this.#output(thinking?.effort ?? null),
      metadata: user === null ? null : { user_id: user },
      stream: stream ? true : null
    })
  }

  /** With thoughts the upstream takes no sampling, and of its two kinds one at a time. */
  #sampling(thinks: boolean): JsonObject {
    const { temperature, topK, topP } = this.#conversation
    if (thinks) {
      for (const [name, value] of Object.entries({ temperature, top_k: topK, top_p: topP })) {
        if (value !== null && value !== 1) this.adjusted.add(`${name}->none`)
      }
      return {}
    }
    const clamped = temperature === null ? null : Math.min(temperature, 1)
    if (clamped !== temperature) this.adjusted.add(`temperature->${clamped}`)
    if (clamped !== null && topP !== null) this.adjusted.add("top_p->none")
    return { temperature: clamped, top_k: topK, top_p: clamped === null ? topP : null }
  }

  /** White space alone is refused there. */
  #stops(stop: ReadonlyArray<string>): ReadonlyArray<string> | null {
    const taken = stop.filter((one) => one.trim() !== "")
    if (taken.length < stop.length) this.adjusted.add("stop->none")
    return taken.length === 0 ? null : taken
  }

  #thinking() {
    const { reasoning, toolChoice, turns } = this.#conversation
    if (reasoning === null || this.#toward.abilities.reasoning?.can === false) {
      if (reasoning !== null && reasoning.mode !== "off") this.adjusted.add("reasoning_effort->none")
      return null
    }
    const forces = toolChoice !== null && (toolChoice.type === "required" || toolChoice.type === "named")
    const isBroken = reasoning.mode !== "off" && (forces || isLoopWithoutThoughts(turns))
    const asked = isBroken ? null : thinkingFor(reasoning, this.#maxTokens, this.#toward)
    if (asked === null && (isBroken || reasoning.mode === "on")) this.adjusted.add("reasoning_effort->none")
    return asked
  }

  #choice(): JsonObject | null {
    const { parallelCalls, toolChoice } = this.#conversation
    const one = parallelCalls === false ? { disable_parallel_tool_use: true } : {}
    switch (toolChoice?.type) {
      case "none":
        return { type: "none" }
      case "required":
        return { type: "any", ...one }
      case "named":
        return { type: "tool", name: toolChoice.name, ...one }
      case "auto":
        return { type: "auto", ...one }
      case undefined:
        return parallelCalls === false ? { type: "auto", ...one } : null
    }
  }

  #output(effort: string | null): JsonObject | null {
    const { format } = this.#conversation
    if (effort === null && format?.type !== "schema") return null
    return saying({
      effort,
      format: format?.type === "schema" ? { type: "json_schema", schema: closed(format.schema) } : null
    })
  }

  /** There is no mode for any JSON: the model is told in words. */
  #jsonOnly(): JsonObject {
    this.adjusted.add("response_format->system")
    return block("text", { text: "Answer with one JSON object and nothing else." })
  }

  #tool(tool: Tool, i: number): ReadonlyArray<JsonObject> {
    switch (tool.type) {
      case "function": {
        const { cache, description, name, schema, strict } = tool
        const input_schema = schema === null ? { type: "object", properties: {} } : { type: "object", ...schema }
        return [
          {
            ...saying({ name, description, input_schema, strict: strict === true ? true : null }),
            ...(cache === null ? {} : { cache_control: cacheBody(cache) })
          }
        ]
      }
      case "custom": {
        const { description, name } = tool
        const input_schema = { type: "object", properties: { input: { type: "string" } }, required: ["input"] }
        return [saying({ name, description, input_schema })]
      }
      case "native":
        return this.nativeTool(tool, i)
    }
  }

  #messages(turns: ReadonlyArray<Turn>): ReadonlyArray<JsonObject> {
    const merged: Array<{ readonly role: string; readonly content: ReadonlyArray<JsonObject> }> = []
    turns.forEach(({ name, parts, role }, i) => {
      if (name !== null) this.adjusted.add("name->none")
      const content = parts.flatMap((part) => this.#part(part, `messages.${i}`))
      if (content.length === 0) return
      const as = role === "developer" ? "system" : role
      const last = merged.at(-1)
      if (last?.role === as && as !== "system")
        merged[merged.length - 1] = { role: as, content: [...last.content, ...content] }
      else merged.push({ role: as, content })
    })
    const first = merged.find(({ role }) => role !== "system")
    if (first?.role === "assistant") {
      // A conversation there begins with the user.
      this.adjusted.add("messages->+user")
      merged.unshift({ role: "user", content: [block("text", { text: "(The assistant speaks first.)" })] })
    }
    return merged.map(({ content, role }) => ({ role, content: plainContent(resultsFirst(content)) }))
  }

  #texts(parts: ReadonlyArray<Part>, param: string): ReadonlyArray<JsonObject> {
    return parts.flatMap((part) => {
      if (part.type === "text") return textBlock(part)
      this.cannot(param, `a part of type ${part.type} has no place in a message that is text`)
      return []
    })
  }

  #part(part: Part, param: string): ReadonlyArray<JsonObject> {
    switch (part.type) {
      case "text":
        return textBlock(part)
      case "refusal":
        return textBlock(textPart(part.text))
      case "image":
        return this.#image(part, param)
      case "file":
        return this.#file(part, param)
      case "audio":
        this.cannot(param, "an upstream of Anthropic's protocol hears nothing", "audio")
        return []
      case "call":
        return [block("tool_use", { id: callId(part.id), name: part.name, input: inputOf(part) }, part.cache)]
      case "result":
        return [this.#result(part, param)]
      case "thinking":
        if (part.of === "messages" && part.sealed !== null) return [block("redacted_thinking", { data: part.sealed })]
        if (part.of === "messages" && part.signature !== null) {
          return [block("thinking", { thinking: part.text, signature: part.signature })]
        }
        this.adjusted.add("thinking->none")
        return []
      case "native":
        return this.nativePart(part, param)
    }
  }

  #image({ cache, source }: ImagePart, param: string): ReadonlyArray<JsonObject> {
    const body = sourceBody(source)
    if (body !== null) return [block("image", { source: body }, cache)]
    this.cannot(param, "an image that another provider stores has to be sent itself", "vision")
    return []
  }

  #file({ cache, name, source }: FilePart, param: string): ReadonlyArray<JsonObject> {
    const body = documentSource(source)
    if (body !== null) return [block("document", { source: body, title: name }, cache)]
    this.cannot(param, "an upstream of Anthropic's protocol reads PDF and plain text that is sent itself", "files")
    return []
  }

  #result({ cache, callId: id, isError, parts }: ResultPart, param: string): JsonObject {
    const content = parts.flatMap((part) => this.#part(part, param))
    return block(
      "tool_result",
      {
        tool_use_id: callId(id),
        content: content.length === 0 ? null : plainContent(content),
        is_error: isError ? true : null
      },
      cache
    )
  }
}

/** Empty texts are refused there. */
const textBlock = ({ cache, text }: TextPart): ReadonlyArray<JsonObject> =>
  text.trim() === "" ? [] : [block("text", { text }, cache)]

/** One plain text is a text. */
const plainContent = (content: ReadonlyArray<JsonObject>): string | ReadonlyArray<JsonObject> => {
  const [first] = content
  const isPlain =
    content.length === 1 && first !== undefined && first["type"] === "text" && Object.keys(first).length === 2
  return isPlain ? String(first["text"]) : content
}

const isResult = (content: JsonObject) => content["type"] === "tool_result"

/** Results stand before what else the user says. */
const resultsFirst = (content: ReadonlyArray<JsonObject>): ReadonlyArray<JsonObject> =>
  content.some(isResult) ? [...content.filter(isResult), ...content.filter((one) => !isResult(one))] : content

/**
 * A loop of tools that was begun without signed thoughts goes on without: the upstream refuses to think in the middle of
 * one that another model began.
 */
const isLoopWithoutThoughts = (turns: ReadonlyArray<Turn>): boolean => {
  const last = turns.at(-1)
  if (last?.role !== "user" || !last.parts.some(({ type }) => type === "result")) return false
  const asking = turns.findLast(({ role }) => role === "assistant")
  return asking?.parts.every((part) => part.type !== "thinking" || part.of !== "messages") === true
}

const documentSource = (source: Source): JsonObject | null => {
  if (source.type !== "data" || source.mediaType === "application/pdf") return sourceBody(source)
  if (!source.mediaType.startsWith("text/")) return null
  const text = Encoding.decodeBase64String(source.base64)
  return Either.isRight(text) ? sourceBody({ type: "text", mediaType: "text/plain", text: text.right }) : null
}

/** Anthropic takes schemas only whose objects have no other members than those that are named. */
const closed = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(closed)
  if (!isObject(schema)) return schema
  const inner = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]))
  return schema["type"] === "object" && schema["additionalProperties"] === undefined
    ? { ...inner, additionalProperties: false }
    : inner
}
