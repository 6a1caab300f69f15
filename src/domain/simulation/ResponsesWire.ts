import { isObject, type JsonObject } from "../models/Json.ts"
import { sealOf, sealsFor, thinksFor } from "./ResponsesRequest.ts"
import type { BilledTokens } from "./MessagesWire.ts"
import type { SimulatedChoice, Simulation } from "./SimulatedModel.ts"
import type { AnswerLabel } from "./Wire.ts"

// A simulated answer in the form of OpenAI's Responses.

/** What a call shows on the wire besides the plain answer. */
export interface ResponsesScript {
  readonly about: string
  /** Every call comes twice. */
  readonly doublesCalls?: boolean
  /** The model declines. */
  readonly refuses?: boolean
  /** A filter ends the answer. */
  readonly filters?: boolean
  /** Nothing is said. */
  readonly isEmpty?: boolean
  /** Most of the input came from a cache, and some was written to it. */
  readonly caches?: boolean
  /** Nobody counts. */
  readonly hasNoCounts?: boolean
  readonly servedBy?: string
  /** A tier of service that the answer names. */
  readonly tier?: string
  /** An event, with its name, that ends the stream after its first piece. */
  readonly breaksBy?: JsonObject & { readonly type: string }
  /** The stream has an event of this name that nobody knows. */
  readonly adds?: string
  /** The stream ends without the event that ends it. */
  readonly hasNoEnd?: boolean
  /** Nothing that clients can do without: no numbers, no names of events, no echo of the request. */
  readonly isLean?: boolean
}

export const billedBy = ({ completionTokens, promptTokens }: Simulation, script: ResponsesScript): BilledTokens => ({
  fresh: promptTokens,
  cached: script.caches === true ? 9000 : 0,
  written: script.caches === true ? 800 : 0,
  written1h: 0,
  output: script.isEmpty === true ? 0 : completionTokens
})

const usageOf = ({ cached, fresh, output, written }: BilledTokens, thinks: boolean): JsonObject => {
  const input = fresh + cached + written
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: thinks ? Math.min(2, output) : 0 },
    total_tokens: input + output
  }
}

const thoughts = "The simulated model thinks."

const nothing: SimulatedChoice = { pieces: [], tool: null, finishReason: "stop" }

/** One answer: what was simulated, how it is labelled, and what was asked. */
interface Told {
  readonly simulation: Simulation
  readonly label: AnswerLabel
  readonly body: JsonObject
  readonly script: ResponsesScript
}

/** The items of an answer, whole. */
const itemsOf = ({ body, label, script, simulation }: Told): ReadonlyArray<JsonObject> => {
  if (script.isEmpty === true || body["background"] === true) return []
  const { pieces, tool } = simulation.choices[0] ?? nothing
  const id = label.id.slice("resp_".length)
  const thinking = thinksFor(body)
    ? [
        {
          type: "reasoning",
          id: `rs_${id}`,
          summary: [{ type: "summary_text", text: thoughts }],
          ...(sealsFor(body) ? { encrypted_content: sealOf(body["model"]) } : {})
        }
      ]
    : []
  const text = pieces.join("")
  if (tool === null || script.refuses === true) {
    const part =
      script.refuses === true
        ? { type: "refusal", refusal: "I cannot" }
        : { type: "output_text", text, annotations: [], logprobs: [] }
    return [...thinking, { type: "message", id: `msg_${id}`, role: "assistant", status: "completed", content: [part] }]
  }
  const call = (suffix: string) => ({
    type: "function_call",
    id: `fc_${id}${suffix}`,
    call_id: `${tool.id}${suffix}`,
    name: tool.name,
    arguments: text,
    status: "completed"
  })
  return [...thinking, call(""), ...(script.doublesCalls === true ? [call("_2")] : [])]
}

const incompleteOf = (choice: SimulatedChoice, { filters }: ResponsesScript): string | null =>
  filters === true ? "content_filter" : choice.finishReason === "length" ? "max_output_tokens" : null

const echoOf = ({ body, script }: Told): JsonObject =>
  script.isLean === true
    ? {}
    : {
        background: body["background"] === true,
        error: null,
        incomplete_details: null,
        instructions: body["instructions"] ?? null,
        max_output_tokens: body["max_output_tokens"] ?? null,
        metadata: body["metadata"] ?? {},
        parallel_tool_calls: body["parallel_tool_calls"] ?? true,
        previous_response_id: body["previous_response_id"] ?? null,
        service_tier: script.tier ?? "default",
        store: body["store"] ?? true,
        temperature: body["temperature"] ?? 1,
        text: body["text"] ?? { format: { type: "text" } },
        tool_choice: body["tool_choice"] ?? "auto",
        tools: body["tools"] ?? [],
        top_p: body["top_p"] ?? 1,
        truncation: "disabled"
      }

/** OpenAI's `response` object. */
export const responseOf = (told: Told): JsonObject => {
  const { body, label, script, simulation } = told
  const incomplete = incompleteOf(simulation.choices[0] ?? nothing, script)
  const isQueued = body["background"] === true
  return {
    id: label.id,
    object: "response",
    created_at: label.createdSeconds,
    model: script.servedBy ?? label.model,
    ...echoOf(told),
    status: isQueued ? "queued" : incomplete === null ? "completed" : "incomplete",
    ...(incomplete === null ? {} : { incomplete_details: { reason: incomplete } }),
    output: itemsOf(told),
    ...(script.hasNoCounts === true || isQueued
      ? {}
      : { usage: usageOf(billedBy(simulation, script), thinksFor(body)) })
  }
}

/** One event of a stream and when it is due: milliseconds from the start of the call. */
interface TimedResponseEvent {
  readonly dueMs: number
  readonly event: JsonObject & { readonly type: string }
}

type Pieces = ReadonlyArray<string>

const messageEvents = (item: JsonObject, place: JsonObject, pieces: Pieces) => {
  const [part] = Array.isArray(item["content"]) ? item["content"].filter(isObject) : []
  const isRefusal = part?.["type"] === "refusal"
  const at = { ...place, content_index: 0 }
  const kind = isRefusal ? "refusal" : "output_text"
  const said: Pieces = isRefusal ? ["I cannot"] : pieces
  return {
    begun: { ...item, status: "in_progress", content: [] },
    opening: [
      {
        type: "response.content_part.added",
        ...at,
        part: isRefusal ? { type: kind, refusal: "" } : { type: kind, text: "", annotations: [], logprobs: [] }
      }
    ],
    deltas: said.map((delta) => ({
      type: `response.${kind}.delta`,
      ...at,
      delta,
      ...(isRefusal ? {} : { logprobs: [] })
    })),
    closing: [
      { type: `response.${kind}.done`, ...at, [isRefusal ? "refusal" : "text"]: said.join("") },
      { type: "response.content_part.done", ...at, part }
    ]
  }
}

const reasoningEvents = (item: JsonObject, place: JsonObject) => {
  const at = { ...place, summary_index: 0 }
  const part = (text: string) => ({ type: "summary_text", text })
  return {
    begun: { ...item, summary: [] },
    opening: [{ type: "response.reasoning_summary_part.added", ...at, part: part("") }],
    deltas: [{ type: "response.reasoning_summary_text.delta", ...at, delta: thoughts }],
    closing: [
      { type: "response.reasoning_summary_text.done", ...at, text: thoughts },
      { type: "response.reasoning_summary_part.done", ...at, part: part(thoughts) }
    ]
  }
}

const callEvents = (item: JsonObject, place: JsonObject, pieces: Pieces) => ({
  begun: { ...item, arguments: "", status: "in_progress" },
  opening: [],
  deltas: pieces.map((delta) => ({ type: "response.function_call_arguments.delta", ...place, delta })),
  closing: [
    {
      type: "response.function_call_arguments.done",
      ...place,
      name: item["name"],
      arguments: item["arguments"]
    }
  ]
})

/** The events of an item, from its beginning to its end. */
const eventsOf = (item: JsonObject, output_index: number, pieces: Pieces) => {
  const place = { item_id: item["id"], output_index }
  switch (item["type"]) {
    case "reasoning":
      return reasoningEvents(item, place)
    case "function_call":
      return callEvents(item, place, pieces)
    default:
      return messageEvents(item, place, pieces)
  }
}

/** The events of a stream, the last one included, numbered; one a piece. */
export function* responseEvents(told: Told): Generator<TimedResponseEvent> {
  const { script, simulation } = told
  const { pieces } = simulation.choices[0] ?? nothing
  const response = responseOf(told)
  const begun = { ...response, status: "in_progress", output: [], incomplete_details: null, usage: null }
  let dueMs = simulation.firstTokenMs
  let number = 0
  const timed = (event: JsonObject & { readonly type: string }): TimedResponseEvent => ({
    dueMs,
    event: script.isLean === true ? event : { ...event, sequence_number: number++ }
  })
  yield timed({ type: "response.created", response: begun })
  yield timed({ type: "response.in_progress", response: begun })
  if (script.adds !== undefined) yield timed({ type: script.adds, detail: 1 })
  const items = Array.isArray(response["output"]) ? response["output"].filter(isObject) : []
  for (const [at, item] of items.entries()) {
    const { begun: empty, closing, deltas, opening } = eventsOf(item, at, pieces)
    yield timed({ type: "response.output_item.added", output_index: at, item: empty })
    for (const event of opening) yield timed(event)
    for (const event of deltas) {
      dueMs += simulation.tokenMs
      yield timed(event)
    }
    for (const event of closing) yield timed(event)
    yield timed({ type: "response.output_item.done", output_index: at, item })
  }
  if (script.hasNoEnd === true) return
  yield timed({ type: `response.${String(response["status"])}`, response })
}
