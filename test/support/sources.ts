import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "../..")

/** Every source file, by its path in the repository. */
export const sources = (): ReadonlyMap<string, string> => {
  const files = Fs.readdirSync(Path.join(root, "src"), { recursive: true, encoding: "utf8" })
  return new Map(
    files
      .filter((file) => file.endsWith(".ts"))
      .map((file): [string, string] => [`src/${file}`, Fs.readFileSync(Path.join(root, "src", file), "utf8")])
  )
}

/** Every metric that the code defines. */
export const metricNames = (): ReadonlyArray<string> => {
  const definition =
    /(?:Metric\.\w+|counter|gauge|histogram|(?:counter|gauge)Reader)\(\s*"((?:conduit|process|nodejs)_\w+)"/g
  const found = [...sources().values()].flatMap((text) => [...text.matchAll(definition)].map(([, name]) => name ?? ""))
  return [...new Set(found)]
}

export interface LogCall {
  readonly file: string
  readonly level: string
  /** With `…` for what is filled in. */
  readonly message: string
}

/** Every message that a call of `Effect.logInfo` and its like has in its arguments. */
export const logCalls = (): ReadonlyArray<LogCall> =>
  [...sources()].flatMap(([file, text]) =>
    [...text.matchAll(/Effect\.log(Debug|Info|Warning|Error)\(/g)].flatMap((match) =>
      literals(text, match.index + match[0].length).map((message) => ({
        file,
        level: (match[1] ?? "").toUpperCase(),
        message
      }))
    )
  )

/** The texts up to the parenthesis that closes the call; those that `+` joins are one. */
const literals = (text: string, start: number): ReadonlyArray<string> => {
  const found: Array<string> = []
  let end = start
  for (let at = start, depth = 1; depth > 0 && at < text.length;) {
    const char = text[at] ?? ""
    if (`"'\``.includes(char)) {
      const literal = literalAt(text, at)
      const isJoined = found.length > 0 && text.slice(end, at).trim() === "+"
      if (isJoined) found.push(`${found.pop() ?? ""}${literal.content}`)
      else found.push(literal.content)
      at = end = literal.end
      continue
    }
    if ("([{".includes(char)) depth++
    if (")]}".includes(char)) depth--
    at++
  }
  return found
}

/** A string or template that begins there, with `…` for each `${}`. */
const literalAt = (text: string, start: number): { readonly content: string; readonly end: number } => {
  const quote = text[start]
  let content = ""
  let at = start + 1
  while (at < text.length && text[at] !== quote) {
    if (quote === "`" && text.startsWith("${", at)) {
      content += "…"
      at = afterHole(text, at + 2)
    } else {
      if (text[at] === "\\") at++
      content += text[at] ?? ""
      at++
    }
  }
  return { content, end: at + 1 }
}

const afterHole = (text: string, start: number): number => {
  let at = start
  for (let depth = 1; depth > 0 && at < text.length;) {
    const char = text[at] ?? ""
    if (`"'\``.includes(char)) {
      at = literalAt(text, at).end
      continue
    }
    if (char === "{") depth++
    if (char === "}") depth--
    at++
  }
  return at
}
