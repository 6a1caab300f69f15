import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import type { SessionFeedback } from "../../../src/domain/learning/Feedback.ts"
import type { DecisionId } from "../../../src/domain/basics/Ids.ts"
import * as BanditStatePersistent from "../../../src/layers/learning/BanditStatePersistent.ts"
import * as DatabaseMemory from "../../../src/layers/storage/memory/DatabaseMemory.ts"
import * as LearningLogDatabase from "../../../src/layers/learning/LearningLogDatabase.ts"
import * as LogReaderDatabase from "../../../src/layers/learning/LogReaderDatabase.ts"
import * as RouterBandit from "../../../src/layers/routing/RouterBandit.ts"
import { Database } from "../../../src/services/storage/Database.ts"
import { LearningLog } from "../../../src/services/learning/LearningLog.ts"
import { Router } from "../../../src/services/routing/Router.ts"
import { defaults } from "../../../src/services/running/Settings.ts"
import { request, surroundings } from "../../support/banditParts.ts"
import { catalogWith, failure, model, scriptedModels } from "../../support/scriptedModels.ts"

const feedbackExpiry = Duration.seconds(10)

/** A router over a real log whose look-ups by key are blind as often as a test says: somebody was faster in between. */
const parts = () => {
  const blind = { lookups: 0 }
  const database = Layer.effect(
    Database,
    Effect.map(Database, (db) =>
      Database.of({
        ...db,
        feedbackByKey: (...args) =>
          Effect.suspend(() => {
            if (blind.lookups === 0) return db.feedbackByKey(...args)
            blind.lookups -= 1
            return Effect.succeed(Option.none())
          })
      })
    )
  ).pipe(Layer.provide(DatabaseMemory.layer))
  const layer = RouterBandit.layer.pipe(
    Layer.provide(BanditStatePersistent.layer),
    Layer.provideMerge(LearningLogDatabase.layer),
    Layer.provide(LogReaderDatabase.layer),
    Layer.provideMerge(database),
    Layer.provide(scriptedModels({ broken: failure("broken", "connection") }).layer),
    Layer.provide(catalogWith([model("a"), model("broken")], { algorithm: "static" })),
    Layer.provide(surroundings({ learning: { ...defaults.learning, feedbackExpiry } }))
  )
  return { blind, layer }
}

const given = (over: Partial<SessionFeedback> = {}): SessionFeedback => ({
  sessionId: "s",
  kind: "score",
  value: 0.5,
  confidence: 1,
  comment: null,
  source: null,
  idempotencyKey: "key",
  createdAtMillis: 0,
  owner: "me",
  ...over
})

const ask = (owner: string | null = "me", sessionId: string | null = "s", more: Parameters<typeof request>[0] = {}) =>
  Effect.gen(function* () {
    const router = yield* Router
    // Ids of one millisecond have no order in time.
    yield* TestClock.adjust(1)
    const answer = yield* router.complete(request({ sessionId, ...more }), {}, { owner })
    return answer.decisionId
  })

const stored = Effect.flatMap(LearningLog, (log) => log.flush)

/** Credits that count now: source, confidence. */
const creditsOf = (id: DecisionId) =>
  Effect.gen(function* () {
    const router = yield* Router
    const { feedback } = yield* router.decision(id, { owner: "me" })
    return feedback.filter((one) => one.supersededBy === null).map(({ confidence, source }) => [source, confidence])
  })

describe("SessionFeedback", () => {
  it.effect("credits what is stored and what this replica still holds, newest first, in one commit", () => {
    const { layer } = parts()
    return Effect.gen(function* () {
      const router = yield* Router
      const log = yield* LearningLog
      const first = yield* ask()
      yield* stored
      const second = yield* ask()
      yield* ask("somebody else")
      yield* ask("me", "another session")
      yield* ask("me", null)
      const before = yield* log.position
      const answer = yield* router.sessionFeedback(given({ source: "ui" }))
      assert.deepStrictEqual([answer.status, answer.decisionIds], ["recorded", [second, first]])
      assert.strictEqual(yield* log.position, before + 1)
      assert.deepStrictEqual(yield* creditsOf(second), [["session:ui", 1]])
      assert.deepStrictEqual(yield* creditsOf(first), [["session:ui", 0.5]])
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not know a session without answered decisions, or of another key, or one that is too old", () => {
    const { layer } = parts()
    return Effect.gen(function* () {
      const router = yield* Router
      yield* ask("somebody else")
      yield* Effect.ignore(ask("me", "s", { constraints: { allowed_models: ["broken"] } }))
      assert.strictEqual((yield* Effect.flip(router.sessionFeedback(given())))._tag, "SessionNotFound")
      yield* router.route(request({ sessionId: "s" }), { owner: "me" })
      yield* stored
      const error = yield* Effect.flip(router.sessionFeedback(given()))
      assert.deepInclude(error, { _tag: "SessionNotFound", sessionId: "s" })
      yield* ask()
      yield* stored
      yield* TestClock.adjust(Duration.sum(feedbackExpiry, Duration.millis(1)))
      assert.strictEqual((yield* Effect.flip(router.sessionFeedback(given())))._tag, "SessionNotFound")
    }).pipe(Effect.provide(layer))
  })

  it.effect("answers a repetition as the first one, though the session went on, and refuses other content", () => {
    const { layer } = parts()
    return Effect.gen(function* () {
      const router = yield* Router
      const log = yield* LearningLog
      const older = yield* ask()
      const newer = yield* ask()
      const answer = yield* router.sessionFeedback(given())
      const newest = yield* ask()
      yield* ask("me", "t")
      yield* stored
      const position = yield* log.position
      assert.deepStrictEqual(yield* router.sessionFeedback(given({ createdAtMillis: 99 })), answer)
      for (const other of [{ value: 0.6 }, { sessionId: "t" }, { owner: "somebody else" }, { source: "ui" }]) {
        const error = yield* Effect.flip(router.sessionFeedback(given(other)))
        assert.strictEqual(error._tag, "IdempotencyConflict", JSON.stringify(other))
      }
      assert.strictEqual(yield* log.position, position)
      assert.deepStrictEqual(yield* Effect.forEach([newest, newer, older], creditsOf), [
        [],
        [["session", 1]],
        [["session", 0.5]]
      ])
    }).pipe(Effect.provide(layer))
  })

  it.effect("credits once what is sent twice at once while the session goes on", () => {
    const { blind, layer } = parts()
    return Effect.gen(function* () {
      const router = yield* Router
      const older = yield* ask()
      const answer = yield* router.sessionFeedback(given())
      const newer = yield* ask()
      blind.lookups = 1
      assert.deepStrictEqual(yield* router.sessionFeedback(given()), answer)
      assert.strictEqual(blind.lookups, 0)
      assert.deepStrictEqual(yield* Effect.forEach([newer, older], creditsOf), [[], [["session", 1]]])
      blind.lookups = 1
      const error = yield* Effect.flip(router.sessionFeedback(given({ value: 1 })))
      assert.strictEqual(error._tag, "IdempotencyConflict")
    }).pipe(Effect.provide(layer))
  })

  it.effect("supersedes what was said of the session before, decision by decision, by the new credits", () => {
    const { layer } = parts()
    return Effect.gen(function* () {
      const router = yield* Router
      const older = yield* ask()
      yield* router.sessionFeedback(given({ idempotencyKey: null }))
      const newer = yield* ask()
      const answer = yield* router.sessionFeedback(given({ idempotencyKey: null, value: 1 }))
      assert.deepStrictEqual([answer.status, answer.decisionIds], ["recorded", [newer, older]])
      assert.deepStrictEqual(yield* creditsOf(older), [["session", 0.5]])
      const again = yield* router.sessionFeedback(given({ idempotencyKey: null, value: 0 }))
      assert.strictEqual(again.status, "superseded")
    }).pipe(Effect.provide(layer))
  })
})
