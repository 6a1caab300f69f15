import { transportDetail } from "../../domain/basics/TransportDetail.ts"
import { monotonicMs } from "../../services/running/MonotonicTime.ts"
import type { Deadline } from "../../domain/basics/Deadlines.ts"
import type { AnswerStream } from "../../domain/models/AnswerStream.ts"
import type { ChatStream as ChatStreamShape, ProviderError } from "../../services/models/LanguageModels.ts"
import { AmazonEvents } from "./AmazonEvents.ts"
import { streamFailure } from "./ProviderErrors.ts"
import { SseParser } from "./SseParser.ts"
import type { RawHeaders } from "./ResponseHeaders.ts"
import {
  type Caller,
  errorBodyMs,
  type Limit,
  maxAnswerBytes,
  maxErrorBytes,
  Received,
  silenceLimit,
  UpstreamCall
} from "./UpstreamCall.ts"
import type { CallParts } from "./WholeAnswer.ts"

/** Images come in one event. */
const maxEventChars = 16 * 1024 * 1024
/** How long the last bytes after the end may take before the connection is given up instead of reused. */
const tailMs = 200

/** What the body is, told by its first character, whatever its content type says. */
type Body = "unknown" | "events" | "whole"

const kindOf = (chunk: Buffer): Body => {
  for (const byte of chunk) {
    // White space and the bytes of a byte order mark.
    if (byte <= 0x20 || byte === 0xef || byte === 0xbb || byte === 0xbf) continue
    return byte === 0x7b || byte === 0x5b || byte === 0x3c ? "whole" : "events"
  }
  return "unknown"
}

interface PendingRead {
  readonly dueMs: number
  readonly what: string
  readonly answer: (failed: ProviderError | null) => void
}

/**
 * A stream from an upstream: who waits for events reads from the socket; when nobody waits, nothing is read. Whole,
 * because these are the moves of one machine.
 */
export class EventStream implements Caller, ChatStreamShape {
  private readonly parts: CallParts
  private readonly received: Received
  private readonly parser: Pick<SseParser, "push" | "end">
  private readonly call: UpstreamCall
  private readonly chat: AnswerStream
  private body: Body = "unknown"
  private failed: ProviderError | null = null
  private waiting: PendingRead | null = null
  private deadline: Deadline | null = null
  private armedMs = Infinity
  /** When the call began, or something last came of it, or somebody began to wait. */
  private lifeMs: number

  constructor(parts: CallParts, opened: (stream: ChatStreamShape | ProviderError) => void) {
    this.parts = parts
    this.received = new Received(parts.target, parts.clock)
    this.parser = parts.protocol.framing === "amazon" ? new AmazonEvents(maxEventChars) : new SseParser(maxEventChars)
    this.chat = parts.protocol.stream(parts.label, parts.choices)
    this.call = new UpstreamCall(parts.target, parts.body, this)
    this.lifeMs = this.nowMs()
    // There is something for the client, or another model may answer.
    this.arrival("first event", (failed) => opened(failed ?? this))
    this.call.start()
  }

  get status(): number {
    return this.received.status ?? 200
  }

  get requestId(): string | null {
    return this.received.requestId
  }

  next(done: (events: ReadonlyArray<string> | ProviderError) => void): void {
    this.arrival("event", (failed) => done(failed ?? this.chat.take()))
  }

  said(): AnswerStream["said"] {
    return this.chat.said
  }

  isFinished(): boolean {
    return this.chat.isFinished
  }

  usageChunk(): string | null {
    return this.chat.usageChunk
  }

  readonly release = (): void => {
    this.waiting = null
    this.disarm()
    if (this.chat.state === "complete" && this.call.isOpen) this.parts.deadlines.after(tailMs, () => this.call.abort())
    else this.call.abort()
  }

  private nowMs(): number {
    return monotonicMs(this.parts.clock)
  }

  head(status: number, headers: RawHeaders): void {
    this.received.head(status, headers)
    this.lifeMs = this.nowMs()
    if (!this.received.isError || this.waiting === null) return
    const { waiting } = this
    this.waiting = { ...waiting, dueMs: Math.min(waiting.dueMs, this.nowMs() + errorBodyMs) }
    this.arm()
  }

  data(chunk: Buffer): void {
    if (this.chat.state !== "open") return
    const nowMs = this.nowMs()
    this.lifeMs = nowMs
    if (this.received.isError) {
      if (!this.received.add(chunk, maxErrorBytes)) this.end()
      return
    }
    if (this.body === "unknown") this.body = this.parts.protocol.framing === "amazon" ? "events" : kindOf(chunk)
    if (this.body !== "events") {
      if (!this.received.add(chunk, maxAnswerBytes)) this.fail(this.received.tooLarge("the answer"))
      return
    }
    const events = this.parser.push(chunk)
    if (events === null) return this.fail(this.received.tooLarge("an event"))
    for (const { data, name } of events) this.chat.event(name, data, nowMs)
    this.changed()
    if (this.waiting === null && this.chat.state === "open") this.call.pause()
  }

  end(): void {
    if (this.chat.state !== "open") return
    if (this.received.isError) return this.fail(this.received.refusal())
    if (this.body === "events") return this.bodyEnded(null)
    if (!this.parts.protocol.streamWhole(this.received.text, this.chat, this.nowMs())) {
      return this.fail(this.received.failure("bad_answer", "the answer is not an event stream"))
    }
    this.changed()
  }

  error(error: unknown): void {
    if (this.chat.state !== "open") return
    if (this.received.isError) return this.fail(this.received.refusal())
    if (this.body === "events") this.bodyEnded(transportDetail(error))
    else this.fail(this.received.broken(error))
  }

  private bodyEnded(detail: string | null): void {
    const last = this.parser.end()
    if (last !== null) this.chat.event(last.name, last.data, this.nowMs())
    this.chat.bodyEnd(detail)
    this.changed()
  }

  private fail(error: ProviderError): void {
    this.failed ??= error
    this.call.abort()
    this.answer()
  }

  /** After whatever the stream has told. */
  private changed(): void {
    const { state } = this.chat
    if (typeof state === "object") return this.fail(streamFailure(this.parts.target, this.status, state))
    if (this.isReady) this.answer()
    else if (this.chat.graceUntilMs !== null) this.arm()
  }

  private get isReady(): boolean {
    return this.chat.isReady || this.failed !== null
  }

  /** Calls back when there is something to take: events, the end, or what went wrong after the last event. */
  private arrival(what: string, answer: PendingRead["answer"]): void {
    const nowMs = this.nowMs()
    // Nothing was read while nobody waited.
    if (this.hasHead) this.lifeMs = nowMs
    this.waiting = { dueMs: nowMs + this.parts.timeoutMs, what, answer }
    if (this.isReady) return this.answer()
    this.arm()
    this.call.resume()
  }

  private answer(): void {
    const { waiting } = this
    if (waiting === null) return
    this.waiting = null
    waiting.answer(this.chat.isReady ? null : this.failed)
  }

  /** Wakes at the nearest limit; too early is in vain, and costs less than to arm anew for each event. */
  private arm(): void {
    const { waiting } = this
    if (waiting === null) return
    const dueMs = Math.min(waiting.dueMs, this.chat.graceUntilMs ?? Infinity, this.silence?.dueMs ?? Infinity)
    if (dueMs >= this.armedMs) return
    this.disarm()
    this.armedMs = dueMs
    this.deadline = this.parts.deadlines.after(Math.ceil(dueMs - this.nowMs()), () => this.due())
  }

  private disarm(): void {
    this.deadline?.cancel()
    this.deadline = null
    this.armedMs = Infinity
  }

  private due(): void {
    this.disarm()
    const { waiting } = this
    if (waiting === null) return
    const nowMs = this.nowMs()
    this.chat.tick(nowMs)
    if (this.chat.state !== "open") return this.changed()
    const { silence } = this
    const isSilent = silence !== null && nowMs >= silence.dueMs
    if (!isSilent && nowMs < waiting.dueMs) return this.arm()
    if (this.received.isError) return this.fail(this.received.refusal())
    this.fail(
      isSilent ? this.received.failure("timeout", silence.says) : this.received.late(this.parts.timeoutMs, waiting.what)
    )
  }

  private get hasHead(): boolean {
    return this.received.status !== null
  }

  private get silence(): Limit | null {
    return silenceLimit(this.parts.target, this.lifeMs, { hasHead: this.hasHead, stream: true })
  }
}
