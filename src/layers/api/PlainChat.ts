import { isObject } from "../../domain/models/Json.ts"

/** What routing reads of a chat request without options of ours. */
export interface PlainChat {
  readonly messages: ReadonlyArray<{ readonly role: string; readonly content?: unknown }>
  readonly model?: string
  readonly stream?: boolean | null
  readonly max_tokens?: number | null
  readonly max_completion_tokens?: number | null
  readonly conduit?: never
}

const maxInt = 2_147_483_647

const isPart = (part: unknown): boolean => isObject(part) && typeof part["type"] === "string"

const isMessage = (message: unknown): boolean => {
  if (!isObject(message) || typeof message["role"] !== "string") return false
  const { content } = message
  if (typeof content === "string" || content === null || content === undefined) return true
  return Array.isArray(content) && content.every(isPart)
}

const isLimit = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= maxInt)

/**
 * Whether a parsed body is certainly what `ChatRequest` takes, and no options of ours are in it: most requests are, and the
 * schema, which copies what it decodes, is left to the others and to what is wrong.
 */
export const isPlainChat = (body: unknown): body is PlainChat => {
  if (!isObject(body) || body["conduit"] !== undefined) return false
  const { max_completion_tokens: mostNew, max_tokens: most, messages, model, stream } = body
  return (
    Array.isArray(messages) &&
    messages.length > 0 &&
    messages.every(isMessage) &&
    (model === undefined || typeof model === "string") &&
    (stream === undefined || stream === null || typeof stream === "boolean") &&
    isLimit(most) &&
    isLimit(mostNew)
  )
}
