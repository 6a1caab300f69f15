// Runs a benchmark that is written in TypeScript, or another such file: node bench/run.mjs fold, or test/long/embedded.ts
import { mkdtempSync, rmSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { build } from "esbuild"

const here = dirname(fileURLToPath(import.meta.url))
const [name = "fold"] = process.argv.slice(2)
const out = mkdtempSync(join(here, ".run-"))
try {
  const entry = name.includes("/") ? resolve(name) : join(here, `${name}.ts`)
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
