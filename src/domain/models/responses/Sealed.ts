import { arrayOf, isObject, type JsonObject, textOf } from "../Json.ts"
import { sourceOf } from "../RequestText.ts"

// Thoughts that only the upstream which sealed them can read: outside they have its name before them, so that they go back
// to it and to nobody else.

/** Before all that is not an upstream's own text. */
const mark = "conduit."
const tagOf = (provider: string): string => `${mark}2.${Buffer.from(provider, "utf8").toString("base64url")}.`

/** The item as clients get it. */
export const sealedBy = (item: unknown, provider: string): unknown => {
  if (!isObject(item)) return item
  const sealed = textOf(item["encrypted_content"])
  return sealed === null ? item : { ...item, encrypted_content: `${tagOf(provider)}${sealed}` }
}

/** An item that is sealed for somebody else is null; one that nobody marked came from elsewhere and goes on as it is. */
const unsealedFor = (item: unknown, tag: string): unknown => {
  const sealed = isObject(item) ? textOf(item["encrypted_content"]) : null
  if (!isObject(item) || sealed === null || !sealed.startsWith(mark)) return item
  return sealed.startsWith(tag) ? { ...item, encrypted_content: sealed.slice(tag.length) } : null
}

/** The input as its upstream gets it, in JSON; null where nothing changes. */
export const inputFor = (body: JsonObject, provider: string): string | null => {
  if (!Array.isArray(body["input"]) || !sourceOf(body).includes(`"${mark}`)) return null
  const tag = tagOf(provider)
  return JSON.stringify(
    arrayOf(body["input"])
      .map((item) => unsealedFor(item, tag))
      .filter((item) => item !== null)
  )
}
