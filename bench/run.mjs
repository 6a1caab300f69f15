// Runs a benchmark that is written in TypeScript, or another such file: node bench/run.mjs fold, or test/long/embedded.ts
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { build } from "esbuild"

const here = dirname(fileURLToPath(import.meta.url))
const [name = "--help"] = process.argv.slice(2)
const entry = name.includes("/") ? resolve(name) : join(here, `${name}.ts`)

/** The comment with which a file begins, as one line. */
const saidOf = (file) => {
  const lines = readFileSync(join(here, file), "utf8").split("\n")
  const end = lines.findIndex((line) => !line.startsWith("//"))
  return lines
    .slice(0, end)
    .map((line) => line.slice(3))
    .join(" ")
}

if (!existsSync(entry)) {
  const isAsked = name === "--help" || name === "-h"
  const files = readdirSync(here).filter((file) => file.endsWith(".ts"))
  const list = files.map((file) => `  ${basename(file, ".ts").padEnd(10)} ${saidOf(file)}`).join("\n")
  const usage = `node bench/run.mjs NAME [ARGUMENTS], for example: node bench/run.mjs gateway 7 2\n\n${list}\n`
  if (isAsked) process.stdout.write(usage)
  else process.stderr.write(`There is no benchmark ${name}.\n\n${usage}`)
  process.exit(isAsked ? 0 : 1)
}

const out = mkdtempSync(join(here, ".run-"))
try {
  const outfile = join(out, `${basename(entry, ".ts")}.mjs`)
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    packages: "external"
  })
  await import(pathToFileURL(outfile).href)
} finally {
  rmSync(out, { recursive: true, force: true })
}
