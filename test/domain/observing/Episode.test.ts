import { assert, describe, it } from "@effect/vitest"
import * as Episode from "../../../src/domain/observing/Episode.ts"

describe("Episode", () => {
  it("is said once at its beginning and once at its end, with how often and how long", () => {
    const episode = Episode.make({ quietMillis: 0 })
    assert.isNull(episode.worked(0))
    assert.deepStrictEqual(
      [1_000, 2_000, 3_000].map((now) => episode.failed(now)),
      [true, false, false]
    )
    assert.isTrue(episode.isOpen())
    assert.deepStrictEqual(episode.worked(5_500), { seconds: 4.5, failures: 3 })
    assert.isNull(episode.worked(6_000))
    assert.isTrue(episode.failed(7_000))
  })

  it("counts what is not worth a word yet, and says no end of what was never said", () => {
    const episode = Episode.make({ quietMillis: 0 })
    assert.isFalse(episode.failed(0, false))
    assert.isNull(episode.worked(1))
    assert.isFalse(episode.failed(2, false))
    assert.isTrue(episode.failed(1_002))
    assert.deepStrictEqual(episode.worked(2_002), { seconds: 2, failures: 2 })
  })

  it("is one episode while it comes and goes", () => {
    const episode = Episode.make({ quietMillis: 10_000 })
    for (let now = 0; now < 60_000; now += 5_000) {
      assert.strictEqual(episode.failed(now), now === 0)
      assert.isNull(episode.worked(now + 4_999))
    }
    assert.deepStrictEqual(episode.worked(65_000), { seconds: 65, failures: 12 })
  })
})
