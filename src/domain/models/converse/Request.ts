import * as Either from "effect/Either"
import type {
  CacheMark,
  Conversation,
  FilePart,
  FunctionTool,
  ImagePart,
  Part,
  Reasoning,
  ResultPart,
  Toward,
  Turn,
  Unfit,
  Written
} from "../canonical/Conversation.ts"
import { withFunctions } from "../canonical/Custom.ts"
import { carried } from "../canonical/More.ts"
import { saying } from "../canonical/Reading.ts"
import { Writing } from "../canonical/Writing.ts"
import { arrayOf, type JsonObject } from "../Json.ts"
import { callId, inputOf } from "../messages/Blocks.ts"
import { thinkingFor } from "../messages/Thinking.ts"

// Amazon Bedrock's Converse: the request, from the canonical form. Nobody asks Conduit in it.
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html

/** What there are no words for, by the member of another protocol that asks for it. */
const unable: ReadonlyArray<readonly [name: string, asks: (value: unknown) => boolean, lacks: Unfit["lacks"]]> = [
  ["n", (value) => typeof value === "number" && value > 1, "choices"],
  ["logprobs", (value) => value === true, "logprobs"],
  ["top_logprobs", (value) => typeof value === "number" && value > 0, "logprobs"],
  ["modalities", (value) => arrayOf(value).includes("audio"), "audio"]
]

export const writeRequest = (asked: Conversation, toward: Toward): Either.Either<Written, Unfit> => {
  const conversation = withFunctions(asked)
  const { adjusted, members } = carried(conversation, {})
  for (const [name, asks, lacks] of unable) {
    if (asks(conversation.more[name])) {
      return Either.left({ param: name, detail: "an upstream of Amazon's protocol cannot do this", lacks })
    }
  }
  const writing = new ConverseWriting(conversation, toward)
  const body = writing.members()
  // Amazon refuses members that it does not know.
  for (const name of Object.keys(members)) writing.adjusted.add(`${name}->none`)
  return writing.of({ body, adjusted: [...adjusted, ...writing.adjusted] })
}

const anyMaxTokens = 4096

/** Claude's own members, which other models refuse. */
const isClaude = (upstream: string): boolean => upstream.includes("anthropic.") || upstream.includes("claude")

const imageFormats: Readonly<Record<string, string>> = {
  "image/gif": "gif",
  "image/jpeg": "jpeg",
  "image/jpg": "jpeg",
  "image/png": "png",
  "image/webp": "webp"
}

const documentFormats: Readonly<Record<string, string>> = {
  "application/msword": "doc",
  "application/pdf": "pdf",
  "application/vnd.ms-excel": "xls",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
  "text/csv": "csv",
  "text/html": "html",
  "text/markdown": "md",
  "text/plain": "txt"
}

const formatIn = (formats: Readonly<Record<string, string>>, mediaType: string): string | null => {
  const plain = mediaType.split(";")[0]?.trim().toLowerCase() ?? ""
  return Object.hasOwn(formats, plain) ? (formats[plain] ?? null) : null
}

/** A request while it is written. Whole, because what one member cannot say, all of them note in one place. */
class ConverseWriting extends Writing {
  readonly #conversation: Conversation
  readonly #toward: Toward
  #documents = 0

  constructor(conversation: Conversation, toward: Toward) {
    super(null)
    this.#conversation = conversation
    this.#toward = toward
  }

  members(): JsonObject {
    const { format, stop, tools, turns, user } = this.#conversation
    const begun = turns.findIndex(({ role }) => role !== "system" && role !== "developer")
    const opening = begun === -1 ? [] : turns.slice(0, begun)
    const declared = tools.flatMap((tool) => (tool.type === "function" ? this.#function(tool) : []))
    tools.forEach((tool, i) => {
      if (tool.type === "native") this.nativeTool(tool, i)
    })
    const system = opening.flatMap(({ parts }) => this.#texts(parts))
    if (format?.type === "json") this.adjusted.add("response_format->system")
    const said = format?.type === "json" ? [{ text: "Answer with one JSON object and nothing else." }] : []
    const more = this.#more()
    if (user !== null) this.adjusted.add("user->none")
    return saying({
      messages: this.#messages(turns.slice(opening.length)),
      system: system.length + said.length === 0 ? null : [...system, ...said],
      inferenceConfig: this.#inference(stop, more["thinking"] !== undefined),
      toolConfig: declared.length === 0 ? null : saying({ tools: declared, toolChoice: this.#choice() }),
      outputConfig: this.#output(),
      additionalModelRequestFields: Object.keys(more).length === 0 ? null : more
    })
  }

  get #limit(): number | null {
    const { maxTokens } = this.#conversation
    const { maxOutputTokens } = this.#toward
    return maxTokens === null ? null : Math.min(maxTokens, maxOutputTokens ?? maxTokens)
  }

  #inference(stop: ReadonlyArray<string>, thinks: boolean): JsonObject | null {
    const { maxTokens, parallelCalls, temperature, topP } = this.#conversation
    const limit = this.#limit
    if (limit !== maxTokens) this.adjusted.add(`max_tokens->${limit}`)
    if (parallelCalls === false) this.adjusted.add("parallel_tool_calls->none")
    const isSampled = !thinks && temperature !== null
    const takesTopP = !thinks && !(isClaude(this.#toward.upstream) && isSampled)
    if (thinks && temperature !== null && temperature !== 1) this.adjusted.add("temperature->none")
    if (!takesTopP && topP !== null) this.adjusted.add("top_p->none")
    const config = saying({
      maxTokens: limit ?? (thinks ? (this.#toward.maxOutputTokens ?? anyMaxTokens) : null),
      temperature: isSampled ? Math.min(temperature ?? 1, 1) : null,
      topP: takesTopP ? topP : null,
      stopSequences: stop.length === 0 ? null : stop
    })
    return Object.keys(config).length === 0 ? null : config
  }

  /** What Claude takes besides; others are not told. */
  #more(): JsonObject {
    const { reasoning, topK } = this.#conversation
    const own = isClaude(this.#toward.upstream)
    if (topK !== null && !own) this.adjusted.add("top_k->none")
    return saying({ top_k: own ? topK : null, ...this.#thinking(reasoning, own) })
  }

  #thinking(reasoning: Reasoning | null, own: boolean): JsonObject {
    if (reasoning === null || reasoning.mode === "off") return {}
    const { toolChoice } = this.#conversation
    const forces = toolChoice !== null && (toolChoice.type === "required" || toolChoice.type === "named")
    const can = own && !forces && this.#toward.abilities.reasoning?.can !== false
    const upstream = this.#toward.upstream.replace(/^.*anthropic\./, "")
    const most = this.#limit ?? this.#toward.maxOutputTokens ?? anyMaxTokens
    const asked = can ? thinkingFor(reasoning, most, { ...this.#toward, upstream }) : null
    if (asked === null) {
      this.adjusted.add("reasoning_effort->none")
      return {}
    }
    return { thinking: asked.thinking, ...(asked.effort === null ? {} : { output_config: { effort: asked.effort } }) }
  }

  #output(): JsonObject | null {
    const { format } = this.#conversation
    if (format?.type !== "schema") return null
    const jsonSchema = saying({
      schema: JSON.stringify(format.schema),
      name: format.name ?? "answer",
      description: format.description
    })
    return { textFormat: { type: "json_schema", structure: { jsonSchema } } }
  }

  #function({ cache, description, name, schema, strict }: FunctionTool): ReadonlyArray<JsonObject> {
    const json = { type: "object", ...schema }
    const spec = saying({ name, description, inputSchema: { json }, strict: strict === true ? true : null })
    return [{ toolSpec: spec }, ...this.#mark(cache)]
  }

  /** What stands up to here may be kept. */
  #mark(cache: CacheMark | null): ReadonlyArray<JsonObject> {
    if (cache === null) return []
    return [{ cachePoint: saying({ type: "default", ttl: cache.ttl === "1h" ? "1h" : null }) }]
  }

  #choice(): JsonObject | null {
    const { toolChoice } = this.#conversation
    switch (toolChoice?.type) {
      case "auto":
        return { auto: {} }
      case "required":
        return { any: {} }
      case "named":
        return { tool: { name: toolChoice.name } }
      case "none":
        this.adjusted.add("tool_choice->none")
        return null
      case undefined:
        return null
    }
  }

  #messages(turns: ReadonlyArray<Turn>): ReadonlyArray<JsonObject> {
    const messages: Array<{ readonly role: string; readonly content: ReadonlyArray<JsonObject> }> = []
    turns.forEach(({ name, parts, role }, i) => {
      if (name !== null) this.adjusted.add("name->none")
      const isInside = (role === "system" || role === "developer") && messages.length > 0
      if (isInside) this.adjusted.add("messages.system->user")
      const as = role === "assistant" ? "assistant" : "user"
      const content = parts.flatMap((part) => this.#part(part, `messages.${i}`))
      if (content.length === 0) return
      const last = messages.at(-1)
      if (last?.role === as) messages[messages.length - 1] = { role: as, content: [...last.content, ...content] }
      else messages.push({ role: as, content })
    })
    if (messages[0]?.role === "assistant") {
      this.adjusted.add("messages->+user")
      messages.unshift({ role: "user", content: [{ text: "(The assistant speaks first.)" }] })
    }
    return messages
  }

  #texts(parts: ReadonlyArray<Part>): ReadonlyArray<JsonObject> {
    return parts.flatMap((part) => {
      if (part.type === "text") return this.#part(part, "system")
      this.cannot("system", `a part of type ${part.type} has no place in a message that is text`)
      return []
    })
  }

  #part(part: Part, param: string): ReadonlyArray<JsonObject> {
    switch (part.type) {
      case "text":
        return part.text.trim() === "" ? [] : [{ text: part.text }, ...this.#mark(part.cache)]
      case "refusal":
        return part.text.trim() === "" ? [] : [{ text: part.text }]
      case "image":
        return [...this.#image(part, param), ...this.#mark(part.cache)]
      case "file":
        return [...this.#file(part, param), ...this.#mark(part.cache)]
      case "audio":
        this.cannot(param, "an upstream of Amazon's protocol hears nothing", "audio")
        return []
      case "call": {
        const { cache, name } = part
        const toolUse = { toolUseId: callId(part.id).slice(-64), name, input: inputOf(part) }
        return [{ toolUse }, ...this.#mark(cache)]
      }
      case "result":
        return this.#result(part, param)
      case "thinking":
        return this.#thought(part)
      case "native":
        return this.nativePart(part, param)
    }
  }

  /** Claude's signatures are the same wherever it runs. */
  #thought({ of, sealed, signature, text }: Extract<Part, { readonly type: "thinking" }>): ReadonlyArray<JsonObject> {
    if (of === "messages" && isClaude(this.#toward.upstream)) {
      if (sealed !== null) return [{ reasoningContent: { redactedContent: sealed } }]
      if (signature !== null) return [{ reasoningContent: { reasoningText: { text, signature } } }]
    }
    this.adjusted.add("thinking->none")
    return []
  }

  #image({ source }: ImagePart, param: string): ReadonlyArray<JsonObject> {
    const format = source.type === "data" ? formatIn(imageFormats, source.mediaType) : null
    if (source.type === "data" && format !== null) return [{ image: { format, source: { bytes: source.base64 } } }]
    this.cannot(param, "Amazon takes images that are sent themselves, as png, jpeg, gif or webp", "vision")
    return []
  }

  #file({ name, source }: FilePart, param: string): ReadonlyArray<JsonObject> {
    // Other characters are refused in it, and two of one name.
    const plain = (name ?? "")
      .replace(/\.[a-z0-9]+$/i, "")
      .replace(/[^A-Za-z0-9()[\] -]+/g, " ")
      .replace(/ {2,}/g, " ")
    const called = `${plain.trim() === "" ? "document" : plain.trim()} ${++this.#documents}`
    if (source.type === "text") return [{ document: { format: "txt", name: called, source: { text: source.text } } }]
    const format = source.type === "data" ? formatIn(documentFormats, source.mediaType) : null
    if (source.type === "data" && format !== null) {
      return [{ document: { format, name: called, source: { bytes: source.base64 } } }]
    }
    this.cannot(param, "Amazon takes documents that are sent themselves, as PDF, text or those of an office", "files")
    return []
  }

  #result({ cache, callId: id, isError, parts }: ResultPart, param: string): ReadonlyArray<JsonObject> {
    const content = parts.flatMap((part) => this.#part(part, param)).filter((one) => one["cachePoint"] === undefined)
    const toolResult = {
      toolUseId: callId(id).slice(-64),
      content: content.length === 0 ? [{ text: "(nothing)" }] : content,
      ...(isError ? { status: "error" } : {})
    }
    return [{ toolResult }, ...this.#mark(cache)]
  }
}
