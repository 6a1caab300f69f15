import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

// What the schemas of bodies, headers and queries are made of.

/** The whole message of a refusal; the formatter's own would quote what came. */
export const says = (message: string) => ({ message: () => ({ message, override: true }) })

/** Text that is stored or compared with what is: PostgreSQL takes neither NUL nor half a surrogate pair. */
export const storedText = (maxLength: number) =>
  Schema.String.pipe(
    Schema.minLength(1),
    Schema.maxLength(maxLength),
    Schema.filter((s) => !s.includes("\0") && !/\p{Surrogate}/u.test(s), { jsonSchema: {} })
  ).annotations(says(`must be text of 1 to ${maxLength} characters without NUL and lone surrogates`))

/** Where an object is expected and something else came; what is wrong inside an object says so itself. */
export const anObject = { message: () => "must be an object" }

export const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

export const described = <A, I>(schema: Schema.Schema<A, I>, description: string) =>
  optional(schema.annotations({ description })).annotations({ description })

/** The day is a group of its own. */
const rfc3339 = /^(\d{4}-\d{2}-\d{2})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/

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
  jsonSchema: { type: "string", format: "date-time" }
})
