import * as Effect from "effect/Effect"
import type * as Http from "node:http"
import { envelope, toPublic, type AnyError } from "./ErrorTable.ts"

/** A whole answer. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The code of the error that it tells. */
  readonly error?: string
}

export const text = (contentType: string, body: string): Reply => ({
  status: 200,
  headers: { "content-type": contentType },
  body
})

export const json = (body: unknown, headers?: Readonly<Record<string, string>>, status = 200): Reply => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body)
})

export const failure = (error: AnyError, requestId: string): Reply => {
  const shown = toPublic(error)
  return { ...json(envelope(shown, requestId), shown.headers, shown.status), error: shown.code }
}

/** A client that still sends its body when it gets its answer is read on, this far, or it sees a reset instead. */
export interface DiscardLimits {
  readonly bytes: number
  readonly millis: number
}
export const discardLimits: DiscardLimits = { bytes: 64 * 1024 * 1024, millis: 10_000 }

/** Node itself reads on over this much and keeps the connection. */
const smallBodyBytes = 64 * 1024

const hasLargeRest = (request: Http.IncomingMessage): boolean =>
  !request.complete &&
  (request.headers["transfer-encoding"] !== undefined ||
    Number(request.headers["content-length"] ?? 0) > smallBodyBytes)

/**
 * Writes the answer and calls `onDone` when nothing of the request is left to read, at once for most. It is written here,
 * not by the platform, which waits uninterruptibly for `finish`: an event that never comes when the client has gone with
 * bytes outstanding. The function that it returns ends the reading early.
 */
export const write = (
  request: Http.IncomingMessage,
  response: Http.ServerResponse,
  reply: Reply,
  limits: DiscardLimits,
  onDone: () => void
): (() => void) => {
  if (response.headersSent || response.destroyed) {
    onDone()
    return () => {}
  }
  const headers: Record<string, string | number> = { ...reply.headers }
  if (reply.status !== 204) headers["content-length"] = Buffer.byteLength(reply.body)
  const body = request.method === "HEAD" ? "" : reply.body
  if (!hasLargeRest(request)) {
    response.writeHead(reply.status, headers)
    response.end(body)
    onDone()
    return () => {}
  }
  // The answer is complete by its length; only then does the end of the response close the connection.
  headers["connection"] = "close"
  response.writeHead(reply.status, headers)
  response.write(body)
  return discard(request, response, limits, onDone)
}

/** Reads and forgets until the body ends, the client leaves, or a limit is reached; then ends the response. */
const discard = (
  request: Http.IncomingMessage,
  response: Http.ServerResponse,
  limits: DiscardLimits,
  onDone: () => void
): (() => void) => {
  let bytes = 0
  const end = () => {
    clearTimeout(timer)
    request.off("data", onData).off("end", finish)
    response.off("close", finish)
    response.end()
  }
  const finish = () => {
    end()
    onDone()
  }
  const onData = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limits.bytes) finish()
  }
  const timer = setTimeout(finish, limits.millis)
  request.on("data", onData).on("end", finish).resume()
  response.on("close", finish)
  return end
}

/** As an effect. The answer is written even by a fiber that is interrupted already; only the reading on is cut short. */
export const send = (
  request: Http.IncomingMessage,
  response: Http.ServerResponse,
  reply: Reply,
  limits: DiscardLimits
): Effect.Effect<void> =>
  Effect.suspend(() => {
    let isDone = false
    let notify = () => {
      isDone = true
    }
    const stop = write(request, response, reply, limits, () => notify())
    if (isDone) return Effect.void
    const done = Effect.async<void>((resume) => {
      notify = () => resume(Effect.void)
    })
    return Effect.interruptible(done).pipe(
      Effect.ensuring(Effect.sync(stop)),
      Effect.catchAllCause(() => Effect.void)
    )
  })
