import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Comparison, Estimate } from "../../domain/stats/Savings.ts"
import { type Figures, meanInterval, type Sample, stepsOf, wilson } from "../../domain/stats/Stats.ts"
import type { StatsAnswer } from "../../services/api/StatsResponse.ts"
import { StatsQuery } from "../../services/api/StatsQuery.ts"
import type { RouterShape, Stats } from "../../services/routing/Router.ts"
import { decoder } from "./Body.ts"
import type { Handler } from "./Handler.ts"
import { InvalidRequest } from "./HttpErrors.ts"
import type { RewardReference } from "./Present.ts"
import { query } from "./Query.ts"
import { json } from "./Reply.ts"

const decodeQuery = decoder(StatsQuery)
const defaultWindowMillis = 24 * 3_600_000

export const make = (router: Pick<RouterShape, "stats">, reference: () => RewardReference): Handler =>
  Effect.fnUntraced(function* ({ caller, request }) {
    const asked = yield* decodeQuery(yield* query(request))
    if (asked.window !== undefined && asked.from !== undefined) {
      return yield* new InvalidRequest({ param: "window", detail: "excludes from: send one" })
    }
    const untilMillis = asked.until ?? (yield* Clock.currentTimeMillis)
    const fromMillis = asked.from ?? Math.max(0, untilMillis - (asked.window ?? defaultWindowMillis))
    if (fromMillis >= untilMillis) {
      return yield* new InvalidRequest({
        param: "from",
        detail: "must be before until, which is now unless it is given"
      })
    }
    const { stepsMillis, widthMillis } = stepsOf(fromMillis, untilMillis)
    const { costUsd, latencySeconds } = reference()
    const found = yield* router.stats({
      owner: caller.owner,
      model: asked.model ?? null,
      task: asked.task ?? null,
      fromMillis,
      untilMillis,
      stepsMillis,
      costReferenceUsd: costUsd,
      latencyReferenceSeconds: latencySeconds
    })
    return json(presented(found, { fromMillis, untilMillis, stepsMillis, widthMillis }))
  })

const timeText = (millis: number) => new Date(millis).toISOString()

const meanOf = (sample: Sample | null) => {
  if (sample === null) return null
  const interval = meanInterval(sample)
  return { mean: sample.mean, low: interval?.low ?? null, high: interval?.high ?? null, count: sample.count }
}

const figures = (of: Figures) => {
  const judged = of.quality?.count ?? 0
  const answers = of.answered + of.refused
  const coverage = wilson(judged, answers)
  return {
    requests: of.requests,
    answered: of.answered,
    failed: of.failed,
    aborted: of.aborted,
    refused: of.refused,
    empty: of.empty,
    pending: of.requests - of.answered - of.failed - of.aborted - of.refused - of.empty,
    fallbacks: of.fallbacks,
    exploration_share: of.requests === 0 ? null : of.explored / of.requests,
    input_tokens: of.inputTokens,
    output_tokens: of.outputTokens,
    cost_usd: of.costUsd,
    cost_known: of.priced,
    latency_ms: of.latencyMs,
    first_token_ms: of.firstTokenMs,
    judged,
    feedback_coverage: coverage === null ? null : { value: judged / answers, ...coverage },
    quality: meanOf(of.quality),
    reward: meanOf(of.reward)
  }
}

const estimate = ({ high, low, reason, value }: Estimate) => ({ value, low, high, reason })

const comparison = (of: Comparison) => ({
  model: of.model,
  requests: of.requests,
  saved_usd: estimate(of.savedUsd),
  saved_share: estimate(of.savedShare),
  quality_gain: estimate(of.qualityGain),
  reward_gain: estimate(of.rewardGain)
})

const presented = (
  { byModel, byTask, errors, overTime, savings, tasks, totals }: Stats,
  window: {
    readonly fromMillis: number
    readonly untilMillis: number
    readonly stepsMillis: ReadonlyArray<number>
    readonly widthMillis: number
  }
): StatsAnswer => {
  const shown = byTask.reduce((sum, { requests }) => sum + requests, 0)
  return {
    object: "stats",
    window: {
      from: timeText(window.fromMillis),
      until: timeText(window.untilMillis),
      step_seconds: window.widthMillis / 1000
    },
    totals: figures(totals),
    by_model: byModel.map((one) => ({ model: one.model, ...figures(one) })),
    by_task: byTask.map((one) => ({ task: one.task, ...figures(one) })),
    other_tasks: tasks > byTask.length ? { tasks: tasks - byTask.length, requests: totals.requests - shown } : null,
    over_time: overTime.map((one) => ({
      from: timeText(Math.max(window.fromMillis, window.stepsMillis[one.step] ?? window.fromMillis)),
      ...figures(one)
    })),
    errors,
    savings:
      savings === null
        ? null
        : {
            sampled: savings.sampled,
            against_best: comparison(savings.best),
            against_dearest: comparison(savings.dearest),
            unknown: savings.unknown
          }
  }
}
