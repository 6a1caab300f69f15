import type { ChatCompletionChunk } from "openai/resources/chat/completions"
import { type TokenUsage, usageOf } from "../../routing/Usage.ts"
import type { About, Stop } from "../canonical/Answer.ts"
import type { CallPart, ThinkingPart } from "../canonical/Conversation.ts"
import type { EventReader, EventWriter, StreamedPart, StreamEvent } from "../canonical/Event.ts"
import { textPart } from "../canonical/Reading.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import { usageIn } from "../Said.ts"
import { finishReason, stopOf, usageBody } from "./Answer.ts"
import { detailOf, thinkingIn } from "./Thinking.ts"

// OpenAI's Chat Completions: the stream, to canonical events and from them.
// https://platform.openai.com/docs/api-reference/chat-streaming

type Kind = "thinking" | "text" | "refusal"

const emptyPart = (kind: Kind): StreamedPart => {
  switch (kind) {
    case "text":
      return textPart("")
    case "refusal":
      return { type: "refusal", text: "" }
    case "thinking":
      return { type: "thinking", text: "", signature: null, sealed: null, of: "chat" }
  }
}

/** Reads chunks, as `ChatStream` lets them through: what the first choice says. A text goes on until another part begins. Whole, because these are the moves of one machine. */
export class ChatEventReader implements EventReader {
  #parts = 0
  /** The part of text that goes on. */
  #open: { readonly kind: Kind; readonly part: number } | null = null
  /** By the number that the chunks have of a call. */
  readonly #calls = new Map<number, number>()
  #hasRefused = false

  read(payload: string): ReadonlyArray<StreamEvent> {
    const chunk = parseJson(payload)
    if (!isObject(chunk)) return []
    const choice = arrayOf(chunk["choices"]).find((one) => isObject(one) && (one["index"] ?? 0) === 0)
    const usage = usageOf(usageIn(chunk))
    return [
      ...(isObject(choice) ? this.#choice(choice) : []),
      ...(usage === null ? [] : [{ type: "usage" as const, usage }])
    ]
  }

  #choice({ delta, finish_reason: word }: JsonObject): ReadonlyArray<StreamEvent> {
    const said = isObject(delta) ? delta : {}
    const events = [
      ...this.#thoughts(said),
      ...this.#text("text", said["content"]),
      ...this.#text("refusal", said["refusal"]),
      ...arrayOf(said["tool_calls"]).flatMap((call) => (isObject(call) ? this.#call(call) : []))
    ]
    return typeof word === "string" && word !== "" ? [...events, ...this.#finish(word)] : events
  }

  #thoughts(said: JsonObject): ReadonlyArray<StreamEvent> {
    const signed =
      said["reasoning_details"] === undefined ? [] : thinkingIn({ reasoning_details: said["reasoning_details"] })
    const text = textOf(said["reasoning_content"]) ?? textOf(said["reasoning"])
    if (text !== null) return this.#text("thinking", text)
    // Whole ones, which stand behind their text.
    return signed.flatMap((part): ReadonlyArray<StreamEvent> => {
      if (part.signature === null && part.sealed === null) return this.#text("thinking", part.text)
      const at = this.#open?.kind === "thinking" ? this.#open.part : null
      if (at !== null && part.signature !== null) {
        return [{ type: "signature", part: at, signature: part.signature, of: part.of }, ...this.#close()]
      }
      return [...this.#close(), { type: "whole", part: this.#parts++, value: part }]
    })
  }

  #text(kind: Kind, given: unknown): ReadonlyArray<StreamEvent> {
    const text = textOf(given)
    if (text === null) return []
    if (kind === "refusal") this.#hasRefused = true
    const began: ReadonlyArray<StreamEvent> = this.#open?.kind === kind ? [] : this.#begin(kind)
    return [...began, { type: "piece", part: this.#open?.part ?? 0, text }]
  }

  #begin(kind: Kind): ReadonlyArray<StreamEvent> {
    const closed = this.#close()
    const part = this.#parts++
    this.#open = { kind, part }
    return [...closed, { type: "begin", part, value: emptyPart(kind) }]
  }

  #close(): ReadonlyArray<StreamEvent> {
    const open = this.#open
    this.#open = null
    return open === null ? [] : [{ type: "end", part: open.part }]
  }

  #call(call: JsonObject): ReadonlyArray<StreamEvent> {
    const index = typeof call["index"] === "number" ? call["index"] : 0
    const isCustom = isObject(call["custom"])
    const given = isCustom ? call["custom"] : call["function"]
    const inner = isObject(given) ? given : {}
    const input = textOf(isCustom ? inner["input"] : inner["arguments"])
    const known = this.#calls.get(index)
    const part = known ?? this.#parts++
    this.#calls.set(index, part)
    const value: CallPart = {
      type: "call",
      kind: isCustom ? "custom" : "function",
      id: textOf(call["id"]) ?? "",
      name: textOf(inner["name"]) ?? "",
      input: "",
      cache: null
    }
    return [
      ...(known === undefined ? [...this.#close(), { type: "begin" as const, part, value }] : []),
      ...(input === null ? [] : [{ type: "piece" as const, part, text: input }])
    ]
  }

  #finish(word: string): ReadonlyArray<StreamEvent> {
    const stop = stopOf(word, this.#calls.size > 0)
    const meant: Stop = this.#hasRefused && stop.reason === "end" ? { ...stop, reason: "refusal" } : stop
    const calls = [...this.#calls.values()].map((part) => ({ type: "end" as const, part }))
    this.#calls.clear()
    return [...this.#close(), ...calls, { type: "stop", stop: meant }]
  }
}

/** Writes chunks. Thoughts go out as `reasoning_content`, and once more whole where they are signed, to be sent back. Whole, because these are the moves of one machine. */
export class ChatEventWriter implements EventWriter {
  readonly #about: About
  readonly #withUsage: boolean
  readonly #calls = new Map<number, number>()
  readonly #parts = new Map<number, StreamedPart>()
  #details = 0
  #hasRole = false
  #usage: TokenUsage | null = null

  constructor(about: About) {
    this.#about = about
    const options = about.conversation.more["stream_options"]
    this.#withUsage = isObject(options) && options["include_usage"] === true
  }

  write(event: StreamEvent): ReadonlyArray<string> {
    switch (event.type) {
      case "begin":
        return this.#begin(event.part, event.value)
      case "piece":
        return this.#piece(event.part, event.text)
      case "signature": {
        const part = this.#parts.get(event.part)
        if (part?.type === "thinking") {
          const { of, signature } = event
          this.#parts.set(event.part, { ...part, signature, of })
        }
        return []
      }
      case "end": {
        const part = this.#parts.get(event.part)
        return part?.type === "thinking" ? this.#signed(part) : []
      }
      case "whole":
        return event.value.type === "thinking" ? this.#signed(event.value) : []
      case "usage":
        this.#usage = event.usage
        return []
      case "stop":
        return [this.#chunk({}, finishReason(event.stop))]
    }
  }

  end(): ReadonlyArray<string> {
    return []
  }

  last(): string | null {
    if (!this.#withUsage || this.#usage === null) return null
    return JSON.stringify({ ...this.#head(), choices: [], usage: usageBody(this.#usage) } satisfies ChatCompletionChunk)
  }

  #begin(at: number, value: StreamedPart): ReadonlyArray<string> {
    this.#parts.set(at, value)
    if (value.type !== "call") return value.text === "" ? this.#role() : this.#piece(at, value.text)
    const { id, input, kind, name } = value
    const index = this.#calls.size
    this.#calls.set(at, index)
    const call =
      kind === "custom"
        ? { index, id, type: "custom", custom: { name, input } }
        : { index, id, type: "function", function: { name, arguments: input } }
    return [this.#chunk({ tool_calls: [call] })]
  }

  #piece(at: number, text: string): ReadonlyArray<string> {
    const part = this.#parts.get(at)
    switch (part?.type) {
      case "text":
        return [this.#chunk({ content: text })]
      case "refusal":
        return [this.#chunk({ refusal: text })]
      case "thinking":
        this.#parts.set(at, { ...part, text: part.text + text })
        return [this.#chunk({ reasoning_content: text })]
      case "call": {
        const index = this.#calls.get(at) ?? 0
        const piece = part.kind === "custom" ? { custom: { input: text } } : { function: { arguments: text } }
        return [this.#chunk({ tool_calls: [{ index, ...piece }] })]
      }
      default:
        return []
    }
  }

  #signed(part: ThinkingPart): ReadonlyArray<string> {
    const detail = detailOf(part, this.#details)
    if (detail === null) return []
    this.#details++
    return [this.#chunk({ reasoning_details: [detail] })]
  }

  /** That somebody answers, before it is known what. */
  #role(): ReadonlyArray<string> {
    return this.#hasRole ? [] : [this.#chunk({ content: "" })]
  }

  #chunk(delta: JsonObject, finish: ChatCompletionChunk.Choice["finish_reason"] = null): string {
    const role = this.#hasRole ? {} : { role: "assistant" }
    this.#hasRole = true
    const choices = [{ index: 0, delta: { ...role, ...delta }, logprobs: null, finish_reason: finish }]
    return JSON.stringify({ ...this.#head(), choices })
  }

  #head() {
    const { createdSeconds, id, model } = this.#about
    return { id, object: "chat.completion.chunk" as const, created: createdSeconds, model }
  }
}
