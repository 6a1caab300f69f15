import * as Either from "effect/Either"
import type { ResponseCreateParams } from "openai/resources/responses/responses"
import { carried } from "../canonical/More.ts"
import type {
  CallPart,
  Conversation,
  FilePart,
  Format,
  FunctionTool,
  ImagePart,
  Part,
  Reasoning,
  ResultPart,
  Tool,
  ToolChoice,
  Toward,
  Turn,
  Unfit,
  Written
} from "../canonical/Conversation.ts"
import {
  booleanOf,
  numberOf,
  Reading,
  reasoningOfEffort,
  saying,
  sourceOf,
  stringOf,
  textPart
} from "../canonical/Reading.ts"
import { arrayOf, isObject, type JsonObject, textOf } from "../Json.ts"
import { flatName, groupedName, reasoningBody, thinkingOf, toolsBody } from "./Items.ts"

// OpenAI's Responses: the request, to the canonical form and from it.
// https://platform.openai.com/docs/api-reference/responses/create

/** Its members, and whether the canonical form has a place for them. Checked against the vendor's own list. */
const members = {
  background: "more",
  context_management: "more",
  conversation: "more",
  include: "more",
  input: "placed",
  instructions: "placed",
  max_output_tokens: "placed",
  max_tool_calls: "more",
  metadata: "more",
  model: "placed",
  moderation: "more",
  parallel_tool_calls: "placed",
  previous_response_id: "more",
  prompt: "more",
  prompt_cache_key: "more",
  prompt_cache_options: "more",
  prompt_cache_retention: "more",
  reasoning: "placed",
  safety_identifier: "more",
  service_tier: "more",
  store: "more",
  stream: "placed",
  stream_options: "more",
  temperature: "placed",
  text: "placed",
  tool_choice: "placed",
  tools: "placed",
  top_logprobs: "more",
  top_p: "placed",
  truncation: "more",
  user: "placed"
} as const satisfies Readonly<Record<keyof ResponseCreateParams | "max_tool_calls", "placed" | "more">>

const isMember = (name: string): name is keyof typeof members => Object.hasOwn(members, name)

/** What only means something to whoever keeps answers, and why it is refused here. */
const stored = {
  previous_response_id: "answers are not stored here: send the whole conversation as input (store: false)",
  conversation: "conversations are not stored here: send the whole conversation as input (store: false)",
  background: "answers are not stored here, so nobody could fetch one later: leave background out",
  prompt: "prompts are not stored here: send instructions and input"
} as const

/** The first part that needs an upstream that stores, or null. */
export const needsStore = (body: JsonObject): Unfit | null => {
  for (const [param, detail] of Object.entries(stored)) {
    const value = body[param]
    if (value !== undefined && value !== null && value !== false) return { param, detail, lacks: null }
  }
  const at = arrayOf(body["input"]).findIndex((item) => isObject(item) && item["type"] === "item_reference")
  return at === -1
    ? null
    : { param: `input.${at}`, detail: "items are not stored here: send the item itself (store: false)", lacks: null }
}

/** What Codex tells of itself, for nobody's answer. */
const clientOnly: ReadonlySet<string> = new Set(["client_metadata"])

/** Values of members that say what not saying them means too. */
const saysNothing = (name: string, value: unknown): boolean => {
  if (name === "include") return Array.isArray(value) && value.every((one) => one === "reasoning.encrypted_content")
  if (name === "truncation") return value === "disabled"
  return name === "top_logprobs" && value === 0
}

// From a request.

/** Of a request that brings its whole conversation. */
export const readRequest = (body: JsonObject): Either.Either<Conversation, Unfit> => {
  const unfit = needsStore(body)
  return unfit === null ? readTold(body, body["input"]) : Either.left(unfit)
}

/** What a request tells of a conversation whose rest its upstream keeps. */
export const readPart = (body: JsonObject): Either.Either<Conversation, Unfit> => readTold(body, body["input"] ?? [])

const readTold = (body: JsonObject, input: unknown): Either.Either<Conversation, Unfit> => {
  const reading = new Reading()
  const { instructions, reasoning, text } = body
  const told = textOf(instructions)
  const turns = [
    ...(told === null ? [] : [{ role: "system" as const, parts: [textPart(told)], name: null }]),
    ...turnsOf(reading, input)
  ]
  const entries = Object.entries(body).filter(
    ([name, value]) =>
      value !== null && value !== undefined && name !== "conduit" && !clientOnly.has(name) && !saysNothing(name, value)
  )
  const texts = isObject(text) ? text : {}
  const verbosity = stringOf(texts["verbosity"])
  return reading.of({
    of: "responses",
    turns,
    tools: [...toolsOf(reading, body["tools"], "tools"), ...laterTools(reading, input)],
    toolChoice: toolChoiceOf(body["tool_choice"]),
    parallelCalls: booleanOf(body["parallel_tool_calls"]),
    format: formatOf(texts["format"]),
    reasoning: reasoningOfEffort(isObject(reasoning) ? textOf(reasoning["effort"]) : null),
    maxTokens: numberOf(body["max_output_tokens"]),
    temperature: numberOf(body["temperature"]),
    topP: numberOf(body["top_p"]),
    topK: null,
    stop: [],
    user: stringOf(body["user"]),
    stream: body["stream"] === true,
    more: {
      ...Object.fromEntries(entries.filter(([name]) => isMember(name) && members[name] === "more")),
      ...(verbosity === null ? {} : { verbosity })
    },
    unknown: Object.fromEntries(entries.filter(([name]) => !isMember(name)))
  })
}

const turnsOf = (reading: Reading, input: unknown): ReadonlyArray<Turn> => {
  if (typeof input === "string") return [{ role: "user", parts: [textPart(input)], name: null }]
  const turns: Array<Turn> = []
  /** What one side says in several items is one turn. */
  const add = (role: "user" | "assistant", part: Part) => {
    const last = turns.at(-1)
    const goesOn = last?.role === role && (role === "assistant" || last.parts.every(({ type }) => type === "result"))
    if (last !== undefined && goesOn) turns[turns.length - 1] = { ...last, parts: [...last.parts, part] }
    else turns.push({ role, parts: [part], name: null })
  }
  reading.list(input, "input").forEach((given, i) => {
    const param = `input.${i}`
    const item = reading.object(given, param)
    switch (item["type"]) {
      case undefined:
      case null:
      case "message": {
        const turn = messageOf(reading, item, param)
        if (turn?.role !== "assistant") return turn === null ? undefined : void turns.push(turn)
        for (const part of turn.parts) add("assistant", part)
        return
      }
      case "function_call":
      case "custom_tool_call":
        return add("assistant", callOf(reading, item, param))
      case "reasoning":
        return add("assistant", thinkingOf(item))
      case "function_call_output":
      case "custom_tool_call_output":
        return add("user", resultOf(reading, item, param))
      case "additional_tools":
      case "item_reference":
        return
      default:
        return add("assistant", { type: "native", of: "responses", value: item })
    }
  })
  return turns
}

const messageOf = (reading: Reading, item: JsonObject, param: string): Turn | null => {
  const { content, role } = item
  switch (role) {
    case "system":
    case "developer":
    case "user":
    case "assistant": {
      const parts =
        typeof content === "string"
          ? [textPart(content)]
          : reading.list(content, `${param}.content`).map((part, i) => partOf(reading, part, `${param}.content.${i}`))
      return { role, parts, name: null }
    }
    default:
      reading.wrong(`${param}.role`, "must be user, assistant, system or developer")
      return null
  }
}

const partOf = (reading: Reading, given: unknown, param: string): Part => {
  const part = reading.object(given, param)
  switch (part["type"]) {
    case "input_text":
    case "output_text":
    case "text":
    case "summary_text":
      return textPart(reading.text(part["text"], `${param}.text`))
    case "refusal":
      return { type: "refusal", text: reading.text(part["refusal"], `${param}.refusal`) }
    case "input_image": {
      const id = textOf(part["file_id"])
      const source =
        id === null
          ? sourceOf(reading.text(part["image_url"], `${param}.image_url`))
          : { type: "file" as const, id, of: "responses" as const }
      return { type: "image", source, detail: stringOf(part["detail"]), cache: null }
    }
    case "input_audio": {
      const audio = reading.object(part["input_audio"], `${param}.input_audio`)
      return {
        type: "audio",
        format: reading.text(audio["format"], `${param}.input_audio.format`),
        base64: reading.text(audio["data"], `${param}.input_audio.data`)
      }
    }
    case "input_file":
      return fileOf(reading, part, param)
    default:
      return { type: "native", of: "responses", value: part }
  }
}

const fileOf = (reading: Reading, part: JsonObject, param: string): FilePart => {
  const data = textOf(part["file_data"])
  const url = textOf(part["file_url"])
  const id = textOf(part["file_id"])
  if (data === null && url === null && id === null) reading.wrong(param, "must have file_data, file_url or file_id")
  const source =
    data !== null
      ? sourceOf(data)
      : url !== null
        ? { type: "url" as const, url }
        : { type: "file" as const, id: id ?? "", of: "responses" as const }
  return { type: "file", source, name: stringOf(part["filename"]), cache: null }
}

const callOf = (reading: Reading, item: JsonObject, param: string): CallPart => {
  const isCustom = item["type"] === "custom_tool_call"
  const name = reading.text(item["name"], `${param}.name`)
  const namespace = textOf(item["namespace"])
  return {
    type: "call",
    kind: isCustom ? "custom" : "function",
    id: reading.text(item["call_id"], `${param}.call_id`),
    name: namespace === null ? name : flatName(namespace, name),
    input: isCustom
      ? reading.text(item["input"], `${param}.input`)
      : reading.text(item["arguments"], `${param}.arguments`),
    cache: null
  }
}

const resultOf = (reading: Reading, item: JsonObject, param: string): ResultPart => {
  const { output } = item
  const parts =
    typeof output === "string"
      ? [textPart(output)]
      : reading.list(output, `${param}.output`).map((part, i) => partOf(reading, part, `${param}.output.${i}`))
  return {
    type: "result",
    callId: reading.text(item["call_id"], `${param}.call_id`),
    parts: parts.flatMap((part) =>
      part.type === "text" || part.type === "image" || part.type === "file" || part.type === "native" ? part : []
    ),
    isError: item["status"] === "incomplete",
    cache: null
  }
}

/** Codex gives models that it knows their tools in an item of the conversation. */
const laterTools = (reading: Reading, input: unknown): ReadonlyArray<Tool> =>
  arrayOf(input).flatMap((item, i) =>
    isObject(item) && item["type"] === "additional_tools" ? toolsOf(reading, item["tools"], `input.${i}.tools`) : []
  )

const toolsOf = (reading: Reading, tools: unknown, at: string): ReadonlyArray<Tool> => {
  if (tools === undefined || tools === null) return []
  return reading.list(tools, at).flatMap((one, i): ReadonlyArray<Tool> => {
    const param = `${at}.${i}`
    const tool = reading.object(one, param)
    if (tool["type"] !== "namespace") return [toolOf(reading, tool, param)]
    const namespace = reading.text(tool["name"], `${param}.name`)
    const description = stringOf(tool["description"])
    return reading.list(tool["tools"], `${param}.tools`).map((inner, j) => {
      const member = toolOf(reading, reading.object(inner, `${param}.tools.${j}`), `${param}.tools.${j}`)
      return member.type === "function" ? grouped(member, namespace, description) : member
    })
  })
}

const grouped = (tool: FunctionTool, namespace: string, description: string | null): FunctionTool => ({
  ...tool,
  name: flatName(namespace, tool.name),
  group: { namespace, name: tool.name, description }
})

const toolOf = (reading: Reading, tool: JsonObject, param: string): Tool => {
  const { description, format, name, parameters, strict, type } = tool
  if (type === "function") {
    return {
      type: "function",
      name: reading.text(name, `${param}.name`),
      description: stringOf(description),
      schema: isObject(parameters) ? parameters : null,
      strict: booleanOf(strict),
      cache: null
    }
  }
  if (type === "custom") {
    return {
      type: "custom",
      name: reading.text(name, `${param}.name`),
      description: stringOf(description),
      format: isObject(format) ? format : null
    }
  }
  return { type: "native", of: "responses", value: tool }
}

const toolChoiceOf = (choice: unknown): ToolChoice | null => {
  if (choice === "auto" || choice === "none" || choice === "required") return { type: choice }
  if (!isObject(choice)) return null
  if (choice["type"] === "allowed_tools") return toolChoiceOf(choice["mode"])
  const name = textOf(choice["name"])
  return name === null || (choice["type"] !== "function" && choice["type"] !== "custom")
    ? null
    : { type: "named", name }
}

const formatOf = (format: unknown): Format | null => {
  if (!isObject(format)) return null
  if (format["type"] === "json_object") return { type: "json" }
  if (format["type"] !== "json_schema") return null
  return {
    type: "schema",
    name: stringOf(format["name"]),
    description: stringOf(format["description"]),
    schema: isObject(format["schema"]) ? format["schema"] : {},
    strict: booleanOf(format["strict"])
  }
}

// To a request.

/** Members that other protocols have under the same name and in the same meaning. */
const shared = {
  chat: [
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier"
  ]
} as const

/** The API refuses less. */
const leastOutput = 16

export const writeRequest = (conversation: Conversation, toward: Toward): Either.Either<Written, Unfit> => {
  const { format, maxTokens, parallelCalls, stop, stream, temperature, tools, toolChoice, topK, topP, user } =
    conversation
  const writing = new Writing(tools)
  const input = conversation.turns.flatMap((turn, i) => writing.turn(turn, `messages.${i}`))
  const bodies = toolsBody(tools.filter((tool, i) => writing.takes(tool, `tools.${i}`)))
  const { adjusted, members: carriedOn } = carried(conversation, shared)
  const { verbosity, ...rest } = carriedOn
  const limit =
    maxTokens === null ? null : Math.max(leastOutput, Math.min(maxTokens, toward.maxOutputTokens ?? maxTokens))
  if (limit !== maxTokens) writing.adjusted.add(`max_tokens->${limit}`)
  if (topK !== null) writing.adjusted.add("top_k->none")
  if (stop.length > 0) writing.adjusted.add("stop->none")
  const text = saying({ format: format === null ? null : formatBody(format), verbosity: verbosity ?? null })
  const body = {
    ...rest,
    ...saying({
      input,
      max_output_tokens: limit,
      temperature,
      top_p: topP,
      tools: bodies.length === 0 ? null : bodies,
      tool_choice: bodies.length === 0 ? null : choiceBody(tools, toolChoice),
      parallel_tool_calls: bodies.length === 0 ? null : parallelCalls,
      text: Object.keys(text).length === 0 ? null : text,
      reasoning: writing.reasoning(conversation.reasoning, toward),
      user,
      stream: stream ? true : null
    }),
    store: false,
    include: ["reasoning.encrypted_content"]
  }
  return writing.of({ body, adjusted: [...adjusted, ...writing.adjusted] })
}

/** A request while it is written. Whole, because what one member cannot say, all of them note in one place. */
class Writing {
  readonly adjusted = new Set<string>()
  readonly #tools: ReadonlyArray<Tool>
  #unfit: Unfit | null = null

  constructor(tools: ReadonlyArray<Tool>) {
    this.#tools = tools
  }

  of(written: Written): Either.Either<Written, Unfit> {
    return this.#unfit === null ? Either.right(written) : Either.left(this.#unfit)
  }

  takes(tool: Tool, param: string): boolean {
    if (tool.type === "function" && tool.cache !== null) this.adjusted.add("cache_control->none")
    if (tool.type !== "native" || tool.of === "responses") return true
    this.#cannot(param, `a tool of type ${String(tool.value["type"])} is run by upstreams of another protocol only`)
    return false
  }

  turn({ parts, role }: Turn, param: string): ReadonlyArray<JsonObject> {
    const items: Array<JsonObject> = []
    let content: Array<JsonObject> = []
    const close = () => {
      if (content.length > 0) items.push({ type: "message", role, content })
      content = []
    }
    for (const part of parts) {
      const item = this.#item(part, param)
      if (item !== null) {
        close()
        items.push(...item)
      } else content.push(...this.#part(part, param, role === "assistant"))
    }
    close()
    return items
  }

  reasoning(reasoning: Reasoning | null, { abilities }: Toward): JsonObject | null {
    if (reasoning === null) return null
    const { budgetTokens, effort, mode } = reasoning
    if (mode === "off") return abilities.reasoning?.can === true ? { effort: "none" } : null
    if (abilities.reasoning?.can === false && mode !== "on") {
      this.adjusted.add("reasoning->none")
      return null
    }
    const asked = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens))
    return saying({ effort: asked, summary: "auto" })
  }

  #cannot(param: string, detail: string, lacks: Unfit["lacks"] = null): void {
    this.#unfit ??= { param, detail, lacks }
  }

  /** Parts that are items of their own; null for those of a message. */
  #item(part: Part, param: string): ReadonlyArray<JsonObject> | null {
    switch (part.type) {
      case "call": {
        const { id, input, kind, name } = part
        if (kind === "custom") return [{ type: "custom_tool_call", call_id: id, name, input }]
        const group = groupedName(this.#tools, name)
        const called =
          group === null || group === undefined ? { name } : { name: group.name, namespace: group.namespace }
        return [{ type: "function_call", call_id: id, ...called, arguments: input === "" ? "{}" : input }]
      }
      case "result":
        return [this.#result(part, param)]
      case "thinking":
        if (part.of === "responses" && part.sealed !== null) return [reasoningBody(part, null)]
        this.adjusted.add("thinking->none")
        return []
      case "native":
        if (part.of === "responses") return [part.value]
        return null
      default:
        return null
    }
  }

  #result({ callId, isError, parts }: ResultPart, param: string): JsonObject {
    const isText = parts.every(({ type }) => type === "text")
    const texts = parts.map((part) => (part.type === "text" ? part.text : "")).join("\n")
    return {
      type: "function_call_output",
      call_id: callId,
      output: isText ? `${isError ? "Error: " : ""}${texts}` : parts.flatMap((part) => this.#part(part, param, false))
    }
  }

  #part(part: Part, param: string, isAnswer: boolean): ReadonlyArray<JsonObject> {
    switch (part.type) {
      case "text":
        if (part.cache !== null) this.adjusted.add("cache_control->none")
        return [{ type: isAnswer ? "output_text" : "input_text", text: part.text }]
      case "refusal":
        return [{ type: "refusal", refusal: part.text }]
      case "image":
        return [this.#image(part, param)]
      case "audio":
        return [{ type: "input_audio", input_audio: { data: part.base64, format: part.format } }]
      case "file":
        return [this.#file(part, param)]
      default:
        this.#cannot(param, "a part is known to upstreams of another protocol only")
        return []
    }
  }

  #image({ detail, source }: ImagePart, param: string): JsonObject {
    switch (source.type) {
      case "url":
        return saying({ type: "input_image", image_url: source.url, detail })
      case "data":
        return saying({
          type: "input_image",
          image_url: `data:${source.mediaType};base64,${source.base64}`,
          detail
        })
      default:
        if (source.type === "file" && source.of !== "messages") return { type: "input_image", file_id: source.id }
        this.#cannot(param, "an image that another provider stores has to be sent itself", "vision")
        return {}
    }
  }

  #file({ name, source }: FilePart, param: string): JsonObject {
    switch (source.type) {
      case "url":
        return { type: "input_file", file_url: source.url }
      case "text":
        return { type: "input_text", text: name === null ? source.text : `${name}:\n${source.text}` }
      case "data":
        return {
          type: "input_file",
          filename: name ?? "file",
          file_data: `data:${source.mediaType};base64,${source.base64}`
        }
      case "file":
        if (source.of !== "messages") return { type: "input_file", file_id: source.id }
        this.#cannot(param, "a file that another provider stores has to be sent itself", "files")
        return {}
    }
  }
}

const choiceBody = (tools: ReadonlyArray<Tool>, choice: ToolChoice | null): unknown => {
  if (choice === null || choice.type !== "named") return choice?.type ?? null
  const { name } = choice
  const isCustom = tools.some((tool) => tool.type === "custom" && tool.name === name)
  return { type: isCustom ? "custom" : "function", name }
}

/** As Responses have it, in requests and in the echo of answers. */
export const formatBody = (format: Format): JsonObject =>
  format.type === "json"
    ? { type: "json_object" }
    : {
        type: "json_schema",
        ...saying({
          name: format.name ?? "answer",
          description: format.description,
          schema: format.schema,
          strict: format.strict
        })
      }

/** Anthropic's budgets are 1,024 tokens at least; Claude Code's largest is 31,999. */
const effortOf = (budgetTokens: number): string =>
  budgetTokens < 4096 ? "low" : budgetTokens < 16_384 ? "medium" : "high"
