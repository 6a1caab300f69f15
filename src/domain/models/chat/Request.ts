import type * as Either from "effect/Either"
import type { ChatCompletionCreateParams } from "openai/resources/chat/completions"
import { withFunctions } from "../canonical/Custom.ts"
import { carried } from "../canonical/More.ts"
import { Writing } from "../canonical/Writing.ts"
import type {
  CallPart,
  Conversation,
  FilePart,
  Format,
  ImagePart,
  Part,
  Reasoning,
  ResultPart,
  TextPart,
  Tool,
  ToolChoice,
  Toward,
  Turn,
  Unfit,
  Written
} from "../canonical/Conversation.ts"
import {
  booleanOf,
  cacheOf,
  numberOf,
  Reading,
  reasoningOfEffort,
  saying,
  sourceOf,
  stringOf,
  textPart
} from "../canonical/Reading.ts"
import { isObject, type JsonObject, textOf } from "../Json.ts"
import { thinkingIn } from "./Thinking.ts"

// OpenAI's Chat Completions: the request, to the canonical form and from it.
// https://platform.openai.com/docs/api-reference/chat/create

/** Its members, and whether the canonical form has a place for them. Checked against the vendor's own list. */
const members = {
  audio: "more",
  frequency_penalty: "more",
  function_call: "placed",
  functions: "placed",
  logit_bias: "more",
  logprobs: "more",
  max_completion_tokens: "placed",
  max_tokens: "placed",
  messages: "placed",
  metadata: "more",
  modalities: "more",
  model: "placed",
  moderation: "more",
  n: "more",
  parallel_tool_calls: "placed",
  prediction: "more",
  presence_penalty: "more",
  prompt_cache_key: "more",
  prompt_cache_options: "more",
  prompt_cache_retention: "more",
  reasoning_effort: "placed",
  response_format: "placed",
  safety_identifier: "more",
  seed: "more",
  service_tier: "more",
  stop: "placed",
  store: "more",
  stream: "placed",
  stream_options: "more",
  temperature: "placed",
  tool_choice: "placed",
  tools: "placed",
  top_logprobs: "more",
  top_p: "placed",
  user: "placed",
  verbosity: "more",
  web_search_options: "more"
} as const satisfies Readonly<Record<keyof ChatCompletionCreateParams, "placed" | "more">>

const isMember = (name: string): name is keyof typeof members => Object.hasOwn(members, name)

// From a chat.

export const readRequest = (body: JsonObject): Either.Either<Conversation, Unfit> => {
  const reading = new Reading()
  const turns = turnsOf(reading, reading.list(body["messages"], "messages"))
  const { stop } = body
  const entries = Object.entries(body).filter(
    ([name, value]) => value !== null && value !== undefined && name !== "conduit" && name !== "top_k"
  )
  return reading.of({
    of: "chat",
    turns,
    tools: toolsOf(reading, body),
    toolChoice: toolChoiceOf(body["tool_choice"] ?? body["function_call"]),
    parallelCalls: booleanOf(body["parallel_tool_calls"]),
    format: formatOf(body["response_format"]),
    reasoning: reasoningOfEffort(body["reasoning_effort"]),
    maxTokens: limitOf(body["max_completion_tokens"]) ?? limitOf(body["max_tokens"]),
    temperature: numberOf(body["temperature"]),
    topP: numberOf(body["top_p"]),
    topK: numberOf(body["top_k"]),
    stop: (Array.isArray(stop) ? stop : [stop]).filter((one) => typeof one === "string"),
    user: stringOf(body["user"]),
    stream: body["stream"] === true,
    more: Object.fromEntries(entries.filter(([name]) => isMember(name) && members[name] === "more")),
    unknown: Object.fromEntries(entries.filter(([name]) => !isMember(name)))
  })
}

/** -1 says that there is none. */
const limitOf = (value: unknown): number | null => {
  const number = numberOf(value)
  return number === null || number < 0 ? null : number
}

const turnsOf = (reading: Reading, messages: ReadonlyArray<unknown>): ReadonlyArray<Turn> => {
  const turns: Array<Turn> = []
  /** Of the calls in the form that had none. */
  let functionCalls = 0
  messages.forEach((given, i) => {
    const param = `messages.${i}`
    const message = reading.object(given, param)
    const name = stringOf(message["name"])
    switch (message["role"]) {
      case "system":
      case "developer":
      case "user":
        turns.push({ role: message["role"], parts: contentOf(reading, message, `${param}.content`), name })
        return
      case "assistant":
        if (isObject(message["function_call"])) functionCalls++
        turns.push({ role: "assistant", parts: assistantParts(reading, message, param, functionCalls), name })
        return
      case "tool":
      case "function": {
        const result = resultOf(reading, message, param, functionCalls)
        const last = turns.at(-1)
        const isGoingOn = last?.role === "user" && last.parts.every(({ type }) => type === "result")
        if (isGoingOn) turns[turns.length - 1] = { ...last, parts: [...last.parts, result] }
        else turns.push({ role: "user", parts: [result], name: null })
        return
      }
      default:
        reading.wrong(`${param}.role`, "must be system, developer, user, assistant or tool")
    }
  })
  return turns
}

const contentOf = (reading: Reading, { cache_control: mark, content }: JsonObject, param: string) => {
  if (content === undefined || content === null) return []
  if (typeof content === "string") return [textPart(content, cacheOf(mark))]
  return reading.list(content, param).map((part, i) => partOf(reading, part, `${param}.${i}`))
}

const partOf = (reading: Reading, given: unknown, param: string): Part => {
  const part = reading.object(given, param)
  const cache = cacheOf(part["cache_control"])
  switch (part["type"]) {
    case "text":
      return textPart(reading.text(part["text"], `${param}.text`), cache)
    case "refusal":
      return { type: "refusal", text: reading.text(part["refusal"], `${param}.refusal`) }
    case "image_url": {
      const image = isObject(part["image_url"]) ? part["image_url"] : { url: part["image_url"] }
      const url = reading.text(image["url"], `${param}.image_url.url`)
      return { type: "image", source: sourceOf(url), detail: stringOf(image["detail"]), cache }
    }
    case "input_audio": {
      const audio = reading.object(part["input_audio"], `${param}.input_audio`)
      return {
        type: "audio",
        format: reading.text(audio["format"], `${param}.input_audio.format`),
        base64: reading.text(audio["data"], `${param}.input_audio.data`)
      }
    }
    case "file": {
      const file = reading.object(part["file"], `${param}.file`)
      const data = stringOf(file["file_data"])
      const id = stringOf(file["file_id"])
      if (data === null && id === null) reading.wrong(`${param}.file`, "must have file_data or file_id")
      const source = data === null ? { type: "file" as const, id: id ?? "", of: "chat" as const } : sourceOf(data)
      return { type: "file", source, name: stringOf(file["filename"]), cache }
    }
    default:
      return { type: "native", of: "chat", value: part }
  }
}

const assistantParts = (reading: Reading, message: JsonObject, param: string, number: number): ReadonlyArray<Part> => {
  const { audio, function_call: called, refusal, tool_calls: calls } = message
  const parts: Array<Part> = [...thinkingIn(message), ...contentOf(reading, message, `${param}.content`)]
  if (textOf(refusal) !== null) parts.push({ type: "refusal", text: String(refusal) })
  if (isObject(audio)) parts.push({ type: "native", of: "chat", value: { audio } })
  if (isObject(called))
    parts.push(callOf(reading, { id: legacyId(number), function: called }, `${param}.function_call`))
  if (calls !== undefined && calls !== null) {
    const given = reading.list(calls, `${param}.tool_calls`)
    given.forEach((call, i) =>
      parts.push(callOf(reading, reading.object(call, `${param}.tool_calls.${i}`), `${param}.tool_calls.${i}`))
    )
  }
  return parts.filter((part) => part.type !== "text" || part.text !== "" || parts.length === 1)
}

const legacyId = (number: number): string => `call_function_${number}`

const callOf = (reading: Reading, call: JsonObject, param: string): CallPart => {
  const isCustom = isObject(call["custom"])
  const inner = reading.object(isCustom ? call["custom"] : call["function"], `${param}.function`)
  return {
    type: "call",
    kind: isCustom ? "custom" : "function",
    id: reading.text(call["id"], `${param}.id`),
    name: reading.text(inner["name"], `${param}.function.name`),
    input: isCustom
      ? reading.text(inner["input"], `${param}.custom.input`)
      : reading.text(inner["arguments"] ?? "", `${param}.function.arguments`),
    cache: cacheOf(call["cache_control"])
  }
}

const resultOf = (reading: Reading, message: JsonObject, param: string, number: number): ResultPart => ({
  type: "result",
  callId:
    message["role"] === "function" ? legacyId(number) : reading.text(message["tool_call_id"], `${param}.tool_call_id`),
  parts: contentOf(reading, { content: message["content"] }, `${param}.content`).flatMap((part) =>
    part.type === "text" || part.type === "image" || part.type === "file" || part.type === "native" ? part : []
  ),
  isError: false,
  cache: cacheOf(message["cache_control"])
})

const toolsOf = (reading: Reading, { functions, tools }: JsonObject): ReadonlyArray<Tool> => {
  const given = tools === undefined || tools === null ? [] : reading.list(tools, "tools")
  const legacy = Array.isArray(functions) ? functions.map((one: unknown) => ({ type: "function", function: one })) : []
  return [...given, ...legacy].map((one, i): Tool => {
    const tool = reading.object(one, `tools.${i}`)
    if (tool["type"] === "function") {
      const { description, name, parameters, strict } = reading.object(tool["function"], `tools.${i}.function`)
      return {
        type: "function",
        name: reading.text(name, `tools.${i}.function.name`),
        description: stringOf(description),
        schema: isObject(parameters) ? parameters : null,
        strict: booleanOf(strict),
        cache: cacheOf(tool["cache_control"])
      }
    }
    if (tool["type"] === "custom") {
      const { description, format, name } = reading.object(tool["custom"], `tools.${i}.custom`)
      return {
        type: "custom",
        name: reading.text(name, `tools.${i}.custom.name`),
        description: stringOf(description),
        format: isObject(format) ? format : null
      }
    }
    return { type: "native", of: "chat", value: tool }
  })
}

const toolChoiceOf = (choice: unknown): ToolChoice | null => {
  if (choice === "auto" || choice === "none" || choice === "required") return { type: choice }
  if (!isObject(choice)) return null
  const named = [choice["function"], choice["custom"], choice].find(
    (one) => isObject(one) && textOf(one["name"]) !== null
  )
  return isObject(named) ? { type: "named", name: String(named["name"]) } : null
}

const formatOf = (format: unknown): Format | null => {
  if (!isObject(format)) return null
  if (format["type"] === "json_object") return { type: "json" }
  const inner = format["json_schema"]
  if (format["type"] !== "json_schema" || !isObject(inner)) return null
  return {
    type: "schema",
    name: stringOf(inner["name"]),
    description: stringOf(inner["description"]),
    schema: isObject(inner["schema"]) ? inner["schema"] : {},
    strict: booleanOf(inner["strict"])
  }
}

// To a chat.

/** Members that other protocols have under the same name and in the same meaning. */
const shared = {
  responses: [
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "verbosity"
  ],
  gemini: ["frequency_penalty", "presence_penalty", "seed"]
} as const

/** OpenAI refuses longer ones. */
const longestUser = 64

export const writeRequest = (asked: Conversation, toward: Toward): Either.Either<Written, Unfit> => {
  // Of those who speak chat only OpenAI itself knows custom tools.
  const conversation = asked.of === "chat" ? asked : withFunctions(asked)
  const { format, maxTokens, parallelCalls, stop, stream, temperature, toolChoice, topP, user } = conversation
  const writing = new ChatWriting()
  const messages = conversation.turns.flatMap((turn, i) => writing.turn(turn, i, conversation.turns))
  const tools = conversation.tools.flatMap((tool, i) => writing.tool(tool, i))
  const { adjusted, members } = carried(conversation, shared)
  const limit = maxTokens === null ? null : Math.min(maxTokens, toward.maxOutputTokens ?? maxTokens)
  if (limit !== maxTokens) writing.adjusted.add(`max_tokens->${limit}`)
  if (conversation.topK !== null && conversation.of !== "chat") writing.adjusted.add("top_k->none")
  if (user !== null && user.length > longestUser) writing.adjusted.add("user->none")
  const body = {
    ...members,
    ...saying({
      messages,
      max_tokens: limit,
      temperature,
      top_p: topP,
      top_k: conversation.of === "chat" ? conversation.topK : null,
      stop: stop.length === 0 ? null : stop,
      tools: tools.length === 0 ? null : tools,
      tool_choice: tools.length === 0 ? null : choiceIn(conversation.tools, toolChoice),
      parallel_tool_calls: tools.length === 0 ? null : parallelCalls,
      response_format: format === null ? null : formatIn(format),
      reasoning_effort: writing.effort(conversation.reasoning, toward),
      user: user !== null && user.length <= longestUser ? user : null,
      stream: stream ? true : null
    })
  }
  return writing.of({ body, adjusted: [...adjusted, ...writing.adjusted] })
}

/** A chat while it is written. Whole, because what one member cannot say, all of them note in one place. */
class ChatWriting extends Writing {
  constructor() {
    super("chat")
  }

  turn(turn: Turn, i: number, turns: ReadonlyArray<Turn>): ReadonlyArray<JsonObject> {
    const param = `messages.${i}`
    const { name, parts, role } = turn
    const more = name === null ? {} : { name }
    switch (role) {
      case "system":
      case "developer":
        return [{ role, ...more, content: this.#texts(parts, param).join("\n\n") }]
      case "assistant":
        return [{ role, ...more, ...this.#assistant(parts, param, isAfterLastQuestion(turns, i)) }]
      case "user": {
        const results = parts.filter((part) => part.type === "result")
        const rest = parts.filter((part) => part.type !== "result")
        const shown = results.flatMap((result) => imagesOf(result))
        return [
          ...results.map((result) => this.#result(result, param)),
          ...(rest.length + shown.length === 0
            ? []
            : [{ role, ...more, content: this.#content([...shown, ...rest], param) }])
        ]
      }
    }
  }

  tool(tool: Tool, i: number): ReadonlyArray<JsonObject> {
    switch (tool.type) {
      case "function": {
        const { description, name, schema, strict } = tool
        if (tool.cache !== null) this.adjusted.add("cache_control->none")
        return [{ type: "function", function: saying({ name, description, parameters: schema, strict }) }]
      }
      case "custom": {
        const { description, format, name } = tool
        return [{ type: "custom", custom: saying({ name, description, format }) }]
      }
      case "native":
        return this.nativeTool(tool, i)
    }
  }

  /** How much to think; a model that cannot think is not told. */
  effort(reasoning: Reasoning | null, { abilities }: Toward): string | null {
    if (reasoning === null) return null
    const { budgetTokens, effort, mode } = reasoning
    if (mode === "off") return abilities.reasoning?.can === false ? null : "none"
    const asked = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens))
    if (asked === null || abilities.reasoning?.can !== false) return asked
    this.adjusted.add("reasoning_effort->none")
    return null
  }

  #text({ cache, text }: TextPart): string {
    if (cache !== null) this.adjusted.add("cache_control->none")
    return text
  }

  /** Of a message that is nothing but text. */
  #texts(parts: ReadonlyArray<Part>, param: string): ReadonlyArray<string> {
    return parts.flatMap((part) => {
      if (part.type === "text") return this.#text(part)
      this.cannot(param, `a part of type ${part.type} has no place in a message that is text`)
      return []
    })
  }

  #content(parts: ReadonlyArray<Part>, param: string): string | ReadonlyArray<JsonObject> {
    const [first] = parts
    return parts.length === 1 && first?.type === "text"
      ? this.#text(first)
      : parts.flatMap((part) => this.#part(part, param))
  }

  #part(part: Part, param: string): ReadonlyArray<JsonObject> {
    switch (part.type) {
      case "text":
        return [{ type: "text", text: this.#text(part) }]
      case "image":
        return this.#image(part, param)
      case "audio":
        return [{ type: "input_audio", input_audio: { data: part.base64, format: part.format } }]
      case "file":
        return this.#file(part, param)
      case "native":
        return this.nativePart(part, param)
    }
    this.cannot(param, `a part of type ${part.type} is known to upstreams of another protocol only`)
    return []
  }

  #image({ cache, detail, source }: ImagePart, param: string): ReadonlyArray<JsonObject> {
    if (cache !== null) this.adjusted.add("cache_control->none")
    const url = urlOf(source)
    if (url === null) {
      this.cannot(param, "an image that another provider stores has to be sent itself", "vision")
      return []
    }
    return [{ type: "image_url", image_url: saying({ url, detail }) }]
  }

  #file({ cache, name, source }: FilePart, param: string): ReadonlyArray<JsonObject> {
    if (cache !== null) this.adjusted.add("cache_control->none")
    if (source.type === "text")
      return [{ type: "text", text: name === null ? source.text : `${name}:\n${source.text}` }]
    if (source.type === "file" && source.of !== "messages") return [{ type: "file", file: { file_id: source.id } }]
    if (source.type === "data") {
      const file_data = `data:${source.mediaType};base64,${source.base64}`
      return [{ type: "file", file: { filename: name ?? "file", file_data } }]
    }
    this.cannot(param, "a file that is not sent itself cannot be read by this upstream", "files")
    return []
  }

  #assistant(parts: ReadonlyArray<Part>, param: string, keepsThinking: boolean): JsonObject {
    const texts: Array<string> = []
    const refusals: Array<string> = []
    const calls: Array<JsonObject> = []
    const thoughts: Array<string> = []
    let more: JsonObject = {}
    for (const part of parts) {
      if (part.type === "text") texts.push(this.#text(part))
      else if (part.type === "refusal") refusals.push(part.text)
      else if (part.type === "call") calls.push(callIn(part))
      else if (part.type === "thinking") {
        if (keepsThinking && part.of === "chat") thoughts.push(part.text)
        else this.adjusted.add("thinking->none")
      } else if (part.type === "native" && part.of === "chat") more = { ...more, ...part.value }
      else this.#part(part, param)
    }
    return {
      content: texts.length === 0 ? null : texts.join(""),
      ...(refusals.length === 0 ? {} : { refusal: refusals.join("") }),
      ...(thoughts.length === 0 ? {} : { reasoning_content: thoughts.join("") }),
      ...(calls.length === 0 ? {} : { tool_calls: calls }),
      ...more
    }
  }

  #result({ cache, callId, isError, parts }: ResultPart, param: string): JsonObject {
    if (cache !== null) this.adjusted.add("cache_control->none")
    const texts = parts.flatMap((part) => {
      if (part.type === "text") return this.#text(part)
      if (part.type === "image") return `[an image, which the next message of the user shows]`
      return this.#part(part, param).map((shown) => textOf(shown["text"]) ?? JSON.stringify(shown))
    })
    // Chats have no other way to say it.
    return { role: "tool", tool_call_id: callId, content: `${isError ? "Error: " : ""}${texts.join("\n")}` }
  }
}

/** Thoughts of a tool loop that goes on belong to it; those before the last question are over. */
const isAfterLastQuestion = (turns: ReadonlyArray<Turn>, i: number): boolean =>
  turns.slice(i + 1).every(({ parts, role }) => role !== "user" || parts.some(({ type }) => type === "result"))

/** A tool's message is text only: its images are shown behind it. */
const imagesOf = ({ callId, parts }: ResultPart): ReadonlyArray<Part> => {
  const images = parts.filter((part) => part.type === "image")
  return images.length === 0 ? [] : [textPart(`The result of the call ${callId} shows:`), ...images]
}

const callIn = ({ id, input, kind, name }: CallPart): JsonObject =>
  kind === "custom"
    ? { id, type: "custom", custom: { name, input } }
    : { id, type: "function", function: { name, arguments: input === "" ? "{}" : input } }

const choiceIn = (tools: ReadonlyArray<Tool>, choice: ToolChoice | null): unknown => {
  if (choice === null || choice.type !== "named") return choice?.type ?? null
  const { name } = choice
  const isCustom = tools.some((tool) => tool.type === "custom" && tool.name === name)
  return isCustom ? { type: "custom", custom: { name } } : { type: "function", function: { name } }
}

const formatIn = (format: Format): JsonObject =>
  format.type === "json"
    ? { type: "json_object" }
    : {
        type: "json_schema",
        json_schema: saying({
          name: format.name ?? "answer",
          description: format.description,
          schema: format.schema,
          strict: format.strict
        })
      }

const urlOf = (source: ImagePart["source"]): string | null =>
  source.type === "url"
    ? source.url
    : source.type === "data"
      ? `data:${source.mediaType};base64,${source.base64}`
      : null

/** Anthropic's budgets are 1,024 tokens at least; Claude Code's largest is 31,999. */
const effortOf = (budgetTokens: number): string =>
  budgetTokens < 4096 ? "low" : budgetTokens < 16_384 ? "medium" : "high"
