import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as H from "../../../src/domain/learning/bandit/Hierarchical.ts"
import { choose, roundForAudit, type Option } from "../../../src/domain/routing/Choice.ts"
import { costReferenceUsd } from "../../../src/domain/routing/Cost.ts"
import { ModelId } from "../../../src/domain/basics/Ids.ts"
import { largestDraw, standardNormalCdf } from "../../../src/domain/routing/Propensity.ts"
import { Draws, hash64, normal, uniform } from "../../../src/domain/basics/Rng.ts"
import { compose } from "../../../src/domain/routing/Score.ts"
import { preferences } from "../../../src/domain/routing/Weights.ts"
import { qualityEvent, seeded } from "../../support/learningEvents.ts"

const option = (model: string, mean: number, sd: number, rest: Partial<Option> = {}): Option => ({
  model: ModelId(model),
  eligible: true,
  excludedBy: null,
  mean,
  sd,
  rise: 0,
  probeShare: 0,
  quality: mean,
  qualitySd: sd,
  costUsd: 0.001,
  latencySeconds: 1,
  ...rest
})

const options = [
  option("a", 0.7, 0.05),
  option("b", 0.66, 0.1),
  option("c", 0.5, 0.2),
  option("out", 0.99, 0.01, { eligible: false, excludedBy: "max_cost_usd" })
]

const decide = (n: number, candidates = options, rest: Partial<Parameters<typeof choose>[0]> = {}) =>
  choose({
    candidates,
    epsilon: 0.01,
    control: 0.01,
    mostProbes: 0.2,
    seed: "s",
    key: `d${n}`,
    decisionId: `d${n}`,
    ...rest
  })

const chancesOf = (scores: ReadonlyArray<{ readonly mean: number; readonly sd: number }>) =>
  largestDraw(
    scores.map(({ mean }) => mean),
    scores.map(({ sd }) => sd)
  )

describe("largestDraw", () => {
  it("reproduces the reference probabilities", () => {
    const {
      gaussian_ts_propensity: cases
    }: { gaussian_ts_propensity: Array<Record<"mean" | "sd" | "p", Array<number>>> } = JSON.parse(
      readFileSync(new URL("../fixtures/bandit_reference.json", import.meta.url), "utf8")
    )
    assert.strictEqual(cases.length, 5)
    for (const { mean, p, sd } of cases) {
      const actual = largestDraw(mean, sd)
      for (const [k, value] of p.entries()) assert.closeTo(actual[k]!, value, 1e-9)
    }
  })

  it("sums to 1 and equals the closed form of two scores, whatever their deviations", () => {
    const random = seeded("largest draw")
    for (let i = 0; i < 300; i++) {
      const scores = Array.from({ length: 1 + Math.floor(random() * 20) }, () => ({
        mean: random(),
        sd: 10 ** (-5 * random())
      }))
      const all = chancesOf(scores)
      assert.closeTo(
        all.reduce((sum, p) => sum + p, 0),
        1,
        1e-12
      )
      assert.isTrue(all.every((p) => p >= 0 && p <= 1))
      const [a, b] = [scores[0]!, scores[1] ?? { mean: 0.5, sd: 0.1 }]
      const expected = standardNormalCdf((a.mean - b.mean) / Math.hypot(a.sd, b.sd))
      assert.closeTo(chancesOf([a, b])[0]!, expected, 1e-9)
    }
  })

  it("equals a fine sum of density times the others' distribution functions", () => {
    const random = seeded("fine sum")
    for (let i = 0; i < 12; i++) {
      const scores = Array.from({ length: 3 + Math.floor(random() * 18) }, () => ({
        mean: random() / (1 + (i % 5)),
        sd: 0.02 + 0.1 * random()
      }))
      const [from, steps] = [-1, 3000]
      const width = 3 / steps
      const expected = scores.map(() => 0)
      for (let s = 0; s <= steps; s++) {
        const z = scores.map(({ mean, sd }) => (from + s * width - mean) / sd)
        const cdfs = z.map(standardNormalCdf)
        for (const [k, { sd }] of scores.entries()) {
          const density = Math.exp((-z[k]! * z[k]!) / 2) / (sd * Math.sqrt(2 * Math.PI))
          const others = cdfs.reduce((product, cdf, j) => (j === k ? product : product * cdf), 1)
          expected[k] = expected[k]! + density * others * width
        }
      }
      for (const [k, value] of chancesOf(scores).entries()) assert.closeTo(value, expected[k]!, 1e-9)
    }
  })

  it("knows the normal distribution to 1e-14", () => {
    const known = [
      [0, 0.5],
      [1, 0.8413447460685429],
      [-1.96, 0.0249978951482204],
      [3, 0.9986501019683699],
      [-8, 6.22096057427178e-16],
      [-40, 0],
      [40, 1]
    ] as const
    for (const [z, p] of known) assert.closeTo(standardNormalCdf(z), p, 1e-14)
  })
})

/** The choice as it is defined, draw by draw. */
const defined = ({ candidates, control, decisionId, epsilon, key, seed }: Parameters<typeof choose>[0]) => {
  const eligible = candidates.filter((candidate) => candidate.eligible)
  const scores = eligible.map(({ mean, model, sd }) => mean + sd * normal(`${seed}|${key}|${model}|score`))
  const anyBy = (draw: string) => {
    const draws = eligible.map(({ model }) => uniform(`${seed}|${draw}|${model}|any`))
    return draws.indexOf(Math.max(...draws))
  }
  const best = Math.max(...eligible.map(({ mean }) => mean))
  const byMean = (k: number) => [eligible[k]!.model, eligible[k]!.mean === best ? "best" : "explore"]
  const largest = chancesOf(eligible)
  const share = 1 / eligible.length
  const propensities = new Map(
    eligible.map(({ model }, k) => [
      model,
      control * share + (1 - control) * ((1 - epsilon) * largest[k]! + epsilon * share)
    ])
  )
  const [chosen, reason] =
    eligible.length === 1
      ? [eligible[0]!.model, "only_eligible"]
      : uniform(`${seed}|${decisionId}|control`) < control
        ? [eligible[anyBy(decisionId)]!.model, "control"]
        : byMean(uniform(`${seed}|${key}|floor`) < epsilon ? anyBy(key) : scores.indexOf(Math.max(...scores)))
  return { chosen, reason, propensities }
}

describe("choose", () => {
  it("takes the model of its definition, for the same reason, with the same propensities", () => {
    const random = seeded("definition")
    for (let i = 0; i < 3000; i++) {
      const candidates = Array.from({ length: 1 + Math.floor(random() * 10) }, (_, k) =>
        option(`m${k}`, random(), 0.3 * 10 ** (-3 * random()), { eligible: k === 0 || random() > 0.1 })
      )
      const input = { candidates, epsilon: 0.1, control: 0.1, mostProbes: 0.2, seed: "s", decisionId: `d${i}` }
      const asked = { ...input, key: random() < 0.5 ? `d${i}` : "a session" }
      const expected = defined(asked)
      const actual = choose(asked)
      assert.deepStrictEqual([actual.chosen, actual.reason], [expected.chosen, expected.reason])
      assert.closeTo(actual.propensity, expected.propensities.get(actual.chosen) ?? 0, 1e-9)
      for (const { model, propensity } of actual.candidates) {
        assert.closeTo(propensity, expected.propensities.get(model) ?? 0, 1e-6)
      }
    }
  })

  it("chooses each model as often as its propensity says", () => {
    const counts = new Map<string, number>()
    const draws = 20_000
    for (let n = 0; n < draws; n++) {
      const { chosen } = decide(n, options, { epsilon: 0.06, control: 0.06 })
      counts.set(chosen, (counts.get(chosen) ?? 0) + 1)
    }
    const { candidates } = decide(0, options, { epsilon: 0.06, control: 0.06 })
    assert.closeTo(
      candidates.reduce((sum, c) => sum + c.propensity, 0),
      1,
      1e-5
    )
    let chiSquare = 0
    for (const { model, propensity } of candidates.filter((c) => c.eligible)) {
      chiSquare += ((counts.get(model) ?? 0) - draws * propensity) ** 2 / (draws * propensity)
    }
    assert.isBelow(chiSquare, 18.4) // p = 1e-4 at 2 degrees of freedom
    assert.isUndefined(counts.get("out"))
  })

  it("takes what is beyond a budget where it is the best, and by chance only what is within, as often as the propensity says", () => {
    const beyond = [
      option("cheap", 0.5, 0.05),
      option("fair", 0.52, 0.05),
      option("dear", 0.56, 0.05, { isUnexplored: true, costUsd: 1 }),
      option("dearest", 0.3, 0.01, { isUnexplored: true, costUsd: 2, rise: 1, probeShare: 0.05 })
    ]
    const draws = 20_000
    const counts = new Map<string, number>()
    for (let n = 0; n < draws; n++) {
      const { chosen } = decide(n, beyond, { epsilon: 0.1, control: 0 })
      counts.set(chosen, (counts.get(chosen) ?? 0) + 1)
    }
    let chiSquare = 0
    for (const { model, propensity } of decide(0, beyond, { epsilon: 0.1, control: 0 }).candidates) {
      if (model === "dearest") assert.isBelow(propensity, 1e-4)
      else chiSquare += ((counts.get(model) ?? 0) - draws * propensity) ** 2 / (draws * propensity)
    }
    assert.isBelow(chiSquare, 18.4) // p = 1e-4 at 2 degrees of freedom
    const onlyBeyond = beyond.slice(2).map((one) => ({ ...one, sd: 1e-6 }))
    const reached = new Set(
      Array.from({ length: 400 }, (_, n) => decide(n, onlyBeyond, { epsilon: 0.2, control: 0 }).chosen)
    )
    assert.deepStrictEqual([...reached], ["dear"], "the cheapest, where all are beyond it")
  })

  it("probes a model that would win if it were back, as often as the propensity says, and all of them at most a fifth", () => {
    const probed = [
      ...options,
      option("fallen", 0.4, 0.01, { rise: 0.35, probeShare: 0.05 }),
      option("worse", 0.4, 0.01, { rise: 0.2, probeShare: 0.05 }),
      option("trial", 0.3, 0.01, { rise: 0.5, probeShare: 0.2 })
    ]
    const counts = new Map<string, number>()
    const reasons = new Map<string, Set<string>>()
    const draws = 20_000
    for (let n = 0; n < draws; n++) {
      const { chosen, exploration, reason } = decide(n, probed)
      counts.set(chosen, (counts.get(chosen) ?? 0) + 1)
      reasons.set(reason, (reasons.get(reason) ?? new Set()).add(chosen))
      if (reason === "probe") assert.isTrue(exploration)
    }
    assert.deepStrictEqual([...(reasons.get("probe") ?? [])].sort(), ["fallen", "trial"])
    const propensity = (model: string) => decide(0, probed).candidates.find((c) => c.model === model)?.propensity ?? 0
    assert.closeTo(propensity("fallen"), 0.99 * (0.04 + 0.01 / 6) + 0.01 / 6, 1e-5)
    assert.closeTo(propensity("trial"), 0.99 * (0.16 + 0.01 / 6) + 0.01 / 6, 1e-5)
    assert.closeTo(propensity("worse"), 0.99 * (0.01 / 6) + 0.01 / 6, 1e-5)
    let chiSquare = 0
    for (const model of ["a", "b", "c", "fallen", "worse", "trial"]) {
      const expected = draws * propensity(model)
      chiSquare += ((counts.get(model) ?? 0) - expected) ** 2 / expected
    }
    assert.isBelow(chiSquare, 25.7) // p = 1e-4 at 5 degrees of freedom
  })

  it("is the same decision in whatever order the candidates stand", () => {
    for (let n = 0; n < 300; n++) {
      const forward = decide(n)
      const backward = decide(n, options.toReversed())
      assert.strictEqual(backward.chosen, forward.chosen)
      assert.closeTo(backward.propensity, forward.propensity, 1e-12)
      assert.deepStrictEqual(backward.candidates.toReversed(), forward.candidates)
    }
  })

  it("draws by the key, so a session keeps its draw, and another router draws otherwise", () => {
    const at = (n: number, key: string, seed = "s") => decide(n, options, { key, control: 0, seed }).candidates
    assert.deepStrictEqual(at(1, "session"), at(2, "session"))
    assert.notDeepEqual(at(1, "session"), at(1, "other"))
    assert.notDeepEqual(at(1, "session"), at(1, "session", "t"))
  })

  it("says why: the best, another one to explore, the control slice, or the only one", () => {
    for (let n = 0; n < 2000; n++) {
      const { chosen, exploration, reason } = decide(n, options, { control: 0 })
      assert.strictEqual(reason, chosen === "a" ? "best" : "explore")
      assert.strictEqual(exploration, chosen !== "a")
    }
    const controls = Array.from({ length: 3000 }, (_, n) => decide(n, options, { control: 1 }))
    assert.isTrue(controls.every(({ exploration, reason }) => reason === "control" && exploration))
    for (const model of ["a", "b", "c"]) {
      assert.closeTo(controls.filter(({ chosen }) => chosen === model).length, 1000, 130)
    }
    const only = decide(1, [options[3]!, options[2]!])
    assert.deepStrictEqual(
      [only.chosen, only.reason, only.propensity, only.exploration],
      [ModelId("c"), "only_eligible", 1, false]
    )
  })

  it("shares evenly among equal scores without uncertainty and puts a score that is not a number last", () => {
    const equal = [option("a", 0.5, 0), option("b", 0.5, 0), option("c", 0.4, 0), option("d", Number.NaN, Number.NaN)]
    const choices = Array.from({ length: 1000 }, (_, n) => decide(n, equal, { epsilon: 0, control: 0 }))
    assert.closeTo(choices[0]!.propensity, 0.5, 1e-7)
    assert.closeTo(choices.filter(({ chosen }) => chosen === "a").length, 500, 70)
    assert.isTrue(choices.every(({ chosen }) => chosen === "a" || chosen === "b"))
  })

  it("shows six digits and decides with all of them", () => {
    const { candidates, chosen, propensity } = decide(3, [option("a", 1 / 3, 0.123456789), option("b", 0.3, 0.1)])
    const shown = candidates.find(({ model }) => model === chosen)!
    assert.strictEqual(candidates[0]!.quality, 0.333333)
    assert.strictEqual(shown.propensity, roundForAudit(propensity))
    assert.notStrictEqual(shown.propensity, propensity)
    for (const value of [0, 1e-7, 123456.7, 0.1 + 0.2, 1 / 3]) {
      assert.strictEqual(roundForAudit(Math.fround(roundForAudit(value))), roundForAudit(value))
    }
    for (const value of [5e-324, 1e-300, -1e-45, 1e-38]) assert.strictEqual(roundForAudit(value), 0)
    for (const value of [1e39, 1e300, Infinity]) {
      assert.strictEqual(roundForAudit(value), 3.4e38)
      assert.strictEqual(roundForAudit(-value), -3.4e38)
    }
    const random = seeded("six digits")
    for (let i = 0; i < 5_000; i++) {
      const value = (random() - 0.5) * 10 ** (50 * random() - 25)
      assert.strictEqual(roundForAudit(value), Number(value.toPrecision(6)))
    }
  })
})

describe("Rng", () => {
  it("draws uniform, normal and independent numbers from keys that differ in one character", () => {
    const n = 20_000
    const cells = new Uint32Array(64)
    let sum = 0
    let squares = 0
    for (let i = 0; i < n; i++) {
      const u = uniform(`key|${i}`)
      const v = uniform(`kez|${i}`)
      cells[Math.floor(u * 8) * 8 + Math.floor(v * 8)]! += 1
      const z = normal(`key|${i}`)
      sum += z
      squares += z * z
    }
    const chiSquare = cells.reduce((total, count) => total + (count - n / 64) ** 2 / (n / 64), 0)
    assert.isBelow(chiSquare, 112) // p = 1e-4 at 63 degrees of freedom
    assert.closeTo(sum / n, 0, 0.03)
    assert.closeTo(squares / n, 1, 0.04)
    assert.strictEqual(new Set(Array.from({ length: n }, (_, i) => hash64(`${i}`).join())).size, n)
    // What draws begin with may be hashed before.
    for (const [beginning, rest] of [
      ["", "ab"],
      ["a", "b"],
      ["ab", ""],
      ["s|d|\u{1F642}", "m|score"]
    ] as const) {
      assert.deepStrictEqual(new Draws(beginning).hash(rest), hash64(beginning + rest))
    }
  })

  it("flips about half of all bits for any one changed bit of the key", () => {
    let flipped = 0
    let pairs = 0
    for (let i = 0; i < 500; i++) {
      for (let bit = 0; bit < 7; bit++) {
        const key = `0199${i}-router|model`
        const position = (i + bit) % key.length
        const other =
          key.slice(0, position) + String.fromCharCode(key.charCodeAt(position) ^ (1 << bit)) + key.slice(position + 1)
        const [a, b] = hash64(key)
        const [c, d] = hash64(other)
        for (let x = (a ^ c) >>> 0; x > 0; x >>>= 1) flipped += x & 1
        for (let x = (b ^ d) >>> 0; x > 0; x >>>= 1) flipped += x & 1
        pairs += 1
      }
    }
    assert.closeTo(flipped / pairs, 32, 0.5)
  })
})

describe("the whole loop", () => {
  interface Arm {
    readonly name: string
    readonly quality: number
    readonly price: number
  }
  const simulate = (arms: ReadonlyArray<Arm>, decisions: number, seed: string) => {
    const parameters = H.defaultParameters
    const state = H.make(parameters, 3)
    const random = seeded(seed)
    const prices = arms.map(({ price }) => ({ inputUsdPerMTok: price, outputUsdPerMTok: price }))
    const reference = costReferenceUsd(prices)
    return Array.from({ length: decisions }, (_, n) => {
      const x = Float32Array.of(1, random() - 0.5, random() - 0.5)
      const candidates = arms.map(({ name }, k) => {
        const model = ModelId(name)
        const prediction = H.predict(state, model, null, null, x)
        const score = compose({
          prediction,
          price: prices[k]!,
          inputTokens: 500,
          maxTokens: null,
          weights: preferences.balanced,
          costReferenceUsd: reference
        })
        return { ...prediction, ...score, model, eligible: true, excludedBy: null }
      })
      const { chosen } = choose({
        candidates,
        epsilon: parameters.epsilon,
        control: parameters.control,
        mostProbes: parameters.mostProbes,
        seed,
        key: `${n}`,
        decisionId: `${n}`
      })
      const arm = arms.find(({ name }) => name === chosen)!
      const judged = Math.min(1, Math.max(0, arm.quality + 0.4 * (random() - 0.5)))
      H.fold(state, n + 1, { ...qualityEvent(n, arm.name, [], judged, { decidedAt: n }), features: x })
      return arm.name
    })
  }
  const share = (chosen: ReadonlyArray<string>, name: string) =>
    chosen.filter((one) => one === name).length / chosen.length

  it("sends at least 95 % to the cheap one of two equal models with prices 100 times apart, within 500 decisions", () => {
    for (const seed of ["1", "2", "3", "4", "5"]) {
      const arms = [
        { name: "cheap", quality: 0.7, price: 0.1 },
        { name: "dear", quality: 0.7, price: 10 }
      ]
      assert.isAtLeast(share(simulate(arms, 800, seed).slice(500), "cheap"), 0.95)
    }
  })

  it("finds the best of five models and sends it over 90 % of the last 500 of 2,000", () => {
    for (const seed of ["1", "2", "3", "4", "5"]) {
      const arms = [0.5, 0.55, 0.8, 0.6, 0.4].map((quality, k) => ({ name: `m${k}`, quality, price: 1 }))
      assert.isAbove(share(simulate(arms, 2000, seed).slice(1500), "m2"), 0.9)
    }
  })
})
