import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { version } from "../../src/domain/basics/Version.ts"
import { binary } from "../support/conduit.ts"

describe("conduit --version", () => {
  it("says the version that the contract says", () => {
    assert.strictEqual(execFileSync(process.execPath, [binary, "--version"], { encoding: "utf8" }).trim(), version)
  })
})
