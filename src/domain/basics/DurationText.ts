import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** The units that a duration may be written in, the largest first; each with its short forms. */
const units: ReadonlyArray<readonly [unit: Duration.Unit, millis: number, forms: ReadonlyArray<string>]> = [
  ["days", 86_400_000, ["d", "day", "days"]],
  ["hours", 3_600_000, ["h", "hour", "hours"]],
  ["minutes", 60_000, ["m", "min", "minute", "minutes"]],
  ["seconds", 1000, ["s", "sec", "second", "seconds"]],
  ["millis", 1, ["ms", "milli", "millis", "millisecond", "milliseconds"]]
]

const millisOf = new Map(units.flatMap(([, millis, forms]) => forms.map((form) => [form, millis] as const)))

/** Reads `30 seconds`, `5m`, `1h 30m`, `500ms`, or a plain number of seconds; none for anything else. */
export const durationFromText = (text: string): Option.Option<Duration.Duration> => {
  if (/^\d+(\.\d+)?$/.test(text)) return Option.some(Duration.seconds(Number(text)))
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)\s*/gi)]
  const isWhole = parts.map(([part]) => part).join("") === text
  if (!isWhole || parts.length === 0) return Option.none()
  return Option.map(
    Option.all(
      parts.map(([, count, form]) =>
        Option.map(Option.fromNullable(millisOf.get(form?.toLowerCase() ?? "")), (millis) => Number(count) * millis)
      )
    ),
    (all) => Duration.millis(all.reduce((sum, millis) => sum + millis, 0))
  )
}

/** In the largest unit that it is a whole number of: `10 minutes`, `90 seconds`, `1500 millis`; `0` for none. */
export const durationText = (duration: Duration.Duration): string => {
  const total = Duration.toMillis(duration)
  if (total === 0) return "0"
  const [unit, millis] = units.find(([, size]) => total % size === 0) ?? ["millis" as const, 1]
  const count = total / millis
  return `${count} ${count === 1 ? unit.slice(0, -1) : unit}`
}
