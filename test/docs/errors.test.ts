import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"

const read = (path: string) => Fs.readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

/** Where a `code` of the envelope comes from. */
const sources = ["src/layers/api/ErrorTable.ts", "src/domain/routing/Fault.ts"].map(read).join("\n")

/** Each code with the statuses that stand beside it in the source; none where the status is computed. */
const codes = (): ReadonlyMap<string, ReadonlySet<string>> => {
  const found = new Map<string, Set<string>>()
  const note = (code: string, status: string | undefined) => {
    const statuses = found.get(code) ?? new Set<string>()
    if (status !== undefined) statuses.add(status)
    found.set(code, statuses)
  }
  for (const [, code] of sources.matchAll(/\b(?:unavailable|leaving)\("(\w+)"/g)) note(code ?? "", "503")
  for (const [, status, code] of sources.matchAll(/\b(?:invalid|closing|ownFault)\((\d{3}), "(\w+)"/g))
    note(code ?? "", status)
  for (const [, status, code] of sources.matchAll(/status: (\d{3}),[^{}]*?code: "(\w+)"/g)) note(code ?? "", status)
  for (const [, code] of sources.matchAll(/code: "(\w+)"/g)) note(code ?? "", undefined)
  for (const [, code] of sources.matchAll(/: \["\w+", "(\w+)"\]/g)) note(code ?? "", undefined)
  for (const [, code] of sources.matchAll(/\?\? \["\w+", "(\w+)"\]/g)) note(code ?? "", undefined)
  for (const [, code] of sources.matchAll(/invalid\([^()"]*, "(\w+)"/g)) note(code ?? "", undefined)
  return found
}

const rows = read("docs/errors.md")
  .split("\n")
  .flatMap((line) => {
    const [, code, status, what, remedy] = /^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/.exec(line) ?? []
    return status === undefined || !/\d/.test(status) || code === undefined ? [] : [{ code, status, what, remedy }]
  })

describe("docs/errors.md", () => {
  it("has every code that the service answers with, and no other", () => {
    const known = codes()
    assert.isAbove(known.size, 30)
    assert.deepStrictEqual(rows.map(({ code }) => code).sort(), [...known.keys()].sort())
  })

  it("has the statuses that the code has", () => {
    const known = codes()
    for (const { code, status } of rows) {
      for (const expected of known.get(code) ?? []) assert.include(status, expected, code)
    }
  })
})
