import type { ContentBlockParam } from "@anthropic-ai/sdk/resources/messages/messages"
import type { CacheMark, CallPart, FilePart, ImagePart } from "../canonical/Conversation.ts"
import { saying } from "../canonical/Reading.ts"
import { isObject, type JsonObject, parseJson } from "../Json.ts"

// Blocks of content that requests and answers have alike.

type BlockType = ContentBlockParam["type"]

/** A block, whose type is one of the vendor's. */
export const block = (type: BlockType, members: JsonObject, cache: CacheMark | null = null): JsonObject => ({
  type,
  ...saying(members),
  ...(cache === null ? {} : { cache_control: cacheBody(cache) })
})

export const cacheBody = ({ ttl }: CacheMark): JsonObject => ({ type: "ephemeral", ...(ttl === null ? {} : { ttl }) })

/** Anthropic refuses ids of other characters, as some upstreams of chats make them. */
export const callId = (id: string): string => id.replace(/[^A-Za-z0-9_-]/g, "_")

/** The arguments are an object there; what is none, as of a call that was cut, stays readable in one. */
export const inputOf = ({ input, kind }: CallPart): JsonObject => {
  if (kind === "custom") return { input }
  if (input.trim() === "") return {}
  const parsed = parseJson(input)
  return isObject(parsed) ? parsed : { arguments: input }
}

/** Null where such an upstream has no way to get it. */
export const sourceBody = (source: ImagePart["source"] | FilePart["source"]): JsonObject | null => {
  switch (source.type) {
    case "url":
      return { type: "url", url: source.url }
    case "data":
      return { type: "base64", media_type: source.mediaType, data: source.base64 }
    case "text":
      return { type: "text", media_type: "text/plain", data: source.text }
    case "file":
      return source.of === "messages" ? { type: "file", file_id: source.id } : null
  }
}
