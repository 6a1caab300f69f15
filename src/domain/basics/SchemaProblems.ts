import * as ParseResult from "effect/ParseResult"
import { nearestName } from "./NearestName.ts"

/** An annotation: a wrong value is shown with what would be right. */
export const must = (right: string) => ({
  message: (issue: ParseResult.ParseIssue) => ({
    message: `${shown(issue.actual)} is not right: ${right}`,
    override: true
  })
})

/** The same for values that may hold secrets. */
export const mustSecretly = (right: string) => ({
  message: () => ({ message: `its value (not shown) is not right: ${right}`, override: true })
})

const shown = (value: unknown): string =>
  value === undefined
    ? "nothing"
    : typeof value === "number"
      ? String(value)
      : (JSON.stringify(value)?.slice(0, 100) ?? typeof value)

/** All problems of what a person wrote, a line each with its path; a misspelt key with the one that was meant. */
export const problemsOf = (error: ParseResult.ParseError): ReadonlyArray<string> =>
  ParseResult.ArrayFormatter.formatErrorSync(error).map(explain)

const pathOf = (path: ReadonlyArray<PropertyKey>) =>
  path.map((key, i) => (typeof key === "number" ? `[${key}]` : `${i === 0 ? "" : "."}${String(key)}`)).join("")

const explain = (issue: ParseResult.ArrayFormatterIssue): string => {
  const path = pathOf(issue.path)
  if (issue._tag === "Missing") return `${path}: is missing`
  if (issue._tag !== "Unexpected") return `${path === "" ? "the file" : path}: ${issue.message}`
  const known = [...issue.message.matchAll(/"([^"]+)"/g)].flatMap(([, key]) => (key === undefined ? [] : [key]))
  const nearest = nearestName(String(issue.path.at(-1)), known)
  return `${path}: is not a key here${nearest === null ? `; there are ${known.join(", ")}` : `: did you mean ${nearest}?`}`
}
