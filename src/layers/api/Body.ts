import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Http from "node:http"
import type { Readable, Transform } from "node:stream"
import type { Deadline, Deadlines } from "../../domain/basics/Deadlines.ts"
import { decoderOf } from "./ContentCoding.ts"
import type { FairShare, Flow } from "./FairShare.ts"
import {
  BodyTimeout,
  BodyTooLarge,
  InvalidRequest,
  MalformedBody,
  Overloaded,
  type UnsupportedCoding,
  UnsupportedMediaType
} from "./HttpErrors.ts"
import { parseJson } from "./JsonBody.ts"

export interface BodyLimits {
  /** Of one body, as it came and decoded. */
  readonly bytes: number
  readonly millis: number
  readonly deadlines: Deadlines
  /** For the bytes of all bodies that are being read at once. */
  readonly room: FairShare
}

export type BodyError =
  | BodyTooLarge
  | BodyTimeout
  | UnsupportedMediaType
  | UnsupportedCoding
  | MalformedBody
  | Overloaded

/**
 * Reads a JSON body and calls `done` once with it, or with what is wrong with it. The function that it returns stops the
 * reading, and then `done` is not called; null if it was called already.
 */
export const readJson = (
  { flow, request }: Sender,
  limits: BodyLimits,
  done: (body: Either.Either<unknown, BodyError>) => void
): (() => void) | null => {
  const decoder = Either.flatMap(acceptable(request, limits), () => decoderOf(request))
  if (Either.isLeft(decoder)) {
    done(Either.left(decoder.left))
    return null
  }
  const reading = new BodyReading({ flow, request }, decoder.right, limits, done)
  return () => reading.stop()
}

/** A request, and whose share of the room its body takes. */
interface Sender {
  readonly request: Http.IncomingMessage
  readonly flow: Flow
}

/** What the headers alone tell. */
const acceptable = (
  { headers }: Http.IncomingMessage,
  limits: BodyLimits
): Either.Either<void, UnsupportedMediaType | BodyTooLarge> => {
  if (!/^application\/json\s*(;|$)/i.test(headers["content-type"] ?? "")) return Either.left(new UnsupportedMediaType())
  return Number(headers["content-length"] ?? 0) > limits.bytes ? Either.left(tooLarge(limits)) : Either.right(undefined)
}

const tooManyBytes = {
  full: new Overloaded({ detail: "too many bytes of request bodies at once", retryAfterSeconds: 1 }),
  share: new Overloaded({ detail: "too many bytes of this key's request bodies at once", retryAfterSeconds: 1 })
}

const tooLarge = ({ bytes }: BodyLimits) => new BodyTooLarge({ limit: bytes, unit: "bytes" })

/** One body while it is read: within its own limits, and within what all bodies may hold together. Whole, because each step asks whether it is over. */
class BodyReading {
  readonly #request: Http.IncomingMessage
  readonly #flow: Flow
  readonly #decoder: Transform | null
  readonly #limits: BodyLimits
  readonly #done: (body: Either.Either<unknown, BodyError>) => void
  readonly #deadline: Deadline
  readonly #bytes = new GrowingBuffer()
  #encodedLength = 0
  #isOver = false

  constructor(
    { flow, request }: Sender,
    decoder: Transform | null,
    limits: BodyLimits,
    done: (body: Either.Either<unknown, BodyError>) => void
  ) {
    this.#request = request
    this.#flow = flow
    this.#decoder = decoder
    this.#limits = limits
    this.#done = done
    // What has arrived while the service was busy is read first: it is not the client that was late.
    this.#deadline = limits.deadlines.after(limits.millis, () =>
      setImmediate(() => setImmediate(() => this.#refuse(new BodyTimeout({ limitMs: limits.millis }))))
    )
    const source: Readable = decoder ?? request
    source.on("data", this.#add).on("end", this.#finish)
    if (decoder === null) return
    decoder.on("error", () =>
      this.#refuse(new MalformedBody({ detail: "the body is not what its content-encoding says" }))
    )
    request.on("data", this.#countEncoded).pipe(decoder)
  }

  stop(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#deadline.cancel()
    this.#limits.room.giveBack(this.#flow, this.#bytes.length)
    const source: Readable = this.#decoder ?? this.#request
    source.off("data", this.#add).off("end", this.#finish)
    if (this.#decoder === null) return
    this.#request.off("data", this.#countEncoded).unpipe(this.#decoder)
    this.#decoder.destroy()
  }

  readonly #countEncoded = (chunk: Buffer) => {
    this.#encodedLength += chunk.length
    if (this.#encodedLength > this.#limits.bytes) this.#refuse(tooLarge(this.#limits))
  }

  readonly #add = (chunk: Buffer) => {
    if (this.#bytes.length + chunk.length > this.#limits.bytes) this.#refuse(tooLarge(this.#limits))
    else {
      const noRoom = this.#limits.room.take(this.#flow, chunk.length)
      if (noRoom === null) this.#bytes.add(chunk)
      else this.#refuse(tooManyBytes[noRoom])
    }
  }

  readonly #finish = () => {
    const bytes = this.#bytes.all()
    this.stop()
    this.#done(parseJson(bytes))
  }

  #refuse(error: BodyError): void {
    if (this.#isOver) return
    this.stop()
    this.#request.pause()
    this.#done(Either.left(error))
  }
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
