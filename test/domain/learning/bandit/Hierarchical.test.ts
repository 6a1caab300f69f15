import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as H from "../../../../src/domain/learning/bandit/Hierarchical.ts"
import { ModelId } from "../../../../src/domain/basics/Ids.ts"
import type { LearningEvent } from "../../../../src/domain/learning/LearningEvent.ts"
import { modelEvent, qualityEvent, runEvent, seeded } from "../../../support/learningEvents.ts"

const parameters = H.defaultParameters
const withoutDetection: H.Parameters = { ...parameters, alarm: Number.POSITIVE_INFINITY }

const near = (actual: number, expected: number, tolerance: number, what = "") =>
  assert.isTrue(
    Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `${what} ${actual} is not ${expected}`
  )

/** Detects after few answers, so that a short log has everything in it. */
const quick: H.Parameters = { ...parameters, alarm: 200, halfWeight: 5, gateCell: 5, gateModel: 5, gateModelCell: 3 }

describe("Hierarchical", () => {
  it("continues from a snapshot to the same bits, wherever the log is cut", () => {
    const log = eventfulLog()
    const whole = H.make(quick, 4)
    for (const [i, event] of log.entries()) H.fold(whole, i + 1, event)
    const { changes } = H.learned(whole, ModelId("a"), null)
    assert.deepStrictEqual([...new Set(changes.map(({ direction }) => direction))].sort(), ["back", "down"])
    assert.isAbove(H.epoch(whole, ModelId("a")), changes.length, "the log contains changes and an ordered reset")
    const expected = H.encode(whole)
    for (let cut = 0; cut <= log.length; cut++) {
      const head = H.make(quick, 4)
      for (let i = 0; i < cut; i++) H.fold(head, i + 1, log[i]!)
      // Reading what is known must not change what follows.
      if (cut % 3 === 0) H.predict(head, ModelId("a"), null, null, Float32Array.of(1, 0.2, 0.3, 0.4))
      const state = Either.getOrThrow(H.decode(H.encode(head), quick, 4))
      for (let i = cut; i < log.length; i++) H.fold(state, i + 1, log[i]!)
      assert.deepStrictEqual(H.encode(state), expected, `cut at ${cut}`)
      assert.deepStrictEqual(
        H.predict(state, ModelId("b"), null, null, Float32Array.of(1, 0.2, 0.3, 0.4)),
        H.predict(whole, ModelId("b"), null, null, Float32Array.of(1, 0.2, 0.3, 0.4))
      )
    }
  })

  it("lets arms of one upstream share what the text says, from a snapshot too, and what was written before is read", () => {
    const x = (value: number) => Float64Array.of(1, value)
    const judged = (state: H.State, from: number, model: string, slope: number) => {
      for (let i = from; i < from + 400; i++) {
        const value = Math.fround((i % 21) / 10 - 1)
        H.fold(state, i, qualityEvent(i, model, [...x(value)], 0.5 + slope * value))
      }
    }
    const slope = (state: H.State, model: string) => {
      const at = (value: number) => H.predict(state, ModelId(model), null, null, Float32Array.from(x(value))).quality
      return (at(1) - at(-1)) / 2
    }
    const make = (arms: boolean) => {
      const state = H.make(withoutDetection, 2)
      const upstream = arms ? { upstream: "openai/o4-mini" } : {}
      H.fold(state, 1, { ...modelEvent("low", 0.5), ...upstream })
      H.fold(state, 2, { ...modelEvent("high", 0.5), ...upstream })
      H.fold(state, 3, modelEvent("other", 0.5))
      return state
    }
    const [apart, together] = [make(false), make(true)]
    for (const state of [apart, together]) {
      judged(state, 10, "low", 0.3)
      judged(state, 500, "other", -0.3)
    }
    assert.isBelow(Math.abs(slope(apart, "high")), 0.1)
    assert.isAbove(slope(together, "high"), 0.2)
    assert.isBelow(slope(together, "other"), -0.2)
    assert.deepStrictEqual([H.encode(apart)[4], H.encode(together)[4]], [2, 3])
    const again = Either.getOrThrow(H.decode(H.encode(together), withoutDetection, 2))
    for (const state of [together, again]) judged(state, 1000, "high", 0.3)
    assert.deepStrictEqual(H.encode(again), H.encode(together))
    assert.deepStrictEqual(H.priorOf(again, ModelId("low")), { priorQuality: 0.5, upstream: "openai/o4-mini" })
    H.fold(again, 2000, modelEvent("high", 0.5))
    assert.strictEqual(H.encode(again)[4], 3)
    H.fold(again, 2001, modelEvent("low", 0.5))
    assert.strictEqual(H.encode(again)[4], 2)
  })

  it("shows a quality that one bad judgement never raises, of its own task or of another one", () => {
    for (const bad of ["t", "u", null]) {
      for (let seed = 0; seed < 8; seed++) {
        for (const n of [5, 30, 60, 200]) {
          const random = seeded(`bad ${seed}`)
          const state = H.make(parameters, 24)
          H.fold(state, 1, modelEvent("a", 0.7))
          // Far from the reference point, where every feature is 0.
          const centre = Array.from({ length: 23 }, () => random() - 0.5)
          const x = () => [1, ...centre.map((at) => Math.fround(at + 0.1 * (random() - 0.5)))]
          const shown = () => H.learned(state, ModelId("a"), null).tasks.find(({ task }) => task === "t")?.mean ?? 0
          let position = 2
          const judge = (quality: number, task: string | null) =>
            H.fold(state, position++, qualityEvent(position, "a", x(), quality, { task, decidedAt: position }))
          for (let i = 0; i < n; i++) {
            judge(0.95, "t")
            if (i % 3 === 0) judge(0.95, bad === "t" ? "u" : bad)
          }
          const before = shown()
          judge(0, bad)
          assert.isAtMost(shown(), before + 0.001, `${bad}, ${seed}, ${n}`)
        }
      }
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
    const others = [H.decode(bytes, { ...parameters, runLambda: 29 }, 2), H.decode(bytes, parameters, 3)]
    for (const other of others) assert.isTrue(Either.isLeft(other) && other.left.reason === "parameters")
  })

  it("makes every level void at a reset and keeps what the text says", () => {
    const state = H.make(withoutDetection, 2)
    const random = seeded("reset")
    const a = ModelId("a")
    const x = (value: number) => Float32Array.of(1, value)
    const slope = () => H.predict(state, a, null, "t", x(0.5)).quality - H.predict(state, a, null, "t", x(-0.5)).quality
    for (let i = 0; i < 400; i++) {
      const value = Math.fround(random() - 0.5)
      H.fold(state, i + 1, qualityEvent(i, "a", [1, value], 0.5 + 0.4 * value, { task: "t", decidedAt: i }))
    }
    const before = slope()
    assert.isAbove(before, 0.15)
    H.fold(state, 401, { type: "reset", model: a })
    assert.strictEqual(H.epoch(state, a), 1)
    near(slope(), before, 0.02)
    const { high, low, observations } = H.learned(state, a, null).tasks[0] ?? { high: 1, low: 0, observations: 0 }
    assert.strictEqual(observations, 0)
    assert.isAbove(high - low, 0.5)
    // What was decided before is not learned after, nor is a revision of it; what was decided since is.
    const evidence = () => state.quality.models[0]!.n
    const left = evidence()
    H.fold(state, 402, qualityEvent(500, "a", [1, 0], 1, { task: "t", decidedAt: 400 }))
    const previous = { quality: 1, weight: 1, position: 402 }
    H.fold(state, 403, qualityEvent(500, "a", [1, 0], 0, { task: "t", decidedAt: 400, previous }))
    H.fold(state, 404, qualityEvent(501, "a", [1, 0], 1, { task: "new", decidedAt: 400 }))
    assert.strictEqual(evidence(), left)
    H.fold(state, 405, qualityEvent(502, "a", [1, 0], 1, { task: "t", decidedAt: 401 }))
    assert.strictEqual(evidence(), left + 1)
  })

  it("notices that a model's quality has halved, says when it began, and that it is back", () => {
    const state = H.make(parameters, 2)
    const random = seeded("change")
    const a = ModelId("a")
    let n = 0
    const judge = (mean: number) => {
      n += 1
      const judged = Math.min(1, Math.max(0, mean + 0.3 * (random() - 0.5)))
      return H.fold(state, n, qualityEvent(n, "a", [1, random() - 0.5], judged, { task: `t${n % 3}` }))
    }
    const until = (mean: number, most: number) => {
      for (let i = 0; i < most; i++) {
        const change = judge(mean)
        if (change !== null) return change
      }
      return null
    }
    assert.isNull(until(0.8, 3000))
    const fall = until(0.4, 100)
    assert.deepInclude(fall, { model: a, task: null, scope: "model", direction: "down", position: n })
    assert.closeTo(fall?.since ?? 0, 3001, 5)
    assert.closeTo(fall?.before ?? 0, 0.8, 0.02)
    assert.closeTo(fall?.after ?? 0, 0.4, 0.1)
    assert.isAbove(fall?.evidence ?? 0, 1_000_000)
    for (const task of ["t0", "t1", "t2"]) near(H.predict(state, a, null, task, Float32Array.of(1)).quality, 0.4, 0.1)
    assert.isAbove(H.predict(state, a, null, "t0", Float32Array.of(1)).qualityRise, 0.2)
    const back = until(0.8, 200)
    assert.include(["back", "up"], back?.direction)
    for (let i = 0; i < 60; i++) judge(0.8)
    near(H.predict(state, a, null, "t1", Float32Array.of(1)).quality, 0.8, 0.1)
    assert.deepStrictEqual(
      H.learned(state, a, null).changes.map(({ direction }) => direction),
      ["down", back?.direction]
    )
  })

  it("gives a task cells of its own from its first judgement on, and a common task the place of a rare one", () => {
    const state = H.make(parameters, 2)
    const x = Float32Array.of(1, 0)
    const at = (task: string | null) => H.predict(state, ModelId("a"), null, task, x).quality
    for (let i = 0; i < 200; i++) {
      H.fold(state, i, qualityEvent(i, "a", [1, 0], i % 2 === 0 ? 0.2 : 0.9, { task: i % 2 === 0 ? "low" : "high" }))
    }
    assert.isBelow(at("low") + 0.5, at("high"))
    for (let i = 0; i < 300; i++) H.fold(state, 200 + i, qualityEvent(i, "a", [1, 0], 0.5, { task: `rare${i}` }))
    assert.strictEqual(state.labels.residents.size, 256)
    const cells = () => [...state.quality.models[0]!.cells.keys()]
    assert.include(cells(), "low")
    assert.notInclude(cells(), "common")
    for (let i = 0; i < 3000; i++) {
      H.fold(state, 1000 + i, runEvent(i, "a", [1, 0], { task: i % 3 === 0 ? "common" : `user ${i}` }))
    }
    assert.isTrue(state.labels.residents.has("common"))
    assert.strictEqual(state.labels.residents.size, 256)
    assert.isAtMost(state.labels.waiting.size, 64)
    H.fold(state, 5000, qualityEvent(5000, "a", [1, 0], 0.5, { task: "common" }))
    assert.include(cells(), "common")
    for (const task of cells()) assert.isTrue(task === null || state.labels.residents.has(task))
  })

  it("is deterministic, whoever asks for predictions in between", () => {
    const log = eventfulLog()
    const silent = H.make(quick, 4)
    const asked = H.make(quick, 4)
    for (const [i, event] of log.entries()) {
      H.fold(silent, i + 1, event)
      H.fold(asked, i + 1, event)
      for (const task of [null, "math", `t${i % 5}`]) {
        H.predict(asked, ModelId(i % 2 === 0 ? "a" : "b"), null, task, Float32Array.of(1, 0.1))
      }
    }
    assert.deepStrictEqual(H.encode(asked), H.encode(silent))
  })

  it("predicts a model without observations from its prior", () => {
    const state = H.make(parameters, 2)
    H.fold(state, 1, modelEvent("good", 0.9))
    H.fold(state, 1, modelEvent("poor", 0.5))
    const x = Float32Array.of(1, 0)
    const quality = (model: string, prior: number | null) => {
      const prediction = H.predict(state, ModelId(model), prior, null, x)
      return prediction.quality / prediction.successRate
    }
    near(quality("good", null), 0.7, 1e-12)
    near(quality("poor", null), 0.3, 1e-12)
    near(quality("new", 0.8), 0.6, 1e-12)
    near(quality("unknown", null), 0.5, 1e-12)
    const prediction = H.predict(state, ModelId("new"), 0.8, null, x)
    near(prediction.successRate, 0.98, 1e-12)
    near(prediction.qualitySd, 0.98 * 0.35 * 0.142, 1e-12)
    near(H.predict(state, ModelId("unknown"), null, null, x).qualitySd, 0.98 * 0.35 * 0.225, 1e-12)
    near(H.predict(state, ModelId("new"), 0.8, null, Float32Array.of(0, 1)).qualitySd, 0.98 * 0.35 * 0.06, 1e-12)
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
        const { quality, qualitySd, successRate } = H.predict(state, ModelId(model), null, null, at)
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
    assert.strictEqual(state.quality.models[0]!.squares + state.tokens.rows[0]!.r2 + state.latency.rows[0]!.r2, 0)
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
        for (const value of Object.values(H.predict(state, ModelId(model), null, null, Float32Array.from(x)))) {
          assert.isTrue(Number.isFinite(value), model)
        }
      }
      const { quality } = H.learned(state, ModelId(model), null)
      assert.isTrue(
        quality.low >= 0 && quality.low <= quality.mean && quality.mean <= quality.high && quality.high <= 1
      )
    }
  })

  it("stays finite where a reset voids judgements of next to no weight", () => {
    const state = H.make(parameters, 2)
    for (const model of ["a", "b"]) H.fold(state, 1, modelEvent(model, 0.5))
    for (const task of [null, "code"]) {
      H.fold(state, 2, qualityEvent(1, "a", [1, -0.5], 0.9, { task, weight: Number.MIN_VALUE }))
      H.fold(state, 3, { type: "reset", model: ModelId("a") })
    }
    for (const model of ["a", "b"]) {
      const { quality, qualitySd } = H.predict(state, ModelId(model), 0.5, "code", Float32Array.of(1, 0.5))
      assert.isTrue(Number.isFinite(quality) && Number.isFinite(qualitySd), `${model}: ${quality} ${qualitySd}`)
    }
  })

  it("draws a model whose prior was measured less away from it than one whose prior is a guess", () => {
    const state = H.make(parameters, 1)
    H.fold(state, 1, { ...modelEvent("measured", 0.6), priorSd: 0.03 })
    H.fold(state, 2, modelEvent("guessed", 0.6))
    const of = (id: string) => H.predict(state, ModelId(id), null, null, Float32Array.of(1))
    assert.isBelow(of("measured").qualitySd, 0.4 * of("guessed").qualitySd)
    for (let n = 3; n < 13; n++) {
      for (const id of ["measured", "guessed"]) H.fold(state, n, qualityEvent(n, id, [1], 1))
    }
    assert.isBelow(of("measured").quality, of("guessed").quality)
    assert.deepStrictEqual(H.priorOf(state, ModelId("measured")), { priorQuality: 0.6, priorSd: 0.03 })
    const again = Either.getOrThrow(H.decode(H.encode(state), parameters, 1))
    assert.deepStrictEqual(H.priorOf(again, ModelId("measured")), { priorQuality: 0.6, priorSd: 0.03 })
    // The prior of a reload without a deviation is a guess again.
    H.fold(state, 20, modelEvent("measured", 0.6))
    assert.deepStrictEqual(H.priorOf(state, ModelId("measured")), { priorQuality: 0.6 })
  })

  it("follows an operator who dismisses a change, or confirms it, once for each change", () => {
    const a = ModelId("a")
    const fallen = (task: string | null, mean = 0.9, then = 0.2) => {
      const state = H.make(parameters, 1)
      const random = seeded("verdict")
      for (let n = 1; n < 3000; n++) {
        const judged = random() < (n <= 400 ? mean : then) ? 1 : 0
        const change = H.fold(state, n, qualityEvent(n, "a", [1], judged, { task }))
        if (change !== null) return { state, n, change }
      }
      throw new Error("no change was noticed")
    }
    const since = fallen(null)
    for (let n = since.n + 1; n <= since.n + 3; n++) {
      H.fold(since.state, n, qualityEvent(n, "a", [1], 0.45, { task: null }))
    }
    H.fold(since.state, since.n + 4, { type: "verdict", model: a, verdict: "dismiss", by: "kim" })
    near(H.predict(since.state, a, null, null, Float32Array.of(1)).quality, 0.98 * 0.9, 0.15, "what came since is void")
    const verdict = (verdict: "confirm" | "dismiss"): LearningEvent => ({
      type: "verdict",
      model: a,
      verdict,
      by: "kim"
    })
    for (const task of [null, "t"]) {
      const { change, n, state } = fallen(task)
      assert.strictEqual(change.direction, "down")
      const at = () => H.predict(state, a, null, task, Float32Array.of(1))
      assert.isBelow(at().quality, 0.5)
      assert.isAbove(at().probeShare, 0)
      const epoch = H.epoch(state, a)
      H.fold(state, n + 1, verdict("dismiss"))
      near(at().quality, 0.98 * 0.9, 0.12, `dismissed, task ${task}`)
      assert.strictEqual(at().probeShare, 0)
      assert.strictEqual(H.epoch(state, a), epoch + 1)
      assert.deepStrictEqual(H.learned(state, a, null).changes.at(-1)?.verdict, {
        verdict: "dismiss",
        by: "kim",
        position: n + 1
      })
      const once = H.encode(state)
      H.fold(state, n + 2, verdict("confirm"))
      assert.deepStrictEqual(H.encode(state), once, "a second word changes nothing")
      assert.deepStrictEqual(H.encode(Either.getOrThrow(H.decode(once, parameters, 1))), once)
      // What was decided before the word, and judged after it, belongs to the void level.
      H.fold(state, n + 3, qualityEvent(n + 3, "a", [1], 0, { task, decidedAt: n }))
      near(at().quality, 0.98 * 0.9, 0.12, "not moved by what was decided before")
    }
    const confirmed = fallen("t")
    const before = H.predict(confirmed.state, a, null, "t", Float32Array.of(1))
    H.fold(confirmed.state, confirmed.n + 1, verdict("confirm"))
    const after = H.predict(confirmed.state, a, null, "t", Float32Array.of(1))
    assert.strictEqual(after.quality, before.quality)
    assert.deepStrictEqual([after.probeShare, after.qualityRise], [0, 0])
    const risen = fallen("t", 0.2, 0.9)
    assert.strictEqual(risen.change.direction, "up")
    H.fold(risen.state, risen.n + 1, verdict("dismiss"))
    near(H.predict(risen.state, a, null, "t", Float32Array.of(1)).quality, 0.2, 0.12, "a rise is taken back")
    const unchanged = H.make(parameters, 1)
    H.fold(unchanged, 1, modelEvent("a", 0.5))
    const bits = H.encode(unchanged)
    H.fold(unchanged, 2, verdict("dismiss"))
    assert.deepStrictEqual(H.encode(unchanged), bits, "a model without a change")
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

/** A log in which everything happens: models, tasks, calls, revisions, a change, a return, an ordered reset. */
const eventfulLog = (): ReadonlyArray<LearningEvent> => {
  const random = seeded("eventful")
  const log: Array<LearningEvent> = [modelEvent("a", 0.8), modelEvent("b")]
  const features = () => [1, random(), random() - 0.5, random()].map(Math.fround)
  for (let i = 0; i < 90; i++) {
    const x = features()
    const task = i % 4 === 0 ? null : `t${i % 3}`
    const model = i % 5 === 0 ? "b" : "a"
    const judged = i < 40 || i >= 60 ? 0.8 : 0.1
    log.push(
      runEvent(i, i % 3 === 0 ? "b" : "a", x, { task, ...(i % 7 === 0 ? { ok: false, logOutputTokens: null } : {}) })
    )
    log.push(qualityEvent(i, model, x, judged, { task, decidedAt: log.length }))
    if (i % 6 === 5) {
      const position = log.length
      const previous = { quality: judged, weight: 1, position }
      log.push(qualityEvent(i, model, x, 0.5, { task, decidedAt: position - 1, weight: 0.5, previous }))
    }
    if (i === 20) log.push(qualityEvent(1000, "c", [...x, 1], 0.7, { task: "math" }))
    if (i === 25) log.push(modelEvent("c", 0.6))
    if (i === 30) log.push(...["a", "c"].map((id) => ({ ...modelEvent(id, 0.6), upstream: "openai/a" })))
    if (i === 88) log.push({ type: "reset", model: ModelId("a") })
  }
  return log
}
