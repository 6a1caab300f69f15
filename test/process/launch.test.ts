import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import Module from "node:module"
import * as Os from "node:os"
import * as Path from "node:path"
import { binary } from "../support/conduit.ts"

/** From 22.1 on Node keeps it in its own way. */
const keepsItself = "enableCompileCache" in Module

let folder: string
beforeAll(() => {
  folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-launch-"))
  Fs.cpSync(Path.dirname(binary), Path.join(folder, "dist", "bin"), { recursive: true })
})
afterAll(() => Fs.rmSync(folder, { recursive: true, force: true }))

describe.skipIf(keepsItself)("what V8 has compiled", () => {
  it("is kept for the next run, beside what other versions of Node keep, and what another build has left goes", () => {
    const cache = Path.join(folder, "node_modules", ".cache", "conduit")
    Fs.mkdirSync(Path.join(cache, "v22"), { recursive: true })
    Fs.writeFileSync(Path.join(cache, "program-of-another-build.js"), "")
    const run = () => {
      const program = Path.join(folder, "dist", "bin", "conduit.js")
      const { status, stderr, stdout } = spawnSync(process.execPath, [program, "route", "--help"], { encoding: "utf8" })
      assert.strictEqual(status, 0, stderr)
      const kept = Fs.readdirSync(cache).filter((name) => name.endsWith("-route"))
      assert.lengthOf(kept, 1)
      assert.sameMembers(Fs.readdirSync(cache), ["v22", ...kept])
      return { stdout, writtenAt: Fs.statSync(Path.join(cache, ...kept)).mtimeMs }
    }
    // The second run finds it good, and does not write it anew.
    assert.deepStrictEqual(run(), run())
  })
})
