import type {
  RawContentBlockDeltaEvent,
  RawContentBlockStartEvent,
  RawContentBlockStopEvent,
  RawMessageDeltaEvent,
  RawMessageStartEvent
} from "@anthropic-ai/sdk/resources/messages/messages"
import { type TokenUsage, usageOf } from "../../routing/Usage.ts"
import type { About, Stop } from "../canonical/Answer.ts"
import type { EventReader, EventWriter, StreamedPart, StreamEvent } from "../canonical/Event.ts"
import { isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import { blockOf, emptyMessage, estimatedUsage, partOf, stopBody, stopOf, usageBody } from "./Answer.ts"
import { callId } from "./Blocks.ts"
import { signatureOf } from "./Thinking.ts"

// Anthropic's Messages: the stream, to canonical events and from them.
// https://platform.claude.com/docs/en/build-with-claude/streaming

/** Reads events, as `MessagesStream` lets them through. Counts are cumulative: later ones stand over earlier ones. */
export class MessagesEventReader implements EventReader {
  #usage: JsonObject = {}
  readonly #whole = new Set<number>()

  read(payload: string): ReadonlyArray<StreamEvent> {
    const event = parseJson(payload)
    if (!isObject(event)) return []
    const part = typeof event["index"] === "number" ? event["index"] : 0
    switch (event["type"]) {
      case "message_start":
        return this.#counts(isObject(event["message"]) ? event["message"]["usage"] : undefined)
      case "content_block_start":
        return this.#begin(part, event["content_block"])
      case "content_block_delta":
        return this.#delta(part, isObject(event["delta"]) ? event["delta"] : {})
      case "content_block_stop":
        return this.#whole.has(part) ? [] : [{ type: "end", part }]
      case "message_delta": {
        const counts = this.#counts(event["usage"])
        const delta = isObject(event["delta"]) ? event["delta"] : {}
        return textOf(delta["stop_reason"]) === null ? counts : [...counts, { type: "stop", stop: stopOf(delta) }]
      }
      default:
        return []
    }
  }

  #begin(part: number, given: unknown): ReadonlyArray<StreamEvent> {
    const value = partOf(isObject(given) ? given : {})
    switch (value.type) {
      case "call":
        // Its input comes in pieces, and stands empty at the beginning; some send it whole.
        return [{ type: "begin", part, value: value.input === "{}" ? { ...value, input: "" } : value }]
      case "text":
        return [{ type: "begin", part, value }]
      case "thinking":
        if (value.sealed === null) return [{ type: "begin", part, value }]
    }
    this.#whole.add(part)
    return [{ type: "whole", part, value }]
  }

  #delta(part: number, delta: JsonObject): ReadonlyArray<StreamEvent> {
    switch (delta["type"]) {
      case "text_delta":
        return piece(part, delta["text"])
      case "input_json_delta":
        return this.#whole.has(part) ? [] : piece(part, delta["partial_json"])
      case "thinking_delta":
        return piece(part, delta["thinking"])
      case "signature_delta":
        return [{ type: "signature", part, signature: String(delta["signature"]), of: "messages" }]
      default:
        return []
    }
  }

  #counts(usage: unknown): ReadonlyArray<StreamEvent> {
    if (!isObject(usage)) return []
    this.#usage = mergedUsage(this.#usage, usage)
    const counted = usageOf(this.#usage)
    return counted === null ? [] : [{ type: "usage", usage: counted }]
  }
}

/** Counts that come later stand over earlier ones, where they say something. */
export const mergedUsage = (before: JsonObject, after: JsonObject): JsonObject => ({
  ...before,
  ...Object.fromEntries(Object.entries(after).filter(([, value]) => value !== null && value !== undefined))
})

const piece = (part: number, given: unknown): ReadonlyArray<StreamEvent> => {
  const text = textOf(given)
  return text === null ? [] : [{ type: "piece", part, text }]
}

/** What the parts behind the one that is being written have said. */
interface QueuedEvents {
  readonly part: number
  readonly events: Array<StreamEvent>
}

/** Writes events: one block after another, as clients expect them, also where an upstream opens several at once. Whole, because these are the moves of one machine. */
export class MessagesEventWriter implements EventWriter {
  readonly #about: About
  readonly #queue: Array<QueuedEvents> = []
  readonly #open = new Map<number, StreamedPart>()
  #hasBegun = false
  #blocks = 0
  #refusal = ""
  #stop: Stop = { reason: "end", sequence: null }
  #usage: TokenUsage | null = null

  constructor(about: About) {
    this.#about = about
  }

  write(event: StreamEvent): ReadonlyArray<string> {
    if (event.type === "usage") {
      this.#usage = event.usage
      return []
    }
    if (event.type === "stop") {
      this.#stop = event.stop
      return []
    }
    const { part } = event
    if (!this.#queue.some((waiting) => waiting.part === part)) this.#queue.push({ part, events: [] })
    this.#queue.find((waiting) => waiting.part === part)?.events.push(event)
    return [...this.#start(), ...this.#flush()]
  }

  end(): ReadonlyArray<string> {
    const left = this.#queue
      .splice(0)
      .flatMap(({ events, part }) => [
        ...events.flatMap((event) => this.#said(event)),
        ...(this.#open.has(part) ? this.#said({ type: "end", part }) : [])
      ])
    return [...this.#start(), ...left]
  }

  last(): string {
    const usage = usageBody(this.#usage ?? estimatedUsage(this.#about.inputTokens))
    return JSON.stringify({
      type: "message_delta",
      delta: { ...stopBody(this.#stop, this.#refusal), container: null },
      usage
    } satisfies RawMessageDeltaEvent)
  }

  #start(): ReadonlyArray<string> {
    if (this.#hasBegun) return []
    this.#hasBegun = true
    return [
      JSON.stringify({ type: "message_start", message: emptyMessage(this.#about) } satisfies RawMessageStartEvent)
    ]
  }

  /** Of the first part all that is there; of the next one when the first has ended. */
  #flush(): ReadonlyArray<string> {
    const written: Array<string> = []
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      for (const event of head.events.splice(0)) {
        written.push(...this.#said(event))
        if (event.type === "end" || event.type === "whole") this.#queue.shift()
      }
      if (this.#queue[0] === head) break
    }
    return written
  }

  #said(event: StreamEvent): ReadonlyArray<string> {
    switch (event.type) {
      case "begin":
        this.#open.set(event.part, event.value)
        return this.#begin(event.value)
      case "piece":
        return this.#piece(event.part, event.text)
      case "signature": {
        const { of, part, signature } = event
        const value = this.#open.get(part)
        if (value?.type === "thinking") this.#open.set(part, { ...value, of, signature })
        return []
      }
      case "end": {
        const value = this.#open.get(event.part)
        this.#open.delete(event.part)
        return value === undefined ? [] : this.#close(value)
      }
      case "whole":
        return blockOf(event.value).flatMap((block) => [
          json({ type: "content_block_start", index: this.#blocks, content_block: block }),
          this.#stopped()
        ])
      default:
        return []
    }
  }

  #begin(value: StreamedPart): ReadonlyArray<string> {
    const start = (content_block: JsonObject) =>
      json({ type: "content_block_start", index: this.#blocks, content_block })
    switch (value.type) {
      case "text":
      case "refusal":
        return [start({ type: "text", text: "", citations: null }), ...this.#delta("text_delta", "text", value.text)]
      case "thinking":
        return [
          start({ type: "thinking", thinking: "", signature: "" }),
          ...this.#delta("thinking_delta", "thinking", value.text)
        ]
      case "call": {
        const { id, name } = value
        return [
          start({ type: "tool_use", id: callId(id), name, input: {}, caller: { type: "direct" } }),
          ...(value.kind === "custom" ? [] : this.#delta("input_json_delta", "partial_json", value.input))
        ]
      }
    }
  }

  #piece(part: number, text: string): ReadonlyArray<string> {
    const value = this.#open.get(part)
    switch (value?.type) {
      case "refusal":
        this.#refusal += text
        return this.#delta("text_delta", "text", text)
      case "text":
        return this.#delta("text_delta", "text", text)
      case "thinking":
        return this.#delta("thinking_delta", "thinking", text)
      case "call":
        // The text of a custom tool is one member of an object there, and is told when it is whole.
        if (value.kind === "function") return this.#delta("input_json_delta", "partial_json", text)
        this.#open.set(part, { ...value, input: value.input + text })
        return []
      case undefined:
        return []
    }
  }

  #close(value: StreamedPart): ReadonlyArray<string> {
    if (value.type === "thinking") {
      return [...this.#delta("signature_delta", "signature", signatureOf(value)), this.#stopped()]
    }
    const whole = value.type === "call" && value.kind === "custom" ? JSON.stringify({ input: value.input }) : ""
    return [...this.#delta("input_json_delta", "partial_json", whole), this.#stopped()]
  }

  #delta(type: RawContentBlockDeltaEvent["delta"]["type"], member: string, text: string): ReadonlyArray<string> {
    return text === ""
      ? []
      : [json({ type: "content_block_delta", index: this.#blocks, delta: { type, [member]: text } })]
  }

  #stopped(): string {
    return json({ type: "content_block_stop", index: this.#blocks++ })
  }
}

/** An event of one of the vendor's types. */
const json = (
  event: {
    readonly type: (RawContentBlockStartEvent | RawContentBlockDeltaEvent | RawContentBlockStopEvent)["type"]
  } & JsonObject
): string => JSON.stringify(event)
