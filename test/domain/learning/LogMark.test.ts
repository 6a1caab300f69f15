import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as LogMark from "../../../src/domain/learning/LogMark.ts"

const logOf = (ids: ReadonlyArray<string>): ReadonlyArray<LogMark.CommitKey> =>
  ids.map((commitId, i) => ({ position: i + 1, commitId }))

const read = (log: ReadonlyArray<LogMark.CommitKey>): LogMark.LogMark => {
  const mark = LogMark.make(0)
  for (const key of log) LogMark.advance(mark, key)
  return mark
}

/** What a reader that asks for `overlap` keys gets. */
const headOf = (
  log: ReadonlyArray<LogMark.CommitKey>,
  after: number,
  overlap: number,
  oldest = 1
): LogMark.LogHead => ({
  end: log.length,
  before: log.filter(({ position }) => position >= oldest && position <= after && position > after - overlap)
})

const ids = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

describe("LogMark", () => {
  it("knows its own log, however much of it was pruned, and however far it has grown", () => {
    const log = logOf(ids("a", 300))
    const mark = read(log.slice(0, 200))
    for (const oldest of [1, 150, 200, 201, 300]) {
      assert.isTrue(LogMark.isIn(mark, 200, headOf(log, 200, LogMark.compared, oldest)), String(oldest))
    }
    assert.isTrue(LogMark.isIn(LogMark.make(0), 0, headOf(log, 0, LogMark.compared)))
  })

  it("compares only what was read before it asked", () => {
    const log = logOf(ids("a", 70))
    const mark = read(log.slice(0, 65))
    const head = headOf(log, 65, LogMark.compared)
    for (const key of log.slice(65)) LogMark.advance(mark, key)
    assert.isTrue(LogMark.isIn(mark, 65, head))
  })

  it("notices every log that went back, says what is lost, and is not deceived by commits that were repeated", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 200 }),
        FastCheck.integer({ min: 0, max: 199 }),
        FastCheck.integer({ min: 0, max: 250 }),
        FastCheck.integer({ min: 0, max: 16 }),
        (folded, kept, grown, repeated) => {
          const common = Math.min(kept, folded - 1)
          const old = ids("old", folded)
          const next = [...old.slice(0, common), ...ids("new", grown)]
          // Replicas store what was on its way again, where it was by chance.
          for (let i = Math.max(common + 1, folded - repeated); i < Math.min(folded, next.length); i++) {
            next[i] = old[i] ?? ""
          }
          const log = logOf(next)
          const mark = read(logOf(old))
          assert.isFalse(LogMark.isIn(mark, folded, headOf(log, folded, LogMark.compared)))
          assert.deepStrictEqual(LogMark.lossOf(mark, headOf(log, folded, mark.recent.length)), {
            common,
            commits: folded - common,
            isExact: true
          })
        }
      )
    )
  })

  it("says that more may be lost than it remembers", () => {
    const log = logOf(ids("a", 100))
    // It began with a snapshot at 90.
    const mark = LogMark.make(90)
    for (const key of log.slice(90)) LogMark.advance(mark, key)
    const gone = headOf(logOf([...ids("a", 20), ...ids("b", 75)]), 100, 10)
    assert.isFalse(LogMark.isIn(mark, 100, gone))
    assert.deepStrictEqual(LogMark.lossOf(mark, gone), { common: 90, commits: 10, isExact: false })
    assert.deepStrictEqual(LogMark.lossOf(mark, headOf(log.slice(0, 20), 100, 10)), {
      common: 20,
      commits: 80,
      isExact: false
    })
  })

  it("remembers a bounded number of commits", () => {
    const mark = read(logOf(ids("a", 20_000)))
    assert.isAtMost(mark.recent.length, 8192)
    assert.strictEqual(mark.recent.at(-1)?.position, 20_000)
  })
})
