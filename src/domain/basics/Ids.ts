import * as Brand from "effect/Brand"

/** A model's id as clients write it: 1 to 128 characters of `A-Z a-z 0-9 . _ : / -`, never `auto`. */
export type ModelId = string & Brand.Brand<"ModelId">
export const ModelId = Brand.refined<ModelId>(
  (s) => /^[A-Za-z0-9._:/-]{1,128}$/.test(s) && s !== "auto",
  (s) =>
    Brand.error(
      `a model id has 1 to 128 characters of A-Z a-z 0-9 . _ : / - and is not "auto", got ${JSON.stringify(s)}`
    )
)

/** The name of one shared learning state: 1 to 64 characters of `A-Z a-z 0-9 . _ : -`. */
export type RouterId = string & Brand.Brand<"RouterId">
export const RouterId = Brand.refined<RouterId>(
  (s) => /^[A-Za-z0-9._:-]{1,64}$/.test(s),
  (s) => Brand.error(`a router id has 1 to 64 characters of A-Z a-z 0-9 . _ : -, got ${JSON.stringify(s)}`)
)

/** A decision's id: a UUIDv7 (RFC 9562, section 5.7) in lower case, so its first 48 bits are its time in milliseconds. */
export type DecisionId = string & Brand.Brand<"DecisionId">
const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
export const DecisionId = Brand.refined<DecisionId>(
  (s) => uuidV7.test(s),
  (s) => Brand.error(`a decision id is a lower-case UUIDv7, got ${JSON.stringify(s)}`)
)

/** Of an id that was made here, and need not be looked at. */
export const decisionIdMade = Brand.nominal<DecisionId>()

/** How many decisions of a log come before and at a commit: 0 is before the first. Safe as a double up to 2^53. */
export type Position = number

/** A client's own request id if it can stand in a header, a log line and a row: 1 to 128 of `A-Z a-z 0-9 . _ -`. */
export const saneRequestId = (header: unknown): string | null =>
  typeof header === "string" && /^[A-Za-z0-9._-]{1,128}$/.test(header) ? header : null

const hex = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"))

/** The time of the last id as it is written: many are made within a millisecond. */
let written = { millis: Number.NaN, text: "" }

const timeText = (millis: number): string => {
  if (written.millis !== millis) {
    const time = Math.floor(millis).toString(16).padStart(12, "0")
    written = { millis, text: `${time.slice(0, 8)}-${time.slice(8)}-` }
  }
  return written.text
}

/** The UUIDv7 of `millis` (Unix time) and of the 10 random bytes from `start` on; with equal bytes the same id. */
export const uuidV7From = (millis: number, random: Uint8Array, start = 0): string => {
  const byte = (i: number) => hex[random[start + i] ?? 0] ?? "00"
  const version = hex[0x70 | ((random[start] ?? 0) & 0x0f)] ?? "70"
  const variant = hex[0x80 | ((random[start + 2] ?? 0) & 0x3f)] ?? "80"
  return `${timeText(millis)}${version}${byte(1)}-${variant}${byte(3)}-${byte(4)}${byte(5)}${byte(6)}${byte(7)}${byte(8)}${byte(9)}`
}

/** The Unix time in milliseconds that a UUIDv7 carries. */
export const uuidV7Millis = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)

/** No UUIDv7 of `millis` or later sorts below this, and all earlier ones do. */
export const uuidV7Floor = (millis: number): string => {
  const time = Math.min(2 ** 48 - 1, Math.max(0, Math.ceil(millis)))
    .toString(16)
    .padStart(12, "0")
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`
}
