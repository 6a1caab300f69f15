import type { TokenUsage } from "../../routing/Usage.ts"
import type { About, Stop } from "../canonical/Answer.ts"
import type { Part, ThinkingPart } from "../canonical/Conversation.ts"
import type { EventReader, EventWriter, StreamedPart, StreamEvent } from "../canonical/Event.ts"
import { Reading, textPart } from "../canonical/Reading.ts"
import { arrayOf, isObject, type JsonObject, parseJson } from "../Json.ts"
import { bodiesOf, candidateIn, contentBody, partsIn, showsThoughts, stopIn, usageIn } from "./Answer.ts"
import { type CallIds, callIdsOf, notThought, partsOf, Thoughts, wirePart, withSignature } from "./Parts.ts"

// Google's streamGenerateContent: the stream, to canonical events and from them.
// https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent

const noThought: ThinkingPart = { type: "thinking", text: "", signature: null, sealed: null, of: "gemini" }

/** Reads pieces, as `GeminiStream` lets them through. A text and a thought go on until another part begins; calls come whole. Whole, because these are the moves of one machine. */
export class GeminiEventReader implements EventReader {
  #parts = 0
  #open: { readonly type: "text" | "thinking"; readonly part: number } | null = null
  #ids: CallIds | null = null
  #hasCalls = false

  read(payload: string): ReadonlyArray<StreamEvent> {
    const body = parseJson(payload)
    if (!isObject(body)) return []
    this.#ids ??= callIdsOf(body)
    const ids = this.#ids
    // One by one: what was thought is signed by the part behind it, which may come much later.
    const said = arrayOf(partsIn(candidateIn(body))).flatMap((part) =>
      isObject(part) && part["thought"] === true
        ? this.#thought(part, ids)
        : partsOf(new Reading(), [part], "parts", ids).flatMap((one) => this.#part(one))
    )
    const stop = stopIn(body, this.#hasCalls)
    const usage = usageIn(body)
    return [
      ...said,
      ...(stop === null ? [] : [...this.#close(), { type: "stop" as const, stop }]),
      ...(usage === null ? [] : [{ type: "usage" as const, usage }])
    ]
  }

  #thought(part: JsonObject, ids: CallIds): ReadonlyArray<StreamEvent> {
    return partsOf(new Reading(), [part], "parts", ids).flatMap((one) =>
      one.type === "thinking"
        ? [...this.#piece("thinking", noThought, one.text), ...(one.signature === null ? [] : this.#signed(one))]
        : []
    )
  }

  #part(part: Part): ReadonlyArray<StreamEvent> {
    switch (part.type) {
      case "text":
        return this.#piece("text", textPart(""), part.text)
      case "thinking":
        return this.#signed(part)
      case "call": {
        this.#hasCalls = true
        const at = this.#parts
        return [
          ...this.#close(),
          this.#begin({ ...part, input: "" }),
          { type: "piece", part: at, text: part.input },
          { type: "end", part: at }
        ]
      }
      default:
        return [...this.#close(), { type: "whole", part: this.#parts++, value: part }]
    }
  }

  #signed(part: ThinkingPart): ReadonlyArray<StreamEvent> {
    const { of, signature } = part
    const open = this.#open
    if (open?.type === "thinking" && signature !== null) {
      return [{ type: "signature", part: open.part, signature, of }, ...this.#close()]
    }
    return [...this.#close(), { type: "whole", part: this.#parts++, value: part }]
  }

  #piece(type: "text" | "thinking", value: StreamedPart, text: string): ReadonlyArray<StreamEvent> {
    if (this.#open?.type === type) return text === "" ? [] : [{ type: "piece", part: this.#open.part, text }]
    const closed = this.#close()
    const part = this.#parts
    this.#open = { type, part }
    return [...closed, this.#begin(value), { type: "piece", part, text }]
  }

  #begin(value: StreamedPart): StreamEvent {
    return { type: "begin", part: this.#parts++, value }
  }

  #close(): ReadonlyArray<StreamEvent> {
    const open = this.#open
    this.#open = null
    return open === null ? [] : [{ type: "end", part: open.part }]
  }
}

/** Writes pieces: texts as they come, a call when it is whole. Whole, because these are the moves of one machine. */
export class GeminiEventWriter implements EventWriter {
  readonly #about: About
  readonly #thoughts = new Thoughts()
  readonly #open = new Map<number, StreamedPart>()
  #hasSigned = false
  #stop: Stop = { reason: "end", sequence: null }
  #usage: TokenUsage | null = null

  constructor(about: About) {
    this.#about = about
  }

  write(event: StreamEvent): ReadonlyArray<string> {
    switch (event.type) {
      case "begin":
        this.#open.set(event.part, emptied(event.value))
        return this.#piece(event.part, textIn(event.value))
      case "piece":
        return this.#piece(event.part, event.text)
      case "signature": {
        const { of, part, signature } = event
        const value = this.#open.get(part)
        if (value?.type === "thinking") this.#open.set(part, { ...value, of, signature })
        return []
      }
      case "end":
        return this.#end(event.part)
      case "whole":
        return event.value.type === "thinking" ? this.#thought(event.value) : this.#whole(event.value)
      case "usage":
        this.#usage = event.usage
        return []
      case "stop":
        this.#stop = event.stop
        return []
    }
  }

  end(): ReadonlyArray<string> {
    return [...[...this.#open.keys()].flatMap((part) => this.#end(part)), ...this.#told(this.#thoughts.rest())]
  }

  last(): string {
    return JSON.stringify(contentBody(this.#about, [wirePart({ text: "" })], { stop: this.#stop, usage: this.#usage }))
  }

  #piece(at: number, text: string): ReadonlyArray<string> {
    const value = this.#open.get(at)
    if (value === undefined || text === "") return []
    switch (value.type) {
      case "text":
      case "refusal":
        return this.#told([withSignature(wirePart({ text }), this.#thoughts.signature())])
      case "thinking":
        this.#open.set(at, { ...value, text: value.text + text })
        return showsThoughts(this.#about) ? this.#told([wirePart({ text, thought: true })]) : []
      case "call":
        this.#open.set(at, { ...value, input: value.input + text })
        return []
    }
  }

  #end(at: number): ReadonlyArray<string> {
    const value = this.#open.get(at)
    this.#open.delete(at)
    if (value?.type === "thinking") return this.#kept(value)
    return value?.type === "call" ? this.#whole(value) : []
  }

  /** A thought that came at once. */
  #thought(part: ThinkingPart): ReadonlyArray<string> {
    const isShown = showsThoughts(this.#about) && part.text !== ""
    return [...this.#kept(part), ...(isShown ? this.#told([wirePart({ text: part.text, thought: true })]) : [])]
  }

  #kept(part: ThinkingPart): ReadonlyArray<string> {
    this.#hasSigned = true
    return this.#told(this.#thoughts.add(part))
  }

  #whole(part: Part): ReadonlyArray<string> {
    const bodies = bodiesOf(part)
    if (bodies.length === 0) return []
    const isUnsignedCall = part.type === "call" && !this.#hasSigned
    if (part.type === "call") this.#hasSigned = true
    const signature = this.#thoughts.signature() ?? (isUnsignedCall ? notThought : null)
    return this.#told(bodies.map((body, i) => (i === 0 ? withSignature(body, signature) : body)))
  }

  #told(parts: ReadonlyArray<JsonObject>): ReadonlyArray<string> {
    return parts.map((part) => JSON.stringify(contentBody(this.#about, [part], null)))
  }
}

const textIn = (part: StreamedPart): string => (part.type === "call" ? part.input : part.text)
const emptied = (part: StreamedPart): StreamedPart =>
  part.type === "call" ? { ...part, input: "" } : { ...part, text: "" }
