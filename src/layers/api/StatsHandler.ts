import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Comparison, Estimate } from "../../domain/stats/Savings.ts"
import { dayHours, hourMillis } from "../../domain/stats/Cover.ts"
import {
  type Dimension,
  type Figures,
  longestByMinutesMillis,
  meanInterval,
  type Sample,
  stepsOf,
  wilson
} from "../../domain/stats/Stats.ts"
import type { StatsAnswer } from "../../services/api/StatsResponse.ts"
import { type Grouping, StatsQuery } from "../../services/api/StatsQuery.ts"
import type { Caller, RouterShape, Stats } from "../../services/routing/Router.ts"
import { readerOf } from "../../domain/basics/Owner.ts"
import { decoder } from "./Body.ts"
import type { AnyError } from "./ErrorTable.ts"
import type { Handler } from "./Handler.ts"
import { InvalidRequest } from "./HttpErrors.ts"
import type { RewardReference } from "./Present.ts"
import { query } from "./Query.ts"
import { json } from "./Reply.ts"

const decodeQuery = decoder(StatsQuery)
const defaultWindowMillis = 24 * hourMillis
const mostSteps = 1_000

export const make =
  (router: Pick<RouterShape, "stats">, reference: () => RewardReference): Handler =>
  ({ caller, request: { url = "" } }) =>
    Effect.map(answer(router, reference, { caller, url }), (found) => json(found))

/** To who asks for that address. */
export const answer = (
  router: Pick<RouterShape, "stats">,
  reference: () => RewardReference,
  { caller, url }: { readonly caller: Caller; readonly url: string }
): Effect.Effect<StatsAnswer, AnyError> =>
  Effect.gen(function* () {
    const asked = yield* decodeQuery(yield* query({ url }))
    if (asked.window !== undefined && asked.from !== undefined) {
      return yield* new InvalidRequest({ param: "window", detail: "excludes from: send one" })
    }
    const nowMillis = yield* Clock.currentTimeMillis
    const untilMillis = asked.until ?? nowMillis
    const fromMillis = asked.from ?? beginningOf(asked.window ?? defaultWindowMillis, asked.until, nowMillis)
    if (fromMillis >= untilMillis) {
      return yield* new InvalidRequest({
        param: "from",
        detail: "must be before until, which is now unless it is given"
      })
    }
    const { dimensions, widthMillis: asksMillis } = yield* groupingOf(asked)
    if (asksMillis !== null && (untilMillis - fromMillis) / asksMillis > mostSteps) {
      return yield* new InvalidRequest({
        param: asked.interval === undefined ? "group_by" : "interval",
        detail: `makes more than ${mostSteps} steps of this window: ask for longer ones, or for a shorter window`
      })
    }
    const { stepsMillis, widthMillis } = stepsOf(fromMillis, untilMillis, asksMillis)
    const { costUsd, latencySeconds } = reference()
    const found = yield* router.stats({
      ...readerOf(caller),
      model: asked.model ?? null,
      task: asked.task ?? null,
      fromMillis,
      // Of what is not over yet, the sum of the whole hour is the same.
      untilMillis: asked.until === undefined && isByHours(stepsMillis) ? nextHour(untilMillis) : untilMillis,
      stepsMillis,
      costReferenceUsd: costUsd,
      latencyReferenceSeconds: latencySeconds,
      groupBy: dimensions,
      savings: asked.savings ?? true
    })
    return presented(found, dimensions, { fromMillis, untilMillis, stepsMillis, widthMillis })
  })

const isByHours = (stepsMillis: ReadonlyArray<number>) => stepsMillis.every((millis) => millis % hourMillis === 0)
const nextHour = (millis: number) => (Math.floor(millis / hourMillis) + 1) * hourMillis

/** A long window that ends now begins with an hour, whose sum there is. */
const beginningOf = (windowMillis: number, until: number | undefined, nowMillis: number): number => {
  const begins = Math.max(0, (until ?? nowMillis) - windowMillis)
  return until === undefined && windowMillis > longestByMinutesMillis ? begins - (begins % hourMillis) : begins
}

const stepWidths = { step: null, hour: hourMillis, day: dayHours * hourMillis } as const

/** What the answer's groups are told apart by, and how long a step is if that is said. */
const groupingOf = ({
  group_by: names = [],
  interval
}: {
  readonly group_by?: ReadonlyArray<Grouping>
  readonly interval?: number
}): Either.Either<
  { readonly dimensions: ReadonlyArray<Dimension>; readonly widthMillis: number | null },
  InvalidRequest
> => {
  const step = names.find((name) => name === "step" || name === "hour" || name === "day")
  if (step !== undefined && step !== "step" && interval !== undefined) {
    return Either.left(new InvalidRequest({ param: "interval", detail: `excludes ${step} in group_by: send one` }))
  }
  return Either.right({
    dimensions: names.map((name) => (name === "hour" || name === "day" ? "step" : name)),
    widthMillis: interval ?? (step === undefined ? null : stepWidths[step])
  })
}

const timeText = (millis: number) => new Date(millis).toISOString()

const meanOf = (sample: Sample | null) => {
  if (sample === null) return null
  const interval = meanInterval(sample)
  const sd = sample.variance === null ? null : Math.sqrt(sample.variance)
  return { mean: sample.mean, low: interval?.low ?? null, high: interval?.high ?? null, sd, count: sample.count }
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
  predicted_saved_usd: of.predictedSavedUsd,
  quality_gain: estimate(of.qualityGain),
  reward_gain: estimate(of.rewardGain)
})

const presented = (
  { byModel, byTask, errors, groupCount, groups, overTime, savings, tasks, totals }: Stats,
  dimensions: ReadonlyArray<Dimension>,
  window: {
    readonly fromMillis: number
    readonly untilMillis: number
    readonly stepsMillis: ReadonlyArray<number>
    readonly widthMillis: number
  }
): StatsAnswer => {
  const begins = (step: number) => timeText(Math.max(window.fromMillis, window.stepsMillis[step] ?? window.fromMillis))
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
      from: begins(one.step),
      ...figures(one)
    })),
    groups:
      dimensions.length === 0
        ? null
        : groups.map((one) => ({
            ...(one.step === null ? {} : { from: begins(one.step) }),
            ...(one.model === null ? {} : { model: one.model }),
            ...(dimensions.includes("task") ? { task: one.task } : {}),
            ...figures(one)
          })),
    other_groups: groupCount > groups.length ? groupCount - groups.length : 0,
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
