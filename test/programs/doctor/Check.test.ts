import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { found, guarded, pass } from "../../../src/programs/doctor/Check.ts"
import { clockLines } from "../../../src/programs/doctor/Clocks.ts"

describe("guarded", () => {
  it.effect("answers what the check found", () =>
    Effect.gen(function* () {
      const fine = found(pass("fine", "it is"))
      assert.strictEqual(yield* guarded("fine", "1 second", Effect.succeed(fine)), fine)
    })
  )

  it.effect("makes a failed line of a bug, without its message, which may have a secret in it", () =>
    Effect.gen(function* () {
      const { lines } = yield* guarded("broken", "1 second", Effect.die(new TypeError("canary is no URL")))
      assert.deepStrictEqual(
        lines.map(({ name, status }) => [name, status]),
        [["broken", "fail"]]
      )
      assert.include(lines[0]?.detail, "TypeError")
      assert.notInclude(JSON.stringify(lines), "canary")
    })
  )

  it.effect("does not wait for what ignores its interruption", () =>
    Effect.gen(function* () {
      const running = yield* Effect.fork(guarded("slow", "3 seconds", Effect.uninterruptible(Effect.never)))
      yield* TestClock.adjust("3 seconds")
      const { lines } = yield* Fiber.join(running)
      assert.strictEqual(lines[0]?.status, "fail")
      assert.include(lines[0]?.detail, "within 3 s")
    })
  )
})

describe("clockLines", () => {
  const status = (aheadMs: number, errorMs: number) =>
    clockLines([
      { whose: "the database", aheadMs: 0, errorMs: 0 },
      { whose: "a provider", aheadMs, errorMs }
    ])[0]?.status

  it("takes the worst clock, and what is certain of it", () => {
    assert.strictEqual(status(1_900, 0), "pass")
    assert.strictEqual(status(-2_100, 0), "warn")
    assert.strictEqual(status(2_400, 600), "pass")
    assert.strictEqual(status(-59_000, 0), "warn")
    assert.strictEqual(status(61_000, 500), "fail")
    assert.deepStrictEqual(clockLines([]), [])
  })
})
