import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

// What the schemas of bodies, headers and queries are made of.

/** The whole message of a refusal; the formatter's own would quote what came. */
export const says = (message: string) => ({ message: () => ({ message, override: true }) })

/** For JSON Schema; half a surrogate pair is no text to most of its tools. */
const storablePattern = "^[^\\u0000]*$"
/** PostgreSQL takes neither. */
const unstorable = /\0|\p{Surrogate}/u

/** As JSON Schema counts, so that a text of emoji is as long as it looks. */
const codePoints = (text: string): number => {
  let count = text.length
  for (let i = 0; i < text.length - 1; i++) if (isPair(text, i)) count--
  return count
}
const isPair = (text: string, at: number): boolean =>
  (text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00

/** Text that is stored or compared with what is, of so many code points at most. */
export const storedText = (maxLength: number) =>
  Schema.String.pipe(
    Schema.filter((s) => s !== "" && s.length <= 2 * maxLength && codePoints(s) <= maxLength && !unstorable.test(s), {
      jsonSchema: { minLength: 1, maxLength, pattern: storablePattern }
    })
  ).annotations(says(`must be text of 1 to ${maxLength} characters without NUL and lone surrogates`))

/** Where an object is expected and something else came; what is wrong inside an object says so itself. */
export const anObject = { message: () => "must be an object" }

export const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

export const described = <A, I>(schema: Schema.Schema<A, I>, description: string) =>
  optional(schema.annotations({ description })).annotations({ description })

const rfc3339Source =
  "^(\\d{4}-\\d{2}-\\d{2})[Tt](?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:[Zz]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)$"
/** The day is a group of its own. */
const rfc3339 = new RegExp(rfc3339Source)

/** Null unless the text is an RFC 3339 time of a day that exists. Times before 1970 are 1970: there are none here. */
const timeMillis = (text: string): number | null => {
  const upper = text.toUpperCase()
  const day = rfc3339.exec(upper)?.[1]
  const millis = Date.parse(upper)
  if (day === undefined || Number.isNaN(millis)) return null
  // Date.parse takes the 30th of February for the 2nd of March.
  return new Date(Date.parse(`${day}T00:00:00Z`)).toISOString().startsWith(day) ? Math.max(0, millis) : null
}

/** Unix time in milliseconds. */
export const TimeText = Schema.transformOrFail(Schema.String, Schema.Number, {
  strict: true,
  decode: (text, _, ast) => {
    const millis = timeMillis(text)
    return millis === null ? ParseResult.fail(new ParseResult.Type(ast, text)) : ParseResult.succeed(millis)
  },
  encode: (millis) => ParseResult.succeed(new Date(millis).toISOString())
}).annotations({
  ...says("must be an RFC 3339 time such as 2026-01-31T09:30:00Z, whose + is written %2B"),
  jsonSchema: { type: "string", format: "date-time", pattern: rfc3339Source }
})
