import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { messagesScenarioNames } from "../src/domain/simulation/MessagesScenario.ts"
import { responsesScenarioNames } from "../src/domain/simulation/ResponsesScenario.ts"
import { scenarioNames, scenarios } from "../src/domain/simulation/Scenario.ts"
import { settingsTable } from "../src/services/running/Settings.ts"

const readme = Fs.readFileSync(new URL("../README.md", import.meta.url), "utf8")
const mockPage = new URL("../docs/mock-llm.md", import.meta.url)
const guideFile = new URL("../docs/operations.md", import.meta.url)

const rows = settingsTable.map(({ default: byDefault, meaning, name }) => `| \`${name}\` | ${byDefault} | ${meaning} |`)
const table = ["| variable | default | meaning |", "|---|---|---|", ...rows].join("\n")

describe("the operators' guide", () => {
  // `UPDATE_DOCS=1 npx vitest run test/readme.test.ts` writes it.
  it("has the table of settings that the code has", () => {
    const guide = Fs.readFileSync(guideFile, "utf8")
    const [before, rest] = guide.split("<!-- settings -->")
    const [, after] = rest!.split("<!-- /settings -->")
    const wanted = `${before}<!-- settings -->\n${table}\n<!-- /settings -->${after}`
    if (process.env["UPDATE_DOCS"] === "1") Fs.writeFileSync(guideFile, wanted)
    else assert.strictEqual(guide, wanted)
  })
})

describe("the page of mock-llm", () => {
  it("has the table of scenarios that the code has", () => {
    const page = Fs.readFileSync(mockPage, "utf8")
    const [before, rest] = page.split("<!-- scenarios -->")
    const [, after] = rest!.split("<!-- /scenarios -->")
    const rows = scenarioNames.map((name) => `| \`${name}\` | ${scenarios[name].about} |`)
    const table = ["| scenario | what happens |", "|---|---|", ...rows].join("\n")
    const wanted = `${before}<!-- scenarios -->\n${table}\n<!-- /scenarios -->${after}`
    if (process.env["UPDATE_DOCS"] === "1") Fs.writeFileSync(mockPage, wanted)
    else assert.strictEqual(page, wanted)
  })

  it("names the scenarios of the other protocols", () => {
    const page = Fs.readFileSync(mockPage, "utf8")
    const namesBehind = (words: string) => {
      const [, named = ""] = new RegExp(`${words} ([^;]+);`).exec(page) ?? []
      return Array.from(named.matchAll(/`(\w+)`/g), ([, name]) => name)
    }
    assert.deepStrictEqual(namesBehind("Anthropic's protocol and Google's have those of"), [...messagesScenarioNames])
    assert.deepStrictEqual(namesBehind("Responses have those of"), [...responsesScenarioNames])
  })
})

describe("README", () => {
  it("names settings that there are", () => {
    const names = new Set(settingsTable.map(({ name }) => name))
    for (const [, name] of readme.matchAll(/`((?:CONDUIT|DATABASE|LOG|OTEL)_[A-Z_]+)`/g)) {
      assert.isTrue(names.has(name!), name)
    }
  })
})
