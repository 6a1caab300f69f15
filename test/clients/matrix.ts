import { cases, columns } from "./cases.ts"
import { type Client, clients, versionOf } from "./clients.ts"

// The table of docs/clients.md, made of what the cases and the clients' flaws say; the runs hold both to what is seen.

const flawsIn = ({ flaws }: Client, column: string) =>
  cases.filter((one) => one.column === column && flaws[one.name] !== undefined)

const cell = (client: Client, column: string) => (flawsIn(client, column).length === 0 ? "✓" : "✗")

const row = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`

const nameOf = (client: Client) => `${client.title} ${versionOf(client)}`

const table = (): ReadonlyArray<string> => [
  row(["client", ...columns]),
  row(["---", ...columns.map(() => "---")]),
  ...clients.map((client) =>
    row([`${nameOf(client)}, ${client.language}`, ...columns.map((name) => cell(client, name))])
  )
]

/** What a client does wrong is said once, with all the cases in which it is seen. */
const flawsOf = (client: Client): ReadonlyArray<string> => {
  const byWhy = new Map<string, ReadonlyArray<string>>()
  for (const [name, { why }] of Object.entries(client.flaws)) byWhy.set(why, [...(byWhy.get(why) ?? []), name])
  return [...byWhy].map(([why, names]) => `- **${nameOf(client)}** (${names.join(", ")}): ${why}.`)
}

export const start = "<!-- clients -->"
export const end = "<!-- /clients -->"

/** The page with the table as it is now. */
export const written = (page: string): string => {
  const [before, rest] = page.split(start)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`the page has no ${start} and ${end}`)
  const flaws = clients.flatMap(flawsOf)
  return `${before}${start}\n${[...table(), "", ...flaws].join("\n")}\n${end}${after}`
}
