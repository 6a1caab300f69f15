import * as Effect from "effect/Effect"
import * as Hierarchical from "../../domain/learning/bandit/Hierarchical.ts"
import * as Sources from "../../domain/learning/bandit/Sources.ts"
import type { ModelId } from "../../domain/basics/Ids.ts"
import { nearestName } from "../../domain/basics/NearestName.ts"
import * as Learning from "../../domain/learning/LearnedState.ts"
import { Refused } from "./Refused.ts"

/** What is known of every model of the log, at the fixed reference point, as `/v1/models` shows it. */
export const modelFacts = (learning: Learning.Learning) =>
  learning.state.models.map(({ id }) => {
    const { priorQuality, priorSd } = Hierarchical.priorOf(learning.state, id) ?? { priorQuality: null }
    const { changes, latencySecondsMean, outputTokensMean, quality, successRate, tasks } = Hierarchical.learned(
      learning.state,
      id,
      priorQuality
    )
    return {
      id,
      disabled: learning.disabled.has(id),
      prior_quality: priorQuality,
      prior_sd: priorSd ?? null,
      quality,
      tasks,
      changes,
      success_rate: successRate,
      output_tokens: { mean: outputTokensMean },
      latency_seconds: { mean: latencySecondsMean },
      share: Learning.shareOf(learning, id),
      epoch: Hierarchical.epoch(learning.state, id)
    }
  })
export type ModelFacts = ReturnType<typeof modelFacts>[number]

/** Who judges besides people, and how it is taken. */
export const sourceFacts = ({ state: { sources } }: Learning.Learning) =>
  [...Sources.standings(sources)].map(([source, { offset, share }]) => ({
    source,
    offset,
    share,
    pairs: sources.bySource.get(source)?.pairs ?? 0,
    verdicts: sources.bySource.get(source)?.verdicts ?? 0,
    changes: sources.bySource.get(source)?.changes ?? []
  }))

export const quality = ({ quality: { high, low, mean } }: Pick<ModelFacts, "quality">): string =>
  `${mean.toFixed(3)} (${low.toFixed(2)} to ${high.toFixed(2)})`

/** The id, if the log knows the model. */
export const knownModel = ({ state }: Learning.Learning, id: string): Effect.Effect<ModelId, Refused> => {
  const ids = state.models.map((model) => model.id)
  const known = ids.find((one) => one === id)
  if (known !== undefined) return Effect.succeed(known)
  const nearest = nearestName(id, ids)
  return new Refused({
    detail: `the log knows no model ${JSON.stringify(id)}${nearest === null ? `; it knows ${ids.join(", ") || "none: start the service once"}` : `: did you mean ${nearest}?`}`
  })
}
