import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { cases } from "../clients/cases.ts"
import { clients, root } from "../clients/clients.ts"
import { jsClients } from "../clients/javascript.ts"
import { written } from "../clients/matrix.ts"

describe("docs/clients.md", () => {
  it("has the table of the clients, their versions and what they do wrong", () => {
    const file = Path.join(root, "docs", "clients.md")
    const page = Fs.readFileSync(file, "utf8")
    if (process.env["UPDATE_DOCS"] === "1") Fs.writeFileSync(file, written(page))
    assert.strictEqual(Fs.readFileSync(file, "utf8"), written(page))
  })

  it("has every client once, and flaws only of cases that there are", () => {
    const names = cases.map(({ name }) => name)
    assert.strictEqual(new Set(names).size, names.length)
    assert.strictEqual(new Set(clients.map(({ id }) => id)).size, clients.length)
    for (const { flaws } of clients) assert.includeMembers(names, Object.keys(flaws))
    const inJavaScript = clients.filter(({ language }) => language === "JavaScript").map(({ id }) => id)
    assert.sameMembers(inJavaScript, Object.keys(jsClients))
  })
})
