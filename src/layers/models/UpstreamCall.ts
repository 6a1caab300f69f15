import type * as Clock from "effect/Clock"
import type { Dispatcher } from "undici"
import { transportDetail } from "../../domain/basics/TransportDetail.ts"
import { withoutMark } from "../../domain/models/Json.ts"
import type { SilenceLimits } from "../../domain/routing/Model.ts"
import { type Decoding, decodingOf } from "./Decoding.ts"
import { failure, refusal } from "./ProviderErrors.ts"
import { parsedHeaders, rawHeaderOf, type RawHeaders } from "./ResponseHeaders.ts"

/** Where one model is called, and how errors name it. */
export interface Target {
  readonly model: string
  readonly dispatcher: Dispatcher
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly silence: SilenceLimits
  /** What no word of the upstream may tell a client. */
  readonly secrets: ReadonlyArray<string>
}

export const maxErrorBytes = 64 * 1024
export const maxAnswerBytes = 64 * 1024 * 1024
/** How long the body of an error may take: its status is known, and another model is waiting. */
export const errorBodyMs = 1000

const aborted = new Error("aborted")

/** Who makes a call. */
export interface Caller {
  readonly head: (status: number, headers: RawHeaders) => void
  /** Of the body, decoded. */
  readonly data: (chunk: Buffer) => void
  readonly end: () => void
  readonly error: (error: unknown) => void
}

/**
 * One POST. The callbacks come after `start`, none of them after `abort`; `pause` stops reading from the socket. It is the
 * library's handler itself, in the form that gets header fields as they came: the newer one makes two objects more for
 * each call, and parses fields that nobody reads. Whole, because all of it turns on one state.
 */
export class UpstreamCall implements Dispatcher.DispatchHandler {
  private readonly target: Target
  private readonly body: string
  private readonly on: Caller
  private abortCall: ((reason: Error) => void) | null = null
  private resumeReading: (() => void) | null = null
  private isPaused = false
  private decoding: Decoding | null = null
  private state: "open" | "ended" | "aborted" = "open"

  constructor(target: Target, body: string, on: Caller) {
    this.target = target
    this.body = body
    this.on = on
  }

  get isOpen(): boolean {
    return this.state === "open"
  }

  start(): void {
    const { dispatcher, headers, path } = this.target
    dispatcher.dispatch({ path, method: "POST", headers, body: this.body }, this)
  }

  abort(): void {
    if (!this.isOpen) return
    this.state = "aborted"
    this.abortCall?.(aborted)
    this.decoding?.destroy()
  }

  pause(): void {
    this.isPaused = true
    this.decoding?.pause()
  }

  resume(): void {
    if (this.isPaused) {
      this.isPaused = false
      this.resumeReading?.()
    }
    this.decoding?.resume()
  }

  onConnect(abort: (reason: Error) => void): void {
    this.abortCall = abort
    if (this.state === "aborted") abort(aborted)
  }

  onHeaders(status: number, headers: Array<Buffer>, resume: () => void): boolean {
    this.resumeReading = resume
    if (this.isOpen && status >= 200) this.begin(status, headers)
    return !this.isPaused
  }

  onData(chunk: Buffer): boolean {
    if (this.decoding === null) this.arrived(chunk)
    else if (this.isOpen) this.decoding.push(chunk)
    return !this.isPaused
  }

  onComplete(): void {
    if (this.decoding === null) this.ended()
    else if (this.isOpen) this.decoding.end()
  }

  onError(error: unknown): void {
    this.broke(error)
  }

  private begin(status: number, headers: RawHeaders): void {
    this.decoding = decodingOf(rawHeaderOf(headers, "content-encoding") ?? "", {
      data: (chunk) => this.arrived(chunk),
      end: () => this.ended(),
      error: (error) => {
        this.broke(error)
        this.abortCall?.(aborted)
      }
    })
    this.on.head(status, headers)
  }

  private arrived(chunk: Buffer): void {
    if (this.isOpen) this.on.data(chunk)
  }

  private ended(): void {
    if (!this.isOpen) return
    this.state = "ended"
    this.on.end()
  }

  private broke(error: unknown): void {
    if (!this.isOpen) return
    this.state = "ended"
    this.on.error(error)
    this.decoding?.destroy()
  }
}

/** What ends a call: of several limits the nearest, by its name in the configuration or by what did not come. */
export interface Limit {
  readonly dueMs: number
  readonly says: string
}

const anyStreamMs = 60_000

/**
 * The limit of silence that a call is under: until the head of its answer (`sinceMs` is its start), then from byte to byte.
 * A whole answer may take as long as the request unless the configuration says otherwise.
 */
export const silenceLimit = (
  { silence }: Target,
  sinceMs: number,
  call: { readonly hasHead: boolean; readonly stream: boolean }
): Limit | null => {
  const { hasHead, stream } = call
  const ms = (hasHead ? silence.idleMs : silence.firstByteMs) ?? (stream ? anyStreamMs : null)
  if (ms === null) return null
  return {
    dueMs: sinceMs + ms,
    says: hasHead ? `nothing for ${ms} ms (idleTimeout)` : `no first byte within ${ms} ms (firstByteTimeout)`
  }
}

/** The answer as far as it has come: what every kind of call needs to say why it failed. */
export class Received {
  private readonly target: Target
  private readonly clock: Clock.Clock
  private readonly chunks: Array<Buffer> = []
  private bytes = 0
  private headers: RawHeaders = []
  status: number | null = null
  /** The id by which the upstream knows this call, for its support. */
  requestId: string | null = null

  constructor(target: Target, clock: Clock.Clock) {
    this.target = target
    this.clock = clock
  }

  get isError(): boolean {
    return this.status !== null && (this.status < 200 || this.status >= 300)
  }

  head(status: number, headers: RawHeaders): void {
    this.status = status
    this.headers = headers
    const id = rawHeaderOf(headers, "x-request-id") ?? rawHeaderOf(headers, "request-id")
    this.requestId = id !== null && /^[\x21-\x7e]{1,128}$/.test(id) ? id : null
  }

  /** Answers whether there is room for more. */
  add(chunk: Buffer, most: number): boolean {
    this.bytes += chunk.length
    if (this.bytes <= most) this.chunks.push(chunk)
    return this.bytes <= most
  }

  get text(): string {
    const [only] = this.chunks
    const bytes = only !== undefined && this.chunks.length === 1 ? only : Buffer.concat(this.chunks)
    return withoutMark(bytes.toString("utf8"))
  }

  refusal() {
    const { headers, status, target, text } = this
    return refusal(
      target,
      { status: status ?? 500, body: text, headers: parsedHeaders(headers) },
      this.clock.unsafeCurrentTimeMillis()
    )
  }

  broken(error: unknown) {
    return this.failure(this.status === null ? "connection" : "cut", transportDetail(error))
  }

  late(ms: number, what: string) {
    return this.failure("timeout", `no ${what} within ${ms} ms`)
  }

  tooLarge(what: string) {
    return this.failure("bad_answer", `${what} is too large`)
  }

  failure(reason: Parameters<typeof failure>[1], detail: string) {
    return failure(this.target.model, reason, this.status, detail)
  }
}
