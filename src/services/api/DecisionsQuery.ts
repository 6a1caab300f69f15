import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { reasons } from "../../domain/routing/Decision.ts"
import { outcomeKinds } from "../../domain/routing/Outcome.ts"
import { DecisionId } from "../../domain/basics/Ids.ts"
import { described, says, storedText, TimeText } from "./Fields.ts"

const oneOf = <A extends readonly [string, ...Array<string>]>(names: A) =>
  Schema.Literal(...names).annotations(says(`must be one of ${names.join(", ")}`))

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
  outcome: described(oneOf(outcomeKinds), "`pending`: nobody has reported on a decision of `/v1/route` yet."),
  limit: described(LimitText, "How many at most; 50 by default."),
  cursor: described(
    Schema.String.pipe(Schema.fromBrand(DecisionId)).annotations({
      ...says("must be the next_cursor of a list"),
      jsonSchema: { type: "string", pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$" }
    }),
    "`next_cursor` of the page before."
  )
})
