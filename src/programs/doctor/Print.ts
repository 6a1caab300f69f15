import type { Line } from "./Check.ts"

const colours = { pass: "\u001b[32m", warn: "\u001b[33m", fail: "\u001b[31m" }
const reset = "\u001b[0m"

export const countOf = (lines: ReadonlyArray<Line>, status: Line["status"]): number =>
  lines.filter((line) => line.status === status).length

/** The checklist for people: what to do is under each line that does not pass. */
export const forPeople = (lines: ReadonlyArray<Line>, isColoured: boolean): string => {
  const width = Math.max(...lines.map(({ name }) => name.length))
  const indent = " ".repeat("pass".length + 2 + width + 2)
  const text = lines.flatMap(({ detail, name, picture, status, todo }) => [
    `${isColoured ? `${colours[status]}${status}${reset}` : status}  ${name.padEnd(width)}  ${detail}`,
    ...(picture ?? []).map((line) => `${indent}${line}`),
    ...(todo === null ? [] : [`${indent}-> ${todo}`])
  ])
  return text.join("\n")
}

export const forMachines = (lines: ReadonlyArray<Line>): string =>
  JSON.stringify({
    checks: lines.map(({ detail, name, status, todo }) => ({ name, status, detail, todo })),
    pass: countOf(lines, "pass"),
    warn: countOf(lines, "warn"),
    fail: countOf(lines, "fail")
  })
