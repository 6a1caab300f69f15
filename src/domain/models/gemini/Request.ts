import type { GenerateContentConfig, GenerateContentParameters, GenerationConfig } from "@google/genai"
import * as Either from "effect/Either"
import { carried } from "../canonical/More.ts"
import type {
  Conversation,
  Format,
  FunctionTool,
  NativeTool,
  Part,
  ResultPart,
  ThinkingPart,
  Tool,
  ToolChoice,
  Toward,
  Turn,
  Unfit,
  Written
} from "../canonical/Conversation.ts"
import { withFunctions } from "../canonical/Custom.ts"
import { numberOf, Reading, saying, stringOf, textPart } from "../canonical/Reading.ts"
import { Writing } from "../canonical/Writing.ts"
import { arrayOf, isObject, type JsonObject } from "../Json.ts"
import { member } from "./Members.ts"
import {
  callBody,
  CallIds,
  partsOf,
  resultBody,
  sourceBody,
  substituteFor,
  Thoughts,
  wirePart,
  withSignature
} from "./Parts.ts"
import { jsonSchemaOf } from "./Schema.ts"
import { includesThoughts, reasoningOf, thinkingConfig } from "./Thinking.ts"

// Google's generateContent: the request, to the canonical form and from it.
// https://ai.google.dev/api/generate-content

/** What stands at the top on the wire; the SDK has it among its configuration. `stream` is ours: there the path says it. */
type TopMember =
  | keyof Pick<GenerateContentParameters, "contents" | "model">
  | keyof Pick<
      GenerateContentConfig,
      | "cachedContent"
      | "labels"
      | "modelArmorConfig"
      | "safetySettings"
      | "serviceTier"
      | "systemInstruction"
      | "toolConfig"
      | "tools"
    >
  | "generationConfig"
  | "store"
  | "stream"

/** Its members, and whether the canonical form has a place for them. */
const members = {
  cachedContent: "more",
  contents: "placed",
  generationConfig: "placed",
  labels: "more",
  model: "placed",
  modelArmorConfig: "more",
  safetySettings: "more",
  serviceTier: "more",
  store: "more",
  stream: "placed",
  systemInstruction: "placed",
  toolConfig: "placed",
  tools: "placed"
} as const satisfies Readonly<Record<TopMember, "placed" | "more">>

/** The same of `generationConfig`; what other protocols have too by their name for it. Checked against the vendor's own list. */
const configMembers = {
  audioTimestamp: "more",
  audioTranscriptionConfig: "more",
  candidateCount: "more",
  continuationToken: "more",
  enableAffectiveDialog: "more",
  enableEnhancedCivicAnswers: "more",
  frequencyPenalty: "frequency_penalty",
  imageConfig: "more",
  logprobs: "more",
  maxOutputTokens: "placed",
  mediaResolution: "more",
  modelSelectionConfig: "more",
  presencePenalty: "presence_penalty",
  responseFormat: "more",
  responseJsonSchema: "placed",
  responseLogprobs: "more",
  responseMimeType: "placed",
  responseModalities: "more",
  responseSchema: "placed",
  routingConfig: "more",
  seed: "seed",
  speechConfig: "more",
  stopSequences: "placed",
  temperature: "placed",
  thinkingConfig: "placed",
  topK: "placed",
  topP: "placed",
  translationConfig: "more"
} as const satisfies Readonly<Record<keyof GenerationConfig | "continuationToken" | "imageConfig", string>>

type Names = Readonly<Record<string, string>>

/** The spelling of the table for either of Google's two. */
const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** Members that have no place, by the names of the table. */
const moreOf = (body: JsonObject, names: Names): JsonObject =>
  Object.fromEntries(
    Object.entries(body).flatMap(([name, value]) => {
      const known = Object.hasOwn(names, camel(name)) ? names[camel(name)] : undefined
      if (known === undefined || known === "placed" || isUnsaid(value)) return []
      return [[known === "more" ? camel(name) : known, value]]
    })
  )

const unknownOf = (body: JsonObject, names: Names): JsonObject =>
  Object.fromEntries(
    Object.entries(body).filter(
      ([name, value]) => !Object.hasOwn(names, camel(name)) && name !== "conduit" && !isUnsaid(value)
    )
  )

const isUnsaid = (value: unknown): boolean => value === null || value === undefined

// From a request.

export const readRequest = (body: JsonObject): Either.Either<Conversation, Unfit> => {
  const reading = new Reading()
  const given = member(body, "generationConfig")
  const config = isObject(given) ? given : {}
  const thinking = member(config, "thinkingConfig")
  const choice = toolChoiceOf(member(body, "toolConfig"))
  return reading.of({
    of: "gemini",
    turns: [...systemOf(reading, member(body, "systemInstruction")), ...turnsOf(reading, body["contents"])],
    tools: toolsOf(reading, body["tools"]),
    toolChoice: choice?.choice ?? null,
    parallelCalls: null,
    format: formatOf(config),
    reasoning: reasoningOf(thinking),
    maxTokens: numberOf(member(config, "maxOutputTokens")),
    temperature: numberOf(config["temperature"]),
    topP: numberOf(member(config, "topP")),
    topK: numberOf(member(config, "topK")),
    stop: arrayOf(member(config, "stopSequences")).filter((one) => typeof one === "string"),
    user: null,
    stream: body["stream"] === true,
    more: {
      ...moreOf(body, members),
      ...moreOf(config, configMembers),
      ...(choice === null || choice.allowed === null ? {} : { allowedFunctionNames: choice.allowed }),
      ...(includesThoughts(thinking) ? { includeThoughts: true } : {})
    },
    unknown: unknownOf(body, members)
  })
}

/** A list of one may come without its brackets. */
const listOf = (given: unknown): ReadonlyArray<unknown> => (Array.isArray(given) ? given : [given])

const systemOf = (reading: Reading, system: unknown): ReadonlyArray<Turn> => {
  if (isUnsaid(system)) return []
  if (typeof system === "string") return [{ role: "system", parts: [textPart(system)], name: null }]
  const content = reading.object(system, "systemInstruction")
  const parts = partsOf(reading, content["parts"] ?? [], "systemInstruction.parts", new CallIds("call_"))
  return parts.length === 0 ? [] : [{ role: "system", parts, name: null }]
}

const turnsOf = (reading: Reading, contents: unknown): ReadonlyArray<Turn> => {
  const ids = new CallIds("call_")
  return listOf(contents).flatMap((given, i): ReadonlyArray<Turn> => {
    const param = `contents.${i}`
    const content = reading.object(given, param)
    const role = content["role"] ?? "user"
    if (role !== "user" && role !== "model" && role !== "function") {
      reading.wrong(`${param}.role`, "must be user or model")
    }
    const parts = partsOf(reading, content["parts"] ?? [], `${param}.parts`, ids)
    return parts.length === 0 ? [] : [{ role: role === "model" ? "assistant" : "user", parts, name: null }]
  })
}

const toolsOf = (reading: Reading, tools: unknown): ReadonlyArray<Tool> => {
  if (isUnsaid(tools)) return []
  return listOf(tools).flatMap((given, i): ReadonlyArray<Tool> => {
    const tool = reading.object(given, `tools.${i}`)
    const own: ReadonlyArray<NativeTool> = Object.entries(tool)
      .filter(([name, value]) => camel(name) !== "functionDeclarations" && !isUnsaid(value))
      .map(([name, value]) => ({ type: "native", of: "gemini", value: { [name]: value } }))
    const declared = arrayOf(member(tool, "functionDeclarations")).map((one, at): Tool => {
      const param = `tools.${i}.functionDeclarations.${at}`
      const declaration = reading.object(one, param)
      const schema = member(declaration, "parametersJsonSchema")
      const { parameters } = declaration
      return {
        type: "function",
        name: reading.text(declaration["name"], `${param}.name`),
        description: stringOf(declaration["description"]),
        schema: isObject(schema) ? schema : isObject(parameters) ? jsonSchemaOf(parameters) : null,
        strict: null,
        cache: null
      }
    })
    return [...declared, ...own]
  })
}

const toolChoiceOf = (
  config: unknown
): { readonly choice: ToolChoice | null; readonly allowed: ReadonlyArray<unknown> | null } | null => {
  const calling = isObject(config) ? member(config, "functionCallingConfig") : null
  if (!isObject(calling)) return null
  const allowed = arrayOf(member(calling, "allowedFunctionNames"))
  switch (calling["mode"]) {
    case "AUTO":
    case "VALIDATED":
      return { choice: { type: "auto" }, allowed: null }
    case "NONE":
      return { choice: { type: "none" }, allowed: null }
    case "ANY": {
      const [only] = allowed
      if (allowed.length === 1 && typeof only === "string") {
        return { choice: { type: "named", name: only }, allowed: null }
      }
      return { choice: { type: "required" }, allowed: allowed.length === 0 ? null : allowed }
    }
    default:
      return null
  }
}

const json = "application/json"

const formatOf = (config: JsonObject): Format | null => {
  const schema = member(config, "responseJsonSchema")
  const google = member(config, "responseSchema")
  const type = member(config, "responseMimeType")
  const asked = isObject(schema) ? schema : isObject(google) ? jsonSchemaOf(google) : null
  if (asked !== null) return { type: "schema", name: null, description: null, schema: asked, strict: null }
  return type === json ? { type: "json" } : null
}

// To a request.

/** Members that OpenAI's chats have under another name. */
const shared = { chat: ["frequency_penalty", "presence_penalty", "seed"] } as const

/** What an upstream of this protocol cannot do, by the member of another one that asks for it. */
const unable: ReadonlyArray<readonly [name: string, asks: (value: unknown) => boolean, lacks: Unfit["lacks"]]> = [
  ["n", (value) => typeof value === "number" && value > 1, "choices"],
  ["logprobs", (value) => value === true, "logprobs"],
  ["top_logprobs", (value) => typeof value === "number" && value > 0, "logprobs"],
  ["modalities", (value) => arrayOf(value).includes("audio"), "audio"]
]

/** Google takes no more. https://ai.google.dev/api/generate-content#v1beta.GenerationConfig */
const mostStops = 5

export const writeRequest = (asked: Conversation, toward: Toward): Either.Either<Written, Unfit> => {
  const conversation = withFunctions(asked)
  const { adjusted, members: going } = carried(conversation, shared)
  for (const [name, asks, lacks] of unable) {
    if (conversation.of !== "gemini" && asks(conversation.more[name])) {
      return Either.left({ param: name, detail: "an upstream of Google's protocol cannot do this", lacks })
    }
  }
  const writing = new GeminiWriting(conversation, toward)
  const { frequency_penalty: frequency, presence_penalty: presence, seed, ...unknown } = going
  const said = writing.members(saying({ frequencyPenalty: frequency, presencePenalty: presence, seed }))
  // Google refuses members that it does not know.
  for (const name of Object.keys(unknown)) if (conversation.of !== "gemini") writing.adjusted.add(`${name}->none`)
  return writing.of({
    body: conversation.of === "gemini" ? { ...unknown, ...said } : said,
    adjusted: [...adjusted, ...writing.adjusted]
  })
}

type WireContent = { readonly role: "user" | "model"; readonly parts: ReadonlyArray<JsonObject> }

/** A request while it is written. Whole, because what one member cannot say, all of them note in one place. */
class GeminiWriting extends Writing {
  readonly #conversation: Conversation
  readonly #toward: Toward
  /** Names of the calls by their ids: results name them there. */
  readonly #calls = new Map<string, string>()

  constructor(conversation: Conversation, toward: Toward) {
    super("gemini")
    this.#conversation = conversation
    this.#toward = toward
    for (const { parts } of conversation.turns) {
      for (const part of parts) if (part.type === "call") this.#calls.set(part.id, part.name)
    }
  }

  members(carriedOn: JsonObject): JsonObject {
    const { tools, turns, user } = this.#conversation
    const begun = turns.findIndex(({ role }) => role !== "system" && role !== "developer")
    const opening = begun === -1 ? [] : turns.slice(0, begun)
    const declared = tools.flatMap((tool) => (tool.type === "function" ? this.#function(tool) : []))
    const written = [
      // Google takes all functions in one tool.
      ...(declared.length === 0 ? [] : [{ functionDeclarations: declared }]),
      ...tools.flatMap((tool, i) => (tool.type === "native" ? this.nativeTool(tool, i) : []))
    ]
    const format = this.#format(declared.length > 0)
    const system = [...opening.flatMap(({ parts }) => this.#texts(parts)), ...format.said]
    const contents = this.#contents(turns.slice(opening.length))
    const config = { ...carriedOn, ...this.#config(), ...format.config }
    if (user !== null) this.adjusted.add("user->none")
    return saying({
      systemInstruction: system.length === 0 ? null : { parts: system },
      contents,
      tools: written.length === 0 ? null : written,
      toolConfig: written.length === 0 ? null : this.#choice(),
      generationConfig: Object.keys(config).length === 0 ? null : config
    })
  }

  #config(): JsonObject {
    const { maxTokens, parallelCalls, reasoning, stop, temperature, topK, topP } = this.#conversation
    const limit = maxTokens === null ? null : Math.min(maxTokens, this.#toward.maxOutputTokens ?? maxTokens)
    if (limit !== maxTokens) this.adjusted.add(`max_tokens->${limit}`)
    if (stop.length > mostStops) this.adjusted.add("stop->5")
    if (parallelCalls === false) this.adjusted.add("parallel_tool_calls->none")
    return saying({
      maxOutputTokens: limit,
      temperature,
      topP,
      topK,
      stopSequences: stop.length === 0 ? null : stop.slice(0, mostStops),
      thinkingConfig: this.#thinking(reasoning)
    })
  }

  #thinking(reasoning: Conversation["reasoning"]): unknown {
    if (reasoning === null) return null
    const { abilities, upstream } = this.#toward
    const asked = abilities.reasoning?.can === false ? null : thinkingConfig(reasoning, upstream)
    if (asked === null && reasoning.mode !== "off") this.adjusted.add("reasoning_effort->none")
    if (asked !== null && asked.adjusted !== null) this.adjusted.add(asked.adjusted)
    return asked?.config ?? null
  }

  /** Before the third generation a model takes functions or a form of its answer: then it is told in words. */
  #format(hasFunctions: boolean): { readonly config: JsonObject; readonly said: ReadonlyArray<JsonObject> } {
    const { format } = this.#conversation
    if (format === null) return { config: {}, said: [] }
    if (hasFunctions && substituteFor(this.#toward.upstream) === null) {
      this.adjusted.add("response_format->system")
      const text =
        format.type === "json"
          ? "Answer with one JSON object and nothing else."
          : `Answer with JSON of this schema and nothing else: ${JSON.stringify(format.schema)}`
      return { config: {}, said: [wirePart({ text })] }
    }
    const schema = format.type === "schema" ? { responseJsonSchema: format.schema } : {}
    return { config: { responseMimeType: json, ...schema }, said: [] }
  }

  #function({ cache, description, name, schema, strict }: FunctionTool): JsonObject {
    if (cache !== null) this.adjusted.add("cache_control->none")
    if (strict === true) this.adjusted.add("strict->none")
    return saying({ name, description, parametersJsonSchema: schema })
  }

  #choice(): JsonObject | null {
    const { more, toolChoice } = this.#conversation
    const calling = (mode: string, allowed?: unknown) => ({
      functionCallingConfig: saying({ mode, allowedFunctionNames: allowed })
    })
    switch (toolChoice?.type) {
      case "auto":
        return calling("AUTO")
      case "none":
        return calling("NONE")
      case "required":
        return calling("ANY", more["allowedFunctionNames"])
      case "named":
        return calling("ANY", [toolChoice.name])
      case undefined:
        return null
    }
  }

  #contents(turns: ReadonlyArray<Turn>): ReadonlyArray<WireContent> {
    const contents: Array<WireContent> = []
    turns.forEach(({ name, parts, role }, i) => {
      if (name !== null) this.adjusted.add("name->none")
      const isInside = (role === "system" || role === "developer") && contents.length > 0
      if (isInside) this.adjusted.add("messages.system->user")
      const as = role === "assistant" ? "model" : "user"
      const written = as === "model" ? this.#said(parts, `messages.${i}`) : this.#asked(parts, `messages.${i}`)
      if (written.length === 0) return
      const last = contents.at(-1)
      if (last?.role === as) contents[contents.length - 1] = { role: as, parts: [...last.parts, ...written] }
      else contents.push({ role: as, parts: written })
    })
    if (contents[0]?.role === "model") {
      // A call there follows upon the user.
      this.adjusted.add("messages->+user")
      contents.unshift({ role: "user", parts: [wirePart({ text: "(The assistant speaks first.)" })] })
    }
    return contents
  }

  #asked(parts: ReadonlyArray<Part>, param: string): ReadonlyArray<JsonObject> {
    const results = parts.filter((part) => part.type === "result")
    return [
      ...results.map((result) => this.#result(result)),
      ...results.flatMap((result) => this.#shown(result, param)),
      ...parts.filter((part) => part.type !== "result").flatMap((part) => this.#part(part, param))
    ]
  }

  #result(result: ResultPart): JsonObject {
    if (result.cache !== null) this.adjusted.add("cache_control->none")
    return resultBody(result, this.#calls.get(result.callId) ?? result.callId)
  }

  /** What a tool shows besides its text stands behind the results. */
  #shown({ callId, parts }: ResultPart, param: string): ReadonlyArray<JsonObject> {
    const shown = parts.filter((part) => part.type !== "text").flatMap((part) => this.#part(part, param))
    return shown.length === 0 ? [] : [wirePart({ text: `The result of the call ${callId} shows:` }), ...shown]
  }

  #said(parts: ReadonlyArray<Part>, param: string): ReadonlyArray<JsonObject> {
    const thoughts = new Thoughts()
    let substitute = substituteFor(this.#toward.upstream)
    const written = parts.flatMap((part): ReadonlyArray<JsonObject> => {
      if (part.type === "thinking") return this.#thought(part, thoughts)
      const bodies = part.type === "call" ? [callBody(part)] : this.#part(part, param)
      if (bodies.length === 0) return []
      const signature = thoughts.signature() ?? (part.type === "call" ? substitute : null)
      // Of calls that are made at once only the first is signed.
      if (part.type === "call") substitute = null
      return bodies.map((body, at) => (at === 0 ? withSignature(body, signature) : body))
    })
    return [...written, ...thoughts.rest()]
  }

  #thought(part: ThinkingPart, thoughts: Thoughts): ReadonlyArray<JsonObject> {
    if (part.of !== "gemini" || part.signature === null) {
      this.adjusted.add("thinking->none")
      return []
    }
    const before = thoughts.add(part)
    return part.text === "" ? before : [...before, wirePart({ text: part.text, thought: true })]
  }

  #texts(parts: ReadonlyArray<Part>): ReadonlyArray<JsonObject> {
    return parts.flatMap((part) => {
      if (part.type === "text") return this.#part(part, "system")
      this.cannot("system", `a part of type ${part.type} has no place in a message that is text`)
      return []
    })
  }

  #part(part: Part, param: string): ReadonlyArray<JsonObject> {
    if ("cache" in part && part.cache !== null) this.adjusted.add("cache_control->none")
    switch (part.type) {
      case "text":
      case "refusal":
        return part.text === "" ? [] : [wirePart({ text: part.text })]
      case "image":
      case "file": {
        const body = sourceBody(part.source, part.type === "file" ? part.name : null)
        if (body !== null) return [body]
        const what = part.type === "image" ? "vision" : "files"
        this.cannot(param, "what another provider stores has to be sent itself", what)
        return []
      }
      case "audio":
        return [wirePart({ inlineData: { mimeType: `audio/${part.format}`, data: part.base64 } })]
      case "native":
        return this.nativePart(part, param)
      default:
        return []
    }
  }
}
