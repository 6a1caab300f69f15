import * as Effect from "effect/Effect"
import type * as Http from "node:http"
import type { StreamSink } from "../../services/routing/Router.ts"
import { envelope, toPublic, type AnyError } from "./ErrorTable.ts"

/** An answer that is streamed. */
export interface StreamedAnswer {
  readonly response: Http.ServerResponse
  readonly beginStream: (headers: Readonly<Record<string, string>>) => void
  readonly breakStream: (error: AnyError) => void
}

/** Begins the answer and writes events to it as fast as the client takes them. */
export const openSink = (answer: StreamedAnswer, headers: Readonly<Record<string, string>>): StreamSink => {
  const { response } = answer
  answer.beginStream({
    ...headers,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    // Buffering proxies would hold the events back.
    "x-accel-buffering": "no"
  })
  // When the client has left, its fiber is being interrupted: what is written until then goes nowhere.
  const isOpen = () => !response.writableEnded && !response.destroyed
  return {
    // One write, however many they are: one each costs three times as much.
    events: (payloads) =>
      Effect.suspend(() =>
        !isOpen() || response.write(payloads.map(framed).join("")) ? Effect.void : drained(response)
      ),
    end: Effect.sync(() => {
      if (isOpen()) response.end("data: [DONE]\n\n")
    }),
    fail: (error) => Effect.sync(() => answer.breakStream(error))
  }
}

/** Ends a stream, if it has not ended, by the error and without `[DONE]`. */
export const endBroken = (response: Http.ServerResponse, error: AnyError, requestId: string): void => {
  if (response.writableEnded || response.destroyed) return
  response.end(`event: error\ndata: ${JSON.stringify(envelope(toPublic(error), requestId))}\n\n`)
}

const framed = (payload: string): string => `data: ${oneLine(payload)}\n\n`

/** A line break inside a payload would end the event's line. */
const oneLine = (data: string): string => (/[\r\n]/.test(data) ? data.split(/\r\n|[\r\n]/).join("\ndata: ") : data)

/** Bounded by the client's leaving and by the request's deadline, which interrupts the fiber. */
const drained = (response: Http.ServerResponse): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const done = () => {
      response.off("drain", go).off("close", go)
    }
    const go = () => {
      done()
      resume(Effect.void)
    }
    response.on("drain", go).on("close", go)
    return Effect.sync(done)
  })
