import type * as Clock from "effect/Clock"
import { monotonicMs } from "../../services/running/MonotonicTime.ts"
import type { Deadline, Deadlines } from "../../domain/basics/Deadlines.ts"
import type { Label } from "../../domain/models/Form.ts"
import type { UpstreamProtocol } from "../../domain/models/Upstream.ts"
import { isAnswer } from "../../domain/models/WholeAnswer.ts"
import type { ChatAnswer, ProviderError } from "../../services/models/LanguageModels.ts"
import { streamFailure } from "./ProviderErrors.ts"
import type { RawHeaders } from "./ResponseHeaders.ts"
import { SseParser } from "./SseParser.ts"
import {
  type Caller,
  errorBodyMs,
  type Limit,
  maxAnswerBytes,
  maxErrorBytes,
  Received,
  silenceLimit,
  type Target,
  UpstreamCall
} from "./UpstreamCall.ts"

/** A field of an event stream, or a comment of one. */
const beginsStream = /^\s*(?:data|event|id|retry)?:/

/** Some answer by a stream whatever was asked. */
const eventsOf = (text: string) => {
  const parser = new SseParser(maxAnswerBytes)
  const events = parser.push(Buffer.from(text)) ?? []
  const last = parser.end()
  return last === null ? events : [...events, last]
}

const answerFrom = (
  { choices, label, protocol, target }: CallParts,
  received: Received
): ChatAnswer | ProviderError => {
  const status = received.status ?? 200
  const { text } = received
  const read = beginsStream.test(text)
    ? protocol.answerFromStream(eventsOf(text), label, choices)
    : protocol.readAnswer(text, label)
  if (!isAnswer(read)) return streamFailure(target, status, read)
  return { status, text: read.text, said: read.said, requestId: received.requestId }
}

/** What a call is made with. */
export interface CallParts {
  readonly target: Target
  readonly protocol: UpstreamProtocol
  readonly body: string
  readonly timeoutMs: number
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
  readonly label: Label
  /** How many the request asks for. */
  readonly choices: number
}

/** A call that is answered as a whole; calls back once, unless it is aborted. Whole, for each event moves the same deadline. */
export class WholeCall implements Caller {
  readonly #parts: CallParts
  readonly #done: (answer: ChatAnswer | ProviderError) => void
  readonly #received: Received
  readonly #call: UpstreamCall
  /** When the call began, or something last came of it. */
  #lifeMs: number
  #dueMs: number
  #deadline: Deadline

  constructor(parts: CallParts, done: (answer: ChatAnswer | ProviderError) => void) {
    const { body, clock, target, timeoutMs } = parts
    this.#parts = parts
    this.#done = done
    this.#received = new Received(target, clock)
    this.#call = new UpstreamCall(target, body, this)
    this.#lifeMs = this.#nowMs()
    this.#dueMs = this.#lifeMs + timeoutMs
    this.#deadline = this.#armed()
    this.#call.start()
  }

  readonly abort = (): void => {
    this.#deadline.cancel()
    this.#call.abort()
  }

  head(status: number, headers: RawHeaders): void {
    const received = this.#received
    const before = this.#nearestMs
    received.head(status, headers)
    this.#lifeMs = this.#nowMs()
    if (received.isError) this.#dueMs = Math.min(this.#dueMs, this.#lifeMs + errorBodyMs)
    // A deadline that is too early only wakes in vain.
    if (this.#nearestMs >= before) return
    this.#deadline.cancel()
    this.#deadline = this.#armed()
  }

  data(chunk: Buffer): void {
    const received = this.#received
    this.#lifeMs = this.#nowMs()
    if (received.isError) {
      if (!received.add(chunk, maxErrorBytes)) this.#settle(received.refusal())
    } else if (!received.add(chunk, maxAnswerBytes)) {
      this.#settle(received.tooLarge("the answer"))
    }
  }

  end(): void {
    const received = this.#received
    this.#settle(received.isError ? received.refusal() : answerFrom(this.#parts, received))
  }

  error(error: unknown): void {
    const received = this.#received
    this.#settle(received.isError ? received.refusal() : received.broken(error))
  }

  #settle(answer: ChatAnswer | ProviderError): void {
    this.abort()
    this.#done(answer)
  }

  #armed(): Deadline {
    return this.#parts.deadlines.after(Math.ceil(this.#nearestMs - this.#nowMs()), () => this.#due())
  }

  #due(): void {
    const received = this.#received
    const silent = this.#silence
    const isSilent = silent !== null && this.#nowMs() >= silent.dueMs
    if (!isSilent && this.#nowMs() < this.#dueMs) {
      this.#deadline = this.#armed()
      return
    }
    if (received.isError) return this.#settle(received.refusal())
    this.#settle(
      isSilent ? received.failure("timeout", silent.says) : received.late(this.#parts.timeoutMs, "whole answer")
    )
  }

  get #silence(): Limit | null {
    return silenceLimit(this.#parts.target, this.#lifeMs, { hasHead: this.#received.status !== null, stream: false })
  }

  get #nearestMs(): number {
    return Math.min(this.#dueMs, this.#silence?.dueMs ?? Infinity)
  }

  #nowMs(): number {
    return monotonicMs(this.#parts.clock)
  }
}
