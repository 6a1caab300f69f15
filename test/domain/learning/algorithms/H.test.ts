import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as H from "../../../../src/domain/learning/algorithms/H.ts"
import { largestDraw } from "../../../../src/domain/routing/Propensity.ts"

/** A run that was computed independently. */
interface Reference {
  readonly off: ReadonlyArray<number>
  readonly queries: ReadonlyArray<ReadonlyArray<number>>
  readonly events: ReadonlyArray<{ k: number; x: ReadonlyArray<number>; y: number; z: number }>
  readonly after: ReadonlyArray<{
    t: number
    m: number
    th0: ReadonlyArray<number>
    models: ReadonlyArray<{
      theta: ReadonlyArray<number>
      sigma2: number
      query: ReadonlyArray<{ mean: number; h: number; score_sd: number }>
    }>
    propensity: ReadonlyArray<ReadonlyArray<number>>
  }>
}

const near = (actual: number, expected: number, tolerance: number, what: string) =>
  assert.closeTo(actual, expected, tolerance * Math.max(1, Math.abs(expected)), what)

// The reference's features are not float32: they are put in as they are.
const exact = (x: ReadonlyArray<number>) => Float64Array.from(x) as unknown as Float32Array

describe("H", () => {
  it("reproduces the reference run: level, direction, posteriors, residuals, propensities", () => {
    const reference: Reference = JSON.parse(
      readFileSync(new URL("../../fixtures/h_reference.json", import.meta.url), "utf8")
    )
    const quality = H.makeQuality(
      reference.off.map((off) => 0.5 + off),
      4
    )
    let checked = 0
    for (const [i, { k, x, y, z }] of reference.events.entries()) {
      const judgement = { k, features: exact(x), task: null, judged: y, position: i + 2, decidedAt: i + 1 }
      const { isReset, residual } = H.foldQuality(quality, judgement)
      near(residual, z, 1e-12, `z of event ${i}`)
      assert.isFalse(isReset)
      const after = reference.after.find(({ t }) => t === i + 1)
      if (after === undefined) continue
      checked += 1
      near(quality.ridge.level, after.m, 1e-12, "level")
      for (const [j, value] of after.th0.entries()) near(quality.ridge.shared[j]!, value, 1e-12, "th0")
      for (const [m, expected] of after.models.entries()) {
        for (const [q, query] of expected.query.entries()) {
          const { h, mean, posterior, sd } = H.predictQuality(quality, m, exact(reference.queries[q]!), null)
          for (const [j, value] of expected.theta.entries()) near(posterior!.theta[j]!, value, 1e-12, "theta")
          near(posterior!.sigma2, expected.sigma2, 1e-12, "sigma2")
          near(mean, query.mean, 1e-12, "mean")
          near(sd, query.score_sd, 1e-12, "sd")
          near(h, query.h, 1e-12, "h")
        }
      }
      for (const [q, expected] of after.propensity.entries()) {
        const means = after.models.map((model) => model.query[q]!.mean)
        const sds = after.models.map((model) => model.query[q]!.score_sd)
        for (const [m, p] of largestDraw(means, sds).entries())
          near(0.99 * p + 0.01 / 3, expected[m]!, 1e-9, "propensity")
      }
    }
    assert.strictEqual(checked, 3)
  })

  it("gives labels coordinates of their own, and starts anew where a model's answers fall", () => {
    const quality = H.makeQuality([0.6, 0.6], 1)
    const features = Float32Array.of(1)
    const judge = (position: number, task: string, judged: number) =>
      H.foldQuality(quality, { k: 0, features, task, judged, position, decidedAt: position })
    for (let n = 1; n <= 300; n++) judge(n, n % 2 === 0 ? "easy" : "hard", n % 2 === 0 ? 0.9 : 0.3)
    const at = (task: string | null) => H.predictQuality(quality, 0, features, task).mean
    assert.isAbove(at("easy"), at("hard") + 0.4)
    const before = quality.rows[0]!.n
    let reset: number | null = null
    for (let n = 301; n <= 400 && reset === null; n++) if (judge(n, "easy", 0.2).isReset) reset = n
    assert.isBelow(reset ?? 400, 330)
    assert.isBelow(quality.rows[0]!.n, 0.06 * (before + 30))
    const { n } = quality.rows[0]!
    H.foldQuality(quality, { k: 0, features, task: "easy", judged: 1, position: 401, decidedAt: 300 })
    assert.strictEqual(quality.rows[0]!.n, n, "what was decided before the reset is not learned")
  })
})
