import { isObject, type JsonObject, parseJson } from "../models/Json.ts"

type Headers = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** Of text that is stored and compared with what is; others are no names. */
const name = (value: unknown): string | null =>
  typeof value === "string" &&
  value !== "" &&
  value.length <= 256 &&
  !value.includes("\0") &&
  !/\p{Surrogate}/u.test(value)
    ? value
    : null

/** Claude Code's: JSON text with the session among others. */
const ofUser = (metadata: unknown): string | null => {
  const user = isObject(metadata) ? metadata["user_id"] : undefined
  const inside = typeof user === "string" && user.startsWith("{") ? parseJson(user) : undefined
  return isObject(inside) ? name(inside["session_id"]) : null
}

/**
 * The session that a client names by a mark of its own, in this order: `x-session-id`, `x-session-affinity` (opencode),
 * `session-id`, `thread-id`, `prompt_cache_key` (Codex), `x-claude-code-session-id`, `metadata.user_id` (Claude Code),
 * `session_id` (OpenRouter's). Null if there is none; what is no usable name is none.
 */
export const sessionMark = (headers: Headers, body: JsonObject): string | null =>
  name(headers["x-session-id"]) ??
  name(headers["x-session-affinity"]) ??
  name(headers["session-id"]) ??
  name(headers["thread-id"]) ??
  name(body["prompt_cache_key"]) ??
  name(headers["x-claude-code-session-id"]) ??
  ofUser(body["metadata"]) ??
  name(body["session_id"])
