import { assert, describe, it } from "@effect/vitest"
import {
  creditSession,
  mostSessionDecisions,
  sessionCredit,
  type SessionFeedback
} from "../../../src/domain/learning/Feedback.ts"
import { DecisionId, uuidV7From } from "../../../src/domain/basics/Ids.ts"

const decisions = Array.from({ length: 10 }, (_, i) => DecisionId(uuidV7From(2_000_000 - i, new Uint8Array(10))))
const given: SessionFeedback = {
  sessionId: "s",
  kind: "score",
  value: 0.25,
  confidence: 0.5,
  comment: "remark",
  source: null,
  idempotencyKey: "k",
  createdAtMillis: 3_000_000,
  owner: "owner"
}
const credit = (over: Partial<SessionFeedback> = {}, to: ReadonlyArray<DecisionId> = decisions) => {
  let ids = 0
  return creditSession({ ...given, ...over }, to, () => `id-${++ids}`)
}

describe("creditSession", () => {
  it("credits the newest eight, each with half as much as the one before it, all together less than twice the first", () => {
    const rows = credit()
    assert.deepStrictEqual(
      rows.map(({ confidence, decisionId, idempotencyKey }) => [String(decisionId), confidence, idempotencyKey]),
      [
        [String(decisions[0]), 0.5, "k"],
        [String(decisions[1]), 0.25, "k #2"],
        [String(decisions[2]), 0.125, "k #3"],
        [String(decisions[3]), 0.0625, "k #4"],
        [String(decisions[4]), 0.03125, "k #5"],
        [String(decisions[5]), 0.015625, "k #6"],
        [String(decisions[6]), 0.0078125, "k #7"],
        [String(decisions[7]), 0.00390625, "k #8"]
      ]
    )
    assert.strictEqual(sessionCredit(mostSessionDecisions), 0)
    assert.isBelow(
      rows.reduce((sum, row) => sum + row.confidence, 0),
      2 * given.confidence
    )
    for (const row of rows) {
      assert.deepInclude(row, {
        kind: "score",
        value: 0.25,
        source: "session",
        createdAtMillis: 3_000_000,
        owner: "owner"
      })
    }
  })

  it("keeps the remark with the newest, and gives a comment to nobody else", () => {
    assert.deepStrictEqual(
      credit({}, decisions.slice(0, 3)).map(({ comment }) => comment),
      ["remark", null, null]
    )
    const [comment, ...others] = credit({ kind: "comment", value: "fine" })
    assert.strictEqual(comment?.decisionId, decisions[0])
    assert.deepInclude(comment, { value: "fine", confidence: 0.5 })
    assert.deepStrictEqual(others, [])
  })

  it("names the source after the session, and takes the newest row's id for a key where none was sent", () => {
    assert.deepStrictEqual(
      credit({ source: "ui", idempotencyKey: null }, decisions.slice(0, 2)).map(({ id, idempotencyKey, source }) => [
        id,
        idempotencyKey,
        source
      ]),
      [
        ["id-1", "id-1", "session:ui"],
        ["id-2", "id-1 #2", "session:ui"]
      ]
    )
  })

  it("is nothing without decisions", () => {
    assert.deepStrictEqual(credit({}, []), [])
  })
})
