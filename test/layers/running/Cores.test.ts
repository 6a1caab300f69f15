import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { cores, cpuLimit } from "../../../src/layers/running/Cores.ts"

/** The limit by files as Linux has them. */
const limitBy = (own: string, files: Readonly<Record<string, string>>): number => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-cgroup-"))
  try {
    const root = Path.join(folder, "fs")
    for (const [name, text] of Object.entries(files)) {
      Fs.mkdirSync(Path.dirname(Path.join(root, name)), { recursive: true })
      Fs.writeFileSync(Path.join(root, name), text)
    }
    Fs.writeFileSync(Path.join(folder, "own"), own)
    return cpuLimit({ own: Path.join(folder, "own"), root })
  } finally {
    Fs.rmSync(folder, { recursive: true })
  }
}

describe("the processors that the process may use", () => {
  it("are bounded by the limit of a container that is the root to itself", () => {
    assert.strictEqual(limitBy("0::/\n", { "cpu.max": "150000 100000\n" }), 1.5)
    assert.strictEqual(limitBy("0::/\n", { "cpu.max": "max 100000\n" }), Number.POSITIVE_INFINITY)
    assert.strictEqual(limitBy("0::/\n", {}), Number.POSITIVE_INFINITY)
  })

  it("are bounded by the strictest of all groups that the process is in", () => {
    const own = "0::/kubepods.slice/pod.slice/one\n"
    assert.strictEqual(
      limitBy(own, {
        "kubepods.slice/cpu.max": "400000 100000\n",
        "kubepods.slice/pod.slice/cpu.max": "200000 100000\n",
        "kubepods.slice/pod.slice/one/cpu.max": "300000 100000\n",
        "kubepods.slice/pod.slice/other/cpu.max": "100000 100000\n"
      }),
      2
    )
  })

  it("are bounded by the older hierarchy where that has the processors, under whatever name a container has outside", () => {
    const own = "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/system.slice\n"
    const quota = (folder: string, micros: number) => ({
      [`cpu${folder}/cpu.cfs_quota_us`]: `${micros}\n`,
      [`cpu${folder}/cpu.cfs_period_us`]: "100000\n"
    })
    assert.strictEqual(limitBy(own, quota("", 250_000)), 2.5)
    assert.strictEqual(limitBy(own, { ...quota("", -1), ...quota("/docker/abc", 50_000) }), 0.5)
    assert.strictEqual(limitBy(own, quota("", -1)), Number.POSITIVE_INFINITY)
  })

  it("are at least one", () => {
    assert.isAtLeast(cores(), 1)
    assert.isAtMost(cores(), Os.availableParallelism())
  })
})
