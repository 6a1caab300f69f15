import { crc32 } from "node:zlib"
import { isObject, parseJson, textOf } from "../../domain/models/Json.ts"
import type { SseEvent } from "./SseParser.ts"

/** Lengths of the whole message and of its header fields, and their checksum. */
const preludeBytes = 12
const checksumBytes = 4
/** The type of a header field's value that is a text. */
const textType = 7

/** HTTP's status for what the service says inside a stream. */
const statuses: Readonly<Record<string, number>> = {
  internalServerException: 500,
  modelStreamErrorException: 502,
  modelTimeoutException: 504,
  serviceUnavailableException: 503,
  throttlingException: 429,
  validationException: 400
}

/** Fields whose value is a text; of others none is sent here. Null for fields that cannot be read. */
const fieldsOf = (bytes: Buffer): ReadonlyMap<string, string> | null => {
  const fields = new Map<string, string>()
  for (let at = 0; at < bytes.length;) {
    const name = bytes.subarray(at + 1, at + 1 + (bytes[at] ?? 0)).toString("utf8")
    at += 1 + (bytes[at] ?? 0)
    if (bytes[at] !== textType || at + 3 > bytes.length) return null
    const length = bytes.readUInt16BE(at + 1)
    fields.set(name, bytes.subarray(at + 3, at + 3 + length).toString("utf8"))
    at += 3 + length
  }
  return fields
}

/** As an event of the other streams: its type is the one member of its data, and an exception is an error. */
const eventOf = (fields: ReadonlyMap<string, string>, payload: string): SseEvent => {
  const type = fields.get(":event-type")
  if (fields.get(":message-type") === "event" && type !== undefined) {
    return { name: null, data: `{${JSON.stringify(type)}:${payload === "" ? "{}" : payload}}` }
  }
  const thrown = fields.get(":exception-type") ?? fields.get(":error-code") ?? "internalServerException"
  const said = parseJson(payload)
  const message = (isObject(said) ? textOf(said["message"]) : null) ?? fields.get(":error-message") ?? thrown
  return {
    name: "error",
    data: JSON.stringify({ error: { type: thrown, message, status: statuses[thrown] ?? 500 } })
  }
}

const damaged: SseEvent = {
  name: "error",
  data: JSON.stringify({ error: { type: "internalServerException", message: "a damaged event", status: 502 } })
}

/**
 * Reads Amazon's binary events from chunks that may be cut anywhere: big-endian lengths, header fields, a payload in JSON,
 * and checksums of the beginning and of the whole. One whose checksum is wrong is an error: nothing behind it can be read.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html, the same encoding
 */
export class AmazonEvents {
  readonly #mostBytes: number
  #rest: Buffer = Buffer.alloc(0)

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** The events that this chunk completes, or null if one is longer than the limit: then the stream cannot be read on. */
  push(chunk: Uint8Array): ReadonlyArray<SseEvent> | null {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk])
    const events: Array<SseEvent> = []
    while (this.#rest.length >= preludeBytes) {
      const length = this.#rest.readUInt32BE(0)
      if (!this.#hasSoundPrelude(length)) return [...events, damaged]
      if (length > this.#mostBytes) return null
      if (this.#rest.length < length) break
      const message = this.#rest.subarray(0, length)
      this.#rest = this.#rest.subarray(length)
      events.push(this.#read(message))
    }
    return events
  }

  /** What has begun is not whole. */
  end(): SseEvent | null {
    return null
  }

  #hasSoundPrelude(length: number): boolean {
    const fields = this.#rest.readUInt32BE(4)
    return (
      length >= preludeBytes + checksumBytes + fields &&
      crc32(this.#rest.subarray(0, preludeBytes - checksumBytes)) === this.#rest.readUInt32BE(8)
    )
  }

  #read(message: Buffer): SseEvent {
    const end = message.length - checksumBytes
    if (crc32(message.subarray(0, end)) !== message.readUInt32BE(end)) return damaged
    const payload = preludeBytes + message.readUInt32BE(4)
    const fields = fieldsOf(message.subarray(preludeBytes, payload))
    return fields === null ? damaged : eventOf(fields, message.subarray(payload, end).toString("utf8"))
  }
}
