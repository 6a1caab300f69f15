import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Hierarchical from "../../../src/domain/learning/bandit/Hierarchical.ts"
import * as Sources from "../../../src/domain/learning/bandit/Sources.ts"
import { ModelId } from "../../../src/domain/basics/Ids.ts"
import { decodeEvents, encodeEvents } from "../../../src/domain/learning/EventCodec.ts"
import {
  feedbackSource,
  human,
  joined,
  type SourceVerdict,
  taken,
  verdictsOf
} from "../../../src/domain/learning/FeedbackSource.ts"
import { qualityEvent, seeded } from "../../support/learningEvents.ts"

const score = (source: string, value: number, confidence = 1) => ({
  kind: "score" as const,
  value,
  confidence,
  source
})
const close = (actual: number, expected: number, tolerance: number) =>
  assert.isTrue(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`)

/** A verdict of one or more sources as a commit writes it. */
const event = (
  n: number,
  model: string,
  verdicts: ReadonlyArray<SourceVerdict>,
  state: Hierarchical.State,
  rest: Partial<Parameters<typeof qualityEvent>[4]> = {}
) => {
  const all = taken(verdicts, Sources.standings(state.sources))
  const { quality, weight } = joined(all) ?? { quality: 0, weight: 0 }
  return qualityEvent(n, model, [1, 0], quality, { weight, verdicts: all, before: [], decidedAt: n, ...rest })
}

describe("feedback of several sources", () => {
  it("is told apart by who says it: people, judges by name, what was only seen", () => {
    assert.deepStrictEqual(
      [
        "api",
        "session",
        "session:ui",
        "judge",
        "judge:gpt",
        "session:judge:gpt",
        "implicit:regeneration",
        "judgement"
      ].map(feedbackSource),
      [human, human, human, "judge", "judge:gpt", "judge:gpt", "implicit:regeneration", human]
    )
    assert.deepStrictEqual(verdictsOf([score("api", 1), score("ui", 0), score("judge", 0.8, 0.5)]), [
      { source: human, quality: 0.5, weight: 1 },
      { source: "judge", quality: 0.8, weight: 0.5 }
    ])
  })

  it("is one answer, however many judge it: the mean by their weights, with the largest", () => {
    const standings = new Map([["judge", { offset: 0.2, share: 0.5 }]])
    const all = taken(verdictsOf([score("api", 0.4), score("judge", 0.9)]), standings)
    const { quality, weight } = joined(all) ?? { quality: 0, weight: 0 }
    close(quality, (0.4 + 0.5 * 0.7) / 1.5, 1e-12)
    assert.strictEqual(weight, 1)
    assert.deepStrictEqual(joined(taken(verdictsOf([score("judge", 0.1)]), standings)), { quality: 0, weight: 0.5 })
    assert.isNull(joined([]))
  })

  it("takes offsets off and gives noise less weight, which is worth more than people alone and than both as they come", () => {
    const random = seeded("judges")
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const unit = (value: number) => Math.min(1, Math.max(0, value))
    const errors = { asTheyCome: 0, people: 0, taken: 0 }
    const rounds = 30
    const learned: Array<Sources.Sources> = []
    for (let round = 0; round < rounds; round++) {
      const truth = Array.from({ length: 12 }, () => Math.min(0.95, Math.max(0.1, 0.6 + 0.12 * normal())))
      const state = Hierarchical.make(Hierarchical.defaultParameters, 2)
      const sums = { asTheyCome: new Map<number, Array<number>>(), people: new Map(), taken: new Map() }
      const add = (sum: Map<number, Array<number>>, cell: number, quality: number, weight: number) => {
        const [s = 0, n = 0] = sum.get(cell) ?? []
        sum.set(cell, [s + weight * quality, n + weight])
      }
      const answers = Array.from({ length: 1500 }, () => {
        const cell = Math.floor(random() * 12)
        const y = unit(truth[cell]! + 0.15 * normal())
        const who = random()
        const [source, offset, sd] =
          who < 0.1 ? [human, 0, 0.05] : who < 0.7 ? ["judge", 0.12, 0.2] : ["implicit", -0.1, 0.4]
        const own = {
          source: source as string,
          quality: unit(y + (offset as number) + (sd as number) * normal()),
          weight: 1
        }
        const isBoth = source !== human && random() < 0.05
        const people = { source: human, quality: unit(y + 0.05 * normal()), weight: 1 }
        return { cell, own, verdicts: isBoth ? [own, people] : [own] }
      })
      for (const [i, { cell, verdicts }] of answers.entries()) {
        const model = ModelId(`m${cell % 4}`)
        const made = event(i, model, verdicts, state, { task: `t${Math.floor(cell / 4)}` })
        Sources.learn(state.sources, i + 1, made, made.task)
      }
      for (const { cell, own } of answers) {
        add(sums.asTheyCome, cell, own.quality, 1)
        if (own.source === human) add(sums.people, cell, own.quality, 1)
        const one = joined(taken([own], Sources.standings(state.sources)))!
        add(sums.taken, cell, one.quality, one.weight)
      }
      const rmse = (sum: Map<number, Array<number>>) =>
        Math.sqrt(
          truth.reduce((all, q, cell) => {
            const [s = 0, n = 0] = sum.get(cell) ?? []
            return all + ((s + 4 * 0.6) / (n + 4) - q) ** 2
          }, 0) / 12
        )
      errors.asTheyCome += rmse(sums.asTheyCome) / rounds
      errors.people += rmse(sums.people) / rounds
      errors.taken += rmse(sums.taken) / rounds
      learned.push(state.sources)
    }
    // The reference simulation: .042, .045, .032.
    close(errors.asTheyCome, 0.042, 0.006)
    close(errors.people, 0.045, 0.008)
    close(errors.taken, 0.032, 0.006)
    const offset = (name: string) =>
      learned.reduce((sum, one) => sum + Sources.standings(one).get(name)!.offset / rounds, 0)
    close(offset("judge"), 0.085, 0.03)
    close(offset("implicit"), -0.09, 0.03)
  })

  it("counts a revision in the place of what it revises, whatever came between", () => {
    const once = Hierarchical.make(Hierarchical.defaultParameters, 2)
    const revised = Hierarchical.make(Hierarchical.defaultParameters, 2)
    const first = { source: "judge", quality: 0.25, weight: 1 }
    const last = [
      { source: "judge", quality: 0.75, weight: 1 },
      { source: human, quality: 0.5, weight: 1 }
    ]
    for (const state of [once, revised]) Hierarchical.fold(state, 1, event(0, "a", [first], state))
    const at = event(1, "a", [first], revised)
    Hierarchical.fold(revised, 2, at)
    const previous = { quality: at.quality, weight: at.weight, position: 2 }
    Hierarchical.fold(revised, 3, event(1, "a", last, revised, { previous, before: [first] }))
    Hierarchical.fold(once, 2, event(1, "a", last, once))
    assert.deepStrictEqual(Sources.standings(revised.sources), Sources.standings(once.sources))
    const judge = revised.sources.bySource.get("judge")
    assert.deepInclude(judge, { pairs: 1, difference: 0.25, verdicts: 2 })
  })

  it("keeps nothing, and writes what it always wrote, where only people judge", () => {
    const state = Hierarchical.make(Hierarchical.defaultParameters, 2)
    Hierarchical.fold(state, 1, qualityEvent(0, "a", [1, 0], 0.7))
    assert.isNull(state.sources.since)
    assert.strictEqual(state.sources.bySource.size, 0)
    assert.strictEqual(Hierarchical.encode(state)[4], 2)
  })

  it("finds that a judge has changed, and not three models at once, from any snapshot on to the same bits", () => {
    const state = Hierarchical.make(Hierarchical.defaultParameters, 2)
    const random = seeded("a judge drifts")
    const models = ["a", "b", "c", "d"]
    const log = Array.from({ length: 1200 }, (_, i) => {
      const quality = 0.8 - (i < 900 ? 0 : 0.5) + 0.1 * (random() - 0.5)
      return { i, model: models[i % 4]!, quality }
    })
    const fold = (into: Hierarchical.State, { i, model, quality }: (typeof log)[number]) =>
      Hierarchical.fold(into, i + 1, event(i, model, [{ source: "judge:gpt", quality, weight: 1 }], into))
    const cut = 950
    const changes = log.slice(0, cut).flatMap((one) => fold(state, one) ?? [])
    const again = Either.getOrThrow(Hierarchical.decode(Hierarchical.encode(state), Hierarchical.defaultParameters, 2))
    const rest = log.slice(cut)
    for (const one of rest) fold(again, one)
    changes.push(...rest.flatMap((one) => fold(state, one) ?? []))
    assert.deepStrictEqual(Hierarchical.encode(again), Hierarchical.encode(state))
    const found = changes.filter(({ source }) => source === "judge:gpt")
    assert.isAtMost(found[0]!.position, 900 + 200)
    // Two seem to change, the third shows that it is the judge, the fourth comes later.
    assert.deepStrictEqual(
      changes.map(({ source }) => source),
      [undefined, undefined, "judge:gpt", "judge:gpt"]
    )
    const dismissed = changes.map(({ model }) => Hierarchical.learned(state, model, null).changes[0]?.verdict)
    for (const verdict of dismissed) assert.deepInclude(verdict, { verdict: "dismiss", by: "judge:gpt" })
    assert.deepStrictEqual(
      state.sources.bySource.get("judge:gpt")?.changes.map(({ direction }) => direction),
      ["down"]
    )
  })

  it("is written and read back to the bit", () => {
    const state = Hierarchical.make(Hierarchical.defaultParameters, 2)
    const verdicts = [
      { source: "judge:gpt", quality: 0.7, weight: 0.5 },
      { source: human, quality: 1, weight: 1 }
    ]
    const previous = { quality: 0.1, weight: 1, position: 7 }
    const one = event(3, "a", verdicts, state, { previous, before: verdicts.slice(0, 1) })
    assert.deepStrictEqual(Either.getOrThrow(decodeEvents(encodeEvents([one]))), [one])
  })
})
