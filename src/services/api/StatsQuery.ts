import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { described, says, storedText, TimeText } from "./Fields.ts"

const unitMillis: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 }
const windowText = /^([1-9]\d{0,3})([mhd])$/

/** Milliseconds. */
const WindowText = Schema.transformOrFail(Schema.String, Schema.Number, {
  strict: true,
  decode: (text, _, ast) => {
    const [, count, unit] = windowText.exec(text) ?? []
    const millis = unitMillis[unit ?? ""]
    return millis === undefined
      ? ParseResult.fail(new ParseResult.Type(ast, text))
      : ParseResult.succeed(Number(count) * millis)
  },
  encode: (millis) => ParseResult.succeed(`${Math.round(millis / 60_000)}m`)
}).annotations({
  ...says("must be a number of minutes, hours or days up to 9999, such as 30m, 24h or 7d"),
  jsonSchema: { type: "string", pattern: windowText.source, default: "24h" }
})

/** What `GET /v1/stats` is asked for. */
export const StatsQuery = Schema.Struct({
  window: described(WindowText, "How long the window is: it ends at `until`. 24h by default; excludes `from`."),
  from: described(TimeText, "Only decisions made at this time or later."),
  until: described(TimeText, "Only decisions made before this time; now by default."),
  model: described(storedText(128), "Only decisions that this model answered. Then there are no `savings`."),
  task: described(storedText(64), "Only decisions of this task, as their requests said.")
})
