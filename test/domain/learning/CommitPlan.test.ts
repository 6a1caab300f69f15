import { refusedError } from "../../../src/domain/routing/Outcome.ts"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Either from "effect/Either"
import * as H from "../../../src/domain/learning/bandit/Hierarchical.ts"
import {
  type Existing,
  type Learned,
  learnedAt,
  planCommit,
  planConstants,
  type Planned,
  type StoredFeedback
} from "../../../src/domain/learning/CommitPlan.ts"
import type { DecisionRecord } from "../../../src/domain/routing/DecisionRecord.ts"
import { combine, type FeedbackSubmission } from "../../../src/domain/learning/Feedback.ts"
import { decodeEvents, encodeEvents } from "../../../src/domain/learning/EventCodec.ts"
import { RouterId } from "../../../src/domain/basics/Ids.ts"
import type { LearningEvent } from "../../../src/domain/learning/LearningEvent.ts"
import { answered, feedbackOn, large, recordOf, reportOn, small } from "../../support/learningRecords.ts"

const router = RouterId("plan")
const nothing: Existing = { decisions: new Map(), feedback: [], parkingRoom: 10 }
const plan = (parts: Partial<Planned>, existing: Existing = nothing) =>
  planCommit(existing, { decisions: [], reports: [], feedback: [], events: [], joined: [], ...parts }, planConstants)
const holding = (
  record: DecisionRecord,
  feedback: ReadonlyArray<StoredFeedback> = [],
  learned: { quality: number; weight: number; position: number } | null = null
): Existing => ({
  decisions: new Map([[record.decision.id, { record, learned }]]),
  feedback,
  parkingRoom: 10
})
const storedAs = (submission: FeedbackSubmission, parked = false): StoredFeedback => ({
  ...submission,
  supersededBy: null,
  parked,
  answered: parked ? "parked" : "recorded"
})
const failedAttempt = (model: typeof small) => ({ model, ok: false, status: 500, latencyMs: 5, error: "server" })

describe("planCommit", () => {
  it("stores what follows another submission only where that one is new", () => {
    const newer = recordOf(router)
    const older = recordOf(router)
    const lead = feedbackOn(newer.decision.id, { id: "lead", idempotencyKey: "k" })
    const follower = feedbackOn(older.decision.id, { id: "follower", idempotencyKey: "k #2", follows: "lead" })
    const statuses = (existing: Existing, feedback: ReadonlyArray<FeedbackSubmission>) => {
      const made = plan({ feedback }, existing)
      return { statuses: made.feedback.map(({ status }) => status), rows: made.feedbackRows.map(({ id }) => id) }
    }
    const both: Existing = {
      ...nothing,
      decisions: new Map([newer, older].map((record) => [record.decision.id, { record, learned: null }]))
    }
    assert.deepStrictEqual(statuses(both, [lead, follower]), {
      statuses: ["recorded", "recorded"],
      rows: ["lead", "follower"]
    })
    const repeated = { ...both, feedback: [storedAs({ ...lead, id: "before" })] }
    assert.deepStrictEqual(statuses(repeated, [lead, follower]), { statuses: ["recorded", "conflict"], rows: [] })
    const taken = { ...both, feedback: [storedAs({ ...lead, id: "before", value: 0 })] }
    assert.deepStrictEqual(statuses(taken, [lead, follower]), { statuses: ["conflict", "conflict"], rows: [] })
    const unknown = {
      ...nothing,
      parkingRoom: 0,
      decisions: new Map([[older.decision.id, { record: older, learned: null }]])
    }
    assert.deepStrictEqual(statuses(unknown, [lead, follower]), { statuses: ["parking_full", "conflict"], rows: [] })
  })

  it("makes a run of each failed attempt and of the answer", () => {
    const record = recordOf(router, {
      attempts: [failedAttempt(small), { model: large, ok: true, status: 200, latencyMs: 2000, error: null }],
      outcome: { ...answered(large), outputTokens: 0, latencyMs: 9000, firstTokenMs: 2000 }
    })
    const { events } = plan({ decisions: [record] })
    assert.deepStrictEqual(
      events.map((e) => e.type === "run" && [e.model, e.ok, e.logOutputTokens, e.latencyScore]),
      [
        [small, false, null, null],
        [large, true, 0, 0.5]
      ]
    )
  })

  it("learns nothing from an abort but the failures before it", () => {
    const aborted = { ...answered(large), ok: false, aborted: true }
    const record = recordOf(router, { attempts: [failedAttempt(small), failedAttempt(large)], outcome: aborted })
    assert.deepStrictEqual(
      plan({ decisions: [record] }).events.map((e) => e.type === "run" && e.model),
      [small]
    )
    const alone = recordOf(router, { attempts: [failedAttempt(large)], outcome: aborted })
    assert.deepStrictEqual(plan({ decisions: [alone] }).events, [])
  })

  it("learns nothing from an answer that declines, nor from a refusal of one request, but the failures before", () => {
    const refused = { ...answered(large), error: refusedError }
    const record = recordOf(router, { attempts: [failedAttempt(small)], outcome: refused })
    assert.deepStrictEqual(
      plan({ decisions: [record] }).events.map((e) => e.type === "run" && e.model),
      [small]
    )
    for (const error of ["rejected", "unsupported", "context_length", "filtered", "forbidden", "conflict"]) {
      const unable = { ...failedAttempt(small), error }
      const made = recordOf(router, { attempts: [unable], outcome: { ...answered(small), ok: false, error } })
      assert.deepStrictEqual(plan({ decisions: [made] }).events, [], error)
    }
  })

  it("stores feedback on an answer that never came, and learns nothing from it", () => {
    const record = recordOf(router, { attempts: [failedAttempt(small)], outcome: { ...answered(), ok: false } })
    const made = plan({ feedback: [feedbackOn(record.decision.id)] }, holding(record))
    assert.deepStrictEqual([made.events.length, made.feedbackRows.length, made.decisionUpdates.length], [0, 1, 0])
    assert.strictEqual(made.feedback[0]?.status, "recorded")
  })

  it("judges the model that answered, not the first choice", () => {
    const record = recordOf(router, { outcome: answered(large) })
    const [event] = plan({ feedback: [feedbackOn(record.decision.id)] }, holding(record)).events
    assert.deepInclude(event, { type: "quality", model: large })
  })

  it("reports a failed call as a failed run", () => {
    const record = recordOf(router, { outcome: null })
    const made = plan({ reports: [reportOn(record.decision.id, { ok: false, error: "timeout" })] }, holding(record))
    assert.deepStrictEqual(
      made.events.map((e) => e.type === "run" && [e.ok, e.logOutputTokens, e.latencyScore]),
      [[false, null, null]]
    )
    assert.strictEqual(made.decisionUpdates[0]?.outcome?.ok, false)
  })

  it("knows no latency where none was reported", () => {
    const record = recordOf(router, { outcome: null })
    const [event] = plan({ reports: [reportOn(record.decision.id, { latencyMs: null })] }, holding(record)).events
    assert.isTrue(event?.type === "run" && event.latencyScore === null && event.logOutputTokens !== null)
  })

  it("takes back what was learned when the newer feedback says nothing about quality", () => {
    const record = recordOf(router)
    const first = feedbackOn(record.decision.id, { kind: "regeneration", value: true })
    const learned = { quality: 0.2, weight: 0.5, position: 7 }
    const made = plan(
      { feedback: [feedbackOn(record.decision.id, { kind: "regeneration", value: false })] },
      holding(record, [storedAs(first)], learned)
    )
    const [event] = made.events
    assert.isTrue(event?.type === "quality" && event.weight === 0)
    if (event?.type === "quality") assert.deepStrictEqual(event.previous, learned)
  })

  it("learns nothing of a model that refused the request", () => {
    const record = recordOf(router)
    const attempts = [{ model: record.decision.chosen, ok: false, status: 400, latencyMs: 5, error: "rejected" }]
    const outcome = record.outcome === null ? null : { ...record.outcome, ok: false, error: "rejected" }
    assert.isNotNull(outcome)
    assert.deepStrictEqual(plan({ decisions: [{ ...record, attempts, outcome }] }).events, [])
  })

  it("makes no event of a comment, nor of feedback that changes nothing", () => {
    const record = recordOf(router)
    const comment = feedbackOn(record.decision.id, { kind: "comment", value: "nice" })
    assert.deepStrictEqual(plan({ feedback: [comment] }, holding(record)).events, [])
    const first = feedbackOn(record.decision.id)
    const same = feedbackOn(record.decision.id)
    const made = plan(
      { feedback: [same] },
      holding(record, [storedAs(first)], { quality: 0.9, weight: 1, position: 2 })
    )
    assert.deepStrictEqual([made.events.length, made.feedback[0]?.status], [0, "superseded"])
  })

  it("lets a parked feedback that is older than a recorded one be superseded by it", () => {
    const record = recordOf(router)
    const parked = storedAs(feedbackOn(record.decision.id, { value: 0.1 }), true)
    const newer = storedAs(feedbackOn(record.decision.id, { value: 0.8 }))
    const existing = holding(record, [parked, newer], { quality: 0.8, weight: 1, position: 2 })
    const made = plan({ joined: [parked] }, existing)
    assert.deepStrictEqual(made.feedbackUpdates, [{ id: parked.id, supersededBy: newer.id, parked: false }])
    assert.deepStrictEqual(made.events, [])
  })

  it.prop(
    "folds all feedback of one commit as one event that says what combine says of what is not superseded",
    [
      Schema.NonEmptyArray(
        Schema.Tuple(
          Schema.Literal("score", "other"),
          Schema.Number.pipe(Schema.between(0, 1)),
          Schema.Number.pipe(Schema.between(0.01, 1))
        )
      )
    ],
    ([judgements]) => {
      const record = recordOf(router)
      const feedback = judgements.map(([source, value, confidence]) =>
        feedbackOn(record.decision.id, { source, value, confidence })
      )
      const made = plan({ decisions: [record], feedback })
      const active = made.feedbackRows.filter((row) => row.supersededBy === null)
      const qualities = made.events.filter((event) => event.type === "quality")
      const expected = combine(active)
      const [event] = qualities
      return (
        made.feedbackRows.length === feedback.length &&
        active.length === new Set(judgements.map(([source]) => source)).size &&
        qualities.length === 1 &&
        event?.quality === expected?.quality &&
        event?.weight === expected?.weight &&
        made.decisions[0]?.learned?.quality === expected?.quality
      )
    }
  )

  /** Commits one after another, each at the next position, to a state without change detection. */
  const life = (record: DecisionRecord) => {
    const state = H.make({ ...H.defaultParameters, alarm: Number.POSITIVE_INFINITY }, record.decision.features.length)
    let position = record.decision.policy.position
    let learned: Learned | null = null
    let feedback: ReadonlyArray<StoredFeedback> = []
    const fold = (events: ReadonlyArray<LearningEvent>) => {
      position++
      for (const event of Either.getOrThrow(decodeEvents(encodeEvents(events)))) H.fold(state, position, event)
    }
    return {
      reset: () => fold([{ type: "reset", model: small }]),
      judge: (value: number, confidence: number) => {
        const said = feedbackOn(record.decision.id, { value, confidence })
        const made = plan({ feedback: [said] }, holding(record, feedback, learned))
        fold(made.events)
        feedback = [...feedback, ...made.feedbackRows].map((row) => ({
          ...row,
          ...made.feedbackUpdates.find(({ id }) => id === row.id)
        }))
        const [update] = made.decisionUpdates
        if (update?.learned != null) learned = learnedAt(learned, update.learned, position)
      },
      skip: () => fold([]),
      /** What is known of the quality of the model. */
      evidence: () => {
        const model = state.quality.models[0]
        return model === undefined ? [] : [...model.s, ...model.b, model.n, model.squares]
      }
    }
  }

  it.prop(
    "makes revisions that leave what the last value at the place of the first judgement would, whatever resets come between",
    [
      Schema.Array(
        Schema.Union(
          Schema.Literal("reset"),
          Schema.Tuple(Schema.Number.pipe(Schema.between(0, 1)), Schema.Number.pipe(Schema.between(0.01, 1)))
        )
      ).pipe(Schema.maxItems(14))
    ],
    ([steps]) => {
      const record = recordOf(router)
      const revised = life(record)
      const once = life(record)
      const last = steps.findLast((step) => step !== "reset")
      let isFirst = true
      for (const step of steps) {
        if (step === "reset") {
          revised.reset()
          once.reset()
          continue
        }
        revised.judge(...step)
        if (isFirst && last !== undefined) once.judge(...last)
        else once.skip()
        isFirst = false
      }
      const expected = once.evidence()
      const held = revised.evidence()
      return held.length === expected.length && held.every((value, i) => Math.abs(value - (expected[i] ?? NaN)) < 1e-9)
    },
    { fastCheck: { numRuns: 300 } }
  )
})
