// npm run lengths: a definition of src that no longer fits a screen is two ideas, and a closure over many variables that change
// is a state machine without a name. Where one is better whole, the comment before it says why: "Whole, because ...".
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseSync, Visitor } from "oxc-parser"
import { root } from "./bundle.mjs"

const maxLines = 70
const maxMutable = 4
const saysWhy = /\bWhole, (?:because|for|since|as)\b/

/** Text that stands between this definition and the end of the one before: its comments. */
const commentsBefore = (text, start, comments) => {
  let from = start
  const said = []
  for (const { end, start: begin, value } of comments.toReversed()) {
    if (end > from || text.slice(end, from).trim() !== "") continue
    said.unshift(value)
    from = begin
  }
  return said.join("\n").replace(/\s*\n\s*\*?\s*/g, " ")
}

const nameOf = (node) => node.declarations?.[0]?.id?.name ?? node.id?.name ?? node.type

/** The variables of a function that may change. */
const mutableIn = ({ body }) =>
  (Array.isArray(body?.body) ? body.body : [])
    .filter(({ kind, type }) => type === "VariableDeclaration" && kind === "let")
    .reduce((sum, { declarations }) => sum + declarations.length, 0)

const faultsOf = (file) => {
  const text = readFileSync(join(root, file), "utf8")
  const { comments, program } = parseSync(file, text)
  const lineOf = (offset) => text.slice(0, offset).split("\n").length
  const faults = []
  for (const statement of program.body) {
    if (saysWhy.test(commentsBefore(text, statement.start, comments))) continue
    const say = (node, what) =>
      faults.push(`${file}:${lineOf(node.start)}: ${nameOf(statement.declaration ?? statement)} ${what}`)
    const lines = lineOf(statement.end) - lineOf(statement.start) + 1
    if (lines > maxLines) say(statement, `has ${lines} lines, more than ${maxLines}`)
    const look = (node) => {
      const mutable = mutableIn(node)
      if (mutable > maxMutable) say(node, `closes over ${mutable} variables that change, more than ${maxMutable}`)
    }
    new Visitor({ ArrowFunctionExpression: look, FunctionDeclaration: look, FunctionExpression: look }).visit({
      type: "Program",
      body: [statement]
    })
  }
  return faults
}

const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".ts")
)
const faults = files.sort().flatMap((name) => faultsOf(join("src", name)))
for (const fault of faults) process.stdout.write(`${fault}\n`)
if (faults.length > 0) {
  process.stdout.write(`Split it, or say before it why it is better in one piece: "Whole, because ...".\n`)
}
process.exit(faults.length === 0 ? 0 : 1)
