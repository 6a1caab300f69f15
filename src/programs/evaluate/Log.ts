import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  always,
  asLogged,
  type LoggedChoice,
  loggedChoice,
  type Measure,
  type Reference,
  rowsOf,
  type Target,
  weighed,
  without
} from "../../domain/learning/evaluation/LoggedChoices.ts"
import { offPolicy, supportOf, whyUnknown } from "../../domain/learning/evaluation/OffPolicy.ts"
import { referenceLatencySeconds } from "../../domain/routing/Reference.ts"
import type { Weights } from "../../domain/routing/Weights.ts"
import * as ModelCatalogFile from "../../layers/models/ModelCatalogFile.ts"
import * as SettingsEnv from "../../layers/running/SettingsEnv.ts"
import { ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { columns } from "../tools/Columns.ts"
import { eachDecision } from "../tools/LoggedDecisions.ts"
import { type OpenRouter, withRouter } from "../tools/OpenRouter.ts"

/** What is held in memory: a few numbers for each model of each decision. */
const mostChoices = 200_000

/** Every choice of the log that says something, oldest first. */
const choicesOf = (open: OpenRouter, reference: Reference, prices: ReadonlyMap<string, number>) =>
  Effect.gen(function* () {
    const { end } = yield* open.reader.extent(open.router.id)
    const choices: Array<LoggedChoice> = []
    yield* eachDecision(open, end, "reading decisions", (one) => {
      const choice = loggedChoice(one, reference, prices)
      if (choice !== null) choices.push(choice)
      return choices.length < mostChoices
    })
    if (choices.length >= mostChoices) {
      yield* Effect.logWarning(`the log has more: the oldest ${mostChoices} choices are looked at`)
    }
    return choices
  })

const estimateOf = (drawn: ReadonlyArray<LoggedChoice>, target: Target, measure: Measure) => {
  const rows = rowsOf(drawn, measure).flatMap(([choice, row]) => {
    const shares = target.shares(choice)
    return shares === null ? [] : [{ row, shares, propensities: choice.propensities }]
  })
  const found = offPolicy(
    rows.map(({ row }) => row),
    rows.map(({ shares }) => shares)
  )
  const supported = supportOf(
    rows.map(({ propensities }) => propensities),
    rows.map(({ shares }) => shares)
  )
  const unknown = whyUnknown(found, rows.length, supported)
  return {
    requests: rows.length,
    cannot_know: unknown,
    doubly_robust: unknown === null ? found.doublyRobust : null,
    snips: unknown === null ? found.snips : null,
    // What was expected is no proof, and there in any case.
    expected: rows.length === 0 ? null : found.direct,
    effective_sample_size: found.effectiveSize
  }
}

/** What would have been chosen while a fixed model served: by what was expected, since nobody saw the other answers. */
const observedOf = (choices: ReadonlyArray<LoggedChoice>) => {
  const observed = choices.filter(({ isObserved }) => isObserved)
  if (observed.length === 0) return null
  const mean = (valueOf: (choice: LoggedChoice) => number) =>
    observed.reduce((sum, choice) => sum + valueOf(choice), 0) / observed.length
  const difference = (measure: Measure) =>
    mean(({ expected, propensities, taken }) => {
      const values = expected[measure]
      const chosen = values.reduce((sum, value, i) => sum + (propensities[i] ?? 0) * value, 0)
      return chosen - (values[taken] ?? 0)
    })
  return {
    requests: observed.length,
    share_of_other_models: mean(({ propensities, taken }) => 1 - (propensities[taken] ?? 0)),
    expected_difference: {
      reward: difference("reward"),
      quality: difference("quality"),
      cost_usd: difference("costUsd")
    }
  }
}

export interface Asked {
  readonly weights: Weights | null
  readonly without: ReadonlyArray<string>
  readonly priceTimes: ReadonlyMap<string, number>
  readonly json: boolean
}

const reportOf = (routerId: string, choices: ReadonlyArray<LoggedChoice>, reference: Reference, asked: Asked) => {
  const drawn = choices.filter(({ isObserved }) => !isObserved)
  const models = [...new Set(choices.flatMap((choice) => choice.models))].sort()
  const targets = [
    asLogged,
    ...models.map(always),
    ...asked.without.map(without),
    ...(asked.weights === null ? [] : [weighed(asked.weights, reference)])
  ]
  return {
    router_id: routerId,
    drawn: drawn.length,
    judged: drawn.filter(({ value }) => value.quality !== null).length,
    policies: targets.map((target) => ({
      policy: target.name,
      reward: estimateOf(drawn, target, "reward"),
      quality: estimateOf(drawn, target, "quality"),
      cost_usd: estimateOf(drawn, target, "costUsd")
    })),
    observed: observedOf(choices)
  }
}
type LogReport = ReturnType<typeof reportOf>
type Part = LogReport["policies"][number]["reward"]

const interval = (estimate: Part["snips"], digits: number) =>
  estimate === null
    ? "?"
    : `${estimate.mean.toPrecision(digits)} (${estimate.low.toPrecision(digits)} to ${estimate.high.toPrecision(digits)})`

const textOf = ({ drawn, judged, observed, policies }: LogReport): string => {
  const lines = [
    `${drawn} choices were drawn and ended, ${judged} of them are judged or failed.\n`,
    columns([
      ["policy", "reward", "by weights alone", "quality", "USD a request", "effective", "cannot know"],
      ...policies.map(({ cost_usd, policy, quality, reward }) => [
        policy,
        interval(reward.doubly_robust, 3),
        interval(reward.snips, 3),
        interval(quality.doubly_robust, 3),
        interval(cost_usd.doubly_robust, 3),
        reward.effective_sample_size.toFixed(0),
        reward.cannot_know ?? ""
      ])
    ]),
    "\nReward by the weights of each request. Doubly robust, and by self-normalised inverse propensities alone; 95 % intervals. For requests whose answers are judged: if others are not like them, neither is this."
  ]
  if (observed !== null) {
    const { expected_difference: more, requests, share_of_other_models } = observed
    lines.push(
      `\nOf ${requests} requests that a fixed model served ${(100 * share_of_other_models).toFixed(1)} % would have been another model's. Expected difference of a request: reward ${more.reward.toFixed(4)}, quality ${more.quality.toFixed(4)}, USD ${more.cost_usd.toPrecision(3)}. Nobody saw the other answers: only choices that are followed prove it.`
    )
  }
  return lines.join("\n")
}

/** What other policies would have earned on the requests of this router's own log. */
export const evaluateLog = (asked: Asked) =>
  Effect.gen(function* () {
    const { costReferenceUsd } = (yield* ModelCatalog).current()
    const reference = { costUsd: costReferenceUsd, latencySeconds: referenceLatencySeconds }
    yield* withRouter((open) =>
      Effect.gen(function* () {
        const choices = yield* choicesOf(open, reference, asked.priceTimes)
        const found = reportOf(open.router.id, choices, reference, asked)
        yield* Console.log(asked.json ? JSON.stringify(found) : textOf(found))
      })
    )
  }).pipe(
    Effect.provide(
      ModelCatalogFile.layer.pipe(Layer.provideMerge(SettingsEnv.layer), Layer.provide(SettingsEnv.environment))
    )
  )
