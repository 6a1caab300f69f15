import type * as SqlClient from "@effect/sql/SqlClient"
import { storable } from "../../../domain/basics/StorableText.ts"

/** A text with its parameters. */
export interface Statement {
  readonly text: string
  readonly values: ReadonlyArray<unknown>
}

/** Numbers parameters as they come. */
export const parameters = () => {
  const values: Array<unknown> = []
  const add = (type: string, value: unknown): string => {
    values.push(value)
    return `$${values.length}::${type}`
  }
  /** Several at once, in their order. */
  const addAll = (parameters: ReadonlyArray<{ readonly type: string; readonly bytes: Buffer }>): string => {
    let text = ""
    for (const { bytes, type } of parameters) {
      values.push(bytes)
      text += `${text === "" ? "" : ", "}$${values.length}::${type}`
    }
    return text
  }
  return { values, add, addAll, addText: (value: string): string => add("text", storable(value)) }
}

export type Parameters = ReturnType<typeof parameters>

export const run = (sql: SqlClient.SqlClient, { text, values }: Statement) => sql.unsafe(text, values)
