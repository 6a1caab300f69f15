import type { ModelId } from "../../basics/Ids.ts"
import type { Price } from "../../routing/Cost.ts"
import { costScore, latencyScore } from "../../routing/Score.ts"
import { preferences, type Weights } from "../../routing/Weights.ts"

/** What every model answered to the same requests, so that any choice can be replayed. */
export interface Table {
  readonly name: string
  readonly models: ReadonlyArray<ModelId>
  readonly prices: ReadonlyArray<Price>
  /** Published or measured quality of each model before the first request; null where nothing is known. */
  readonly priors: ReadonlyArray<number | null>
  readonly rows: ReadonlyArray<Row>
}

export interface Row {
  readonly task: string
  /** Of the prompt. */
  readonly features: Float32Array
  readonly inputTokens: number
  /** By model, in the order of the table: [0, 1], USD, seconds. */
  readonly quality: ReadonlyArray<number>
  readonly costUsd: ReadonlyArray<number>
  readonly latencySeconds: ReadonlyArray<number>
}

/** `cal` is the default preference of requests, with cost and latency; `q` is quality alone. */
export const rewards = {
  cal: preferences.balanced,
  q: { quality: 1, cost: 0, latency: 0 }
} as const satisfies Record<string, Weights>
export type RewardName = keyof typeof rewards

const meanOf = (table: Table, valueOf: (row: Row) => number): number =>
  table.rows.reduce((sum, row) => sum + valueOf(row), 0) / Math.max(1, table.rows.length)

/** The geometric mean of the models' mean costs of a request. */
export const costReferenceUsd = (table: Table): number => {
  const means = table.models.map((_, k) => meanOf(table, ({ costUsd }) => costUsd[k] ?? 0))
  return Math.exp(means.reduce((sum, cost) => sum + Math.log(Math.max(cost, 1e-12)), 0) / Math.max(1, means.length))
}

/** What one answer is worth, [0, 1]. */
export const rewardOf = (
  weights: Weights,
  reference: { readonly costUsd: number; readonly latencySeconds: number },
  answer: { readonly quality: number; readonly costUsd: number; readonly latencySeconds: number }
): number =>
  weights.quality * answer.quality +
  weights.cost * costScore(answer.costUsd, reference.costUsd) +
  weights.latency * latencyScore(answer.latencySeconds, reference.latencySeconds)
