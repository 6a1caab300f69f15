import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Http from "node:http"
import type { Begun } from "../../services/observing/Tracing.ts"
import { type Caller, Interrupted } from "../../services/routing/Router.ts"
import type { InFlightRequest } from "../../services/running/InFlight.ts"
import { preflightHeaders } from "./Cors.ts"
import type { Placed } from "../../domain/basics/DenseSet.ts"
import type { KeyHolder } from "../../domain/access/ApiKey.ts"
import { type Door, doorFor } from "./Door.ts"
import type { Identity } from "./Auth.ts"
import { type AnyError, toPublic } from "./ErrorTable.ts"
import { InternalError } from "./HttpErrors.ts"
import { discardLimits, linesOf, type Reply, write } from "./Reply.ts"
import type { Flow } from "./FairShare.ts"
import type { Target } from "./RouteFinder.ts"
import { endBroken, type TellBroken } from "./SseSink.ts"

/** What the socket knows of a request when its head has arrived. */
export interface Arrival {
  readonly request: Http.IncomingMessage
  readonly response: Http.ServerResponse
  readonly requestId: string
  /** Null for a path that is nothing's. */
  readonly target: Target | null
  /** Monotonic. */
  readonly startedMs: number
  /** Nothing was asked on its connection before. */
  readonly isFirst: boolean
  /** Header fields for browsers, on whatever is answered. */
  readonly cors: Readonly<Record<string, string>> | null
}

/** Told once how an exchange ended. `error` is the code that the client saw, null if it saw none. */
export type ExchangeObserver = (exchange: Exchange, status: number, error: string | null) => void

/** What is done for an exchange, by a fiber or by plain functions. */
export interface Work {
  /** Ends it early; it still tells that it has ended. */
  readonly interrupt: () => void
}

/** As nginx has it; only metrics see it. */
const clientLeftStatus = 499
const anybody: Caller = { owner: null }

/**
 * One request, from the socket to the end of its answer, made once and handed on. It is answered exactly once: by a
 * reply, by a stream, or by nobody because the client has left; later answers are ignored. Whole, because every member asks
 * whether it is answered yet.
 */
export class Exchange implements Arrival, Placed {
  place = -1
  readonly request: Http.IncomingMessage
  readonly response: Http.ServerResponse
  readonly requestId: string
  readonly target: Target | null
  readonly startedMs: number
  readonly isFirst: boolean
  readonly cors: Readonly<Record<string, string>> | null
  /** Whose client it is. */
  readonly door: Door
  /** Known once the key is checked. */
  caller: Caller = anybody
  /** Header fields of limits and budgets, on whatever is answered. */
  limits: Record<string, string> | null = null
  /** Null where nobody needs one. */
  key: KeyHolder | null = null
  /** By the key that it shows, as soon as it is taken. */
  flow: Flow = null
  /** Of the keys that it shows; null until somebody has looked. */
  identity: Identity | null = null
  /** Null for what is not counted, and for what is refused. */
  inFlight: InFlightRequest | null = null
  /** The request's span, if it belongs to a trace. */
  span: Begun | null = null
  observer: ExchangeObserver | null = null

  #state: "open" | "streaming" | "over" = "open"
  /** Stops what only a callback would end, such as the reading of the body. */
  #stop: (() => void) | null = null
  #work: Work | null = null
  #hasEnded = false
  /** Of a stream that has begun. */
  #broken: TellBroken = () => ""

  constructor({ cors, isFirst, request, requestId, response, startedMs, target }: Arrival) {
    this.isFirst = isFirst
    this.cors = cors
    this.request = request
    this.response = response
    this.requestId = requestId
    this.target = target
    this.startedMs = startedMs
    this.door = doorFor(target?.path ?? null, request.headers)
  }

  /** It was answered, or its client has left. */
  get isOver(): boolean {
    return this.#state === "over"
  }

  /** Answers with a whole reply. What the client still sends is read and ignored, within limits. */
  answer(reply: Reply): void {
    if (this.#state !== "open") return
    this.#end(reply.status, reply.error ?? null)
    const headers = linesOf(reply.headers, this.cors, this.limits)
    for (const name of this.door.requestIdHeaders) headers.push(name, this.requestId)
    this.#stop = write(this.request, this.response, reply, headers, discardLimits)
  }

  /** Answers OPTIONS, a browser's preflight too. */
  answerOptions(allow: string): void {
    this.answer({ status: 204, headers: { allow, ...preflightHeaders(this.request, this.cors, allow) }, body: "" })
  }

  /** Answers with an error: by its status, or inside the stream that has begun. */
  fail(error: AnyError): void {
    if (this.#state === "open") this.answer(this.door.failure(error, this.requestId))
    else this.breakStream(error)
  }

  /** Begins a streamed answer: its head goes out with the first write. */
  beginStream(headers: Readonly<Record<string, string>>, broken: TellBroken): void {
    if (this.#state !== "open") return
    this.#broken = broken
    this.#state = "streaming"
    const lines = linesOf(headers, this.cors, this.limits)
    for (const name of this.door.requestIdHeaders) lines.push(name, this.requestId)
    this.response.writeHead(200, lines)
  }

  /** Ends a streamed answer by an error, without its proper end. */
  breakStream(error: AnyError): void {
    if (this.#state !== "streaming") return
    this.#end(this.response.statusCode, toPublic(error).code)
    endBroken(this, this.#broken(error, this.requestId))
  }

  /** Its time is up, and so is that of its client: what has not been read by now is given up. */
  expire(): void {
    if (this.#state === "over") this.request.socket.destroy()
  }

  /** `stop` is called if the client leaves or the shutdown ends the exchange before it is answered. */
  stoppedBy(stop: (() => void) | null): void {
    if (this.#state === "over") stop?.()
    else this.#stop = stop
  }

  /** Somebody works for it. It stays in flight until the work has ended. */
  begin(): void {
    this.inFlight?.hold()
  }

  /** What `interrupt` ends, if it has not ended yet. */
  servedBy(work: Work): void {
    if (!this.#hasEnded) this.#work = work
  }

  /** The work has ended: by a reply, by null after a stream, or by what went wrong. */
  ended(exit: Exit.Exit<Reply | null, AnyError>): void {
    this.#hasEnded = true
    this.#work = null
    try {
      this.#settle(exit)
    } finally {
      this.inFlight?.release()
    }
  }

  /** The shutdown ends it. What somebody works for is answered when the work has ended. */
  interrupt(): void {
    this.#stopReading()
    if (this.#work === null) this.fail(new Interrupted())
    else this.#work.interrupt()
  }

  /** The response is closed, or its connection is. */
  closed(): void {
    this.#stopReading()
    if (this.#state !== "over" && !this.response.writableEnded) {
      this.#end(clientLeftStatus, "client_left")
      this.#work?.interrupt()
    }
    this.inFlight?.release()
  }

  #stopReading(): void {
    this.#stop?.()
    this.#stop = null
  }

  #end(status: number, error: string | null): void {
    this.#state = "over"
    this.#stop = null
    this.observer?.(this, status, error)
  }

  /** A response that is still open is ended, never left hanging. */
  #endStream(): void {
    if (this.#state !== "streaming") return
    this.#end(this.response.statusCode, null)
    if (!this.response.writableEnded) this.response.end()
  }

  #settle(exit: Exit.Exit<Reply | null, AnyError>): void {
    if (Exit.isSuccess(exit)) {
      if (exit.value === null) this.#endStream()
      else this.answer(exit.value)
      return
    }
    const failed = Cause.failureOption(exit.cause)
    if (Option.isSome(failed)) this.fail(failed.value)
    else this.fail(Cause.isInterruptedOnly(exit.cause) ? new Interrupted() : new InternalError())
  }
}
