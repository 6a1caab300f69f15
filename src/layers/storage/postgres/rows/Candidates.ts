import type { Candidate } from "../../../../domain/routing/Decision.ts"
import type { ModelId } from "../../../../domain/basics/Ids.ts"
import type { ExcludedByCell } from "./Cells.ts"

// Candidates stand in three columns: their ids, what excluded them, and six numbers each. After all of these comes what a
// turn of the conversation costs with each, where turns are weighed: who reads six numbers each does not meet it.

const numbersEach = 6

export const predictionsOf = (candidates: ReadonlyArray<Candidate>): ReadonlyArray<number | null> => {
  const numbers: Array<number | null> = []
  for (const { costUsd, latencySeconds, propensity, quality, qualitySd, score } of candidates) {
    numbers.push(quality, qualitySd, costUsd, latencySeconds, score, propensity)
  }
  if (candidates.every(({ conversationUsd }) => conversationUsd === undefined)) return numbers
  for (const { conversationUsd } of candidates) numbers.push(conversationUsd ?? null)
  return numbers
}

const exclusionOf = (candidate: Candidate): string | null => candidate.excludedBy ?? (candidate.eligible ? null : "")

/** Null where all are eligible. */
export const exclusionsOf = (candidates: ReadonlyArray<Candidate>): ReadonlyArray<string | null> | null =>
  candidates.every((c) => exclusionOf(c) === null) ? null : candidates.map(exclusionOf)

export const candidatesOf = (row: {
  readonly models: ReadonlyArray<ModelId>
  readonly excluded_by: typeof ExcludedByCell.Type | null
  readonly predictions: ReadonlyArray<number | null>
}): ReadonlyArray<Candidate> =>
  row.models.map((model, i) => {
    const excluded = row.excluded_by?.[i] ?? null
    const from = i * numbersEach
    const [quality, qualitySd, costUsd, latencySeconds, score, propensity] = row.predictions.slice(
      from,
      from + numbersEach
    )
    const conversationUsd = row.predictions[row.models.length * numbersEach + i]
    return {
      model,
      eligible: excluded === null,
      excludedBy: excluded === "" ? null : excluded,
      quality: quality ?? 0,
      qualitySd: qualitySd ?? 0,
      costUsd: costUsd ?? null,
      ...(conversationUsd === undefined ? {} : { conversationUsd }),
      latencySeconds: latencySeconds ?? 0,
      score: score ?? 0,
      propensity: propensity ?? 0
    }
  })
