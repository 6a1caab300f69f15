import type { Reader } from "../../../../domain/basics/Owner.ts"
import type { Parameters } from "../Statement.ts"

/** The rows of a reader, as conditions: none where it reads all. */
export const ownedBy = (
  { add, addText }: Pick<Parameters, "add" | "addText">,
  column: string,
  { formerOwners = [], owner, readsAll }: Reader
): ReadonlyArray<string> => {
  if (readsAll === true) return []
  if (owner === null) return [`${column} IS NULL`]
  return [
    formerOwners.length === 0
      ? `${column} = ${addText(owner)}`
      : `${column} = ANY(${add("text[]", [owner, ...formerOwners])})`
  ]
}

/** The same of sums, in which no owner is an empty one. */
export const summedFor = (given: Pick<Parameters, "add" | "addText">, column: string, reader: Reader) =>
  ownedBy(given, column, { ...reader, owner: reader.owner ?? "" })
