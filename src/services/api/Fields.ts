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
  optional(schema.annotations({ description }))
