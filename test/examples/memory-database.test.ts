import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { program } from "../../examples/memory-database.ts"

describe("examples/memory-database", () => {
  it.live("answers, takes feedback, and ends clean over a database in memory", () =>
    Effect.gen(function* () {
      const { completion, feedbackStatus, report } = yield* program
      assert.match(completion.model, /^sim-/)
      assert.strictEqual(feedbackStatus, 200)
      assert.deepInclude(report, { outcome: "clean", exit_code: 0, signal: null })
      assert.strictEqual(report.learning.unpersisted, 0)
    })
  )
})
