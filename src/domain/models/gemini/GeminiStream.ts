import { type AnswerStream, graceMs, type StreamFailure, type StreamState } from "../AnswerStream.ts"
import { errorIn, errorOf, type ErrorSaid } from "../ErrorSaid.ts"
import type { Label } from "../Form.ts"
import { isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import type { Said } from "../Said.ts"
import { type ContentSaid, contentSaid, isEmpty, isRefused, mendedContent } from "./Content.ts"

/** Pieces that are kept back at most before something of an answer came: an empty one is another model's chance. */
const mostHeld = 256

/** More calls than that are not told apart. */
const mostCalls = 64

/**
 * Reads a stream of Google's for a client that speaks it too. Every piece passes as it came, but for the answer's id and the
 * model's name, and for the last one, which has the counts and waits for the end. There is no event that ends such a stream:
 * it is whole when every candidate has finished, or the prompt was refused, and the body ends or a second has passed; else
 * it is broken, however it ended. Whole, because each piece may change what every later one means.
 *
 * https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
 */
export class GeminiStream implements AnswerStream {
  readonly #label: Label
  #ready: Array<string> = []
  #state: StreamState = "open"
  #hasPieces = false
  #hasSubstance = false
  #finishedMs: number | null = null
  /** The newest piece that says an end, which waits for the stream's. */
  #last: string | null = null
  #id: string | null = null
  #servedModel: string | null = null
  #usage: JsonObject | null = null
  readonly #finishes = new Map<number, string | null>()
  #blockReason: string | null = null
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
    return this.#finishedMs === null || !this.isFinished ? null : this.#finishedMs + graceMs
  }

  get isFinished(): boolean {
    if (this.#blockReason !== null) return true
    for (const word of this.#finishes.values()) if (word === null) return false
    return this.#finishes.size > 0
  }

  get said(): Said {
    return {
      id: this.#id,
      usage: this.#usage,
      finishReason: this.#blockReason ?? [...this.#finishes.values()].at(-1) ?? null,
      servedModel: this.#servedModel,
      isRefusal: isRefused({ blockReason: this.#blockReason, finishes: this.#finishes }),
      characters: this.#characters,
      toolCallIds: this.#callIds
    }
  }

  get usageChunk(): string | null {
    return this.#last
  }

  event(name: string | null, data: string, nowMs: number): void {
    if (this.#state !== "open") return
    const piece = parseJson(data)
    const error = name === "error" ? errorOf(piece ?? data) : errorIn(piece)
    if (error !== null) return this.#fail("reported", error.message ?? "the provider reported an error", error)
    if (!isObject(piece)) return
    this.#hasPieces = true
    this.#piece(data, piece, contentSaid(piece), nowMs)
  }

  bodyEnd(detail: string | null): void {
    if (this.#state !== "open") return
    if (this.isFinished) return this.#complete()
    if (!this.#hasPieces) {
      return this.#fail(detail === null ? "bad_answer" : "cut", detail ?? "the answer has no events", null)
    }
    this.#fail("cut", detail ?? "the stream ended before its finish reason", null)
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

  #piece(data: string, piece: JsonObject, said: ContentSaid, nowMs: number): void {
    if (said.broken !== null) return this.#fail("bad_answer", said.broken, null)
    this.#id ??= textOf(piece["responseId"])
    this.#servedModel ??= said.servedModel
    this.#usage = said.usage ?? this.#usage
    this.#blockReason ??= said.blockReason
    this.#characters += said.characters
    for (const id of said.callIds) if (this.#callIds.length < mostCalls) this.#callIds.push(id)
    for (const [index, word] of said.finishes) this.#finishes.set(index, word ?? this.#finishes.get(index) ?? null)
    if (said.hasSubstance || isRefused(said)) this.#hasSubstance = true
    if (this.#last !== null) this.#ready.push(this.#last)
    const mended = mendedContent(data, this.#label)
    const isEnd = this.isFinished
    this.#last = isEnd ? mended : null
    if (isEnd) this.#finishedMs = nowMs
    else this.#ready.push(mended)
    if (this.#ready.length > mostHeld) this.#hasSubstance = true
  }

  #complete(): void {
    const said = { blockReason: this.#blockReason, characters: this.#characters, finishes: this.#finishes }
    if (isEmpty({ ...said, hasSubstance: this.#hasSubstance, usage: this.#usage })) {
      return this.#fail("empty", "the answer is empty", null)
    }
    this.#state = "complete"
  }

  #fail(reason: StreamFailure["reason"], detail: string, error: ErrorSaid | null): void {
    this.#state = { reason, error, detail }
  }
}
