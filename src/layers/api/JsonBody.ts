import * as Either from "effect/Either"
import { isUtf8 } from "node:buffer"
import { rememberSource } from "../../domain/models/RequestText.ts"
import { BodyTooLarge, MalformedBody } from "./HttpErrors.ts"

/** Deeper JSON is refused before it is parsed: what walks it later may be recursive. */
const maxDepth = 128
/** As many values take some 100 ms to parse and check, during which nothing else is served. */
const maxValues = 250_000

/** Parses a body that is JSON in UTF-8, within the limits of what may be walked later. */
export const parseJson = (bytes: Buffer): Either.Either<unknown, MalformedBody | BodyTooLarge> => {
  const malformed = (detail: string) => Either.left(new MalformedBody({ detail }))
  if (!isUtf8(bytes)) return malformed("the body is not UTF-8")
  const text = withoutMark(bytes.toString("utf8"))
  const { depth, values } = shapeOf(text)
  if (depth > maxDepth) return malformed(`the body is nested deeper than ${maxDepth} levels`)
  if (values > maxValues) return Either.left(new BodyTooLarge({ limit: maxValues, unit: "JSON values" }))
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // V8's own message quotes the body.
    return malformed("the body is not valid JSON")
  }
  if (mayNamePrototype(text) && namesPrototype(value)) {
    return malformed(`the body has a key ${JSON.stringify(prototypeKey)}, which is refused: it names a prototype`)
  }
  rememberSource(value, text)
  return Either.right(value)
}

/** RFC 8259, 8.1: a byte order mark may be ignored. */
const withoutMark = (text: string): string => (text.charCodeAt(0) === 0xfeff ? text.slice(1) : text)

/** How deep the text nests, and at most how many values it has, counted until one of them is too much. */
const shapeOf = (text: string): { readonly depth: number; readonly values: number } => {
  let depth = 0
  let deepest = 0
  let values = 1
  for (let i = 0; i < text.length && deepest <= maxDepth && values <= maxValues; i++) {
    const c = text.charCodeAt(i)
    if (c === 0x2c) values++
    else if (c === 0x5b || c === 0x7b) {
      values++
      depth++
      if (depth > deepest) deepest = depth
    } else if (c === 0x5d || c === 0x7d) {
      depth--
    } else if (c === 0x22) {
      i = endOfString(text, i)
      if (i === -1) break
    }
  }
  return { depth: deepest, values }
}

const quote = '"'

/** Index of the quote that closes the string opened at `start`, or -1. */
const endOfString = (text: string, start: number): number => {
  let end = text.indexOf(quote, start + 1)
  while (end !== -1) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++
    if (backslashes % 2 === 0) return end
    end = text.indexOf(quote, end + 1)
  }
  return -1
}

const prototypeKey = "__proto__"
/** One of its letters, written as an escape. */
const escapedLetter = /\\u00(?:5f|70|72|6f|74)/i

const mayNamePrototype = (text: string): boolean =>
  text.includes(prototypeKey) || (text.includes("\\u00") && escapedLetter.test(text))

/** An assignment to such a key would give an object members that nobody has checked. */
const namesPrototype = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return false
  if (Array.isArray(value)) return value.some(namesPrototype)
  return Object.hasOwn(value, prototypeKey) || Object.values(value).some(namesPrototype)
}
