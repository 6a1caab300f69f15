import type { ResponseStreamEvent } from "openai/resources/responses/responses"
import { type TokenUsage, usageOf } from "../../routing/Usage.ts"
import type { About, Stop } from "../canonical/Answer.ts"
import type { CallPart, Part, ThinkingPart } from "../canonical/Conversation.ts"
import { isStandIn } from "../canonical/Custom.ts"
import type { EventReader, EventWriter, StreamedPart, StreamEvent } from "../canonical/Event.ts"
import { textPart } from "../canonical/Reading.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import { usageIn } from "../Said.ts"
import { thinkingOf } from "./Items.ts"
import { callOf, itemId, itemOf, partsOf, refusalText, responseBody, stopOf } from "./Answer.ts"

// OpenAI's Responses: the stream, to canonical events and from them.
// https://platform.openai.com/docs/api-reference/responses-streaming

type EventType = ResponseStreamEvent["type"]

const indexOf = (event: JsonObject, name: string): number => (typeof event[name] === "number" ? Number(event[name]) : 0)

/** Reads events by what their items say; what a stream has said is in `output_item.done` once more, and only there for some. Whole, because these are the moves of one machine. */
export class ResponsesEventReader implements EventReader {
  #parts = 0
  /** By the item's place and the text's place in it. */
  readonly #open = new Map<string, number>()
  /** Items that came in pieces, by their place. */
  readonly #begun = new Set<number>()
  readonly #seen: Array<Part> = []

  read(payload: string): ReadonlyArray<StreamEvent> {
    const event = parseJson(payload)
    if (!isObject(event)) return []
    const item = indexOf(event, "output_index")
    switch (event["type"]) {
      case "response.output_item.added":
        return this.#added(event["item"], item)
      case "response.output_text.delta":
        return this.#piece(item, `text.${indexOf(event, "content_index")}`, textPart(""), event["delta"])
      case "response.refusal.delta":
        return this.#piece(
          item,
          `text.${indexOf(event, "content_index")}`,
          { type: "refusal", text: "" },
          event["delta"]
        )
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        return this.#piece(item, "thinking", noThought, event["delta"])
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
        return this.#piece(item, "call", null, event["delta"])
      case "response.output_item.done":
        return this.#done(event["item"], item)
      case "response.completed":
      case "response.incomplete":
        return this.#stopped(event["response"])
      default:
        return []
    }
  }

  #added(given: unknown, item: number): ReadonlyArray<StreamEvent> {
    if (!isObject(given) || (given["type"] !== "function_call" && given["type"] !== "custom_tool_call")) return []
    this.#begun.add(item)
    const value = { ...callOf(given), input: "" }
    this.#seen.push(value)
    return [this.#begin(`${item}.call`, value)]
  }

  #begin(key: string, value: StreamedPart): StreamEvent {
    const part = this.#parts++
    this.#open.set(key, part)
    return { type: "begin", part, value }
  }

  #piece(item: number, place: string, value: StreamedPart | null, delta: unknown): ReadonlyArray<StreamEvent> {
    const text = textOf(delta)
    const key = `${item}.${place}`
    const known = this.#open.get(key)
    if (text === null || (known === undefined && value === null)) return []
    this.#begun.add(item)
    if (known === undefined && value !== null) this.#seen.push(value)
    const began = known === undefined && value !== null ? [this.#begin(key, value)] : []
    return [...began, { type: "piece", part: this.#open.get(key) ?? 0, text }]
  }

  /** Ends what came in pieces; an item that came at once is read whole. */
  #done(given: unknown, item: number): ReadonlyArray<StreamEvent> {
    if (!isObject(given)) return []
    if (!this.#begun.has(item)) {
      return partsOf(given).map((value) => {
        this.#seen.push(value)
        return { type: "whole", part: this.#parts++, value }
      })
    }
    const open = [...this.#open].filter(([key]) => key.startsWith(`${item}.`))
    for (const [key] of open) this.#open.delete(key)
    return open.flatMap(([, part]): ReadonlyArray<StreamEvent> => {
      if (given["type"] !== "reasoning") return [{ type: "end", part }]
      const { of, sealed, signature } = thinkingOf(given)
      return [
        ...(signature === null ? [] : [{ type: "signature" as const, part, signature, of }]),
        { type: "end", part },
        ...(sealed === null ? [] : [this.#sealed(sealed, of)])
      ]
    })
  }

  /** What only the upstream can read comes behind what it told of it. */
  #sealed(sealed: string, of: ThinkingPart["of"]): StreamEvent {
    return { type: "whole", part: this.#parts++, value: { type: "thinking", text: "", signature: null, sealed, of } }
  }

  #stopped(given: unknown): ReadonlyArray<StreamEvent> {
    const response = isObject(given) ? given : {}
    const items = arrayOf(response["output"]).flatMap((item) => (isObject(item) ? partsOf(item) : []))
    const usage = usageOf(usageIn(response))
    return [
      { type: "stop", stop: stopOf(response, items.length > 0 ? items : this.#seen) },
      ...(usage === null ? [] : [{ type: "usage" as const, usage }])
    ]
  }
}

const noThought: StreamedPart = { type: "thinking", text: "", signature: null, sealed: null, of: "responses" }

/** Writes events, numbered: without numbers strict clients see none of them. Whole, because these are the moves of one machine. */
export class ResponsesEventWriter implements EventWriter {
  readonly #about: About
  #sequence = 0
  #hasBegun = false
  readonly #open = new Map<number, { value: StreamedPart; readonly at: number }>()
  /** Calls of functions that stand for custom tools: the text is known when their arguments are whole. */
  readonly #held = new Map<number, CallPart>()
  readonly #output: Array<JsonObject> = []
  #count = 0
  #stop: Stop = { reason: "end", sequence: null }
  #usage: TokenUsage | null = null

  constructor(about: About) {
    this.#about = about
  }

  write(event: StreamEvent): ReadonlyArray<string> {
    return [...this.#head(), ...this.#written(event)]
  }

  end(): ReadonlyArray<string> {
    const unended = [...this.#open.keys(), ...this.#held.keys()].flatMap((part) => this.#ended(part))
    const isSilent = this.#stop.reason === "refusal" && !this.#output.some((item) => item["type"] === "message")
    const declined = isSilent ? this.#whole({ type: "refusal", text: refusalText }) : []
    return [...this.#head(), ...unended, ...declined]
  }

  last(): string {
    const body = responseBody(this.#about, { output: this.#output, stop: this.#stop, usage: this.#usage })
    return this.#event(body["status"] === "incomplete" ? "response.incomplete" : "response.completed", {
      response: body
    })
  }

  /** The last event of an answer that broke off: clients wait for this one, and take a bare `error` for nothing. */
  failed(error: { readonly code: string; readonly message: string }): ReadonlyArray<string> {
    const body = responseBody(this.#about, { output: this.#output, stop: this.#stop, usage: this.#usage })
    return [...this.#head(), this.#event("response.failed", { response: { ...body, status: "failed", error } })]
  }

  #written(event: StreamEvent): ReadonlyArray<string> {
    switch (event.type) {
      case "begin":
        return this.#begin(event.part, event.value)
      case "piece":
        return this.#piece(event.part, event.text)
      case "signature": {
        const open = this.#open.get(event.part)
        if (open?.value.type === "thinking") {
          open.value = { ...open.value, signature: event.signature, of: event.of }
        }
        return []
      }
      case "end":
        return this.#ended(event.part)
      case "whole":
        return this.#whole(event.value)
      case "usage":
        this.#usage = event.usage
        return []
      case "stop":
        this.#stop = event.stop
        return []
    }
  }

  #head(): ReadonlyArray<string> {
    if (this.#hasBegun) return []
    this.#hasBegun = true
    const response = responseBody(this.#about, { output: [], stop: null, usage: null })
    return [this.#event("response.created", { response }), this.#event("response.in_progress", { response })]
  }

  #event(type: EventType, members: JsonObject): string {
    return JSON.stringify({ type, sequence_number: this.#sequence++, ...members })
  }

  #begin(part: number, value: StreamedPart): ReadonlyArray<string> {
    if (value.type === "call" && isStandIn(value, this.#about.conversation.tools)) {
      this.#held.set(part, value)
      return []
    }
    const at = this.#count++
    this.#open.set(part, { value, at })
    const empty =
      itemOf(value.type === "call" ? { ...value, input: "" } : { ...value, text: "" }, at, this.#about) ?? {}
    const begun = {
      ...empty,
      ...(value.type === "thinking" ? { summary: [] } : { status: "in_progress" }),
      ...(value.type === "text" || value.type === "refusal" ? { content: [] } : {}),
      ...(value.type === "call" && value.kind === "function" ? { arguments: "" } : {})
    }
    const place = { item_id: empty["id"], output_index: at }
    const added = this.#event("response.output_item.added", { output_index: at, item: begun })
    const opened =
      value.type === "text" || value.type === "refusal"
        ? [
            this.#event("response.content_part.added", {
              ...place,
              content_index: 0,
              part: contentBody(value.type, "")
            })
          ]
        : value.type === "thinking"
          ? [
              this.#event("response.reasoning_summary_part.added", {
                ...place,
                summary_index: 0,
                part: { type: "summary_text", text: "" }
              })
            ]
          : []
    const given = value.type === "call" ? value.input : value.text
    return [added, ...opened, ...(given === "" ? [] : [this.#delta(at, value, given)])]
  }

  #piece(part: number, text: string): ReadonlyArray<string> {
    const held = this.#held.get(part)
    if (held !== undefined) this.#held.set(part, { ...held, input: held.input + text })
    const open = this.#open.get(part)
    if (open === undefined) return []
    const { value } = open
    open.value = value.type === "call" ? { ...value, input: value.input + text } : { ...value, text: value.text + text }
    return [this.#delta(open.at, value, text)]
  }

  #place(at: number, value: StreamedPart): JsonObject {
    return { item_id: itemId(prefixOf(value), this.#about, at), output_index: at }
  }

  #delta(at: number, value: StreamedPart, delta: string): string {
    const place = this.#place(at, value)
    switch (value.type) {
      case "text":
        return this.#event("response.output_text.delta", { ...place, content_index: 0, delta, logprobs: [] })
      case "refusal":
        return this.#event("response.refusal.delta", { ...place, content_index: 0, delta })
      case "thinking":
        return this.#event("response.reasoning_summary_text.delta", { ...place, summary_index: 0, delta })
      case "call":
        return value.kind === "custom"
          ? this.#event("response.custom_tool_call_input.delta", { ...place, delta })
          : this.#event("response.function_call_arguments.delta", { ...place, delta })
    }
  }

  #ended(part: number): ReadonlyArray<string> {
    const held = this.#held.get(part)
    this.#held.delete(part)
    if (held !== undefined) return this.#whole(held)
    const open = this.#open.get(part)
    if (open === undefined) return []
    this.#open.delete(part)
    const { at, value } = open
    const item = itemOf(value, at, this.#about) ?? {}
    this.#output.push(item)
    return [...this.#closed(at, value, item), this.#event("response.output_item.done", { output_index: at, item })]
  }

  #closed(at: number, value: StreamedPart, item: JsonObject): ReadonlyArray<string> {
    const place = this.#place(at, value)
    switch (value.type) {
      case "text":
        return [
          this.#event("response.output_text.done", { ...place, content_index: 0, text: value.text, logprobs: [] }),
          this.#event("response.content_part.done", {
            ...place,
            content_index: 0,
            part: contentBody("text", value.text)
          })
        ]
      case "refusal":
        return [
          this.#event("response.refusal.done", { ...place, content_index: 0, refusal: value.text }),
          this.#event("response.content_part.done", {
            ...place,
            content_index: 0,
            part: contentBody("refusal", value.text)
          })
        ]
      case "thinking":
        return [
          this.#event("response.reasoning_summary_text.done", { ...place, summary_index: 0, text: value.text }),
          this.#event("response.reasoning_summary_part.done", {
            ...place,
            summary_index: 0,
            part: { type: "summary_text", text: value.text }
          })
        ]
      case "call":
        return value.kind === "custom"
          ? [this.#event("response.custom_tool_call_input.done", { ...place, input: value.input })]
          : [
              this.#event("response.function_call_arguments.done", {
                ...place,
                name: item["name"],
                arguments: item["arguments"]
              })
            ]
    }
  }

  #whole(value: Part): ReadonlyArray<string> {
    const at = this.#count++
    const item = itemOf(value, at, this.#about)
    if (item === null) {
      this.#count--
      return []
    }
    this.#output.push(item)
    return [
      this.#event("response.output_item.added", { output_index: at, item }),
      this.#event("response.output_item.done", { output_index: at, item })
    ]
  }
}

const prefixOf = (value: StreamedPart): Parameters<typeof itemId>[0] => {
  switch (value.type) {
    case "thinking":
      return "rs"
    case "call":
      return value.kind === "custom" ? "ctc" : "fc"
    default:
      return "msg"
  }
}

const contentBody = (type: "text" | "refusal", text: string): JsonObject =>
  type === "text" ? { type: "output_text", text, annotations: [], logprobs: [] } : { type: "refusal", refusal: text }
