import { withMembers } from "../../basics/JsonText.ts"
import type { AnswerStream } from "../AnswerStream.ts"
import type { StreamFailure, StreamState } from "../AnswerStream.ts"
import { errorOf, type ErrorSaid } from "../ErrorSaid.ts"
import type { Label } from "../Form.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import type { Said } from "../Said.ts"
import { failureIn, isEmpty, mendedResponse, saidOf } from "./WholeResponse.ts"
import { sealedBy } from "./Sealed.ts"

/** Events that are kept back at most before something of an answer came: an empty one is another model's chance. */
const mostHeld = 256

/** More calls than that are not told apart. */
const mostCalls = 64

/**
 * Reads a stream of OpenAI's Responses for a client that speaks it too. Every event passes as it came, also those that
 * nobody knew when this was written, but for the names in the response object, a number where there is none, and the last
 * event, which waits for the end. It is whole when `response.completed` or `response.incomplete` has come, and by nothing
 * else. Whole, because each event may change what every later one means.
 *
 * https://platform.openai.com/docs/api-reference/responses-streaming
 */
export class ResponsesStream implements AnswerStream {
  readonly graceUntilMs = null
  readonly #label: Label
  #ready: Array<string> = []
  #state: StreamState = "open"
  #hasEvents = false
  #hasSubstance = false
  /** The last event, and the response in it. */
  #last: string | null = null
  #response: JsonObject | null = null
  #sequence = 0
  #id: string | null = null
  #servedModel: string | null = null
  #isRefusal = false
  #characters = 0
  /** Items that are done: some upstreams leave them out of the response at the end. */
  readonly #items: Array<JsonObject> = []
  readonly #callIds = new Set<string>()

  constructor(label: Label) {
    this.#label = label
  }

  get state(): StreamState {
    return this.#state
  }

  get isReady(): boolean {
    return this.#state === "complete" || (this.#hasSubstance && this.#ready.length > 0)
  }

  get isFinished(): boolean {
    return this.#response !== null
  }

  get said(): Said {
    const end = this.#response === null ? null : saidOf(this.#response)
    return {
      id: this.#id,
      usage: end?.usage ?? null,
      finishReason: end?.finishReason ?? null,
      servedModel: this.#servedModel,
      isRefusal: this.#isRefusal || end?.isRefusal === true,
      characters: Math.max(this.#characters, end?.characters ?? 0),
      toolCallIds: [...this.#callIds]
    }
  }

  get usageChunk(): string | null {
    return this.#last
  }

  event(name: string | null, data: string, _nowMs: number): void {
    if (this.#state !== "open") return
    const event = parseJson(data)
    const type = (isObject(event) ? textOf(event["type"]) : null) ?? name
    if (type === "error" || (isObject(event) && isObject(event["error"]))) {
      const error = errorOf(event ?? data)
      return this.#fail("reported", error.message ?? "the provider reported an error", error)
    }
    // Chats end by `[DONE]`, and some upstreams end these so too; heartbeats are this service's own.
    if (!isObject(event) || type === null || type === "ping" || type === "keepalive") return
    this.#hasEvents = true
    const whole = event["type"] === type ? data : withMembers(data, new Map([["type", JSON.stringify(type)]]))
    const response = isObject(event["response"]) ? event["response"] : null
    switch (type) {
      case "response.failed":
      case "response.cancelled":
        this.#state = failureIn(response ?? {})
        return
      case "response.completed":
      case "response.incomplete":
        return this.#end(whole, event, response ?? {}, type.slice("response.".length))
      default:
        this.#content(type, event)
        this.#push(this.#numbered(this.#told(whole, event, response), event))
    }
  }

  bodyEnd(detail: string | null): void {
    if (this.#state !== "open") return
    if (!this.#hasEvents) {
      return this.#fail(detail === null ? "bad_answer" : "cut", detail ?? "the answer has no events", null)
    }
    this.#fail("cut", detail ?? "the stream ended before response.completed", null)
  }

  /** Its end is an event of its own: silence is none. */
  tick(_nowMs: number): void {}

  take(): ReadonlyArray<string> {
    if (!this.#hasSubstance && this.#state !== "complete") return []
    const taken = this.#ready
    this.#ready = []
    return taken
  }

  #push(data: string): void {
    this.#ready.push(data)
    if (this.#ready.length > mostHeld) this.#hasSubstance = true
  }

  /** Strict clients see no event without a number. */
  #numbered(data: string, { sequence_number: given }: JsonObject): string {
    if (typeof given === "number") {
      this.#sequence = given + 1
      return data
    }
    return withMembers(data, new Map([["sequence_number", String(this.#sequence++)]]))
  }

  /** The event as the client gets it. */
  #told(data: string, { item }: JsonObject, response: JsonObject | null): string {
    if (response !== null) {
      this.#id ??= textOf(response["id"])
      this.#servedModel ??= textOf(response["model"])
      const mended = mendedResponse(JSON.stringify(response), response, this.#label, "in_progress")
      return withMembers(data, new Map([["response", mended]]))
    }
    if (!isObject(item) || textOf(item["encrypted_content"]) === null) return data
    return withMembers(data, new Map([["item", JSON.stringify(sealedBy(item, this.#label.provider ?? ""))]]))
  }

  #content(type: string, event: JsonObject): void {
    const { delta, item } = event
    this.#characters += textOf(delta)?.length ?? 0
    if (this.#characters > 0) this.#hasSubstance = true
    if (type.startsWith("response.refusal.")) this.#isRefusal = true
    if (!isObject(item)) return
    const callId = textOf(item["call_id"])
    if (callId !== null && this.#callIds.size < mostCalls) this.#callIds.add(callId)
    // A message and thoughts begin empty.
    const isBegun =
      type === "response.output_item.added" && (item["type"] === "message" || item["type"] === "reasoning")
    if (!isBegun) this.#hasSubstance = true
    if (type === "response.output_item.done") this.#items.push(item)
  }

  #end(data: string, event: JsonObject, given: JsonObject, status: string): void {
    const isSilent = arrayOf(given["output"]).length === 0 && this.#items.length > 0
    const response = isSilent ? { ...given, output: this.#items } : given
    this.#id ??= textOf(response["id"])
    this.#servedModel ??= textOf(response["model"])
    if (!this.#hasSubstance && isEmpty({ status, ...response })) return this.#fail("empty", "the answer is empty", null)
    this.#response = { status, ...response }
    const mended = mendedResponse(JSON.stringify(response), response, this.#label, status)
    this.#last = this.#numbered(withMembers(data, new Map([["response", mended]])), event)
    this.#state = "complete"
  }

  #fail(reason: StreamFailure["reason"], detail: string, error: ErrorSaid | null): void {
    this.#state = { reason, error, detail }
  }
}
