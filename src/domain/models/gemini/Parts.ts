import type { FunctionCall, FunctionResponse, Part as WirePart } from "@google/genai"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import type {
  CallPart,
  FilePart,
  ImagePart,
  Part,
  ResultPart,
  Source,
  ThinkingPart
} from "../canonical/Conversation.ts"
import { type Reading, saying, textPart } from "../canonical/Reading.ts"
import { seal, sealMark, unseal } from "../canonical/Seal.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import { member } from "./Members.ts"

// Parts of contents, which requests and answers have alike. The signature of a thought stands on the part behind it: on a
// call, a text, or a text that is empty. https://ai.google.dev/gemini-api/docs/thought-signatures

/** Gives each call that has no id one by its place, and finds the call that a result without an id answers. */
export class CallIds {
  readonly #prefix: string
  readonly #open: Array<{ readonly id: string; readonly name: string }> = []
  #calls = 0

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  called(id: string | null, name: string): string {
    const named = id ?? `${this.#prefix}${this.#calls}`
    this.#calls++
    this.#open.push({ id: named, name })
    return named
  }

  answered(id: string | null, name: string): string {
    const at = this.#open.findIndex((call) => (id === null ? call.name === name : call.id === id))
    const [found] = at === -1 ? [] : this.#open.splice(at, 1)
    return id ?? found?.id ?? `${this.#prefix}${name}`
  }
}

/** Answers are read one at a time: their calls are told apart by the id of their answer. At most 40 characters, as OpenAI takes them. */
export const callIdsOf = ({ responseId }: JsonObject): CallIds =>
  new CallIds(
    `call_${String(responseId ?? "")
      .replace(/[^A-Za-z0-9]/g, "")
      .slice(0, 32)}_`
  )

/** What Google takes where a call was made by another model, which signed nothing. */
const unsigned = "skip_thought_signature_validator"

/** Google's signatures are bytes: a text of ours is one in base64. */
const asBytes = (text: string): string => Encoding.encodeBase64(text)
/** Python writes them in the other alphabet. */
const textOfBytes = (bytes: string): string =>
  Either.getOrElse(Encoding.decodeBase64String(bytes.replaceAll("-", "+").replaceAll("_", "/")), () => "")
const foreignMark = asBytes(sealMark.slice(0, 9))

/** The thoughts of others that such a signature holds; null for one of Google's own. */
const unsealed = (signature: string): ReadonlyArray<ThinkingPart> | null =>
  signature.startsWith(foreignMark) ? unseal(textOfBytes(signature)) : null

// From parts.

/** Members of a part that say what it is, beside its signature and its data. */
const described = ["thought", "thoughtSignature", "thought_signature", "videoMetadata", "video_metadata"]

export const partsOf = (reading: Reading, given: unknown, param: string, ids: CallIds): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  let thought = ""
  const flush = (signature: string | null) => {
    const foreign = signature === null ? null : unsealed(signature)
    const own = foreign !== null || signature === unsigned ? null : signature
    if (foreign !== null && foreign.length > 0) parts.push(...foreign)
    else if (thought !== "" || own !== null) {
      const of = own === null ? ("chat" as const) : ("gemini" as const)
      parts.push({ type: "thinking", text: thought, signature: own, sealed: null, of })
    }
    thought = ""
  }
  const list = Array.isArray(given) ? arrayOf(given) : [given]
  list.forEach((one, i) => {
    const part = reading.object(one, `${param}.${i}`)
    const signature = textOf(member(part, "thoughtSignature"))
    if (part["thought"] === true) {
      thought += textOf(part["text"]) ?? ""
      if (signature !== null) flush(signature)
      return
    }
    if (thought !== "" || signature !== null) flush(signature)
    const isEmpty =
      part["text"] === "" && Object.keys(part).every((name) => name === "text" || described.includes(name))
    if (!isEmpty) parts.push(partOf(reading, part, `${param}.${i}`, ids))
  })
  if (thought !== "") flush(null)
  return parts
}

const partOf = (reading: Reading, part: JsonObject, param: string, ids: CallIds): Part => {
  const { text } = part
  if (typeof text === "string") return textPart(text)
  const inline = member(part, "inlineData")
  if (isObject(inline)) return inlineOf(reading, inline, `${param}.inlineData`)
  const file = member(part, "fileData")
  if (isObject(file)) return fileOf(reading, file, `${param}.fileData`)
  const call = member(part, "functionCall")
  if (isObject(call)) return callOf(reading, call, `${param}.functionCall`, ids)
  const response = member(part, "functionResponse")
  if (isObject(response)) return resultOf(reading, response, `${param}.functionResponse`, ids)
  return { type: "native", of: "gemini", value: part }
}

const callOf = (reading: Reading, call: JsonObject, param: string, ids: CallIds): CallPart => {
  const name = reading.text(call["name"], `${param}.name`)
  return {
    type: "call",
    kind: "function",
    id: ids.called(textOf(call["id"]), name),
    name,
    input: JSON.stringify(call["args"] ?? {}),
    cache: null
  }
}

/** By the subtype of its media type, as OpenAI names audio. */
const audioFormats: Readonly<Record<string, string>> = { mpeg: "mp3", "x-wav": "wav", wave: "wav" }

const inlineOf = (reading: Reading, blob: JsonObject, param: string): Part => {
  const mediaType = reading.text(member(blob, "mimeType"), `${param}.mimeType`)
  const base64 = reading.text(blob["data"], `${param}.data`)
  const subtype = (mediaType.split("/")[1] ?? "").split(";")[0] ?? ""
  if (mediaType.startsWith("audio/")) return { type: "audio", format: audioFormats[subtype] ?? subtype, base64 }
  return dataPart({ type: "data", mediaType, base64 }, mediaType, textOf(member(blob, "displayName")))
}

const dataPart = (source: Source, mediaType: string, name: string | null): ImagePart | FilePart =>
  mediaType.startsWith("image/")
    ? { type: "image", source, detail: null, cache: null }
    : { type: "file", source, name, cache: null }

/** Files that Google keeps are read by nobody else. */
const isStored = (uri: string): boolean => /^(?:files\/|gs:|https:\/\/generativelanguage\.googleapis\.com\/)/.test(uri)

const fileOf = (reading: Reading, file: JsonObject, param: string): Part => {
  const uri = reading.text(member(file, "fileUri"), `${param}.fileUri`)
  const source: Source = isStored(uri) ? { type: "file", id: uri, of: "gemini" } : { type: "url", url: uri }
  const mediaType = textOf(member(file, "mimeType")) ?? mediaTypeOf(uri) ?? ""
  return dataPart(source, mediaType, textOf(member(file, "displayName")))
}

const resultOf = (reading: Reading, given: JsonObject, param: string, ids: CallIds): ResultPart => {
  const name = textOf(given["name"]) ?? ""
  const response = isObject(given["response"]) ? given["response"] : {}
  const { error, output } = response
  const isAlone = Object.keys(response).length === 1
  const said = isAlone && typeof output === "string" ? output : isAlone && typeof error === "string" ? error : null
  const shown = arrayOf(given["parts"]).flatMap((one, i) => {
    const part = partOf(reading, reading.object(one, `${param}.parts.${i}`), `${param}.parts.${i}`, ids)
    return part.type === "image" || part.type === "file" || part.type === "native" ? part : []
  })
  return {
    type: "result",
    callId: ids.answered(textOf(given["id"]), name),
    parts: [textPart(said ?? JSON.stringify(response)), ...shown],
    isError: isAlone && error !== undefined,
    cache: null
  }
}

// To parts.

/** A part, whose members are the vendor's. */
export const wirePart = (part: { readonly [M in keyof WirePart]?: unknown }): JsonObject => ({ ...part })

export const callBody = ({ id, input, name }: CallPart): JsonObject => {
  const args = parseJson(input === "" ? "{}" : input)
  const call = { id, name, args: isObject(args) ? args : { arguments: input } } satisfies FunctionCall
  return wirePart({ functionCall: call })
}

/** What a tool said is an object there: one that it said itself, or its text under Google's own names. */
export const resultBody = ({ callId, isError, parts }: ResultPart, name: string): JsonObject => {
  const text = parts.map((part) => (part.type === "text" ? part.text : "")).join("")
  const said = isError ? null : parseJson(text)
  const response: Record<string, unknown> = isObject(said) ? { ...said } : isError ? { error: text } : { output: text }
  const body: Pick<FunctionResponse, "id" | "name" | "response"> = { id: callId, name, response }
  return wirePart({ functionResponse: body })
}

const mediaTypes: Readonly<Record<string, string>> = {
  gif: "image/gif",
  heic: "image/heic",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  mp3: "audio/mpeg",
  mp4: "video/mp4",
  pdf: "application/pdf",
  png: "image/png",
  txt: "text/plain",
  wav: "audio/wav",
  webp: "image/webp"
}

/** By the ending of an address. */
const mediaTypeOf = (url: string): string | null => {
  const ending = /\.([a-z0-9]{2,4})(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase()
  return ending !== undefined && Object.hasOwn(mediaTypes, ending) ? (mediaTypes[ending] ?? null) : null
}

/** Null where such an upstream has no way to get it. */
export const sourceBody = (source: Source, name: string | null = null): JsonObject | null => {
  switch (source.type) {
    case "data":
      return wirePart({ inlineData: { mimeType: source.mediaType, data: source.base64 } })
    case "url":
      return wirePart({ fileData: saying({ fileUri: source.url, mimeType: mediaTypeOf(source.url) }) })
    case "text":
      return wirePart({ text: name === null ? source.text : `${name}:\n${source.text}` })
    case "file":
      return source.of === "gemini" ? wirePart({ fileData: { fileUri: source.id } }) : null
  }
}

/** A part with the signature of what was thought before it. */
export const withSignature = (part: JsonObject, signature: string | null): JsonObject =>
  signature === null ? part : { ...part, thoughtSignature: signature }

/** The signature that a part has behind these thoughts, for a client: it comes back with them. Null for none. */
const signatureOf = (thoughts: ReadonlyArray<ThinkingPart>): string | null => {
  const last = thoughts.at(-1)
  if (last === undefined) return null
  return thoughts.every(({ of, signature }) => of === "gemini" && signature !== null)
    ? (last.signature ?? null)
    : asBytes(seal(thoughts))
}

/** What a call has that was made by another model and without thoughts. */
export const notThought = asBytes(seal([]))

/** Models from the third generation on refuse calls in a history that nobody signed. Names without a number are the newest ones. */
const checksSignatures = (upstream: string): boolean => !/gemini-[12](?:\D|$)/.test(upstream)

/** What a call has that nobody has signed, for an upstream; null where it asks for none. */
export const substituteFor = (upstream: string): string | null => (checksSignatures(upstream) ? unsigned : null)

/** Whether a text may have a signature of ours in it. */
export const mayBeForeign = (source: string): boolean => source.includes(foreignMark)

/** A part as Google gets it from a client that had it of another model; none for thoughts that were not Google's. */
export const withoutForeign = (part: JsonObject, substitute: string | null): ReadonlyArray<JsonObject> => {
  const signature = textOf(member(part, "thoughtSignature"))
  if (signature === null || unsealed(signature) === null) return [part]
  const { thoughtSignature: _, thought_signature: _1, ...rest } = part
  if (part["thought"] === true) return []
  const isCall = isObject(member(part, "functionCall"))
  if (rest["text"] === "" && !isCall) return []
  return [withSignature(rest, isCall ? substitute : null)]
}

/** Thoughts while parts are written one after another: their signature goes out with the part behind them. */
export class Thoughts {
  #waiting: Array<ThinkingPart> = []

  /** What has to be written before it. */
  add(part: ThinkingPart): ReadonlyArray<JsonObject> {
    const isSigned = part.of === "gemini" && part.signature !== null
    const before = isSigned ? this.rest() : []
    this.#waiting.push(part)
    return before
  }

  /** For the next part. */
  signature(): string | null {
    const thoughts = this.#waiting
    this.#waiting = []
    return signatureOf(thoughts)
  }

  /** Where no part follows. */
  rest(): ReadonlyArray<JsonObject> {
    const signature = this.signature()
    return signature === null ? [] : [wirePart({ text: "", thoughtSignature: signature })]
  }
}
