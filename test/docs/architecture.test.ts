import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "../..")
const text = Fs.readFileSync(Path.join(root, "docs/architecture.md"), "utf8")
const files = Fs.readdirSync(Path.join(root, "src"), { recursive: true, encoding: "utf8" })

describe("docs/architecture.md", () => {
  it("names files that there are", () => {
    const named = [...text.matchAll(/`((?:src|test)\/[\w./-]+|[\w./]+\.ts)`/g)].map(([, name]) => name ?? "")
    assert.isAbove(named.length, 40)
    for (const name of named) {
      const isThere = /^(?:src|test)\//.test(name)
        ? Fs.existsSync(Path.join(root, name))
        : files.some((file) => file.endsWith(`/${name}`))
      assert.isTrue(isThere, name)
    }
  })

  it("has every room of the layers", () => {
    const rooms = Fs.readdirSync(Path.join(root, "src/layers"))
    const listed = [...text.matchAll(/^\| `(\w+)` \|/gm)].map(([, room]) => room)
    assert.sameMembers(listed, rooms)
  })
})
