import { assert, describe, it } from "@effect/vitest"
import { RouterId } from "../../../../../src/domain/basics/Ids.ts"
import { candidatesOf, predictionsOf } from "../../../../../src/layers/storage/postgres/rows/Candidates.ts"
import { recordOf } from "../../../../support/learningRecords.ts"

describe("Candidates", () => {
  const { candidates } = recordOf(RouterId("r")).decision
  const models = candidates.map(({ model }) => model)
  const excluded_by = candidates.map((one) => one.excludedBy)

  it("keeps what a turn of the conversation costs behind the numbers that every version reads", () => {
    const weighed = candidates.map((one, i) => ({ ...one, conversationUsd: i === 0 ? 0.25 : null }))
    const predictions = predictionsOf(weighed)
    assert.deepStrictEqual(candidatesOf({ models, excluded_by, predictions }), weighed)
    assert.deepStrictEqual(predictions.slice(0, 6 * models.length), predictionsOf(candidates))
  })

  it("keeps nothing of it where turns are not weighed", () => {
    const predictions = predictionsOf(candidates)
    assert.lengthOf(predictions, 6 * models.length)
    assert.deepStrictEqual(candidatesOf({ models, excluded_by, predictions }), candidates)
  })
})
