import * as Schema from "effect/Schema"

const number = (description: string) => Schema.Number.annotations({ description })

const Period = (description: string) =>
  Schema.NullOr(
    Schema.Struct({
      limit_usd: number("What may be spent in it."),
      spent_usd: number("By stored rows, by all replicas together."),
      left_usd: number("What is neither spent nor put aside, 0 or above."),
      resets_at: Schema.String.annotations({
        description: "When the next one begins.",
        jsonSchema: { type: "string", format: "date-time" }
      })
    })
  ).annotations({ description })

const BudgetEntry = Schema.Struct({
  subject: Schema.Literal("router", "key").annotations({ description: "Whose it is." }),
  name: Schema.String.annotations({ description: "Of the router, or of the key." }),
  day: Period("Of this UTC day; null without a limit a day."),
  month: Period("Of this UTC month; null without a limit a month."),
  reserved_usd: number("Put aside: for requests under way, and lent to replicas for the next ones."),
  paced: Schema.Boolean.annotations({ description: "It is spread over its period." }),
  pacing: Schema.NullOr(
    Schema.Struct({
      usd_per_request: number("What a request may cost, so that the budget lasts until its period ends."),
      score_per_usd: number(
        "What a score loses for each USD that an answer is expected to cost: 0 while no more is spent than the budget allows."
      ),
      score_per_request: number("What it loses for an answer that costs `usd_per_request`.")
    })
  ).annotations({
    description: "What this replica's last choice was charged. Null where it is not paced, or nothing was chosen yet."
  })
}).annotations({ identifier: "Budget" })

export const BudgetList = Schema.Struct({
  object: Schema.Literal("list"),
  data: Schema.Array(BudgetEntry)
}).annotations({ identifier: "BudgetList" })
export type BudgetList = typeof BudgetList.Type
