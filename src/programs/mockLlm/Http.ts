import type * as Http from "node:http"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"

const maxBodyBytes = 64 * 1024 * 1024

const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** The JSON object that was sent; null if it is none, or too large. */
export const readObject = (request: Http.IncomingMessage): Effect.Effect<Readonly<Record<string, unknown>> | null> =>
  Effect.async((resume) => {
    const chunks: Array<Buffer> = []
    let bytes = 0
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBodyBytes) chunks.push(chunk)
    })
    request.once("end", () => {
      const value = bytes > maxBodyBytes ? null : Option.getOrNull(parse(Buffer.concat(chunks).toString("utf8")))
      resume(Effect.succeed(Predicate.isReadonlyRecord(value) ? value : null))
    })
  })

export const sendJson = (
  response: Http.ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {}
): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(JSON.stringify(body))
}

/** OpenAI's error envelope. */
export const sendError = (
  response: Http.ServerResponse,
  status: number,
  error: { readonly message: string; readonly type: string; readonly code: string },
  headers: Readonly<Record<string, string>> = {}
): void => sendJson(response, status, { error: { ...error, param: null } }, headers)

/** Completes when the client can take more. */
export const write = (response: Http.ServerResponse, text: string | Buffer): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (response.write(text)) return resume(Effect.void)
    const drained = () => resume(Effect.void)
    response.once("drain", drained)
    return Effect.sync(() => response.off("drain", drained))
  })
