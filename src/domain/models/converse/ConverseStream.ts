import { type AnswerStream, graceMs, type StreamFailure, type StreamState } from "../AnswerStream.ts"
import { errorIn, errorOf, type ErrorSaid } from "../ErrorSaid.ts"
import { isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import type { Said } from "../Said.ts"
import type { WholeAnswer } from "../WholeAnswer.ts"
import { blocksIn, countsOf, partOf, stopReasonOf } from "./Answer.ts"

// Amazon Bedrock's Converse as it comes; it is always translated, as no client of Conduit speaks it.
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html

const mostCalls = 64

const isFilter = (word: string | null): boolean => word !== null && stopReasonOf(word) === "filter"

const failed = (reason: StreamFailure["reason"], detail: string): StreamFailure => ({ reason, error: null, detail })

/** Reads the body of an answer of status 2xx; why it is no answer, if it is none. */
export const readConverse = (json: string): WholeAnswer | StreamFailure => {
  const body = parseJson(json)
  const error = errorIn(body)
  if (error !== null) return { reason: "reported", error, detail: error.message ?? "the provider reported an error" }
  if (!isObject(body) || !isObject(body["output"])) return failed("bad_answer", "the answer has no output")
  const word = textOf(body["stopReason"])
  if (word !== null && stopReasonOf(word) === "broken") return failed("bad_answer", `the model ended by ${word}`)
  const parts = blocksIn(body).flatMap(partOf)
  const usage = countsOf(body["usage"])
  const isSilent = parts.length === 0 && (word === null || stopReasonOf(word) === "end")
  if (isSilent && !(Number(usage?.["output_tokens"] ?? 0) > 0)) return failed("empty", "the answer is empty")
  const lengths = parts.map((part) =>
    part.type === "call" ? part.input.length : "text" in part ? part.text.length : 0
  )
  return {
    text: json,
    said: {
      id: null,
      usage,
      finishReason: word,
      servedModel: null,
      isRefusal: isFilter(word),
      characters: lengths.reduce((sum, length) => sum + length, 0),
      toolCallIds: parts.flatMap((part) => (part.type === "call" ? part.id : []))
    }
  }
}

/** Reads the events of a stream, each by its one member. It is whole when `messageStop` has come and `metadata`, the end of the body or a second after it. Whole, because each event may change what every later one means. */
export class ConverseStream implements AnswerStream {
  #ready: Array<string> = []
  #state: StreamState = "open"
  #hasEvents = false
  #hasSubstance = false
  #finishedMs: number | null = null
  #counts: string | null = null
  #usage: JsonObject | null = null
  #stopReason: string | null = null
  #characters = 0
  readonly #callIds: Array<string> = []

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
      id: null,
      usage: this.#usage,
      finishReason: this.#stopReason,
      servedModel: null,
      isRefusal: isFilter(this.#stopReason),
      characters: this.#characters,
      toolCallIds: this.#callIds
    }
  }

  get usageChunk(): string | null {
    return this.#counts
  }

  event(name: string | null, data: string, nowMs: number): void {
    if (this.#state !== "open") return
    const event = parseJson(data)
    const error = name === "error" ? errorOf(event ?? data) : errorIn(event)
    if (error !== null) return this.#fail("reported", error.message ?? "the provider reported an error", error)
    if (!isObject(event)) return
    this.#hasEvents = true
    this.#content(event)
    const { messageStop: stop, metadata } = event
    if (isObject(stop)) {
      this.#stopReason = textOf(stop["stopReason"]) ?? "end_turn"
      this.#finishedMs = nowMs
      if (stopReasonOf(this.#stopReason) === "broken") {
        return this.#fail("bad_answer", `the model ended by ${this.#stopReason}`, null)
      }
      if (stopReasonOf(this.#stopReason) !== "end") this.#hasSubstance = true
    }
    if (!isObject(metadata)) {
      this.#ready.push(data)
      return
    }
    this.#counts = data
    this.#usage = countsOf(metadata["usage"])
    if (this.#stopReason !== null) this.#complete()
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

  #content({ contentBlockDelta: given, contentBlockStart: begun }: JsonObject): void {
    const start = isObject(begun) ? begun["start"] : null
    const call = isObject(start) ? start["toolUse"] : null
    if (isObject(call)) {
      const id = textOf(call["toolUseId"])
      if (id !== null && this.#callIds.length < mostCalls) this.#callIds.push(id)
      this.#hasSubstance = true
    }
    const delta = isObject(given) ? given["delta"] : null
    if (!isObject(delta)) return
    const { reasoningContent: reasoning, text, toolUse } = delta
    const said = [text, isObject(toolUse) ? toolUse["input"] : null, isObject(reasoning) ? reasoning["text"] : null]
    for (const one of said) this.#characters += textOf(one)?.length ?? 0
    if (this.#characters > 0) this.#hasSubstance = true
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
