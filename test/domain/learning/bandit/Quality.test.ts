import { assert, describe, it } from "@effect/vitest"
import * as Bets from "../../../../src/domain/learning/bandit/Bets.ts"
import { defaultParameters } from "../../../../src/domain/learning/bandit/Hierarchical.ts"
import * as Quality from "../../../../src/domain/learning/bandit/Quality.ts"
import type { QualityChange } from "../../../../src/domain/learning/bandit/QualityChange.ts"
import { foldJudgement, type Judgement } from "../../../../src/domain/learning/bandit/QualityFold.ts"
import { effectOf, posteriorOf } from "../../../../src/domain/learning/bandit/QualityPosterior.ts"
import { predict } from "../../../../src/domain/learning/bandit/QualityPrediction.ts"
import { refresh } from "../../../../src/domain/learning/bandit/QualityRefresh.ts"
import { solve } from "../../../support/linearSystem.ts"

/** A linear congruential generator: the reference streams are made by it. */
const congruential = (seed: number) => {
  let z = seed
  return () => {
    z = (Math.imul(z, 1664525) + 1013904223) >>> 0
    return z / 4294967296
  }
}

/** With these the reference numbers were made. */
const referenceParameters: Quality.QualityParameters = {
  ...defaultParameters,
  levelSd: 0.12,
  textSd: 0.075,
  cellShare: 0.3,
  v: 0.4,
  followed: 0
}

const make = (
  d: number,
  priors: ReadonlyArray<number | null>,
  parameters: Quality.QualityParameters = referenceParameters
) => {
  const quality = Quality.make(parameters, d)
  for (const prior of priors) {
    Quality.addModel(quality).prior = prior
    Quality.setOffsets(quality)
    refresh(quality)
  }
  return quality
}

const judge = (
  quality: Quality.Quality,
  k: number,
  rest: Pick<Judgement, "task" | "x" | "judged" | "position"> & Partial<Judgement>
) =>
  foldJudgement(
    quality,
    { weight: 1, decidedAt: rest.position, previous: null, withoutCell: false, ...rest, model: quality.models[k]! },
    rest.position
  )

const uniformly = (random: () => number, d: number) => {
  const x = new Float64Array(d)
  x[0] = 1
  for (let i = 1; i < d; i++) x[i] = random() - 0.5
  return x
}

const one = (d: number) => Float64Array.from({ length: d }, (_, i) => (i === 0 ? 1 : 0))

const named = ({ direction, position, scope, task }: QualityChange) => `${scope}/${task}/${direction}@${position}`

describe("Quality", () => {
  it("reproduces the reference stream: one change of one model, and every prediction to 1e-9", () => {
    const random = congruential(12345)
    const quality = make(24, [0.8, 0.6, 0.5])
    const means = [
      [0.8, 0.7, 0.9],
      [0.5, 0.75, 0.6],
      [0.3, 0.6, 0.85]
    ]
    const changes: Array<QualityChange> = []
    for (let n = 0; n < 3000; n++) {
      const k = random() < 0.7 ? 0 : Math.floor(random() * 3)
      const t = Math.floor(random() * 4)
      const x = uniformly(random, 24)
      let p = (t < 3 ? means[k]![t]! : 0.6) + 0.2 * x[1]!
      if (k === 0 && n >= 1800) p *= 0.4
      const judged = random() < p ? 1 : 0
      const change = judge(quality, k, { task: t < 3 ? `t${t}` : null, x, judged, position: n + 1 })
      if (change !== null) changes.push(change)
    }
    assert.deepStrictEqual(changes.map(named), ["model/null/down@1827"])
    const [change] = changes
    assert.deepInclude(change, { since: 1800, answers: 23 })
    assert.closeTo(change!.before!, 0.8021135649105054, 1e-12)
    assert.closeTo(change!.after!, 0.2608695652173913, 1e-12)
    assert.closeTo(change!.evidence / 2732572.8423481374, 1, 1e-9)
    const expected = [
      [0.34475929237, 0.007113183853, 0.034396],
      [0.319461334305, 0.006934483517, 0.032797],
      [0.376297091521, 0.007583311742, 0.037974],
      [0.299699464601, 0.010625970855, 0.030738],
      [0.518802760028, 0.014081080079, 0.06356],
      [0.789566335456, 0.013913920493, 0.059704],
      [0.719006114734, 0.013271687394, 0.060193],
      [0.759659359614, 0.018056020166, 0.047989],
      [0.322421311393, 0.013686598612, 0.067989],
      [0.703665864334, 0.013648224097, 0.073179],
      [0.837451682783, 0.013409378246, 0.064322],
      [0.684159680407, 0.016714793305, 0.060178]
    ]
    const x = one(24)
    x[1] = 0.3
    x[2] = -0.2
    for (const [i, [mean, sd, shownSd]] of expected.entries()) {
      const task = i % 4 < 3 ? `t${i % 4}` : null
      const prediction = predict(quality, quality.models[Math.floor(i / 4)]!, task, x, 3000)
      assert.closeTo(prediction.mean, mean!, 1e-9, `mean ${i}`)
      assert.closeTo(prediction.sd, sd!, 1e-9, `sd ${i}`)
      assert.closeTo(prediction.shownSd, shownSd!, 1e-6, `shown ${i}`)
      assert.closeTo(prediction.rise, i < 4 ? 0.4446 : 0, 1e-4)
    }
    assert.closeTo(Math.sqrt(quality.cellVariance), 0.105819865829, 1e-9)
    assert.closeTo(Math.sqrt(quality.taskVariance), 0.146960530862, 1e-9)
    assert.closeTo(quality.level, 0.621709144758, 1e-9)
  })

  it("sees a score stream turn into hit and miss and back: two changes, of all cells", () => {
    const random = congruential(3)
    const quality = make(6, [0.7, null])
    const changes: Array<string> = []
    for (let i = 1; i <= 5000; i++) {
      const x = uniformly(random, 6)
      const task = random() < 0.3 ? null : `t${Math.floor(random() * 4)}`
      const k = random() < 0.7 ? 0 : 1
      const isBad = i > 3000 && i < 4000 && k === 0
      const judged = isBad ? (random() < 0.3 ? 1 : 0) : Math.min(1, 0.5 + 0.4 * random())
      const change = judge(quality, k, { task, x, judged, position: i })
      if (change === null) continue
      changes.push(named(change))
      assert.isTrue([...quality.models[0]!.cells.values()].every(({ moved }) => moved))
    }
    assert.deepStrictEqual(changes, ["model/null/down@3041", "model/null/back@4016"])
  })

  it("tells a change of unlabelled traffic, of one task and of the whole model apart, and leaves the rest alone", () => {
    const random = congruential(7)
    const level = (task: string | null) => (task === null ? 0.7 : task === "a" ? 0.85 : 0.6)
    for (const [what, expected] of [
      ["unlabelled", "null/down@3117"],
      ["task", "task/a/down@3173"],
      ["model", "model/null/down@3021"]
    ] as const) {
      const quality = make(4, [0.7, 0.6])
      const x = one(4)
      const predicted = () => [null, "a", "b"].map((task) => predict(quality, quality.models[0]!, task, x, 0).mean)
      const changes: Array<string> = []
      let before: ReadonlyArray<number> = []
      let after: ReadonlyArray<number> = []
      for (let i = 1; i <= 4000; i++) {
        const task = [null, "a", "b"][Math.floor(random() * 3)]!
        const isBad =
          i > 3000 &&
          (what === "model" || (what === "unlabelled" && task === null) || (what === "task" && task === "a"))
        const judged = random() < level(task) * (isBad ? 0.4 : 1) ? 1 : 0
        if (i === 3000) before = predicted()
        const change = judge(quality, 0, { task, x, judged, position: i })
        if (change !== null) {
          changes.push(named(change))
          after = predicted()
        }
        if (i % 20 === 0) judge(quality, 1, { task, x, judged: random() < 0.5 ? 1 : 0, position: i })
      }
      assert.lengthOf(changes, 1)
      assert.isTrue(changes[0]!.endsWith(expected), changes[0])
      for (const [i, task] of [null, "a", "b"].entries()) {
        const fell = what === "model" || (what === "unlabelled" ? task === null : task === "a")
        if (fell) assert.isBelow(after[i]!, 0.65 * before[i]!, `${what} ${task}`)
        else assert.closeTo(after[i]!, before[i]!, 0.04, `${what} ${task}`)
      }
    }
  })

  it("moves a suspected and a changed level no further than what was judged since, also where the estimate has followed", () => {
    const x = one(4)
    for (const tasks of [[null], ["a", "b"]] as ReadonlyArray<ReadonlyArray<string | null>>) {
      for (let seed = 1; seed <= 12; seed++) {
        const random = congruential(7919 * seed)
        const quality = make(4, [0.7, 0.6], defaultParameters)
        const model = quality.models[0]!
        const estimates = () => tasks.map((task) => predict(quality, model, task, x, 0).mean)
        const means = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
        let change: QualityChange | null = null
        for (let i = 1; i <= 600 && change === null; i++) {
          const suspected = means(estimates())
          const judged = random() < (i > 80 ? 0.4 : 0.8) ? 1 : 0
          change = judge(quality, 0, { task: tasks[i % tasks.length]!, x, judged, position: i })
          if (change === null) continue
          assert.strictEqual(change.direction, "down")
          // A task's change is seen from its own answers only.
          const now: number = tasks.indexOf(change.task)
          assert.isAtLeast(now < 0 ? suspected : estimates()[now]!, change.after! - 0.02, `${tasks} ${seed}`)
          assert.closeTo(now < 0 ? means(estimates()) : estimates()[now]!, change.after!, 0.06, `${tasks} ${seed}`)
        }
      }
    }
  })

  it("is the ridge regression with one-hot task columns, by closed form", () => {
    const random = congruential(5)
    const tasks = ["a", "b", "c"]
    const d = 4
    const quality = make(d, [0.6], { ...referenceParameters, translation: Number.POSITIVE_INFINITY })
    const answers = Array.from({ length: 41 }, (_, i) => ({
      x: uniformly(random, d),
      task: tasks[Math.floor(random() * 3)]!,
      judged: random(),
      weight: random() < 0.5 ? 0.5 : 1,
      position: i + 1
    }))
    for (const answer of answers) judge(quality, 0, answer)
    const model = quality.models[0]!
    const mean = [model.priorLevel, ...[...quality.shared].slice(1), ...tasks.map((t) => quality.tasks.get(t)!.mean)]
    const ridge = mean.map((_, i) =>
      i === 0 ? model.noise / 0.12 ** 2 : i < d ? model.noise / 0.075 ** 2 : model.noise / quality.cellVariance
    )
    const z = answers.map(({ task, x }) => [...x, ...tasks.map((t) => (t === task ? 1 : 0))])
    const matrix = mean.map((_, i) =>
      mean.map(
        (_, j) =>
          (i === j ? ridge[i]! : 0) + answers.reduce((sum, { weight }, n) => sum + weight * z[n]![i]! * z[n]![j]!, 0)
      )
    )
    const right = mean.map(
      (value, i) =>
        ridge[i]! * value + answers.reduce((sum, { judged, weight }, n) => sum + weight * judged * z[n]![i]!, 0)
    )
    const exact = solve(matrix, right)
    const { theta } = posteriorOf(quality, model)
    for (let i = 0; i < d; i++) assert.closeTo(theta[i]!, exact[i]!, 1e-12)
    for (const [k, task] of tasks.entries()) {
      assert.closeTo(effectOf(quality, model, model.cells.get(task)!, theta), exact[d + k]!, 1e-12)
    }
  })

  it("is one regression with a level for each arm and one text for all arms of an upstream, by closed form", () => {
    const random = congruential(7)
    const d = 4
    const tasks = ["a", "b"]
    const quality = make(d, [0.6, null, 0.4], { ...referenceParameters, translation: Number.POSITIVE_INFINITY })
    for (const model of quality.models.slice(0, 2)) model.upstream = "openai/o4-mini"
    Quality.setSiblings(quality)
    const answers = Array.from({ length: 157 }, (_, i) => ({
      k: i % 3,
      x: uniformly(random, d),
      task: tasks[Math.floor(random() * 3)] ?? null,
      judged: random(),
      position: i + 1
    }))
    for (const { k, ...answer } of answers) judge(quality, k, answer)
    const arms = quality.models.slice(0, 2)
    const cells = arms.flatMap((model, k) => tasks.map((task) => ({ k, task, model, cell: model.cells.get(task)! })))
    for (const [k, arm] of arms.entries()) {
      const mean = [
        ...arms.map(({ priorLevel }) => priorLevel),
        ...[...quality.shared].slice(1),
        ...cells.map(({ cell, task }) => quality.tasks.get(task)!.mean + cell.base)
      ]
      const levelVariances = [0.12 ** 2, referenceParameters.levelSdUnknown ** 2]
      const ridge = mean.map((_, i) =>
        i < 2 ? arm.noise / levelVariances[i]! : i < d + 1 ? arm.noise / 0.075 ** 2 : arm.noise / quality.cellVariance
      )
      const rows = answers
        .filter((answer) => answer.k < 2)
        .map(({ judged, k: of, task, x }) => ({
          weight: arm.noise / arms[of]!.noise,
          judged,
          z: [
            ...arms.map((_, i) => (i === of ? 1 : 0)),
            ...[...x].slice(1),
            ...cells.map((one) => (one.k === of && one.task === task ? 1 : 0))
          ]
        }))
      const matrix = mean.map((_, i) =>
        mean.map((_, j) => rows.reduce((sum, { weight, z }) => sum + weight * z[i]! * z[j]!, i === j ? ridge[i]! : 0))
      )
      const right = mean.map((value, i) =>
        rows.reduce((sum, { judged, weight, z }) => sum + weight * judged * z[i]!, ridge[i]! * value)
      )
      const exact = solve(matrix, right)
      const { theta } = posteriorOf(quality, arm)
      assert.closeTo(theta[0]!, exact[k]!, 1e-11)
      for (let i = 1; i < d; i++) assert.closeTo(theta[i]!, exact[i + 1]!, 1e-11)
      for (const [i, { cell, k: of }] of cells.entries()) {
        if (of === k) assert.closeTo(effectOf(quality, arm, cell, theta), exact[d + 1 + i]!, 1e-11)
      }
    }
    assert.notDeepEqual([...posteriorOf(quality, quality.models[2]!).theta], [...posteriorOf(quality, arms[0]!).theta])
  })

  it("holds the final values after revisions and weights in any order", () => {
    const random = congruential(99)
    const d = 6
    const [late, atOnce] = [make(d, [0.7, null]), make(d, [0.7, null])]
    const answers = Array.from({ length: 600 }, () => ({
      k: random() < 0.6 ? 0 : 1,
      task: [null, "t0", "t1"][Math.floor(random() * 3)]!,
      x: uniformly(random, d),
      judged: random(),
      weight: 0.25 + 0.75 * random()
    }))
    for (const [i, answer] of answers.entries()) judge(atOnce, answer.k, { ...answer, position: i + 1 })
    let position = 0
    const open: Array<() => void> = []
    for (const answer of answers) {
      position++
      if (random() < 0.4) {
        const previous = { quality: random(), weight: 0.5, position }
        judge(late, answer.k, { ...answer, judged: previous.quality, weight: previous.weight, position })
        open.push(() => judge(late, answer.k, { ...answer, position: ++position, previous }))
      } else judge(late, answer.k, { ...answer, position })
      if (open.length > 5 && random() < 0.5) open.shift()?.()
    }
    for (const revise of open) revise()
    for (const [k, model] of late.models.entries()) {
      const other = atOnce.models[k]!
      const sums = ({ b, n, s, squares }: Quality.ModelEvidence) => [...s, ...b, n, squares]
      for (const [i, value] of sums(model).entries()) assert.closeTo(value, sums(other)[i]!, 1e-10)
      for (const [task, cell] of model.cells) {
        const same = other.cells.get(task)!
        for (const [value, expected] of [
          [cell.n, same.n],
          [cell.sum, same.sum],
          [cell.squares, same.squares]
        ] as const) {
          assert.closeTo(value, expected, 1e-10)
        }
        for (const [i, value] of cell.x.entries()) assert.closeTo(value, same.x[i]!, 1e-10)
      }
    }
  })

  it("never estimates further than one and a half standard errors from what was judged, from 40 answers on", () => {
    const random = congruential(11)
    const quality = make(6, [0.9, 0.2], defaultParameters)
    for (let i = 1; i <= 4000; i++) {
      const task = `t${Math.floor(random() * 5)}`
      judge(quality, random() < 0.5 ? 0 : 1, { task, x: uniformly(random, 6), judged: random() ** 2, position: i })
      if (i % 97 !== 0) continue
      for (const model of quality.models) {
        const { theta } = posteriorOf(quality, model)
        for (const cell of model.cells.values()) {
          if (cell.n < 40) continue
          const text = theta.reduce((sum, value, j) => sum + value * cell.x[j]!, 0) / cell.n
          const fit = text + effectOf(quality, model, cell, theta)
          const spread = Math.max(0, cell.squares - cell.sum ** 2 / cell.n)
          const error = Math.sqrt((8 * model.noise + spread) / (8 + cell.n) / cell.n)
          assert.isAtMost(Math.abs(fit - cell.sum / cell.n), 1.5 * error + 1e-9)
        }
      }
    }
  })

  it("reports nothing in 120,000 answers of models that do not change, and nothing of constant scores", () => {
    for (const mean of [0.05, 0.3, 0.6, 0.95]) {
      const random = congruential(Math.round(1000 * mean))
      for (let router = 0; router < 3; router++) {
        const quality = make(12, [0.5, 0.5, null], defaultParameters)
        for (let i = 1; i <= 10_000; i++) {
          const task = i % 3 === 0 ? null : `t${Math.floor(random() * 6)}`
          const x = uniformly(random, 12)
          const judged = random() < mean ? 1 : 0
          assert.isNull(judge(quality, Math.floor(random() * 3), { task, x, judged, position: i }))
        }
      }
    }
    for (const judged of [0, 0.7, 1]) {
      const quality = make(4, [0.7, 0.6], defaultParameters)
      const random = congruential(5)
      for (let i = 1; i <= 5_000; i++) {
        assert.isNull(judge(quality, 0, { task: `t${i % 3}`, x: uniformly(random, 4), judged, position: i }))
      }
      assert.closeTo(predict(quality, quality.models[0]!, "t0", one(4), 0).mean, judged, 0.01)
    }
  })
})

describe("Bets", () => {
  const betting = { tolerance: 0, largestPrediction: 1 }
  const afterOne = (predicted: number, judged: number) => {
    const detector = Bets.make()
    Bets.bet(detector, betting, 1, { predicted, judged, weight: 1, mean: 0.5 })
    return Bets.evidence(detector.fall)
  }

  it("wins by the likelihood ratio of the assumed falls, and on average nothing while the prediction holds", () => {
    const stakes = [0.1, 0.2, 0.35, 0.55, 0.8]
    for (const p of [0.1, 0.5, 0.87]) {
      const miss = stakes.reduce((sum, stake) => sum + (1 - p * (1 - stake)) / (1 - p), 0) / 5
      const hit = stakes.reduce((sum, stake) => sum + (1 - stake), 0) / 5
      assert.closeTo(afterOne(p, 0), miss, 1e-12)
      assert.closeTo(afterOne(p, 1), hit, 1e-12)
      assert.closeTo(p * afterOne(p, 1) + (1 - p) * afterOne(p, 0), 1, 1e-12)
      assert.closeTo(0.5 * afterOne(p, p + 0.1) + 0.5 * afterOne(p, p - 0.1), 1, 1e-12)
    }
  })

  it("needs as many failures in a row as the closed form says", () => {
    for (const [p, half, alarm] of [
      [0.9, 5, 9],
      [0.7, 10, 16],
      [0.5, 17, 28],
      [0.3, 31, 54]
    ] as const) {
      const detector = Bets.make()
      const parameters = { tolerance: 0.03, largestPrediction: 0.9 }
      const after = (evidence: number) => {
        Bets.clear(detector)
        let n = 0
        while (Bets.evidence(detector.fall) <= evidence) {
          n++
          Bets.bet(detector, parameters, n, { predicted: p, judged: 0, weight: 1, mean: p })
        }
        return n
      }
      assert.deepStrictEqual([after(3_000), after(1_000_000)], [half, alarm])
    }
  })
})
