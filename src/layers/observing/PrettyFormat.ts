import * as Predicate from "effect/Predicate"

export type Fields = Readonly<Record<string, unknown>>

/** A line for people: the message, its fields as `name=value`, and below it what is a table or a cause. */
export const pretty = (message: string, fields: Fields, dim: (text: string) => string): string => {
  const inline: Array<string> = []
  const below: Array<string> = []
  for (const [name, value] of Object.entries(fields)) {
    if (isTable(value)) below.push(indented(table(value)))
    else if (typeof value === "string" && value.includes("\n")) below.push(indented(printable(value)))
    else inline.push(` ${name}=${scalar(value)}`)
  }
  return [`${printable(message)}${inline.length === 0 ? "" : dim(inline.join(""))}`, ...below].join("\n")
}

const isTable = (value: unknown): value is ReadonlyArray<Fields> =>
  Array.isArray(value) && value.length > 0 && value.every(Predicate.isReadonlyRecord)

const indented = (text: string) => text.replace(/^/gm, "    ")

// oxlint-disable-next-line no-control-regex -- what a terminal would obey, in a text that came from elsewhere
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g
const printable = (text: string) => text.replace(controls, "?")

const scalar = (value: unknown): string => {
  if (Array.isArray(value)) return value.map(scalar).join(",")
  if (typeof value === "number") return String(Number(value.toPrecision(Number.isInteger(value) ? 16 : 6)))
  if (Predicate.isReadonlyRecord(value)) {
    return Object.entries(value)
      .map(([name, one]) => `${name}:${scalar(one)}`)
      .join(",")
  }
  if (typeof value !== "string") return JSON.stringify(value)
  return /^[^\s"]+$/.test(value) ? printable(value) : JSON.stringify(value)
}

/** The columns of the first row; numbers at the right, to four digits. */
const table = (rows: ReadonlyArray<Fields>): string => {
  const names = Object.keys(rows[0] ?? {})
  const cells = rows.map((row) => names.map((name) => cell(row[name])))
  const widths = names.map((name, i) => Math.max(name.length, ...cells.map((row) => row[i]?.length ?? 0)))
  const isNumeric = names.map((name) => rows.some((row) => typeof row[name] === "number"))
  const line = (row: ReadonlyArray<string>) =>
    row
      .map((text, i) => (isNumeric[i] === true ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd()
  return [line(names), ...cells.map(line)].join("\n")
}

const cell = (value: unknown): string =>
  value === null || value === undefined
    ? "-"
    : typeof value === "boolean"
      ? value
        ? "yes"
        : "no"
      : typeof value === "number"
        ? String(Number(value.toPrecision(4)))
        : scalar(value)
