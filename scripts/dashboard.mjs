// How the dashboard is made: one page that has all that it needs in it, which the service serves at `/`.
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { build } from "esbuild"
import { root } from "./bundle.mjs"

const from = (...parts) => join(root, "dashboard", ...parts)

const bundled = async (options) => {
  const { outputFiles } = await build({
    bundle: true,
    minify: true,
    write: false,
    platform: "browser",
    target: "es2022",
    logLevel: "warning",
    ...options
  })
  return outputFiles[0].text.trim()
}

/** Writes the page into the folder. */
export const dashboardInto = async (folder) => {
  const script = await bundled({
    entryPoints: [from("Main.tsx")],
    format: "iife",
    jsx: "automatic",
    jsxImportSource: "preact"
  })
  const styles = await bundled({ entryPoints: [from("style.css")] })
  const page = (await readFile(from("index.html"), "utf8"))
    .replace("/*styles*/", () => styles)
    .replace("/*script*/", () => script)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, "conduit-dashboard.html"), page)
}
