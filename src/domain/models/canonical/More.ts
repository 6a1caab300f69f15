import type { JsonObject } from "../Json.ts"
import type { Conversation, NativeTool, ProtocolName } from "./Conversation.ts"

/** Values that say what not saying it means too: to leave them out changes nothing. */
const neutral: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  frequency_penalty: [0],
  logprobs: [false],
  n: [1],
  presence_penalty: [0],
  service_tier: ["auto", "default"],
  store: [false],
  top_logprobs: [0]
}

const isNeutral = (name: string, value: unknown): boolean => {
  if (name === "stream_options" || name === "includeThoughts") return true
  if (typeof value === "object" && value !== null && Object.keys(value).length === 0) return true
  return neutral[name]?.includes(value) === true
}

/**
 * What goes on of members that have no place in the canonical form: those that both protocols have under one name, and what
 * the request's own protocol does not know. The others are named.
 */
export const carried = (
  { more, of, unknown }: Conversation,
  shared: Readonly<Partial<Record<ProtocolName, ReadonlyArray<string>>>>
): { readonly members: JsonObject; readonly adjusted: ReadonlyArray<string> } => {
  const both = shared[of] ?? []
  const kept = Object.entries(more).filter(([name]) => both.includes(name))
  const left = Object.entries(more).filter(([name, value]) => !both.includes(name) && !isNeutral(name, value))
  return {
    members: { ...unknown, ...Object.fromEntries(kept) },
    adjusted: left.map(([name]) => `${name}->none`)
  }
}

/** A tool that clients offer whatever the upstream, and answers do without: Codex cannot leave its web search out. */
export const isSpare = ({ of, value }: NativeTool): boolean =>
  of === "responses" && typeof value["type"] === "string" && value["type"].startsWith("web_search")
