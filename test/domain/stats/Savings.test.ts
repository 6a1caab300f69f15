import { assert, describe, it } from "@effect/vitest"
import { hash64 } from "../../../src/domain/basics/Rng.ts"
import {
  type Comparison,
  type Estimate,
  folds,
  jackknife,
  noSums,
  savings,
  type SavingsRow
} from "../../../src/domain/stats/Savings.ts"
import { studentQuantile } from "../../../src/domain/stats/Stats.ts"

const nothing = (model: string, fold: number): SavingsRow => ({ ...noSums, model, fold })

const valueOf = ({ reason, value }: Estimate): number => {
  assert.isNull(reason)
  return value ?? Number.NaN
}

/** Uniform on [0, 1), 32 bits, for hundreds of thousands of requests. */
const mulberry = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let x = Math.imul(seed ^ (seed >>> 15), seed | 1)
  x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
  return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
}

interface World {
  readonly seed: string
  readonly count: number
  /** Probability that the dear model is drawn. */
  readonly propensity: number
  readonly judged: number
  readonly failures: number
}

const trueQuality = { cheap: 0.6, dear: 0.7 }
/** Of the cheap model is wrong on purpose: the estimate must not depend on it being right. */
const predictedQuality = { cheap: 0.9, dear: 0.7 }
const trueCost = { cheap: 1, dear: 20 }

type Sum = keyof typeof noSums
const sumNames = Object.keys(noSums).filter((name): name is Sum => name in noSums)

/** One row for each model and fold, as databases answer. */
const added = (rows: ReadonlyArray<SavingsRow>): ReadonlyArray<SavingsRow> => {
  const groups = new Map<string, { -readonly [Name in keyof SavingsRow]: SavingsRow[Name] }>()
  for (const row of rows) {
    const key = `${row.model} ${row.fold}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { ...row })
    else for (const name of sumNames) group[name] += row[name]
  }
  return [...groups.values()]
}

/** A policy that sends large and difficult requests to the dear model, and fewer as it learns. */
const world = ({ count, failures, judged, propensity, seed }: World) => {
  const random = mulberry(hash64(seed)[0])
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const rows: Array<SavingsRow> = []
  let actual = 0
  let always = 0
  for (let i = 0; i < count; i++) {
    const size = 0.5 + random()
    const difficulty = random()
    const isEarly = i < count / 4
    const dearProbability =
      (difficulty > 0.5 ? propensity : propensity / 2) * (size > 1 ? 1 : 0.6) * (isEarly ? 1 : 0.6)
    const chosen = random() < dearProbability ? "dear" : "cheap"
    const probability = chosen === "dear" ? dearProbability : 1 - dearProbability
    const ok = random() >= failures
    const qualityWith = (model: "cheap" | "dear") => trueQuality[model] + 0.4 * (0.5 - difficulty) + 0.1 * normal()
    const costWith = (model: "cheap" | "dear") => trueCost[model] * size * (1 + 0.3 * normal())
    const isJudged = ok && random() < judged
    const fold = Math.floor(random() * folds)
    const quality = { cheap: qualityWith("cheap"), dear: qualityWith("dear") }
    const cost = { cheap: costWith("cheap"), dear: costWith("dear") }
    const paid = ok ? cost[chosen] : 0
    if (ok) {
      actual += paid
      always += cost.dear
    }
    for (const model of ["cheap", "dear"] as const) {
      const isOwn = chosen === model
      // Predicted at eight times of what it costs at first, and at half of it later: the ratio has to be learned.
      const predicted = ok ? trueCost[model] * size * (isEarly ? 8 : 0.5) : 0
      const seen = ok ? (isJudged ? 1 / judged : 0) : 1
      const weight = isOwn ? seen / probability : 0
      const y = isJudged ? quality[model] : 0
      const odds = isOwn && ok ? 1 / probability - 1 : 0
      const real = ok ? (isJudged ? 1 / judged : 0) : 1
      const realQuality = isJudged ? quality[chosen] : 0
      rows.push({
        model,
        fold,
        requests: 1,
        priced: ok ? 1 : 0,
        actual: paid,
        own: isOwn ? paid : 0,
        others: isOwn ? 0 : predicted,
        answers: isOwn && ok ? 1 : 0,
        odds,
        oddsSquared: odds ** 2,
        answersActual: odds * paid,
        answersPredicted: odds * predicted,
        quality: predictedQuality[model],
        reward: predictedQuality[model] / 2,
        judged: weight > 0 ? 1 : 0,
        weight,
        weightSquared: weight ** 2,
        qualityResidual: weight * (y - predictedQuality[model]),
        rewardResidual: weight * (y / 2 - predictedQuality[model] / 2),
        realWeight: real,
        realQuality: real * realQuality,
        realReward: (real * realQuality) / 2,
        realUnknown: 0
      })
    }
  }
  return {
    found: { sampled: 1, requests: count, rows: added(rows) },
    saved: always - actual,
    share: 1 - actual / always
  }
}

describe("Savings", () => {
  it("is the mean with Student's interval of the folds' means, where the folds are equal", () => {
    const values = Array.from({ length: folds }, (_, i) => Math.sin(i))
    const rows = values.map((actual, fold) => ({ ...nothing("m", fold), requests: 1, actual }))
    const estimate = jackknife(rows, (s) => s.actual / s.requests)
    const mean = values.reduce((a, b) => a + b, 0) / folds
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (folds - 1)
    assert.closeTo(valueOf(estimate), mean, 1e-12)
    assert.closeTo(estimate.high ?? 0, mean + studentQuantile(folds - 1) * Math.sqrt(variance / folds), 1e-12)
  })

  it("compares the real bill with the model's own, by the ratio of real to predicted cost", () => {
    const rows = Array.from({ length: folds }, (_, fold): ReadonlyArray<SavingsRow> => [
      {
        ...nothing("dear", fold),
        requests: 3,
        priced: 3,
        actual: 1 + 1 + 12,
        own: 12,
        others: 5 + 7,
        answers: 1,
        odds: 2,
        oddsSquared: 4,
        answersActual: 24,
        answersPredicted: 12
      },
      {
        ...nothing("cheap", fold),
        requests: 3,
        priced: 3,
        actual: 14,
        own: 2,
        others: 1,
        answers: 2,
        answersActual: 2,
        answersPredicted: 2
      }
    ]).flat()
    const { best, dearest } = savings({ sampled: 0.5, requests: 3 * folds, rows })
    assert.strictEqual(dearest.model, "dear")
    // 12 as it was and (5 + 7) * 12 / 6, minus 14; twice as many requests as were looked at.
    assert.closeTo(valueOf(dearest.savedUsd), 2 * folds * 22, 1e-9)
    assert.closeTo(dearest.savedUsd.low ?? 0, 2 * folds * 22, 1e-6)
    assert.closeTo(valueOf(dearest.savedShare), 1 - 14 / 36, 1e-12)
    assert.strictEqual(dearest.requests, 2 * 3 * folds)
    assert.include(
      dearest.qualityGain.reason,
      "how good dear would be on all these requests is not known yet: it was drawn for 0 whose answer was judged"
    )
    // The best as it was predicted: what its answers are worth nobody knows yet, what they cost is known.
    assert.isNotNull(best.model)
    assert.strictEqual(best.qualityGain.value, null)
    assert.include(best.qualityGain.reason, "which model is best is not known")
  })

  it("saves exactly nothing over the model that answered everything, whatever its predictions were", () => {
    const rows = Array.from({ length: folds }, (_, fold) => ({
      ...nothing("only", fold),
      requests: 1,
      priced: 1,
      actual: fold,
      own: fold,
      answers: 1
    }))
    const { dearest } = savings({ sampled: 1, requests: folds, rows })
    assert.deepStrictEqual(dearest.savedUsd, { value: 0, low: 0, high: 0, reason: null })
  })

  it("says what is missing instead of a number", () => {
    const empty = savings({ sampled: 1, requests: 0, rows: [] })
    for (const one of [empty.best, empty.dearest]) {
      assert.isNull(one.model)
      assert.include(one.savedUsd.reason, "no routed request")
    }
    const { found } = world({ seed: "few", count: 60, propensity: 0.2, judged: 1, failures: 0 })
    const few = savings(found)
    assert.strictEqual(few.dearest.model, "dear")
    assert.match(
      few.dearest.savedUsd.reason ?? "",
      /with dear is only predicted yet: it was drawn for \d+ answers of known cost \(30 are needed\), .* they count as \d+ /
    )
    // A guess there is from the first request on.
    assert.isNotNull(few.dearest.predictedSavedUsd)
    assert.sameMembers([...few.unknown], ["cheap", "dear"])
    const many = world({ seed: "many", count: 600, propensity: 0.5, judged: 1, failures: 0 }).found
    const together = savings({ ...many, rows: many.rows.map((row) => ({ ...row, fold: 3 })) })
    assert.include(together.dearest.savedUsd.reason, "of too few sessions")
    const rare = found.rows.filter((row) => row.model === "cheap" || row.fold < 8)
    assert.strictEqual(savings({ ...found, rows: rare }).dearest.model, "cheap")
  })

  it("finds what is true, though what was predicted is wrong, in about 95 of 100 cases", () => {
    const rounds = 150
    const hits = { saved: 0, share: 0, best: 0, gain: 0 }
    const errors: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      const made = world({ seed: `round ${round}`, count: 2400, propensity: 0.5, judged: 0.5, failures: 0.05 })
      const { best, dearest } = savings(made.found)
      const covers = (estimate: Estimate, truth: number) =>
        estimate.value !== null && estimate.low <= truth && truth <= estimate.high ? 1 : 0
      assert.strictEqual(dearest.model, "dear")
      if (best.model === "dear") hits.best++
      hits.saved += covers(dearest.savedUsd, made.saved)
      hits.share += covers(dearest.savedShare, made.share)
      // Failures are nobody's fault here. Sizes and times halve and quarter the draws of the dear one alike.
      const dear = { difficult: 0.5 * 0.8 * 0.7, easy: 0.25 * 0.8 * 0.7 }
      const gained = { difficult: 0.5 + 0.1 * dear.difficult, easy: 0.7 + 0.1 * dear.easy }
      const real = 0.95 * ((gained.difficult + gained.easy) / 2)
      const truth = real - 0.95 * trueQuality.dear
      hits.gain += covers(dearest.qualityGain, truth)
      errors.push(valueOf(dearest.qualityGain) - truth)
      assert.closeTo(valueOf(dearest.rewardGain), valueOf(dearest.qualityGain) / 2, 1e-9)
    }
    const bias = errors.reduce((a, b) => a + b, 0) / rounds
    assert.closeTo(bias, 0, 0.003)
    assert.isAbove(hits.best / rounds, 0.95)
    // Three standard deviations of a share of 0.95 of so many rounds are 0.054. Savings are those of these very requests,
    // whose real bill is known, while the interval allows for other requests too.
    for (const name of ["share", "gain", "saved"] as const) assert.isAbove(hits[name] / rounds, 0.89, name)
    assert.isBelow(hits.gain / rounds, 0.99)
  })

  it("does not compare what routing's answers were worth when most of them are of models that nobody judged", () => {
    const { found } = world({ seed: "unknown", count: 2400, propensity: 0.5, judged: 1, failures: 0 })
    const share = (realUnknown: number) => ({ ...found, rows: found.rows.map((row) => ({ ...row, realUnknown })) })
    const [fold] = found.rows
    const few = savings(share(Math.floor(0.03 * (fold?.requests ?? 0)))).dearest
    assert.isNull(few.qualityGain.reason)
    const most = savings(share(60)).dearest
    assert.strictEqual(
      most.qualityGain.reason,
      "1920 of 2400 requests were answered by models of which no answer was judged: feedback on some of theirs helps"
    )
    assert.strictEqual(most.rewardGain.reason, most.qualityGain.reason)
    assert.isNull(most.savedUsd.reason)
  })

  it("is less sure with few sessions, as Student says of so many", () => {
    const values = Array.from({ length: 8 }, (_, i) => Math.sin(i))
    const estimate = jackknife(
      values.map((actual, i) => ({ ...nothing("m", 4 * i), requests: 1, actual })),
      (s) => s.actual / s.requests
    )
    const mean = values.reduce((a, b) => a + b, 0) / 8
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / 7
    assert.closeTo(estimate.high ?? 0, mean + studentQuantile(7) * Math.sqrt(variance / 8), 1e-12)
  })

  it("keeps sessions together, so that many turns of a few do not look like much evidence", () => {
    const { found } = world({ seed: "sessions", count: 400, propensity: 0.5, judged: 1, failures: 0 })
    const width = ({ savedShare }: Comparison) => (savedShare.high ?? 0) - (savedShare.low ?? 0)
    const repeated = found.rows.flatMap((row) => [row, row, row, row])
    assert.closeTo(
      width(savings({ ...found, requests: 1600, rows: repeated }).dearest),
      width(savings(found).dearest),
      1e-9
    )
  })
})
