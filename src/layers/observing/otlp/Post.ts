import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Dispatcher } from "undici"
import { retryAfterSeconds } from "../../../domain/basics/RetryAfter.ts"

/** More of an answer is not read. */
const maxAnswerBytes = 64 * 1024

/** The collector did not take an export. */
export class NotDelivered extends Schema.TaggedError<NotDelivered>()("NotDelivered", {
  detail: Schema.String,
  /** `transient`: may be taken later. `too large`: may be taken in parts. */
  kind: Schema.Literal("transient", "too large", "final"),
  /** As the collector asked; 0 if it did not. */
  retryAfterMs: Schema.Number
}) {}

/** As OTLP has it, https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes. */
const transientStatuses = new Set([429, 502, 503, 504])
const tooLargeStatus = 413

/** Sends one body, without a limit of its own, and returns the answer's if it is in the format that was sent. */
export const post = (to: {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string
  readonly dispatcher: Dispatcher
}): ((body: Uint8Array) => Effect.Effect<Uint8Array, NotDelivered>) => {
  const headers = { ...to.headers, "content-type": to.contentType }
  const { origin, pathname, search } = new URL(to.url)
  const path = `${pathname}${search}`
  return (body) =>
    Effect.tryPromise({
      try: async (signal) => {
        const answer = await to.dispatcher.request({ origin, path, method: "POST", headers, body, signal })
        const { "content-type": contentType, "retry-after": retryAfter } = answer.headers
        const bytes = await read(answer.body)
        return {
          status: answer.statusCode,
          retryAfter: typeof retryAfter === "string" ? retryAfter : null,
          body: String(contentType).startsWith(to.contentType) ? bytes : new Uint8Array()
        }
      },
      catch: (cause) => new NotDelivered({ detail: detailOf(cause), kind: "transient", retryAfterMs: 0 })
    }).pipe(
      Effect.flatMap(({ body, retryAfter, status }) =>
        status >= 200 && status < 300
          ? Effect.succeed(body)
          : Effect.flatMap(
              Clock.currentTimeMillis,
              (now) =>
                new NotDelivered({
                  detail: `the collector answered HTTP ${status}`,
                  kind: transientStatuses.has(status) ? "transient" : status === tooLargeStatus ? "too large" : "final",
                  retryAfterMs: 1000 * (retryAfterSeconds(retryAfter, now) ?? 0)
                })
            )
      )
    )
}

const read = async (body: Dispatcher.ResponseData["body"]): Promise<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  let bytes = 0
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue
    bytes += chunk.length
    // Leaving the loop closes the connection.
    if (bytes > maxAnswerBytes) return new Uint8Array()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** A transport error's code says more than its message, and has no address in it. */
const detailOf = (cause: unknown): string =>
  cause instanceof Error
    ? "code" in cause && typeof cause.code === "string"
      ? cause.code
      : cause.message.slice(0, 200)
    : "the connection failed"
