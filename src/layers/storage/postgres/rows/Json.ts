import { storable } from "../../../../domain/basics/StorableText.ts"

/** What cannot be stored is rare, and as JSON it is escaped; `\\u0000` in a text looks the same and costs only time. */
const unstorable = /\\u(?:0000|d[89a-f])/

/** JSON for `json_to_recordset`. */
export const toJson = (rows: ReadonlyArray<unknown>): string => {
  const text = JSON.stringify(rows)
  return unstorable.test(text)
    ? JSON.stringify(rows, (_key, value: unknown) => (typeof value === "string" ? storable(value) : value))
    : text
}
