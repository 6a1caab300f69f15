import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { isUtf8 } from "node:buffer"
import type * as Http from "node:http"
import { rememberSource } from "../../domain/models/RequestText.ts"
import { BodyTimeout, BodyTooLarge, InvalidRequest, MalformedBody, UnsupportedMediaType } from "./HttpErrors.ts"

export interface BodyLimits {
  readonly bytes: number
  readonly millis: number
}

/** Deeper JSON is refused before it is parsed: what walks it later may be recursive. */
const maxDepth = 128

export type BodyError = BodyTooLarge | BodyTimeout | UnsupportedMediaType | MalformedBody

/**
 * Reads a JSON body and calls `done` once with it, or with what is wrong with it. The function that it returns stops the
 * reading, and then `done` is not called; null if it was called already.
 */
export const readJson = (
  request: Http.IncomingMessage,
  limits: BodyLimits,
  done: (body: Either.Either<unknown, BodyError>) => void
): (() => void) | null => {
  if (isJson(request)) return readBody(request, limits, (bytes) => done(Either.flatMap(bytes, parseJson)))
  done(Either.left(new UnsupportedMediaType()))
  return null
}

const isJson = ({ headers }: Http.IncomingMessage): boolean =>
  /^application\/json\s*(;|$)/i.test(headers["content-type"] ?? "") &&
  (headers["content-encoding"] === undefined || headers["content-encoding"] === "identity")

const readBody = (
  request: Http.IncomingMessage,
  limits: BodyLimits,
  done: (body: Either.Either<Buffer, BodyTooLarge | BodyTimeout>) => void
): (() => void) | null => {
  if (Number(request.headers["content-length"] ?? 0) > limits.bytes) {
    done(Either.left(new BodyTooLarge({ limitBytes: limits.bytes })))
    return null
  }
  const bytes = new GrowingBuffer()
  const stop = () => {
    clearTimeout(timer)
    request.off("data", onData).off("end", onEnd)
  }
  const refuse = (error: BodyTooLarge | BodyTimeout) => {
    stop()
    request.pause()
    done(Either.left(error))
  }
  const onData = (chunk: Buffer) => {
    if (bytes.length + chunk.length > limits.bytes) refuse(new BodyTooLarge({ limitBytes: limits.bytes }))
    else bytes.add(chunk)
  }
  const onEnd = () => {
    stop()
    done(Either.right(bytes.all()))
  }
  const timer = setTimeout(() => refuse(new BodyTimeout({ limitMs: limits.millis })), limits.millis)
  request.on("data", onData).on("end", onEnd)
  return stop
}

/** One buffer that doubles: a list of chunks would let a body in one-byte chunks cost a hundred times its size. */
class GrowingBuffer {
  length = 0
  #buffer: Buffer = Buffer.alloc(0)

  add(chunk: Buffer): void {
    const needed = this.length + chunk.length
    if (this.length === 0) this.#buffer = chunk
    else {
      if (needed > this.#buffer.length) {
        const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length))
        this.#buffer.copy(larger, 0, 0, this.length)
        this.#buffer = larger
      }
      chunk.copy(this.#buffer, this.length)
    }
    this.length = needed
  }

  all(): Buffer {
    return this.#buffer.subarray(0, this.length)
  }
}

const parseJson = (bytes: Buffer): Either.Either<unknown, MalformedBody> => {
  if (!isUtf8(bytes)) return Either.left(new MalformedBody({ detail: "the body is not UTF-8" }))
  const text = bytes.toString("utf8")
  if (isTooDeep(text)) {
    return Either.left(new MalformedBody({ detail: `the body is nested deeper than ${maxDepth} levels` }))
  }
  return Either.try({
    try: (): unknown => {
      const body: unknown = JSON.parse(text)
      rememberSource(body, text)
      return body
    },
    // V8's own message quotes the body.
    catch: () => new MalformedBody({ detail: "the body is not valid JSON" })
  })
}

const quote = '"'
const isTooDeep = (text: string): boolean => {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 0x5b || c === 0x7b) {
      depth++
      if (depth > maxDepth) return true
    } else if (c === 0x5d || c === 0x7d) {
      depth--
    } else if (c === 0x22) {
      i = endOfString(text, i)
      if (i === -1) return false
    }
  }
  return false
}

/** Index of the quote that closes the string opened at `start`, or -1. */
const endOfString = (text: string, start: number): number => {
  let end = text.indexOf(quote, start + 1)
  while (end !== -1) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++
    if (backslashes % 2 === 0) return end
    end = text.indexOf(quote, end + 1)
  }
  return -1
}

/** A decoder that names the path of the first thing that is wrong. Compiled once; structs without a rest take no unknown key. */
export const decoder = <A, I>(
  schema: Schema.Schema<A, I>,
  options: { readonly unknownKeys: "refused" | "ignored" } = { unknownKeys: "refused" }
): ((input: unknown) => Either.Either<A, InvalidRequest>) => {
  const decode = Schema.decodeUnknownEither(schema, {
    onExcessProperty: options.unknownKeys === "refused" ? "error" : "ignore"
  })
  return (input) => Either.mapLeft(decode(input), (error) => invalidRequest(error.issue))
}

const invalidRequest = (issue: ParseResult.ParseIssue): InvalidRequest => {
  const first = ParseResult.ArrayFormatter.formatIssueSync(issue)[0]
  const param = first === undefined || first.path.length === 0 ? null : first.path.map(String).join(".").slice(0, 200)
  return new InvalidRequest({ param, detail: detailOf(first) })
}

const detailOf = (issue: ParseResult.ArrayFormatterIssue | undefined): string => {
  if (issue === undefined) return "is not valid"
  if (issue._tag === "Unexpected") return "is not a known key"
  if (issue._tag === "Missing") return "is missing"
  // The formatter quotes what came, which may be megabytes of prompt.
  return issue.message.replace(/, actual [^]*$/, "").slice(0, 300)
}
