import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "../..")
const read = (path: string) => Fs.readFileSync(Path.join(root, path), "utf8")
const inFolder = (folder: string) =>
  Fs.readdirSync(Path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => Path.join(folder, file))
const pages = ["README.md", "CONTRIBUTING.md", "SECURITY.md", ...["docs", "deploy", "examples"].flatMap(inFolder)]

const { scripts } = JSON.parse(read("package.json")) as { readonly scripts: Readonly<Record<string, string>> }

/** As GitHub makes them of headings. */
const anchorsOf = (text: string) =>
  Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-")
  )

describe.each(pages)("%s", (page) => {
  const text = read(page)

  it("names files and scripts that there are", () => {
    const paths = text.matchAll(
      /(?<![\w./-])((?:\.ci|bench|dashboard|deploy|docs|examples|findings|scripts|src|test)\/[\w./-]*\.\w+)/g
    )
    for (const [, path = ""] of paths) {
      const isThere = [root, Path.join(root, Path.dirname(page))].some((folder) =>
        Fs.existsSync(Path.join(folder, path))
      )
      assert.isTrue(isThere, path)
    }
    for (const [, name = ""] of text.matchAll(/npm run(?: --silent)? ([a-z][\w:-]*)/g)) assert.property(scripts, name)
  })

  it("has links that lead somewhere", () => {
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = "", anchor] = target.split("#")
      const file = path === "" ? page : Path.join(Path.dirname(page), path)
      assert.isTrue(Fs.existsSync(Path.join(root, file)), target)
      if (anchor !== undefined) assert.include(anchorsOf(read(file)), anchor, target)
    }
  })
})
