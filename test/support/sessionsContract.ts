import { assert, layer as withLayer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Layer from "effect/Layer"
import { ModelId } from "../../src/domain/basics/Ids.ts"
import type { Session, SessionKey, Sessions } from "../../src/services/routing/Sessions.ts"
import { type EffectfulSessions, effectfulSessions } from "./effectful.ts"

export const a: Session = { model: ModelId("a"), epoch: 0 }
export const b: Session = { model: ModelId("b"), epoch: 3 }

let named = 0
/** A session that nobody has heard of. */
export const freshSession = (owner: string | null = null): SessionKey => ({
  owner,
  sessionId: `s ${named++}\n\u{1F642}`
})

/** What the session has. */
export const known = (sessions: EffectfulSessions, key: SessionKey) =>
  Effect.map(
    sessions.choose(key, (session) => ({ session: null, seen: session })),
    ({ seen }) => seen
  )

/** Keeps what the session has, or begins with this. */
export const keepOr = (sessions: EffectfulSessions, key: SessionKey, session: Session) =>
  Effect.map(
    sessions.choose(key, (before) => ({ session: before ?? session })),
    (choice) => choice.session
  )

/** What every `Sessions` does. */
export const sessionsContract = <E>(name: string, sessions: Layer.Layer<Sessions, E>) =>
  withLayer(sessions, { excludeTestServices: true })(`${name} keeps the contract of Sessions`, (it) => {
    it.effect("recalls what a conversation was answered by last, with its cached tokens, for each owner apart", () =>
      Effect.gen(function* () {
        const sessions = yield* effectfulSessions
        const key = freshSession("alice")
        assert.isNull(yield* sessions.recall(key))
        yield* sessions.remember(key, a)
        yield* sessions.remember(key, { ...b, cachedTokens: 80 })
        const recalled = sessions.recall(key).pipe(
          Effect.filterOrFail((session) => session?.cachedTokens === 80),
          Effect.retry({ times: 200, schedule: Schedule.spaced("20 millis") })
        )
        assert.deepStrictEqual(yield* recalled, { ...b, cachedTokens: 80 })
        assert.isNull(yield* sessions.recall({ ...key, owner: "bob" }))
        // A session of that name is another thing.
        assert.isNull(yield* sessions.recall(freshSession("alice")))
      })
    )

    it.effect("keeps what the next turn of a session is weighed by", () =>
      Effect.gen(function* () {
        const sessions = yield* effectfulSessions
        const bill = { paidUsd: 1.5e-7, stayUsd: 0 }
        const turn = { prefixTokens: 12_345, atMillis: 1_700_000_000_000, first: b.model, bill }
        for (const session of [
          { ...a, cachedTokens: 0, turn },
          { ...a, cachedTokens: 9000, turn: { ...turn, bill: { paidUsd: 2.25, stayUsd: 2 } } }
        ]) {
          const key = freshSession()
          yield* sessions.move(key, session)
          assert.deepStrictEqual(yield* known(sessions, key), session)
        }
      })
    )

    it.effect("knows nothing of a new session, and remembers what was chosen", () =>
      Effect.gen(function* () {
        const sessions = yield* effectfulSessions
        const key = freshSession()
        assert.isNull(yield* known(sessions, key))
        assert.deepStrictEqual(yield* keepOr(sessions, key, a), a)
        assert.deepStrictEqual(yield* keepOr(sessions, key, b), a)
        assert.deepStrictEqual(yield* known(sessions, key), a)
      })
    )

    it.effect("remembers nothing where there is nothing to remember, and answers with the choice itself", () =>
      Effect.gen(function* () {
        const sessions = yield* effectfulSessions
        const key = freshSession()
        const choice = { session: null, more: "what the caller wants back" }
        assert.strictEqual(yield* sessions.choose(key, () => choice), choice)
        assert.isNull(yield* known(sessions, key))
        yield* keepOr(sessions, key, a)
        yield* sessions.choose(key, () => choice)
        assert.deepStrictEqual(yield* known(sessions, key), a)
      })
    )

    it.effect("goes on with another model when that was chosen, or when it was moved", () =>
      Effect.gen(function* () {
        const sessions = yield* effectfulSessions
        const key = freshSession()
        yield* keepOr(sessions, key, a)
        yield* sessions.choose(key, () => ({ session: b }))
        assert.deepStrictEqual(yield* known(sessions, key), b)
        yield* sessions.move(key, a)
        assert.deepStrictEqual(yield* known(sessions, key), a)
        const unknown = freshSession()
        yield* sessions.move(unknown, b)
        assert.deepStrictEqual(yield* known(sessions, unknown), b)
      })
    )

    it.effect("keeps the sessions of different keys apart", () =>
      Effect.gen(function* () {
        const sessions = yield* effectfulSessions
        const { sessionId } = freshSession()
        const owners = [null, "0f", "0e"]
        for (const [n, owner] of owners.entries()) {
          yield* keepOr(sessions, { owner, sessionId }, { model: ModelId(`m/${n}:x`), epoch: n })
        }
        for (const [n, owner] of owners.entries()) {
          assert.deepStrictEqual(yield* known(sessions, { owner, sessionId }), { model: ModelId(`m/${n}:x`), epoch: n })
        }
      })
    )
  })
