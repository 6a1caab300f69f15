import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import { arrayOf, isObject, parseJson, textOf } from "../Json.ts"
import { protocolNames, type ThinkingPart } from "./Conversation.ts"
import { saying } from "./Reading.ts"

// Thoughts of one protocol on their way through another, which has a place for a text that clients send back as it came.

/** What such a text begins with: no upstream makes one, and none may get it. */
export const sealMark = "conduit.1."

const isProtocol = (of: unknown): of is ThinkingPart["of"] => protocolNames.some((name) => name === of)

/** Words, signatures and seals of thoughts, and whose they are, as one text. */
export const seal = (parts: ReadonlyArray<ThinkingPart>): string => {
  const inner = parts.map(({ of, sealed, signature, text }) => saying({ of, sealed, signature, text }))
  return sealMark + Encoding.encodeBase64Url(JSON.stringify(inner))
}

const thinkingIn = (inner: unknown): ReadonlyArray<ThinkingPart> => {
  if (!isObject(inner) || !isProtocol(inner["of"])) return []
  return [
    {
      type: "thinking",
      text: textOf(inner["text"]) ?? "",
      signature: textOf(inner["signature"]),
      sealed: textOf(inner["sealed"]),
      of: inner["of"]
    }
  ]
}

/** The thoughts in such a text; null for one that somebody else made. */
export const unseal = (text: string): ReadonlyArray<ThinkingPart> | null => {
  if (!text.startsWith(sealMark)) return null
  const inner = parseJson(Either.getOrElse(Encoding.decodeBase64UrlString(text.slice(sealMark.length)), () => ""))
  return isObject(inner) ? thinkingIn(inner) : arrayOf(inner).flatMap(thinkingIn)
}
