import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { described, says, storedText, TimeText } from "./Fields.ts"

const unitMillis: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const windowText = /^([1-9]\d{0,3})([smhd])$/

/** Milliseconds. */
const DurationText = Schema.transformOrFail(Schema.String, Schema.Number, {
  strict: true,
  decode: (text, _, ast) => {
    const [, count, unit] = windowText.exec(text) ?? []
    const millis = unitMillis[unit ?? ""]
    return millis === undefined
      ? ParseResult.fail(new ParseResult.Type(ast, text))
      : ParseResult.succeed(Number(count) * millis)
  },
  encode: (millis) => ParseResult.succeed(`${Math.round(millis / 1000)}s`)
}).annotations({
  ...says("must be a number of seconds, minutes, hours or days up to 9999, such as 30m, 24h or 7d"),
  jsonSchema: { type: "string", pattern: windowText.source }
})

export const groupings = ["model", "task", "step", "hour", "day"] as const
/** Of these one at most. */
const stepNames: ReadonlyArray<Grouping> = ["step", "hour", "day"]
export type Grouping = (typeof groupings)[number]
const isGrouping = Schema.is(Schema.Literal(...groupings))

/** Names separated by commas, each once, and one kind of step. */
const GroupByText = Schema.transformOrFail(Schema.String, Schema.Array(Schema.Literal(...groupings)), {
  strict: true,
  decode: (text, _, ast) => {
    const names = text.split(",").map((name) => name.trim())
    const known = names.filter(isGrouping)
    const isFine = known.length === names.length && new Set(names).size === names.length
    return isFine && known.filter((name) => stepNames.includes(name)).length <= 1
      ? ParseResult.succeed(known)
      : ParseResult.fail(new ParseResult.Type(ast, text))
  },
  encode: (names) => ParseResult.succeed(names.join(","))
}).annotations({
  ...says(
    `must be names out of ${groupings.join(", ")}, separated by commas, each at most once, and only one of ${stepNames.join(", ")}`
  ),
  jsonSchema: {
    type: "string",
    pattern: `^(${groupings.join("|")})(,(${groupings.join("|")}))*$`,
    example: "task,model"
  }
})

/** What `GET /v1/stats` is asked for. */
export const StatsQuery = Schema.Struct({
  window: described(
    DurationText,
    "How long the window is: it ends at `until`. 24h by default; excludes `from`. Without `until`, a window of more than three hours begins with the full hour before."
  ),
  from: described(TimeText, "Only decisions made at this time or later."),
  until: described(TimeText, "Only decisions made before this time; now by default."),
  model: described(storedText(128), "Only decisions that this model answered. Then there are no `savings`."),
  task: described(storedText(64), "Only decisions of this task, as their requests said."),
  interval: described(
    DurationText,
    "How long a step of `over_time` is, such as 1h: at most 1,000 steps. By default at most 100 steps of a round length. Steps of less than an hour are read decision by decision but for the last hours, which takes its time in long windows."
  ),
  group_by: described(
    GroupByText,
    "What `groups` are told apart by: `task,model` says which model gets which task, `day,model` how that changed. `step` are those of `over_time`, of which `interval` says how long they are; `hour` and `day` are the steps of `over_time` too, and exclude `interval`."
  ),
  savings: described(
    Schema.BooleanFromString.annotations({ ...says("must be true or false"), jsonSchema: { type: "boolean" } }),
    "`false` leaves the savings out: they look at each request beside each model, which takes longer than all the rest. `true` by default."
  )
})
