import { type Charge, penalty } from "../learning/BudgetPacing.ts"
import type { Prediction } from "../learning/bandit/Hierarchical.ts"
import { costUsd, type Price } from "./Cost.ts"
import { type Turn, turnCost } from "./ConversationCost.ts"
import type { Weights } from "./Weights.ts"
import { neutral } from "./Reference.ts"

/** 1 for free, 1/2 at the reference; a price that nobody stated counts as the reference. */
export const costScore = (costUsd: number | null, costReferenceUsd: number): number =>
  costUsd === null ? neutral : 1 / (1 + costUsd / costReferenceUsd)

/** 1 for at once, 1/2 at the reference; a time that nobody stated counts as the reference. */
export const latencyScore = (seconds: number | null, referenceSeconds: number): number =>
  seconds === null ? neutral : 1 / (1 + seconds / referenceSeconds)

/** The natural logarithm of the number of output tokens as it is learned: at least 0. */
export const logOutputTokens = (tokens: number): number => Math.log(Math.max(1, tokens))

/**
 * Mean and deviation of the score of one model for one request, and its expected cost in USD: what was learned, at
 * today's price, by this request's weights. Only quality is uncertain here: tokens and latency enter by their means.
 */
export const compose = (input: {
  readonly prediction: Pick<Prediction, "quality" | "qualitySd" | "qualityRise" | "outputTokens" | "latencyScore">
  readonly price: Price
  readonly inputTokens: number
  /** The caller's limit on the answer. */
  readonly maxTokens: number | null
  /** Sum 1. */
  readonly weights: Weights
  readonly costReferenceUsd: number
  /** Of a budget that is paced. */
  readonly charge?: Charge | undefined
  /** Of a turn that is weighed with its conversation. */
  readonly turn?: Pick<Turn, "prefixTokens" | "hit" | "furtherTurns"> | undefined
}): {
  readonly mean: number
  readonly sd: number
  /** How much higher the mean would be if the model were back at a level that it seems to have lost. */
  readonly rise: number
  /** Of this request. */
  readonly costUsd: number | null
  readonly conversationUsd?: number | null
} => {
  const { prediction, weights } = input
  const outputTokens =
    input.maxTokens === null ? prediction.outputTokens : Math.min(prediction.outputTokens, input.maxTokens)
  const { inputTokens, price, turn } = input
  const weighed =
    turn === undefined
      ? undefined
      : turnCost(price, { ...turn, newTokens: inputTokens - turn.prefixTokens, outputTokens })
  const now = weighed === undefined ? costUsd(price, inputTokens, outputTokens) : (weighed?.nowUsd ?? null)
  const cost = weighed === undefined ? now : (weighed?.usd ?? null)
  const score = {
    mean:
      weights.quality * prediction.quality +
      weights.cost * costScore(cost, input.costReferenceUsd) +
      weights.latency * prediction.latencyScore -
      (input.charge === undefined ? 0 : penalty(input.charge, cost)),
    sd: weights.quality * prediction.qualitySd,
    rise: weights.quality * prediction.qualityRise,
    costUsd: now
  }
  return weighed === undefined ? score : { ...score, conversationUsd: cost }
}
