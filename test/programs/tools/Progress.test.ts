import { assert, describe, it } from "@effect/vitest"
import { progressOf } from "../../../src/programs/tools/Progress.ts"

/** Reports every 100 ms, for as long as it takes at 1,000 a second. */
const reported = (isTerminal: boolean, seconds: number) => {
  const written: Array<string> = []
  let nowMs = 0
  const progress = progressOf("folding", "commits", 200_000, {
    isTerminal,
    nowMs: () => nowMs,
    write: (text) => void written.push(text)
  })
  for (; nowMs <= seconds * 1000; nowMs += 100) progress.at(nowMs)
  progress.end()
  return written
}

describe("Progress", () => {
  it("says a line every five seconds, with rate and remaining time", () => {
    assert.deepStrictEqual(reported(false, 12), [
      "folding: 5000 of 200000 commits, 1000 a second, 3 min 15 s left\n",
      "folding: 10000 of 200000 commits, 1000 a second, 3 min 10 s left\n"
    ])
  })

  it("says nothing of work that is short", () => {
    assert.deepStrictEqual(reported(false, 4), [])
  })

  it("writes in place on a terminal, and leaves nothing there", () => {
    const written = reported(true, 1)
    assert.lengthOf(written, 6)
    assert.strictEqual(written[0], "\r\u001b[Kfolding: 200 of 200000 commits, 1000 a second, 3 min 20 s left")
    assert.strictEqual(written.at(-1), "\r\u001b[K")
  })
})
