import type * as Http from "node:http"
import type { StreamSink } from "../../services/routing/Router.ts"
import { envelope, toPublic, type AnyError } from "./ErrorTable.ts"

/** An answer that is streamed. */
export interface StreamedAnswer {
  readonly response: Http.ServerResponse
  /** `broken` is what tells the client that its stream is not whole. */
  readonly beginStream: (headers: Readonly<Record<string, string>>, broken: TellBroken) => void
  readonly breakStream: (error: AnyError) => void
}

/** The last events of a stream that breaks. */
export type TellBroken = (error: AnyError, requestId: string) => string

/** How a protocol's streams look on the wire. */
export interface StreamForm {
  /** An event of a payload. */
  readonly framed: (payload: string) => string
  /** What shows that it lives; a comment if it does not say. */
  readonly alive?: string
  /** Of the body, where it is not of events. */
  readonly contentType?: string
  /** What ends a whole one. */
  readonly end: string
  readonly broken: TellBroken
}

/** A comment without a blank line behind it: some clients take an event without data for the end of the stream. */
const signOfLife = ": keep-alive\n"

/** What of a broken answer has not reached the client by then does not. */
const flushMs = 1000
/** A reset takes back what has not arrived; the error goes before it. */
const beforeResetMs = 50

/** Begins the answer, writes events to it as fast as the client takes them, and a sign of life where none come. */
export class SseSink implements StreamSink {
  readonly #answer: StreamedAnswer
  readonly #response: Http.ServerResponse
  readonly #keepAlive: NodeJS.Timeout | null
  readonly #form: StreamForm

  /** `keepAliveMs` 0: no signs of life. */
  constructor(
    answer: StreamedAnswer,
    headers: Readonly<Record<string, string>>,
    keepAliveMs: number,
    form: StreamForm = chatForm
  ) {
    this.#form = form
    this.#answer = answer
    this.#response = answer.response
    const all: Record<string, string> = {
      "content-type": form.contentType ?? "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      // Buffering proxies would hold the events back.
      "x-accel-buffering": "no"
    }
    for (const name in headers) all[name] = headers[name] ?? ""
    answer.beginStream(all, form.broken)
    this.#keepAlive = keepAliveMs > 0 ? setTimeout(() => this.alive(), keepAliveMs).unref() : null
  }

  /** One write, however many payloads they are: one each costs three times as much. */
  events(payloads: ReadonlyArray<string>, more: () => void): void {
    this.#keepAlive?.refresh()
    if (!this.#isOpen || this.#response.write(payloads.map(this.#form.framed).join(""))) more()
    else whenDrained(this.#response, more)
  }

  alive(): void {
    if (!this.#isOpen) return
    if (!this.#response.writableNeedDrain) this.#response.write(this.#form.alive ?? signOfLife)
    this.#keepAlive?.refresh()
  }

  finishing(): void {
    if (this.#keepAlive !== null) clearTimeout(this.#keepAlive)
  }

  end(): void {
    this.finishing()
    if (this.#isOpen) this.#response.end(this.#form.end)
  }

  fail(error: AnyError): void {
    this.finishing()
    this.#answer.breakStream(error)
  }

  /** When the client has left, its chat is being interrupted: what is written until then goes nowhere. */
  get #isOpen(): boolean {
    return !this.#response.writableEnded && !this.#response.destroyed
  }
}

/**
 * Ends a stream, if it has not ended, by what tells of the error and without its proper end, then breaks the connection:
 * clients that do not know the event see that the answer is not whole.
 */
export const endBroken = (
  { request, response }: { readonly request: Http.IncomingMessage; readonly response: Http.ServerResponse },
  told: string
): void => {
  if (response.writableEnded || response.destroyed) return
  const { socket } = request
  const breakOff = () => {
    clearTimeout(late)
    if (request.httpVersion === "1.0") setTimeout(() => socket.resetAndDestroy(), beforeResetMs)
    else socket.destroy()
  }
  const late = setTimeout(breakOff, flushMs)
  response.once("close", () => clearTimeout(late))
  response.write(told, breakOff)
}

const framed = (payload: string): string => `data: ${oneLine(payload)}\n\n`

/** The data line comes first: those that look at lines read it before they give up on the name. */
const chatBroken: TellBroken = (error, requestId) =>
  `data: ${JSON.stringify(envelope(toPublic(error), requestId))}\nevent: error\n\n`

export const chatForm: StreamForm = { framed, end: "data: [DONE]\n\n", broken: chatBroken }

/** A line break inside a payload would end the event's line. */
const oneLine = (data: string): string =>
  data.includes("\n") || data.includes("\r") ? data.split(/\r\n|[\r\n]/).join("\ndata: ") : data

/** Bounded by the client's leaving and by the request's deadline, which end the chat. */
const whenDrained = (response: Http.ServerResponse, more: () => void): void => {
  const go = () => {
    response.off("drain", go).off("close", go)
    more()
  }
  response.on("drain", go).on("close", go)
}
