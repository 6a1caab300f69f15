import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { transportDetail } from "../../domain/basics/TransportDetail.ts"
import { ChatStream } from "../../domain/models/ChatStream.ts"
import type { Label } from "../../domain/models/Form.ts"
import type { CallLimits, ProviderError } from "../../services/models/LanguageModels.ts"
import { streamWhole } from "../../domain/models/WholeAnswer.ts"
import { streamFailure } from "./ProviderErrors.ts"
import { SseParser } from "./SseParser.ts"
import type { ResponseHeaders } from "./ResponseHeaders.ts"
import {
  errorBodyMs,
  type Limit,
  maxAnswerBytes,
  maxErrorBytes,
  maxTimerMs,
  Received,
  silenceLimit,
  type Target,
  UpstreamCall
} from "./UpstreamCall.ts"

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

interface Waiting {
  readonly dueMs: number
  readonly what: string
  readonly answer: () => void
}

/** A stream from an upstream: who waits for events reads from the socket; when nobody waits, nothing is read. */
export class EventStream {
  private readonly target: Target
  private readonly limits: CallLimits
  private readonly clock: Clock.Clock
  private readonly received: Received
  private readonly parser = new SseParser(maxEventChars)
  private readonly call: UpstreamCall
  private body: Body = "unknown"
  private failed: ProviderError | null = null
  private waiting: Waiting | null = null
  private timer: NodeJS.Timeout | undefined
  /** When the call began, or something last came of it, or somebody began to wait. */
  private lifeMs = 0
  /** What the events have told. */
  readonly chat: ChatStream

  constructor(target: Target, body: string, limits: CallLimits, clock: Clock.Clock, label: Label, choices: number) {
    this.target = target
    this.limits = limits
    this.clock = clock
    this.received = new Received(target, clock)
    this.chat = new ChatStream(label, choices)
    this.call = new UpstreamCall(target, body, {
      head: (status, headers) => this.begin(status, headers),
      data: (chunk) => this.arrived(chunk),
      end: () => this.ended(),
      error: (error) => this.broke(error)
    })
  }

  get start(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.lifeMs = this.nowMs()
      this.call.start()
    })
  }

  get status(): number {
    return this.received.status ?? 200
  }

  get requestId(): string | null {
    return this.received.requestId
  }

  /** There is something for the client, or another model may answer. */
  get opened(): Effect.Effect<void, ProviderError> {
    return this.arrival("first event")
  }

  get next(): Effect.Effect<ReadonlyArray<string>, ProviderError> {
    return Effect.map(this.arrival("event"), () => this.chat.take())
  }

  get release(): Effect.Effect<void> {
    return Effect.sync(() => {
      clearTimeout(this.timer)
      if (this.chat.state === "complete" && this.call.isOpen) setTimeout(() => this.call.abort(), tailMs).unref()
      else this.call.abort()
    })
  }

  private nowMs(): number {
    return Number(this.clock.unsafeCurrentTimeNanos()) / 1e6
  }

  private begin(status: number, headers: ResponseHeaders): void {
    this.received.head(status, headers)
    this.lifeMs = this.nowMs()
    if (!this.received.isError || this.waiting === null) return
    const { waiting } = this
    this.waiting = { ...waiting, dueMs: Math.min(waiting.dueMs, this.nowMs() + errorBodyMs) }
    this.arm()
  }

  private arrived(chunk: Buffer): void {
    if (this.chat.state !== "open") return
    const nowMs = this.nowMs()
    this.lifeMs = nowMs
    if (this.received.isError) {
      if (!this.received.add(chunk, maxErrorBytes)) this.ended()
      return
    }
    if (this.body === "unknown") this.body = kindOf(chunk)
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

  private ended(): void {
    if (this.chat.state !== "open") return
    if (this.received.isError) return this.fail(this.received.refusal())
    if (this.body === "events") return this.bodyEnded(null)
    if (!streamWhole(this.received.text, this.chat, this.nowMs())) {
      return this.fail(this.received.failure("bad_answer", "the answer is not an event stream"))
    }
    this.changed()
  }

  private broke(error: unknown): void {
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
    this.waiting?.answer()
  }

  /** After whatever the stream has told. */
  private changed(): void {
    const { state } = this.chat
    if (typeof state === "object") return this.fail(streamFailure(this.target, this.status, state))
    if (this.isReady) this.waiting?.answer()
    else if (this.chat.graceUntilMs !== null) this.arm()
  }

  private get isReady(): boolean {
    return this.chat.isReady || this.failed !== null
  }

  /** Completes when there is something to take: events, the end, or (failing) what went wrong after the last event. */
  private arrival(what: string): Effect.Effect<void, ProviderError> {
    return Effect.async((resume) => {
      const answer = () => {
        clearTimeout(this.timer)
        this.waiting = null
        resume(this.failed === null || this.chat.isReady ? Effect.void : this.failed)
      }
      if (this.isReady) return answer()
      const nowMs = this.nowMs()
      // Nothing was read while nobody waited.
      if (this.hasHead) this.lifeMs = nowMs
      this.waiting = { dueMs: nowMs + this.limits.timeoutMs, what, answer }
      this.arm()
      this.call.resume()
      return Effect.sync(() => {
        clearTimeout(this.timer)
        this.waiting = null
        this.call.abort()
      })
    })
  }

  /** Wakes at the nearest limit. */
  private arm(): void {
    const { waiting } = this
    if (waiting === null) return
    clearTimeout(this.timer)
    const nowMs = this.nowMs()
    const dueMs = Math.min(waiting.dueMs, this.chat.graceUntilMs ?? Infinity, this.silence?.dueMs ?? Infinity)
    this.timer = setTimeout(() => this.due(waiting), Math.min(Math.max(0, Math.ceil(dueMs - nowMs)), maxTimerMs))
  }

  private due(waiting: Waiting): void {
    const nowMs = this.nowMs()
    this.chat.tick(nowMs)
    if (this.chat.state !== "open") return this.changed()
    const { silence } = this
    const isSilent = silence !== null && nowMs >= silence.dueMs
    if (!isSilent && nowMs < waiting.dueMs) return this.arm()
    if (this.received.isError) return this.fail(this.received.refusal())
    this.fail(
      isSilent
        ? this.received.failure("timeout", silence.says)
        : this.received.late(this.limits.timeoutMs, waiting.what)
    )
  }

  private get hasHead(): boolean {
    return this.received.status !== null
  }

  private get silence(): Limit | null {
    return silenceLimit(this.target, this.lifeMs, { hasHead: this.hasHead, stream: true })
  }
}
