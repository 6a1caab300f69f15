import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as Path from "node:path"

const script = Path.resolve(import.meta.dirname, "../scripts/lengths.mjs")

describe("a definition", () => {
  it("fits a screen, or says why it is better whole", () => {
    const { status, stderr, stdout } = spawnSync(process.execPath, [script], { encoding: "utf8" })
    assert.strictEqual(status, 0, stdout + stderr)
  })
})
