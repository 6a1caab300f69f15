import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { binary, type ConduitProcess, killAll, startConduit } from "../support/conduit.ts"
import { runBeside } from "../support/external.ts"

const page = Fs.readFileSync(new URL("../../docs/five-minutes.md", import.meta.url), "utf8")
const blocks = Array.from(page.matchAll(/```sh\n([^]*?)```/g), ([, text = ""]) => text)

describe("the page of five minutes", () => {
  let conduit: ConduitProcess

  beforeAll(async () => {
    conduit = await startConduit({})
  })
  afterAll(killAll)

  it("has commands that work when pasted, one after another", async () => {
    const said: Array<string> = []
    for (const block of blocks) {
      // The page has the default address, and a command that is installed.
      const text = block
        .replaceAll("http://127.0.0.1:8000", conduit.url)
        .replace(/^conduit (.*)$/gm, `'${process.execPath}' '${binary}' $1 --url '${conduit.url}'`)
      // The next one wants what the last one stored.
      const { code, stderr, stdout } = await runBeside("sh", ["-ec", `sleep 1\n${text}`])
      assert.strictEqual(code, 0, `${block}\n${stderr}`)
      assert.notInclude(stdout, '"error":{', block)
      said.push(stdout)
    }
    assert.lengthOf(said, 3)
    assert.include(said[0], '"decision_id"')
    assert.include(said[1], '"status":"recorded"')
    assert.match(said[2] ?? "", /^code +sim-/m)
  })
})
