import type * as Schema from "effect/Schema"
import { elementTypeOf } from "./ColumnArray.ts"

/** What a table's statements know of a column, beside how its cell is read. */
export interface Stored<Source> {
  readonly sqlType: string
  /** The cell of a new row, as JSON has it; of bytes, themselves. */
  readonly cellOf: (source: Source) => unknown
  /** What is stored where `value` is to be written into the row `row`. */
  readonly stored: (value: string, row: string) => string
}

/**
 * A column is the schema of its cell and says how it is written. So a record of columns is the schema of a row, and the
 * statements that insert, change and select rows follow from it.
 */
export const columnOf =
  <Source>() =>
  <A, I>(
    sqlType: string,
    cell: Schema.Schema<A, I>,
    cellOf: Stored<Source>["cellOf"],
    stored: Stored<Source>["stored"] = (value) => value
  ): Schema.Schema<A, I> & Stored<Source> =>
    // A copy: a schema is a class, and may be the cell of other columns too.
    Object.assign(cell.annotations({}), { sqlType, cellOf, stored })

export type Columns<Source> = Readonly<Record<string, Stored<Source>>>

const each = (columns: Columns<never>, text: (name: string, column: Stored<never>) => string): string =>
  Object.entries(columns)
    .map(([name, column]) => text(name, column))
    .join(", ")

/** `json_to_recordset(...) AS x(...)`. */
export const recordset = (columns: Columns<never>): string => each(columns, (name, { sqlType }) => `${name} ${sqlType}`)

/** What is inserted of the row `x` of `unnest(...) AS x(...)`, whose arrays `arraysOf` makes. */
export const unnested = (columns: Columns<never>): string =>
  each(columns, (name, { sqlType, stored }) => {
    const sent = elementTypeOf(sqlType) === sqlType ? `x.${name}` : `x.${name}::${sqlType}`
    return stored(sent, "x")
  })

/** `INSERT INTO ... (...)`. */
export const names = (columns: Columns<never>): string => each(columns, (name) => name)

/** What is inserted of the row `x`. */
export const inserted = (columns: Columns<never>): string =>
  each(columns, (name, { stored }) => stored(`x.${name}`, "x"))

/** `UPDATE ... SET`: the cells of the row `x` take the place of those of `row`, except where they are null. */
export const changed = (columns: Columns<never>, row: string): string =>
  each(columns, (name, { stored }) => `${name} = ${stored(`coalesce(x.${name}, ${row}.${name})`, row)}`)

/** `SELECT`; int8 columns as float8, exact up to 2^53. */
export const selected = (columns: Columns<never>, row: string): string =>
  each(columns, (name, { sqlType }) => (sqlType === "bigint" ? `${row}.${name}::float8` : `${row}.${name}`))

/** A new row as an object of JSON. */
export const rowOf = <Source>(columns: Columns<Source>, source: Source): Record<string, unknown> => {
  const row: Record<string, unknown> = {}
  for (const name in columns) row[name] = columns[name]?.cellOf(source)
  return row
}
