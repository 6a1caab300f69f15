export type JsonObject = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const arrayOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** A text that says something. */
export const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null)

/** How many members an object has. */
export const membersIn = (object: JsonObject): number => {
  let count = 0
  for (const _ in object) count++
  return count
}

/** The same of all objects in a value that was parsed. */
export const membersInAll = (value: unknown): number => {
  if (typeof value !== "object" || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const element of arrayOf(value)) if (typeof element === "object") count += membersInAll(element)
    return count
  }
  if (!isObject(value)) return 0
  for (const name in value) {
    count++
    const inner = value[name]
    if (typeof inner === "object") count += membersInAll(inner)
  }
  return count
}

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
