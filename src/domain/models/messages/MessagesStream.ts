import { withMembers } from "../../basics/JsonText.ts"
import type { AnswerStream } from "../AnswerStream.ts"
import { graceMs, type StreamFailure, type StreamState } from "../AnswerStream.ts"
import { errorOf, type ErrorSaid } from "../ErrorSaid.ts"
import type { Label } from "../Form.ts"
import { isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import type { Said } from "../Said.ts"
import { mergedUsage } from "./Events.ts"
import { mendedMessage } from "./MessageAnswer.ts"

/** Events that are kept back at most before something of an answer came: an empty one is another model's chance. */
const mostHeld = 256

/** More calls than that are not told apart. */
const mostCalls = 64

/**
 * Reads a stream of Anthropic's Messages for a client that speaks it too. Every event passes as it came, also those that
 * nobody knew when this was written, but for the model's name in the first, and for the last `message_delta`, whose counts
 * follow at the end. It is whole when a stop reason has come and `message_stop`, the end of the body or a second after it;
 * when none has come it is broken, however it ended. Whole, because each event may change what every later one means.
 *
 * https://platform.claude.com/docs/en/build-with-claude/streaming
 */
export class MessagesStream implements AnswerStream {
  readonly #label: Label
  #ready: Array<string> = []
  #state: StreamState = "open"
  #hasEvents = false
  #hasSubstance = false
  #finishedMs: number | null = null
  /** The newest `message_delta`, which waits for the end. */
  #last: string | null = null
  #id: string | null = null
  #servedModel: string | null = null
  #usage: JsonObject | null = null
  #stopReason: string | null = null
  #characters = 0
  readonly #callIds: Array<string> = []

  constructor(label: Label) {
    this.#label = label
  }

  get state(): StreamState {
    return this.#state
  }

  get isReady(): boolean {
    return this.#state === "complete" || (this.#hasSubstance && this.#ready.length > 0)
  }

  get graceUntilMs(): number | null {
    return this.#finishedMs === null ? null : this.#finishedMs + graceMs
  }

  get isFinished(): boolean {
    return this.#stopReason !== null
  }

  get said(): Said {
    return {
      id: this.#id,
      usage: this.#usage,
      finishReason: this.#stopReason,
      servedModel: this.#servedModel,
      isRefusal: this.#stopReason === "refusal",
      characters: this.#characters,
      toolCallIds: this.#callIds
    }
  }

  get usageChunk(): string | null {
    return this.#last
  }

  event(name: string | null, data: string, nowMs: number): void {
    if (this.#state !== "open") return
    const event = parseJson(data)
    const type = isObject(event) ? textOf(event["type"]) : null
    if (name === "error" || type === "error" || (isObject(event) && isObject(event["error"]))) {
      const error = errorOf(event ?? data)
      return this.#fail("reported", error.message ?? "the provider reported an error", error)
    }
    // Heartbeats are this service's own.
    if (!isObject(event) || type === null || type === "ping") return
    this.#hasEvents = true
    switch (type) {
      case "message_start":
        return this.#start(data, event)
      case "message_delta":
        return this.#delta(data, event, nowMs)
      case "message_stop":
        return this.bodyEnd(null)
      default:
        this.#content(type, event)
        this.#push(data)
    }
  }

  bodyEnd(detail: string | null): void {
    if (this.#state !== "open") return
    if (this.#stopReason !== null) return this.#complete()
    if (!this.#hasEvents) {
      return this.#fail(detail === null ? "bad_answer" : "cut", detail ?? "the answer has no events", null)
    }
    this.#fail("cut", detail ?? "the stream ended before its stop reason", null)
  }

  tick(nowMs: number): void {
    if (this.#state === "open" && this.graceUntilMs !== null && nowMs >= this.graceUntilMs) this.#complete()
  }

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

  #start(data: string, { message }: JsonObject): void {
    const given = isObject(message) ? message : {}
    this.#id = textOf(given["id"])
    this.#servedModel = textOf(given["model"])
    this.#counts(given["usage"])
    const start = withMembers(data, new Map([["message", mendedMessage(JSON.stringify(given), given, this.#label)]]))
    this.#push(start)
  }

  #content(type: string, event: JsonObject): void {
    const { content_block: block, delta } = event
    if (type === "content_block_start" && isObject(block)) {
      const id = textOf(block["id"])
      if (block["type"] === "tool_use" && id !== null && this.#callIds.length < mostCalls) this.#callIds.push(id)
      // A text and thoughts begin empty.
      if (block["type"] !== "text" && block["type"] !== "thinking") this.#hasSubstance = true
      this.#characters += lengthIn(block)
    }
    if (type === "content_block_delta" && isObject(delta)) this.#characters += lengthIn(delta)
    if (this.#characters > 0) this.#hasSubstance = true
  }

  #delta(data: string, { delta, usage }: JsonObject, nowMs: number): void {
    this.#counts(usage)
    if (this.#last !== null) this.#push(this.#last)
    this.#last = data
    const reason = isObject(delta) ? textOf(delta["stop_reason"]) : null
    if (reason === null) return
    this.#stopReason = reason
    this.#finishedMs = nowMs
    // Another end than its own is an answer.
    if (reason !== "end_turn") this.#hasSubstance = true
  }

  #counts(usage: unknown): void {
    if (isObject(usage)) this.#usage = mergedUsage(this.#usage ?? {}, usage)
  }

  #complete(): void {
    if (!this.#hasSubstance && !(Number(this.#usage?.["output_tokens"] ?? 0) > 0)) {
      return this.#fail("empty", "the answer is empty", null)
    }
    this.#state = "complete"
  }

  #fail(reason: StreamFailure["reason"], detail: string, error: ErrorSaid | null): void {
    this.#state = { reason, error, detail }
  }
}

/** Of text, thoughts and input that a block begins with, or that a delta brings. */
const lengthIn = (piece: JsonObject): number =>
  ["text", "thinking", "partial_json"].reduce((sum, name) => sum + (textOf(piece[name])?.length ?? 0), 0)
