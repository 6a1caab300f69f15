import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SessionsMemory from "../../../src/layers/routing/SessionsMemory.ts"
import { effectfulSessions } from "../../support/effectful.ts"
import { a, freshSession, keepOr, known, sessionsContract } from "../../support/sessionsContract.ts"

sessionsContract("SessionsMemory", SessionsMemory.layer)

describe("SessionsMemory", () => {
  it.effect("forgets the session that was silent longest when it has 50,000", () =>
    Effect.gen(function* () {
      const sessions = yield* effectfulSessions
      const [first, second] = [freshSession(), freshSession()]
      yield* keepOr(sessions, first, a)
      yield* keepOr(sessions, second, a)
      for (let n = 2; n < 50_000; n++) yield* sessions.move(freshSession(), a)
      assert.deepStrictEqual(yield* known(sessions, first), a)
      yield* sessions.move(freshSession(), a)
      assert.isNull(yield* known(sessions, second))
      assert.deepStrictEqual(yield* known(sessions, first), a)
    }).pipe(Effect.provide(SessionsMemory.layer))
  )
})
