import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { version } from "../../../src/domain/basics/Version.ts"
import { specification } from "../../../src/services/api/OpenApi.ts"

describe("version", () => {
  it("is the package's, and what the contract says", () => {
    const read = (file: string) =>
      JSON.parse(Fs.readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8")).version
    assert.strictEqual(version, read("package.json"))
    assert.strictEqual(version, read("package-lock.json"))
    assert.strictEqual(specification().info.version, version)
  })
})
