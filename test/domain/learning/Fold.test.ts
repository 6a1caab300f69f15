import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Hierarchical from "../../../src/domain/learning/bandit/Hierarchical.ts"
import { ModelId } from "../../../src/domain/basics/Ids.ts"
import { decodeEvents, encodeEvents } from "../../../src/domain/learning/EventCodec.ts"
import * as Fold from "../../../src/domain/learning/Fold.ts"
import * as LearnedState from "../../../src/domain/learning/LearnedState.ts"
import type { LearningEvent } from "../../../src/domain/learning/LearningEvent.ts"
import { decisionId, qualityEvent, runEvent } from "../../support/learningEvents.ts"

const dimension = 6
const begin = () => Fold.make(LearnedState.make(Hierarchical.defaultParameters, dimension), 0)

const unit = FastCheck.double({ min: 0, max: 1, noNaN: true })
const model = FastCheck.constantFrom("a", "b", "c")
const task = FastCheck.constantFrom(null, "code", "chat")
const features = FastCheck.array(FastCheck.double({ min: -1, max: 1, noNaN: true }), {
  minLength: dimension,
  maxLength: dimension
})
const number = FastCheck.nat(1000)
const nullable = FastCheck.option(unit)

const event: FastCheck.Arbitrary<LearningEvent> = FastCheck.oneof(
  FastCheck.record({ type: FastCheck.constant("model" as const), model: model.map(ModelId), priorQuality: nullable }),
  FastCheck.tuple(number, model, features, task, FastCheck.boolean(), nullable, nullable).map(
    ([n, id, x, task, ok, tokens, latencyScore]) =>
      runEvent(n, id, x, { task, ok, logOutputTokens: ok ? tokens : null, latencyScore: ok ? latencyScore : null })
  ),
  FastCheck.tuple(number, model, features, task, unit, unit).map(([n, id, x, task, quality, weight]) =>
    qualityEvent(n, id, x, quality, { task, weight, decidedAt: n })
  ),
  FastCheck.record({ type: FastCheck.constant("reset" as const), model: model.map(ModelId) }),
  FastCheck.record({
    type: FastCheck.constant("availability" as const),
    model: model.map(ModelId),
    enabled: FastCheck.boolean()
  }),
  FastCheck.constant<LearningEvent>({ type: "reload" })
)
const log = FastCheck.array(FastCheck.array(event, { maxLength: 6 }), { minLength: 1, maxLength: 12 })

const commitOf = (position: number, events: ReadonlyArray<LearningEvent>): Fold.LoggedCommit => ({
  position,
  commitId: decisionId(position),
  events
})

describe("Fold", () => {
  it("is the same to the bit from the events in memory and from their row, and from any snapshot on", () => {
    FastCheck.assert(
      FastCheck.property(log, FastCheck.nat(11), (commits, cut) => {
        const fromMemory = begin()
        const fromRows = begin()
        let continued: Fold.Fold | null = null
        for (const [i, events] of commits.entries()) {
          assert.isNotNull(Fold.apply(fromMemory, commitOf(i + 1, events)))
          const row = commitOf(i + 1, Either.getOrThrow(decodeEvents(encodeEvents(events))))
          Fold.apply(fromRows, row)
          if (continued !== null) Fold.apply(continued, row)
          if (i === cut) {
            const parameters = Hierarchical.defaultParameters
            const state = LearnedState.decode(Fold.encode(fromRows), parameters, dimension)
            continued = Fold.make(Either.getOrThrow(state), i + 1)
          }
        }
        assert.deepStrictEqual(Fold.encode(fromRows), Fold.encode(fromMemory))
        if (continued !== null) assert.deepStrictEqual(Fold.encode(continued), Fold.encode(fromMemory))
        assert.strictEqual(Fold.position(fromMemory), commits.length)
      }),
      { numRuns: 200 }
    )
  })

  it("folds a commit once, whoever brings it", () => {
    const fold = begin()
    const commit = commitOf(1, [runEvent(1, "a", [1, 0, 0, 0, 0, 0])])
    assert.isNotNull(Fold.apply(fold, commit))
    const once = Fold.encode(fold)
    assert.isNull(Fold.apply(fold, commit))
    assert.deepStrictEqual(Fold.encode(fold), once)
    assert.deepStrictEqual(Fold.last(fold), { position: 1, commitId: commit.commitId })
  })

  it("stops at a commit that it cannot fold, and folds nothing after it", () => {
    const fold = begin()
    const broken = Object.defineProperty({ ...runEvent(1, "a", [1, 0, 0, 0, 0, 0]) }, "features", {
      get: () => {
        throw new Error("a bug")
      }
    })
    assert.isNotNull(Fold.apply(fold, commitOf(1, [broken])))
    assert.strictEqual(fold.stopped?.position, 1)
    assert.isNull(Fold.apply(fold, commitOf(2, [])))
    assert.strictEqual(Fold.position(fold), 1)
  })
})
