import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { readFileSync } from "node:fs"
import * as H from "../../../../src/domain/learning/bandit/Hierarchical.ts"
import * as Ridge from "../../../../src/domain/learning/bandit/Ridge.ts"
import { ModelId } from "../../../../src/domain/basics/Ids.ts"
import type { LearningEvent } from "../../../../src/domain/learning/LearningEvent.ts"
import { largestDraw } from "../../../../src/domain/routing/Propensity.ts"
import { modelEvent, qualityEvent, runEvent, seeded } from "../../../support/learningEvents.ts"

const parameters = H.defaultParameters
const withoutDetection: H.Parameters = { ...parameters, cusumH: Number.POSITIVE_INFINITY }

const near = (actual: number, expected: number, tolerance: number, what = "") =>
  assert.isTrue(
    Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `${what} ${actual} is not ${expected}`
  )

interface Reference {
  readonly off: ReadonlyArray<number>
  readonly queries: ReadonlyArray<ReadonlyArray<number>>
  readonly events: ReadonlyArray<{ k: number; x: ReadonlyArray<number>; y: number; z: number }>
  readonly after: ReadonlyArray<{
    t: number
    m: number
    th0: ReadonlyArray<number>
    models: ReadonlyArray<{
      n: number
      theta: ReadonlyArray<number>
      sigma2: number
      query: ReadonlyArray<{ mean: number; h: number; score_sd: number }>
    }>
    propensity: ReadonlyArray<ReadonlyArray<number>>
  }>
}

describe("Hierarchical", () => {
  it("reproduces the reference run: level, direction, posteriors, residuals, propensities", () => {
    const reference: Reference = JSON.parse(
      readFileSync(new URL("../../fixtures/h_reference.json", import.meta.url), "utf8")
    )
    // With no slack and no minimum the two CUSUM sums show each residual.
    const state = H.make({ ...withoutDetection, cusumK: 0, cusumMinEvents: 0 }, 4)
    const names = reference.off.map((_, k) => ModelId(`m${k}`))
    for (const [k, off] of reference.off.entries()) H.fold(state, 1, modelEvent(`m${k}`, 0.5 + off))
    let checked = 0
    // The reference's features are not float32: they are put in as they are.
    const exact = (x: ReadonlyArray<number>) => Float64Array.from(x) as unknown as Float32Array
    for (const [i, event] of reference.events.entries()) {
      const model = state.models[event.k]!
      const before = { low: model.low, high: model.high }
      H.fold(state, i + 2, { ...qualityEvent(i, `m${event.k}`, [], event.y), features: exact(event.x) })
      const z = model.high > 0 && model.high > before.high ? model.high - before.high : before.low - model.low
      near(z, event.z, 1e-12, `z of event ${i}`)
      const after = reference.after.find(({ t }) => t === i + 1)
      if (after === undefined) continue
      checked += 1
      near(state.quality.level, after.m, 1e-12, "level")
      for (const [j, value] of after.th0.entries()) near(state.quality.shared[j]!, value, 1e-12, "th0")
      for (const [k, expected] of after.models.entries()) {
        const posterior = Ridge.posterior(state.quality, state.quality.rows[k]!, new Float64Array(4))
        for (const [j, value] of expected.theta.entries()) near(posterior.theta[j]!, value, 1e-12, "theta")
        near(posterior.sigma2, expected.sigma2, 1e-12, "sigma2")
        for (const [q, query] of expected.query.entries()) {
          const x = exact(reference.queries[q]!)
          const prediction = H.predict(state, names[k]!, null, x)
          near(prediction.quality / prediction.successRate, query.mean, 1e-12, "mean")
          near(prediction.qualitySd / prediction.successRate, query.score_sd, 1e-12, "sd")
          near(
            Ridge.leverage(posterior, Float64Array.from(reference.queries[q]!), 4, new Float64Array(4)),
            query.h,
            1e-12
          )
        }
      }
      for (const [q, expected] of after.propensity.entries()) {
        const scores = after.models.map((m) => ({ mean: m.query[q]!.mean, sd: m.query[q]!.score_sd }))
        for (const [k, p] of largestDraw(scores).entries()) near(0.99 * p + 0.01 / 3, expected[k]!, 1e-9, "propensity")
      }
    }
    assert.strictEqual(checked, 3)
  })

  it("holds the ridge regression of the final values, after any order of judgements and revisions", () => {
    for (let trial = 0; trial < 30; trial++) {
      const random = seeded(`ridge ${trial}`)
      const d = 2 + Math.floor(random() * 6)
      const state = H.make(withoutDetection, d)
      const models = ["a", "b", "c"]
      H.fold(state, 1, modelEvent("a", 0.8))
      H.fold(state, 1, modelEvent("b", 0.6))
      const final = new Map<number, { model: string; x: Array<number>; y: number; w: number; position: number }>()
      for (let position = 2; position < 120; position++) {
        const revised = final.get(Math.floor(random() * 60))
        const n = revised === undefined ? position : [...final].find(([, v]) => v === revised)![0]
        const y = random()
        const w = random() < 0.1 ? 0 : random() < 0.5 ? 1 : random()
        const model = revised?.model ?? models[Math.floor(random() * 3)]!
        const x = revised?.x ?? [1, ...Array.from({ length: d - 1 }, () => Math.fround(random() - 0.3))]
        const previous =
          revised === undefined ? null : { quality: revised.y, weight: revised.w, position: revised.position }
        H.fold(state, position, qualityEvent(n, model, x, y, { weight: w, previous, decidedAt: 1 }))
        final.set(n, { model, x, y, w, position })
      }
      for (const [k, { id }] of state.models.entries()) {
        const row = state.quality.rows[k]!
        const mu = [row.prior, ...[...state.quality.shared].slice(1)]
        const lambda = mu.map((_, i) => (i === 0 ? row.lambda0 : withoutDetection.lambda))
        const a = mu.map((_, i) => mu.map((_, j) => (i === j ? lambda[i]! : 0)))
        const right = mu.map((value, i) => lambda[i]! * value)
        for (const { model, w, x, y } of final.values()) {
          if (model !== id) continue
          for (let i = 0; i < d; i++) {
            right[i]! += w * y * x[i]!
            for (let j = 0; j < d; j++) a[i]![j]! += w * x[i]! * x[j]!
          }
        }
        const posterior = Ridge.posterior(state.quality, row, new Float64Array(d))
        for (const [i, value] of solve(a, right).entries()) near(posterior.theta[i]!, value, 1e-9, `theta ${i}`)
        const judged = [...final.values()].filter(({ model, w }) => model === id && w > 0).length
        assert.strictEqual(H.learned(state, id, null).quality.observations, judged)
      }
    }
  })

  it("continues from a snapshot to the same bits, wherever the log is cut", () => {
    const log = eventfulLog()
    const whole = H.make(parameters, 4)
    for (const [i, event] of log.entries()) H.fold(whole, i + 1, event)
    assert.isAbove(H.epoch(whole, ModelId("a")), 1, "the log contains a detected change and an ordered reset")
    const expected = H.encode(whole)
    for (let cut = 0; cut <= log.length; cut++) {
      const head = H.make(parameters, 4)
      for (let i = 0; i < cut; i++) H.fold(head, i + 1, log[i]!)
      // Reading what is known must not change what follows.
      if (cut % 3 === 0) H.predict(head, ModelId("a"), null, Float32Array.of(1, 0.2, 0.3, 0.4))
      const state = Either.getOrThrow(H.decode(H.encode(head), parameters, 4))
      for (let i = cut; i < log.length; i++) H.fold(state, i + 1, log[i]!)
      assert.deepStrictEqual(H.encode(state), expected, `cut at ${cut}`)
      assert.deepStrictEqual(
        H.predict(state, ModelId("b"), null, Float32Array.of(1, 0.2, 0.3, 0.4)),
        H.predict(whole, ModelId("b"), null, Float32Array.of(1, 0.2, 0.3, 0.4))
      )
    }
  })

  it("refuses a snapshot with any bit changed or any byte missing", () => {
    const state = H.make(parameters, 2)
    H.fold(state, 1, modelEvent("a", 0.5))
    H.fold(state, 2, qualityEvent(1, "a", [1, 0.5], 0.9, { task: "résumé" }))
    const bytes = H.encode(state)
    assert.isTrue(Either.isRight(H.decode(bytes, parameters, 2)))
    for (let length = 0; length < bytes.length; length++) {
      assert.isTrue(Either.isLeft(H.decode(bytes.subarray(0, length), parameters, 2)), `cut to ${length}`)
    }
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice()
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      assert.isTrue(Either.isLeft(H.decode(damaged, parameters, 2)), `bit ${bit}`)
    }
    assert.isTrue(Either.isLeft(H.decode(Uint8Array.of(...bytes, 0), parameters, 2)))
    const others = [H.decode(bytes, { ...parameters, lambda: 29 }, 2), H.decode(bytes, parameters, 3)]
    for (const other of others) assert.isTrue(Either.isLeft(other) && other.left.reason === "parameters")
  })

  it("takes back what a reset has left of a revised judgement", () => {
    const state = H.make(withoutDetection, 2)
    const row = () => state.quality.rows[0]!
    H.fold(state, 5, qualityEvent(1, "a", [1, 0.5], 1, { decidedAt: 4 }))
    H.fold(state, 6, { type: "reset", model: ModelId("a") })
    assert.strictEqual(H.epoch(state, ModelId("a")), 1)
    near(row().n, parameters.keep, 1e-15)
    const previous = { quality: 1, weight: 1, position: 5 }
    H.fold(state, 7, qualityEvent(1, "a", [1, 0.5], 0.4, { decidedAt: 4, weight: 0.5, previous }))
    near(row().n, 0.5 * parameters.keep, 1e-15)
    near(row().b[1]!, 0.5 * 0.4 * 0.5 * parameters.keep, 1e-15)
    near(row().r2, 0.5 * 0.16 * parameters.keep, 1e-15)
    near(row().s[2]!, 0.5 * 0.25 * parameters.keep, 1e-15)
  })

  it("counts a judgement that a reset has overtaken, and does not learn it or its revision", () => {
    const state = H.make(withoutDetection, 2)
    H.fold(state, 5, { type: "reset", model: ModelId("a") })
    const before = state.quality.rows[0]!.n
    H.fold(state, 8, qualityEvent(1, "a", [1, 0.5], 1, { decidedAt: 4 }))
    const previous = { quality: 1, weight: 1, position: 8 }
    H.fold(state, 9, qualityEvent(1, "a", [1, 0.5], 0, { decidedAt: 4, previous }))
    assert.strictEqual(state.quality.rows[0]!.n, before)
    assert.strictEqual(state.quality.rows[0]!.r2, 0)
    assert.strictEqual(H.learned(state, ModelId("a"), null).quality.observations, 1)
    H.fold(state, 10, qualityEvent(2, "a", [1, 0.5], 1, { decidedAt: 5 }))
    assert.strictEqual(state.quality.rows[0]!.n, before + 1)
  })

  it("notices that a model's quality has halved, and not that nothing changed", () => {
    const state = H.make(parameters, 2)
    const random = seeded("change")
    const a = ModelId("a")
    let n = 0
    const judge = (mean: number) => {
      n += 1
      H.fold(
        state,
        n,
        qualityEvent(n, "a", [1, random() - 0.5], Math.min(1, Math.max(0, mean + 0.3 * (random() - 0.5))))
      )
    }
    for (let i = 0; i < 1000; i++) judge(0.8)
    assert.strictEqual(H.epoch(state, a), 0)
    let late = 0
    while (H.epoch(state, a) === 0 && late < 100) {
      judge(0.4)
      late += 1
    }
    assert.isBelow(late, 20)
    for (let i = 0; i < 60; i++) judge(0.4)
    near(H.learned(state, a, null).quality.mean, 0.4, 0.08)
  })

  it("gives a task label its own coordinate from its first event on, at most 32 of them", () => {
    const state = H.make(parameters, 3)
    const base = Float32Array.of(1, 0.5, 0.25)
    assert.deepStrictEqual(H.withLabel(state, base, "math"), base)
    for (let i = 0; i < 40; i++) H.fold(state, i + 1, qualityEvent(i, "a", [1, 0.5, 0.25], 0.5, { task: `t${i}` }))
    assert.deepStrictEqual(H.withLabel(state, base, "t1"), Float32Array.of(1, 0.5, 0.25, 0, 1))
    assert.strictEqual(H.withLabel(state, base, "t31").length, 35)
    assert.deepStrictEqual(H.withLabel(state, base, "t32"), base)
    assert.deepStrictEqual(H.withLabel(state, base, null), base)
    const fails = H.withLabel(state, base, "t3")
    for (let i = 100; i < 200; i++) {
      const isThird = i % 2 === 0
      const features = isThird ? fails : H.withLabel(state, base, "t4")
      H.fold(state, i, { ...qualityEvent(i, "a", [], isThird ? 0.2 : 0.9), features, task: isThird ? "t3" : "t4" })
    }
    const a = ModelId("a")
    assert.isBelow(
      H.predict(state, a, null, fails).quality + 0.2,
      H.predict(state, a, null, H.withLabel(state, base, "t4")).quality
    )
  })

  it("predicts a model without observations from its prior", () => {
    const state = H.make(parameters, 2)
    H.fold(state, 1, modelEvent("good", 0.9))
    H.fold(state, 1, modelEvent("poor", 0.5))
    const x = Float32Array.of(1, 0)
    const quality = (model: string, prior: number | null) => {
      const prediction = H.predict(state, ModelId(model), prior, x)
      return prediction.quality / prediction.successRate
    }
    near(quality("good", null), 0.7, 1e-12)
    near(quality("poor", null), 0.3, 1e-12)
    near(quality("new", 0.8), 0.6, 1e-12)
    near(quality("unknown", null), 0.5, 1e-12)
    const prediction = H.predict(state, ModelId("new"), 0.8, x)
    near(prediction.successRate, 0.98, 1e-12)
    near(prediction.qualitySd, 0.98 * 0.4 * 0.3 * Math.sqrt(1 / 10), 1e-12)
    near(prediction.latencySeconds, 2, 1e-12)
    near(Math.log(prediction.outputTokens), Math.log(300) + (0.09 * 1.25) / 2, 1e-12)
    assert.deepStrictEqual(H.learned(state, ModelId("good"), null).quality.mean, quality("good", null))
  })

  it("learns tokens, latency and reliability of each model from its calls, and no quality", () => {
    const state = H.make(parameters, 2)
    const before = H.learned(state, ModelId("a"), null).quality
    const random = seeded("runs")
    for (let i = 0; i < 400; i++) {
      const x = [1, random() - 0.5]
      H.fold(state, i, runEvent(i, "a", x, { logOutputTokens: Math.log(100), latencyScore: 1 / (1 + 1 / 2) }))
      const ok = i % 4 !== 0
      const answer = ok ? { logOutputTokens: Math.log(900), latencyScore: 1 / (1 + 6 / 2) } : null
      H.fold(state, i, runEvent(i, "b", x, { ok, logOutputTokens: null, latencyScore: null, ...answer }))
    }
    const a = H.learned(state, ModelId("a"), null)
    const b = H.learned(state, ModelId("b"), null)
    near(a.outputTokensMean, 100, 0.05)
    near(b.outputTokensMean, 900, 0.05)
    near(a.latencySecondsMean, 1, 0.05)
    near(b.latencySecondsMean, 6, 0.05)
    near(a.successRate, 1, 0.01)
    near(b.successRate, 0.77, 0.02)
    assert.deepStrictEqual(a.quality, before)
  })

  it("keeps the learned quality to the last digit through calls that nobody judged, whatever their task", () => {
    // A success rate of exactly 1 leaves no rounding in the quotients below.
    const state = H.make({ ...parameters, successPrior: 1 }, 3)
    const random = seeded("unjudged")
    const x = () => [1, random() - 0.5, random() - 0.5].map(Math.fround)
    H.fold(state, 1, modelEvent("a", 0.8))
    H.fold(state, 1, modelEvent("b", 0.6))
    for (let i = 0; i < 37; i++) H.fold(state, i + 2, qualityEvent(i, i % 3 === 0 ? "b" : "a", x(), random()))
    const at = Float32Array.from(x())
    const judged = () =>
      ["a", "b"].map((model) => {
        const { quality, qualitySd, successRate } = H.predict(state, ModelId(model), null, at)
        return [H.learned(state, ModelId(model), null).quality, quality / successRate, qualitySd / successRate]
      })
    const before = judged()
    for (let i = 0; i < 200; i++) {
      H.fold(state, 100 + i, runEvent(i, i % 2 === 0 ? "b" : "a", x(), { task: `t${i}` }))
      assert.deepStrictEqual(judged(), before)
    }
  })

  it("ignores what cannot be learned from and stays finite", () => {
    const state = H.make(parameters, 3)
    const a = ModelId("a")
    for (const bad of [Number.NaN, -0.1, 1.1, Number.POSITIVE_INFINITY]) {
      H.fold(state, 1, qualityEvent(1, "a", [1, 0, 0], bad))
      H.fold(state, 1, qualityEvent(1, "a", [1, 0, 0], 0.5, { weight: bad }))
      H.fold(state, 1, qualityEvent(1, "a", [1, 0, 0], 0.5, { previous: { quality: bad, weight: 1, position: 0 } }))
    }
    H.fold(state, 1, qualityEvent(1, "a", [1, Number.NaN, 0], 0.5))
    H.fold(state, 1, runEvent(1, "a", [1, Number.NaN, 0]))
    H.fold(
      state,
      1,
      runEvent(1, "a", [1, 0, 0], { logOutputTokens: Number.NaN, latencyScore: Number.POSITIVE_INFINITY })
    )
    H.fold(state, 1, modelEvent("a", Number.NaN))
    assert.strictEqual(state.quality.rows[0]!.r2 + state.tokens.rows[0]!.r2 + state.latency.rows[0]!.r2, 0)
    // Zero, duplicated, too long and empty features; more taken back than there was.
    for (let i = 0; i < 100; i++) {
      H.fold(state, i, qualityEvent(i, "a", [0, 0, 0], 1))
      H.fold(state, i, qualityEvent(i, "a", [1, 1, 1], 1))
      H.fold(state, i, qualityEvent(i, "b", [1, 1, 1, 1, 1, 1], 0))
      H.fold(state, i, qualityEvent(i, "c", [], 1))
      const previous = { quality: 1, weight: 1, position: 0 }
      H.fold(state, i, qualityEvent(i, "d", [1, 1, 1], 0, { weight: 0, previous }))
    }
    for (const model of ["a", "b", "c", "d", "never-seen"]) {
      for (const x of [[1, 0.5, 0.5], [], [Number.NaN], [1, 2, 3, 4, 5]]) {
        for (const value of Object.values(H.predict(state, ModelId(model), null, Float32Array.from(x)))) {
          assert.isTrue(Number.isFinite(value), model)
        }
      }
      const { quality } = H.learned(state, ModelId(model), null)
      assert.isTrue(
        quality.low >= 0 && quality.low <= quality.mean && quality.mean <= quality.high && quality.high <= 1
      )
    }
    assert.strictEqual(H.epoch(state, a), H.predict(state, a, null, Float32Array.of(1)).epoch)
  })

  it("names algorithm, feature map and parameters in its fingerprint", () => {
    const own = H.fingerprint(parameters, "lex1")
    assert.strictEqual(own, H.fingerprint({ ...parameters }, "lex1"))
    for (const name of Object.keys(parameters)) {
      assert.notStrictEqual(own, H.fingerprint({ ...parameters, [name]: 0.123 }, "lex1"), name)
    }
    assert.notStrictEqual(own, H.fingerprint(parameters, "lex2"))
    assert.isBelow(own.length, 64)
  })
})

/** A log in which everything happens: models, labels, calls, revisions, a change that is detected, an ordered reset. */
const eventfulLog = (): ReadonlyArray<LearningEvent> => {
  const random = seeded("eventful")
  const log: Array<LearningEvent> = [modelEvent("a", 0.8), modelEvent("b")]
  const features = () => [1, random(), random() - 0.5, random()].map(Math.fround)
  for (let i = 0; i < 60; i++) {
    const x = features()
    log.push(runEvent(i, i % 3 === 0 ? "b" : "a", x, i % 7 === 0 ? { ok: false, logOutputTokens: null } : {}))
    log.push(qualityEvent(i, i % 5 === 0 ? "b" : "a", x, i < 45 ? 0.9 : 0.1, { decidedAt: log.length }))
    if (i % 6 === 5) {
      const position = log.length
      const previous = { quality: i < 45 ? 0.9 : 0.1, weight: 1, position }
      log.push(qualityEvent(i, i % 5 === 0 ? "b" : "a", x, 0.5, { decidedAt: position - 1, weight: 0.5, previous }))
    }
    if (i === 20) log.push(qualityEvent(1000, "c", [...x, 1], 0.7, { task: "math" }))
    if (i === 25) log.push(modelEvent("c", 0.6))
    if (i === 58) log.push({ type: "reset", model: ModelId("a") })
  }
  return log
}

/** Gauss-Jordan elimination with pivoting. */
const solve = (matrix: ReadonlyArray<ReadonlyArray<number>>, right: ReadonlyArray<number>): ReadonlyArray<number> => {
  const rows = matrix.map((row, i) => [...row, right[i]!])
  for (let c = 0; c < rows.length; c++) {
    let pivot = c
    for (let i = c; i < rows.length; i++) if (Math.abs(rows[i]![c]!) > Math.abs(rows[pivot]![c]!)) pivot = i
    const row = rows[pivot]!
    rows[pivot] = rows[c]!
    rows[c] = row.map((value) => value / row[c]!)
    for (let i = 0; i < rows.length; i++) {
      if (i !== c) rows[i] = rows[i]!.map((value, j) => value - rows[i]![c]! * rows[c]![j]!)
    }
  }
  return rows.map((row) => row[row.length - 1]!)
}
