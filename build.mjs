// Builds dist/: the library and its types by tsc, dist/bin/conduit.js bundled, because a bundle starts in a third of
// the time, and the dashboard beside it. `--if-needed` does nothing when dist is newer than every source,
// `--if-absent` when there is one; `--program` leaves the library out.
import { execFileSync } from "node:child_process"
import { readdirSync, rmSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { bundleInto, root } from "./scripts/bundle.mjs"

const require = createRequire(import.meta.url)
const at = (...parts) => join(root, ...parts)

const modified = (path) => {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return 0
  return stats.isDirectory()
    ? Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => modified(join(path, name))))
    : stats.mtimeMs
}

const inputs = [
  "src",
  "dashboard",
  "package-lock.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "build.mjs",
  "scripts/bundle.mjs",
  "scripts/dashboard.mjs",
  "scripts/undici.mjs"
]
const isFresh = () => {
  const built = modified(at("dist", "bin", "conduit.js"))
  return built > 0 && inputs.every((input) => modified(at(input)) <= built)
}

const isBuilt = () => modified(at("dist", "bin", "conduit.js")) > 0
const isDone =
  (process.argv.includes("--if-needed") && isFresh()) || (process.argv.includes("--if-absent") && isBuilt())
if (!isDone) {
  process.stderr.write("building dist ...\n")
  rmSync(at("dist"), { recursive: true, force: true })
  if (!process.argv.includes("--program")) {
    const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc")
    execFileSync(process.execPath, [tsc, "-p", at("tsconfig.build.json")], { stdio: "inherit" })
  }
  const { build } = await import("esbuild")
  const { dashboardInto } = await import("./scripts/dashboard.mjs")
  await Promise.all([build(bundleInto(at("dist", "bin"))), dashboardInto(at("dist", "bin"))])
}
