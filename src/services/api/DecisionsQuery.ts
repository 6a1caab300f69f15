import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { Reason } from "../../domain/Decision.ts"
import { DecisionId } from "../../domain/Ids.ts"
import { described, says, storedText } from "./Fields.ts"

const reasons = [
  "best",
  "explore",
  "pinned",
  "session",
  "only_eligible",
  "fallback",
  "control",
  "static"
] as const satisfies ReadonlyArray<Reason>

const outcomes = ["ok", "failed", "aborted", "pending"] as const

const oneOf = <A extends readonly [string, ...Array<string>]>(names: A) =>
  Schema.Literal(...names).annotations(says(`must be one of ${names.join(", ")}`))

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
const TimeText = Schema.transformOrFail(Schema.String, Schema.Number, {
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

const mostDecisions = 200
const LimitText = Schema.transformOrFail(Schema.String, Schema.Number, {
  strict: true,
  decode: (text, _, ast) => {
    const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0
    return limit >= 1 && limit <= mostDecisions
      ? ParseResult.succeed(limit)
      : ParseResult.fail(new ParseResult.Type(ast, text))
  },
  encode: (limit) => ParseResult.succeed(String(limit))
}).annotations({
  ...says(`must be a whole number from 1 to ${mostDecisions}`),
  jsonSchema: { type: "integer", minimum: 1, maximum: mostDecisions, default: 50 }
})

/** What `GET /v1/decisions` is asked for; what is not said is not filtered by. */
export const DecisionsQuery = Schema.Struct({
  model: described(storedText(128), "The model that answered."),
  from: described(TimeText, "Made at this time or later."),
  until: described(TimeText, "Made before this time."),
  user_id: described(storedText(256), "As the request said."),
  task: described(storedText(64), "As the request said."),
  algorithm: described(storedText(64), "Of the policy that decided."),
  reason: described(oneOf(reasons), "Why the model was chosen."),
  outcome: described(oneOf(outcomes), "`pending`: nobody has reported on a decision of `/v1/route` yet."),
  limit: described(LimitText, "How many at most; 50 by default."),
  cursor: described(
    Schema.String.pipe(Schema.fromBrand(DecisionId)).annotations(says("must be the next_cursor of a list")),
    "`next_cursor` of the page before."
  )
})
