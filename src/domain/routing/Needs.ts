import { isObject, type JsonObject } from "../models/Json.ts"
import type { Capability } from "./Capability.ts"
import { textTokens } from "./Tokens.ts"

/** What a chat request takes of a model: capabilities, and tokens of all that is sent. */
export interface Needs {
  readonly capabilities: ReadonlyArray<Capability>
  /** Estimated, before any correction by what upstreams count. */
  readonly inputTokens: number
}

/** Around a message: its role and its borders. */
const messageTokens = 4
/** OpenAI counts 85 for an image of low detail, and 765 for one of 1024 by 1024 pixels. */
const imageTokens = { low: 85, other: 765 }
/** Of base64: a second of speech at 16 kHz and 16 bits is 43,000 characters and about ten tokens. */
const audioTokensPerChar = 10 / 43_000
/** Of base64: a page of a document is some 50,000 characters and 1,500 tokens. */
const fileTokensPerChar = 1500 / 50_000
/** Names, quotes and brackets of JSON. */
const structureTokens = 2
/** What is nested deeper is refused elsewhere. */
const deepest = 64

const partKinds: Readonly<Record<string, Capability>> = {
  image_url: "vision",
  input_image: "vision",
  image: "vision",
  input_audio: "audio",
  audio: "audio",
  file: "files",
  input_file: "files",
  document: "files"
}

const lengthOf = (value: unknown, depth = 0): number => {
  if (typeof value === "string") return value.length
  if (depth > 8 || typeof value !== "object" || value === null) return 0
  return Object.values(value).reduce<number>((sum, inner) => sum + lengthOf(inner, depth + 1), 0)
}

/** Of any JSON that is sent as text: schemas, arguments. */
const jsonTokens = (value: unknown, depth = 0): number => {
  if (typeof value === "string") return textTokens(value) + 1
  if (typeof value !== "object" || value === null) return 1
  if (depth > deepest) return structureTokens
  if (Array.isArray(value)) {
    return value.reduce<number>((sum, item) => sum + jsonTokens(item, depth + 1), structureTokens)
  }
  let sum = structureTokens
  for (const [name, inner] of Object.entries(value)) sum += textTokens(name) + 1 + jsonTokens(inner, depth + 1)
  return sum
}

class Measuring {
  readonly needs = new Set<Capability>()
  tokens = 0

  body(body: JsonObject): void {
    if (Array.isArray(body["messages"])) for (const message of body["messages"]) this.message(message)
    for (const field of ["tools", "functions"]) {
      const listed = body[field]
      // An empty list needs nothing: some frameworks always send one.
      if (Array.isArray(listed) && listed.length > 0) {
        this.needs.add("tools")
        this.tokens += jsonTokens(listed)
      }
    }
    const format = body["response_format"]
    if (isObject(format) && format["type"] === "json_schema") {
      this.needs.add("json_schema")
      this.tokens += jsonTokens(format["json_schema"])
    }
    const effort = body["reasoning_effort"]
    if (typeof effort === "string" && effort !== "none") this.needs.add("reasoning")
    if (typeof body["n"] === "number" && body["n"] > 1) this.needs.add("choices")
    if (body["logprobs"] === true || Number(body["top_logprobs"] ?? 0) > 0) this.needs.add("logprobs")
    if (Array.isArray(body["modalities"]) && body["modalities"].includes("audio")) this.needs.add("audio")
  }

  private message(message: unknown): void {
    this.tokens += messageTokens
    if (!isObject(message)) return
    const { content, function_call: call, role, tool_calls: calls } = message
    if (typeof content === "string") this.tokens += textTokens(content)
    else if (Array.isArray(content)) for (const part of content) this.part(part)
    const hasCalls = (Array.isArray(calls) && calls.length > 0) || isObject(call)
    // A history with calls needs them too, also without a list of tools.
    if (hasCalls || role === "tool" || role === "function") this.needs.add("tools")
    if (hasCalls) this.tokens += jsonTokens(calls ?? call)
  }

  private part(part: unknown): void {
    if (!isObject(part)) return
    const kind = typeof part["type"] === "string" ? partKinds[part["type"]] : undefined
    if (kind === undefined) {
      if (typeof part["text"] === "string") this.tokens += textTokens(part["text"])
      return
    }
    this.needs.add(kind)
    if (kind === "audio") this.tokens += lengthOf(part) * audioTokensPerChar
    else if (kind === "files") this.tokens += lengthOf(part) * fileTokensPerChar
    else {
      const image = part["image_url"]
      const isLow = (isObject(image) ? image["detail"] : part["detail"]) === "low"
      this.tokens += isLow ? imageTokens.low : imageTokens.other
    }
  }
}

/** Reads a chat request's body; what is not in OpenAI's form needs nothing. */
export const needsOf = (body: JsonObject): Needs => {
  const measuring = new Measuring()
  measuring.body(body)
  return { capabilities: [...measuring.needs], inputTokens: Math.ceil(measuring.tokens) }
}
