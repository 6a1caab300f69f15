import { assert, describe, it } from "@effect/vitest"
import {
  always,
  asLogged,
  loggedChoice,
  rowsOf,
  weighed,
  without
} from "../../../../src/domain/learning/evaluation/LoggedChoices.ts"
import { type Logged, offPolicy, supportOf, whyUnknown } from "../../../../src/domain/learning/evaluation/OffPolicy.ts"
import { DecisionId, ModelId, RouterId, uuidV7From } from "../../../../src/domain/basics/Ids.ts"
import type { Decision, Reason } from "../../../../src/domain/routing/Decision.ts"
import type { Outcome } from "../../../../src/domain/routing/Outcome.ts"
import { seeded } from "../../../support/learningEvents.ts"

const reference = { costUsd: 0.001, latencySeconds: 2 }

const decisionWith = (reason: Reason, propensity: number, chosen = "small"): Decision => ({
  id: DecisionId(uuidV7From(1, new Uint8Array(10))),
  createdAtMillis: 1,
  routerId: RouterId("r"),
  owner: null,
  policy: { algorithm: "thompson", version: "h2", position: 1 },
  request: {
    task: null,
    preference: "balanced",
    weights: { quality: 1, cost: 0, latency: 0 },
    constraints: {},
    userId: null,
    sessionId: null,
    stream: false,
    inputTokens: 10,
    maxTokens: null,
    featuresVersion: "lex1",
    askedModel: null
  },
  features: Float32Array.of(1),
  candidates: (["small", "large", "out"] as const).map((model, i) => ({
    model: ModelId(model),
    eligible: model !== "out",
    excludedBy: model === "out" ? "disabled" : null,
    quality: [0.6, 0.8, 0.9][i]!,
    qualitySd: 0.1,
    costUsd: [0.001, 0.01, 0.1][i]!,
    latencySeconds: 1,
    score: 0.5,
    propensity: [0.75, 0.25, 0][i]!
  })),
  chosen: ModelId(chosen),
  propensity,
  reason,
  exploration: false,
  seed: "s"
})

const outcome: Outcome = {
  model: ModelId("small"),
  ok: true,
  aborted: false,
  finishReason: "stop",
  inputTokens: 10,
  outputTokens: 10,
  costUsd: 0.002,
  latencyMs: 1000,
  firstTokenMs: null,
  error: null,
  details: null
}

describe("offPolicy", () => {
  it("reproduces the reference: self-normalised, direct, doubly robust, effective size", () => {
    const taken = [0, 1, 1, 2, 0]
    const propensities = [0.5, 0.25, 0.5, 0.1, 0.9]
    const values = [1, 0.5, 0, 0.8, 0.4]
    const expected = [
      [0.9, 0.3, 0.2],
      [0.5, 0.4, 0.3],
      [0.6, 0.1, 0.2],
      [0.7, 0.6, 0.5],
      [0.5, 0.5, 0.5]
    ]
    const target = [
      [0.2, 0.8, 0],
      [0, 1, 0],
      [0.5, 0.5, 0],
      [0, 0, 1],
      [0.1, 0.1, 0.8]
    ]
    const rows = taken.map((arm, i): Logged => ({
      taken: arm,
      propensity: propensities[i]!,
      value: values[i]!,
      expected: expected[i]!
    }))
    const found = offPolicy(rows, target)
    assert.closeTo(found.snips.mean, 0.673352435530086, 1e-12)
    assert.closeTo(found.direct, 4.34 / 10, 1e-12)
    assert.closeTo(found.doublyRobust.mean, 1.099777777777778, 1e-12)
    assert.closeTo(found.effectiveSize, 2.053339177491002, 1e-12)
    assert.match(whyUnknown(found, 5, 1) ?? "", /worth 2\.1 choices/)
  })

  it("covers what a policy really earns in about 95 of 100 logs, though what was expected is wrong", () => {
    const random = seeded("coverage")
    const truth = [0.3, 0.7]
    const logs = 300
    let coveredBySnips = 0
    let coveredByRobust = 0
    for (let log = 0; log < logs; log++) {
      const rows = Array.from({ length: 400 }, (): Logged => {
        const p = 0.2 + 0.6 * random()
        const taken = random() < p ? 0 : 1
        const value = random() < truth[taken]! ? 1 : 0
        return { taken, propensity: taken === 0 ? p : 1 - p, value, expected: [0.9, 0.2] }
      })
      const { doublyRobust, snips } = offPolicy(
        rows,
        rows.map(() => [0, 1])
      )
      if (snips.low <= 0.7 && 0.7 <= snips.high) coveredBySnips += 1
      if (doublyRobust.low <= 0.7 && 0.7 <= doublyRobust.high) coveredByRobust += 1
    }
    assert.closeTo(coveredBySnips / logs, 0.95, 0.035)
    assert.closeTo(coveredByRobust / logs, 0.95, 0.035)
  })

  it("says when a log cannot know", () => {
    const rows = Array.from({ length: 100 }, (): Logged => ({ taken: 0, propensity: 1, value: 1, expected: [1, 1] }))
    const never = offPolicy(
      rows,
      rows.map(() => [0, 1])
    )
    assert.strictEqual(whyUnknown(never, 100, 0), "the log never chose what this policy would have")
    assert.strictEqual(whyUnknown(never, 0, 0), "no drawn choice of the log was judged")
    const same = offPolicy(
      rows,
      rows.map(() => [1, 0])
    )
    assert.isNull(whyUnknown(same, 100, 1))
    assert.match(whyUnknown(same, 100, 0.5) ?? "", /in 50 % of the requests/)
    assert.strictEqual(
      supportOf(
        [
          [1, 0],
          [0.5, 0.5]
        ],
        [
          [0, 1],
          [0, 1]
        ]
      ),
      0.5
    )
  })
})

describe("loggedChoice", () => {
  const judged = { quality: 0.9, weight: 1 }
  const none = new Map<string, number>()

  it("keeps the models that could be chosen, and what came of the one that was", () => {
    const choice = loggedChoice({ decision: decisionWith("best", 0.75), outcome, judged }, reference, none)!
    assert.deepStrictEqual(choice.models, ["small", "large"])
    assert.deepStrictEqual([choice.taken, choice.propensity, choice.isObserved], [0, 0.75, false])
    assert.deepStrictEqual(choice.value, { reward: 0.9, quality: 0.9, costUsd: 0.002 })
    assert.deepStrictEqual(choice.expected.reward, [0.6, 0.8])
    assert.lengthOf(rowsOf([choice], "quality"), 1)
    const dearer = loggedChoice(
      { decision: decisionWith("best", 0.75), outcome, judged },
      reference,
      new Map([["small", 3]])
    )!
    assert.closeTo(dearer.value.costUsd!, 0.006, 1e-12)
    assert.closeTo(dearer.expected.costUsd[0]!, 0.003, 1e-12)
    assert.closeTo(dearer.expected.costUsd[1]!, 0.01, 1e-12)
  })

  it("leaves out what nobody drew, what was cut off, and what nobody judged", () => {
    const of = (reason: Reason, more: Partial<Outcome> = {}, said: typeof judged | null = judged) =>
      loggedChoice(
        { decision: decisionWith(reason, 0.75), outcome: { ...outcome, ...more }, judged: said },
        reference,
        none
      )
    for (const reason of ["pinned", "session", "static", "fallback"] as const) assert.isNull(of(reason))
    assert.isNull(of("best", { aborted: true }))
    assert.deepStrictEqual(of("best", {}, null)!.value, { reward: null, quality: null, costUsd: 0.002 })
    assert.deepStrictEqual(of("best", {}, { quality: 1, weight: 0 })!.value.quality, null)
    assert.deepStrictEqual(of("best", { ok: false, costUsd: null }, null)!.value, {
      reward: 0,
      quality: 0,
      costUsd: null
    })
    assert.isTrue(of("observe")!.isObserved)
  })

  it("asks about other policies: always one model, without one, by other weights", () => {
    const choice = loggedChoice({ decision: decisionWith("best", 0.75), outcome, judged }, reference, none)!
    assert.deepStrictEqual(asLogged.shares(choice), [0.75, 0.25])
    assert.deepStrictEqual(always("large").shares(choice), [0, 1])
    assert.isNull(always("out").shares(choice))
    assert.deepStrictEqual(without("small").shares(choice), [0, 1])
    assert.deepStrictEqual(weighed({ quality: 1, cost: 0, latency: 0 }, reference).shares(choice), [0, 1])
    assert.deepStrictEqual(weighed({ quality: 0, cost: 1, latency: 0 }, reference).shares(choice), [1, 0])
  })
})
