import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { settingsTable } from "../src/layers/SettingsEnv.ts"

const readme = Fs.readFileSync(new URL("../README.md", import.meta.url), "utf8")

const rows = settingsTable.map(({ default: byDefault, meaning, name }) => `| \`${name}\` | ${byDefault} | ${meaning} |`)
const table = ["| variable | default | meaning |", "|---|---|---|", ...rows].join("\n")

describe("README", () => {
  // `UPDATE_README=1 npx vitest run test/readme.test.ts` writes it.
  it("has the table of settings that the code has", () => {
    const [before, rest] = readme.split("<!-- settings -->")
    const [, after] = rest!.split("<!-- /settings -->")
    const wanted = `${before}<!-- settings -->\n${table}\n<!-- /settings -->${after}`
    if (process.env["UPDATE_README"] === "1") Fs.writeFileSync(new URL("../README.md", import.meta.url), wanted)
    else assert.strictEqual(readme, wanted)
  })

  it("names files that exist", () => {
    for (const [, file] of readme.matchAll(/`((?:src|examples|test|bench)\/[\w./-]+\.ts)`/g)) {
      assert.isTrue(Fs.existsSync(new URL(`../${file}`, import.meta.url)), file)
    }
  })
})
