import { assert, describe, it } from "@effect/vitest"
import type { Algorithm, Answer, Asked } from "../../../../src/domain/learning/algorithms/Algorithm.ts"
import { byName } from "../../../../src/domain/learning/algorithms/Algorithms.ts"
import { phaseMarks, phasesOf } from "../../../../src/domain/learning/evaluation/Phases.ts"
import { type Conditions, replay, subjectOf } from "../../../../src/domain/learning/evaluation/Replay.ts"
import { changesAt, orderOf, scenarios, twistAt } from "../../../../src/domain/learning/evaluation/Scenario.ts"
import { alarmsOf, checkpointOf, estimate } from "../../../../src/domain/learning/evaluation/Summary.ts"
import type { Table } from "../../../../src/domain/learning/evaluation/Table.ts"
import { ModelId } from "../../../../src/domain/basics/Ids.ts"
import { uniform } from "../../../../src/domain/basics/Rng.ts"

/** Model 1 is the best of all, model 0 the best on "easy". */
const table = (rows: number): Table => ({
  name: "made",
  models: [ModelId("small"), ModelId("large")],
  prices: [
    { inputUsdPerMTok: 1, outputUsdPerMTok: 1 },
    { inputUsdPerMTok: 10, outputUsdPerMTok: 10 }
  ],
  priors: [0.5, 0.7],
  rows: Array.from({ length: rows }, (_, n) => {
    const isEasy = n % 3 === 0
    return {
      task: isEasy ? "easy" : "hard",
      features: Float32Array.of(1, isEasy ? 0.4 : -0.2),
      inputTokens: 100,
      quality: [isEasy ? 0.95 : 0.35, 0.8 + 0.1 * (uniform(`${n}`) - 0.5)],
      costUsd: [0.0002, 0.002],
      latencySeconds: [1, 2]
    }
  })
})

const conditions: Conditions = {
  isLabelled: false,
  priors: [0.5, 0.7],
  priorSd: null,
  scenario: "none",
  requests: Infinity,
  delay: 0,
  judged: 1,
  budget: null,
  fixed: 0
}

/** Takes one arm after the other, and writes down what it is told. */
const spy = () => {
  const told: Array<{ at: number; asked: Asked; answer: Answer }> = []
  let asks = 0
  const algorithm: Algorithm = {
    name: "spy",
    description: "",
    make: () => ({
      choose: ({ eligible }) => eligible[asks++ % eligible.length]!,
      ran: () => {},
      judged: (asked, answer) => void told.push({ at: asks - 1, asked, answer }),
      changes: () => []
    })
  }
  return { algorithm, told }
}

const run = (name: string, more: Partial<Conditions> = {}, rows = 600, seed = "1") =>
  replay(subjectOf(table(rows), "q"), byName.get(name)!, { ...conditions, ...more }, seed, [100])

describe("Replay", () => {
  it("reveals the outcome of the chosen model and nothing else", () => {
    const { algorithm, told } = spy()
    replay(subjectOf(table(50), "q"), algorithm, conditions, "1", [])
    assert.lengthOf(told, 50)
    for (const { answer, asked, at } of told) {
      assert.strictEqual(answer.arm, at % 2)
      assert.notProperty(asked, "rewards")
      assert.isNull(asked.task)
    }
    const labelled = spy()
    replay(subjectOf(table(50), "q"), labelled.algorithm, { ...conditions, isLabelled: true }, "1", [])
    assert.deepStrictEqual(new Set(labelled.told.map(({ asked }) => asked.task)), new Set(["easy", "hard"]))
  })

  it("knows the best single model and the oracle", () => {
    const subject = subjectOf(table(600), "q")
    assert.deepStrictEqual([subject.best, subject.frequentTask], [1, "hard"])
    const best = run("fixed", { fixed: 1 }).marks.at(-1)!
    assert.closeTo(best.reward, best.best, 1e-9)
    assert.strictEqual(best.at, 600)
    const oracle = run("oracle").marks.at(-1)!
    assert.closeTo(oracle.reward, oracle.oracle, 1e-9)
    assert.isAbove(oracle.oracle, oracle.best)
    assert.isBelow(run("random").marks.at(-1)!.reward, 0.95 * best.best)
    assert.isAbove(run("h2", { isLabelled: true }).marks.at(-1)!.reward, 0.98 * best.best)
    assert.strictEqual(subjectOf(table(600), "cal").best, 1)
    assert.closeTo(subjectOf(table(600), "cal").reference.costUsd, Math.sqrt(0.0002 * 0.002), 1e-12)
  })

  it("judges late, or a part of the answers", () => {
    const late = spy()
    replay(subjectOf(table(50), "q"), late.algorithm, { ...conditions, delay: 10 }, "1", [])
    assert.lengthOf(late.told, 40)
    for (const { asked, at } of late.told) assert.strictEqual(at - Number(asked.key), 10)
    const some = spy()
    replay(subjectOf(table(600), "q"), some.algorithm, { ...conditions, judged: 0.3 }, "1", [])
    assert.closeTo(some.told.length / 600, 0.3, 0.06)
  })

  it("replays each row once in an order of its seed, also where the traffic drifts", () => {
    const { rows } = table(500)
    for (const scenario of ["none", "drift"] as const) {
      const order = orderOf(scenario, rows, "1")
      assert.deepStrictEqual(
        [...order].sort((a, b) => a - b),
        rows.map((_, i) => i)
      )
      assert.deepStrictEqual(orderOf(scenario, rows, "1"), order)
      assert.notDeepEqual(orderOf(scenario, rows, "2"), order)
    }
  })

  it("changes the best model, and the best model only, when its scenario says so", () => {
    for (const scenario of scenarios) {
      const changes = changesAt(scenario, 600)
      const { algorithm, told } = spy()
      const subject = subjectOf(table(600), "q")
      replay(subject, algorithm, { ...conditions, scenario }, "1", [])
      const usual = spy()
      replay(subject, usual.algorithm, { ...conditions, scenario: scenario === "drift" ? "drift" : "none" }, "1", [])
      for (const [n, { answer, asked }] of told.entries()) {
        const before = usual.told[n]!
        if (scenario === "new-model") {
          assert.deepStrictEqual(asked.eligible, n < 300 ? [0] : [0, 1])
          continue
        }
        const isChanged = changes.length > 0 && n >= changes[0]! && n < (changes[1] ?? 600) && answer.arm === 1
        if (!isChanged) assert.strictEqual(answer.quality, before.answer.quality, scenario)
        else if (scenario === "halved" || scenario === "recovery") {
          assert.closeTo(answer.quality, 0.5 * before.answer.quality, 1e-12)
        } else if (scenario === "lower") assert.closeTo(answer.quality, before.answer.quality - 0.3, 1e-12)
        if (scenario === "price" && n >= 300) assert.strictEqual(asked.prices[1]!.inputUsdPerMTok, 200)
      }
    }
    assert.strictEqual(twistAt("one-task", 400, 600, "hard", "hard").times, 0.3)
    assert.strictEqual(twistAt("one-task", 400, 600, "easy", "hard").times, 1)
  })

  it("adds up, with intervals over orders and differences on the same ones", () => {
    const runs = ["1", "2", "3", "4"].map((seed) => run("h2", {}, 600, seed))
    const others = ["1", "2", "3", "4"].map((seed) => run("random", {}, 600, seed))
    const { difference, ofBestSingle } = checkpointOf(others, 600, runs)
    assert.isBelow(ofBestSingle.low, ofBestSingle.mean)
    assert.isBelow(difference!.high, 0)
    assert.closeTo(
      difference!.mean,
      ofBestSingle.mean - checkpointOf(runs, 600, null).ofBestSingle.mean,
      1e-9,
      "a mean of differences is a difference of means"
    )
    assert.deepStrictEqual(estimate([7]), { mean: 7, low: 7, high: 7 })
    const { high, low, mean } = estimate([1, 2, 3, 4, 5])
    assert.closeTo(mean, 3, 1e-12)
    assert.closeTo((high - low) / 2, (2.776 * Math.sqrt(2.5)) / Math.sqrt(5), 0.03)
  })

  it("tells the stretches of a change apart, and what was reported with cause", () => {
    const subject = subjectOf(table(3000), "q")
    const marks = phaseMarks("halved", 3000)
    const runs = ["1", "2"].map((seed) =>
      replay(subject, byName.get("h2")!, { ...conditions, scenario: "halved" }, seed, marks)
    )
    const phases = phasesOf(runs, "halved")
    assert.deepStrictEqual(
      phases.map(({ from, name, to }) => [name, from, to]),
      [
        ["before", 0, 1500],
        ["first 500 after", 1500, 2000],
        ["last 1,000", 2000, 3000]
      ]
    )
    assert.isAbove(phases[0]!.ofOracle.mean, 85)
    assert.isAbove(phases[2]!.ofOracle.mean, phases[1]!.ofOracle.mean)
    const { falseAlarms, medianJudgements, noticed } = alarmsOf(runs)
    assert.deepStrictEqual([noticed, falseAlarms], [2, 0])
    assert.isBelow(medianJudgements!, 100)
  })
})
