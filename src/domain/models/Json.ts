export type JsonObject = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const arrayOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** A text that says something. */
export const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null)

/** The text of a list of content parts, as some write what OpenAI writes as one text. */
export const partsText = (parts: unknown): string =>
  arrayOf(parts)
    .map((part) => (isObject(part) ? (textOf(part["text"]) ?? "") : ""))
    .join("")

/** The thoughts among content parts: Mistral's `{ type: "thinking", thinking: [{ type: "text", text }] }`. */
export const partsThinking = (parts: unknown): string =>
  arrayOf(parts)
    .map((part) => (isObject(part) ? (textOf(part["thinking"]) ?? partsText(part["thinking"])) : ""))
    .join("")

const byteOrderMark = "\uFEFF"

/** A byte order mark may be ignored (RFC 8259, 8.1). */
export const withoutMark = (text: string): string => (text.startsWith(byteOrderMark) ? text.slice(1) : text)

/** What the text is in JSON; undefined if it is none. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
