import type { Decision } from "../../routing/Decision.ts"
import { drawnReasons } from "../../routing/Decision.ts"
import type { Outcome } from "../../routing/Outcome.ts"
import { costScore } from "../../routing/Score.ts"
import type { Weights } from "../../routing/Weights.ts"
import { expectedReward, reward } from "../Reward.ts"
import type { Logged } from "./OffPolicy.ts"

/** A decision of the log in numbers: the models that were eligible, and what came of the one that was taken. */
export interface LoggedChoice {
  readonly models: ReadonlyArray<string>
  readonly propensities: ReadonlyArray<number>
  readonly taken: number
  readonly propensity: number
  /** Whether the choice was only looked at, while another model served. */
  readonly isObserved: boolean
  readonly expected: Readonly<Record<Measure, ReadonlyArray<number>>>
  /** Null where nobody judged, or the cost is not known. */
  readonly value: Readonly<Record<Measure, number | null>>
  /** What was expected of each model in parts, to weigh anew. */
  readonly parts: ReadonlyArray<{
    readonly quality: number
    readonly costUsd: number | null
    readonly latencySeconds: number
  }>
}

export const measures = ["reward", "quality", "costUsd"] as const
export type Measure = (typeof measures)[number]

export interface Reference {
  readonly costUsd: number
  readonly latencySeconds: number
}

const drawn: ReadonlySet<string> = new Set(drawnReasons)

/**
 * Of a decision that was drawn, or observed, and that ended; null of another one. `priceTimes` says for some models how many
 * times their price is asked about; an answer through a fallback counts for the model that was chosen first.
 */
export const loggedChoice = (
  {
    decision,
    judged,
    outcome
  }: {
    readonly decision: Decision
    readonly outcome: Outcome | null
    readonly judged: { readonly quality: number; readonly weight: number } | null
  },
  reference: Reference,
  priceTimes: ReadonlyMap<string, number>
): LoggedChoice | null => {
  const isObserved = decision.reason === "observe"
  if (outcome === null || outcome.aborted || !(isObserved || drawn.has(decision.reason))) return null
  const eligible = decision.candidates.filter(({ eligible }) => eligible)
  const taken = eligible.findIndex(({ model }) => model === decision.chosen)
  if (taken < 0 || decision.propensity <= 0) return null
  const { weights } = decision.request
  const times = (model: string) => priceTimes.get(model) ?? 1
  const parts = eligible.map(({ costUsd, latencySeconds, model, quality }) => ({
    quality,
    latencySeconds,
    costUsd: costUsd === null ? null : costUsd * times(model)
  }))
  const judgement = judged !== null && judged.weight > 0 ? judged : null
  const costUsd = outcome.costUsd === null ? null : outcome.costUsd * times(outcome.model)
  return {
    models: eligible.map(({ model }) => model),
    propensities: eligible.map(({ propensity }) => propensity),
    taken,
    propensity: decision.propensity,
    isObserved,
    parts,
    expected: {
      reward: parts.map((part) => expectedReward(part, weights, reference)),
      quality: parts.map(({ quality }) => quality),
      costUsd: parts.map(({ costUsd }) => costUsd ?? 0)
    },
    value: {
      reward: reward({ ...outcome, costUsd }, judgement, weights, reference),
      quality: outcome.ok ? (judgement?.quality ?? null) : 0,
      costUsd: outcome.ok ? costUsd : null
    }
  }
}

/** The rows that say something of that measure. */
export const rowsOf = (choices: ReadonlyArray<LoggedChoice>, measure: Measure): ReadonlyArray<[LoggedChoice, Logged]> =>
  choices.flatMap((choice): ReadonlyArray<[LoggedChoice, Logged]> => {
    const value = choice.value[measure]
    const { expected, propensity, taken } = choice
    return value === null ? [] : [[choice, { taken, propensity, value, expected: expected[measure] }]]
  })

/** A policy to ask the log about: the probability of each eligible model, or null where it has none to choose. */
export interface Target {
  readonly name: string
  readonly shares: (choice: LoggedChoice) => ReadonlyArray<number> | null
}

const only = (models: ReadonlyArray<string>, index: number) => models.map((_, i) => (i === index ? 1 : 0))

export const asLogged: Target = { name: "as it was chosen", shares: ({ propensities }) => propensities }

export const always = (model: string): Target => ({
  name: `always ${model}`,
  shares: ({ models }) => (models.includes(model) ? only(models, models.indexOf(model)) : null)
})

export const without = (model: string): Target => ({
  name: `without ${model}`,
  shares: ({ models, propensities }) => {
    const rest = propensities.map((share, i) => (models[i] === model ? 0 : share))
    const sum = rest.reduce((total, share) => total + share, 0)
    return sum > 0 ? rest.map((share) => share / sum) : null
  }
})

/** The best by what was expected then, weighed in another way. */
export const weighed = (weights: Weights, reference: Reference): Target => ({
  name: `best by ${weights.quality},${weights.cost},${weights.latency}`,
  shares: ({ models, parts }) => {
    const scores = parts.map(
      ({ costUsd, latencySeconds, quality }) =>
        weights.quality * quality +
        weights.cost * costScore(costUsd, reference.costUsd) +
        weights.latency / (1 + latencySeconds / reference.latencySeconds)
    )
    return only(models, scores.indexOf(Math.max(...scores)))
  }
})
