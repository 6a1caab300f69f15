import { reads } from "../../../domain/basics/Owner.ts"
import { createHash } from "node:crypto"
import { isLearned } from "../../../domain/routing/Fault.ts"
import { type Decision, drawnReasons } from "../../../domain/routing/Decision.ts"
import type { DecisionRecord } from "../../../domain/routing/DecisionRecord.ts"
import { outcomeKind, type OutcomeKind, refusedError } from "../../../domain/routing/Outcome.ts"
import type { Outcome } from "../../../domain/routing/Outcome.ts"
import { expectedReward, reward } from "../../../domain/learning/Reward.ts"
import { folds, type SavingsRow, type SavingsRows } from "../../../domain/stats/Savings.ts"
import {
  type Figures,
  type Group,
  mostCombined,
  mostGroups,
  type Sample,
  type StatsQuery,
  type StatsRows
} from "../../../domain/stats/Stats.ts"
import { binsOf, percentilesIn } from "../../../domain/stats/Times.ts"
import type { CostReference, Kept } from "./RouterState.ts"

const sum = (values: ReadonlyArray<number | null | undefined>): number =>
  values.reduce<number>((total, value) => total + (value ?? 0), 0)

const known = <A>(values: ReadonlyArray<A | null | undefined>): ReadonlyArray<A> =>
  values.filter((value): value is A => value !== null && value !== undefined)

const sampleOf = (values: ReadonlyArray<number>): Sample | null => {
  const count = values.length
  if (count === 0) return null
  const mean = sum(values) / count
  return { count, mean, variance: count < 2 ? null : sum(values.map((v) => (v - mean) ** 2)) / (count - 1) }
}

const answererOf = ({ decision, outcome }: DecisionRecord) => outcome?.model ?? decision.chosen

const qualityOf = ({ learned, record }: Kept): number | null =>
  record.outcome?.ok === true && learned !== null && learned.weight > 0 ? learned.quality : null

const referenceOf = ({ costReferenceUsd, latencyReferenceSeconds }: StatsQuery) => ({
  costUsd: costReferenceUsd,
  latencySeconds: latencyReferenceSeconds
})

/** What a decision's costs are measured with, as `postgres/statistics/Measures.ts` has it. */
const atItsTime =
  (query: StatsQuery, references: ReadonlyArray<CostReference>) =>
  ({ id }: Decision) => ({
    costUsd: references.findLast(({ since }) => since <= id)?.costUsd ?? query.costReferenceUsd,
    latencySeconds: query.latencyReferenceSeconds
  })

const rewardOf = (kept: Kept, reference: ReturnType<typeof referenceOf>): number | null => {
  const { decision, outcome } = kept.record
  const quality = qualityOf(kept)
  return outcome === null
    ? null
    : reward(outcome, quality === null ? null : { quality }, decision.request.weights, reference)
}

const figuresOf = (all: ReadonlyArray<Kept>, reference: ReturnType<typeof atItsTime>): Figures => {
  const outcomes = known(all.map(({ record }) => record.outcome))
  const answered = outcomes.filter(({ ok }) => ok)
  const kinds = outcomes.map(outcomeKind)
  const count = (kind: OutcomeKind) => kinds.filter((one) => one === kind).length
  return {
    requests: all.length,
    answered: count("ok"),
    failed: count("failed"),
    aborted: count("aborted"),
    refused: count("refused"),
    empty: count("empty"),
    fallbacks: all.filter(({ record }) => answererOf(record) !== record.decision.chosen).length,
    explored: all.filter(({ record }) => record.decision.exploration).length,
    inputTokens: sum(outcomes.map(({ inputTokens }) => inputTokens)),
    outputTokens: sum(outcomes.map(({ outputTokens }) => outputTokens)),
    costUsd: sum(outcomes.map(({ costUsd }) => costUsd)),
    priced: known(outcomes.map(({ costUsd }) => costUsd)).length,
    latencyMs: percentilesIn(binsOf(known(answered.map(({ latencyMs }) => latencyMs)))),
    firstTokenMs: percentilesIn(binsOf(known(answered.map(({ firstTokenMs }) => firstTokenMs)))),
    quality: sampleOf(known(all.map(qualityOf))),
    reward: sampleOf(known(all.map((kept) => rewardOf(kept, reference(kept.record.decision)))))
  }
}

const selected = (all: Iterable<Kept>, query: StatsQuery): ReadonlyArray<Kept> =>
  Array.from(all).filter(
    ({ record }) =>
      reads(query, record.decision.owner) &&
      record.decision.createdAtMillis >= query.fromMillis &&
      record.decision.createdAtMillis < query.untilMillis &&
      (query.model === null || answererOf(record) === query.model) &&
      (query.task === null || record.decision.request.task === query.task)
  )

const groupsBy = <K>(all: ReadonlyArray<Kept>, keyOf: (kept: Kept) => K): ReadonlyArray<readonly [K, Array<Kept>]> => {
  const groups = new Map<K, Array<Kept>>()
  for (const kept of all) {
    const key = keyOf(kept)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [kept])
    else group.push(kept)
  }
  return Array.from(groups)
}

/** Most members first, then by name; what has none is last. */
const frequentFirst = <K extends string | null>(groups: ReadonlyArray<readonly [K, ReadonlyArray<Kept>]>) =>
  groups.toSorted(([a, one], [b, other]) => other.length - one.length || byName(a, b))

/** Steps in order, then most requests first. */
const combined = (
  all: ReadonlyArray<Kept>,
  dimensions: StatsQuery["groupBy"],
  stepOf: (kept: Kept) => number
): ReadonlyArray<readonly [Group, ReadonlyArray<Kept>]> => {
  const groupOf = (kept: Kept): Group => ({
    model: dimensions.includes("model") ? answererOf(kept.record) : null,
    task: dimensions.includes("task") ? kept.record.decision.request.task : null,
    step: dimensions.includes("step") ? stepOf(kept) : null
  })
  return groupsBy(all, (kept) => JSON.stringify(groupOf(kept)))
    .flatMap(([, of]) => of.slice(0, 1).map((one) => [groupOf(one), of] as const))
    .toSorted(
      ([a, one], [b, other]) =>
        (a.step ?? 0) - (b.step ?? 0) || other.length - one.length || byName(a.model, b.model) || byName(a.task, b.task)
    )
}

/** What has no name is last. */
const byName = (a: string | null, b: string | null): number =>
  a === b ? 0 : a === null ? 1 : b === null ? -1 : a < b ? -1 : 1

export const statsOf = (
  kept: Iterable<Kept>,
  query: StatsQuery,
  references: ReadonlyArray<CostReference>
): StatsRows => {
  const all = selected(kept, query)
  const reference = atItsTime(query, references)
  const byTask = frequentFirst(groupsBy(all, ({ record }) => record.decision.request.task))
  const failures = all.filter(({ record: { outcome } }) => outcome !== null && !outcome.ok && !outcome.aborted)
  const stepOf = ({ record }: Kept) =>
    query.stepsMillis.findLastIndex((millis) => millis <= record.decision.createdAtMillis)
  const groups = query.groupBy.length === 0 ? [] : combined(all, query.groupBy, stepOf)
  return {
    totals: figuresOf(all, reference),
    byModel: frequentFirst(groupsBy(all, ({ record }) => answererOf(record)))
      .slice(0, mostGroups)
      .map(([model, group]) => ({ model, ...figuresOf(group, reference) })),
    byTask: byTask.slice(0, mostGroups).map(([task, group]) => ({ task, ...figuresOf(group, reference) })),
    tasks: byTask.length,
    overTime: groupsBy(all, stepOf)
      .toSorted(([a], [b]) => a - b)
      .map(([step, group]) => ({ step, ...figuresOf(group, reference) })),
    groups: groups.slice(0, mostCombined).map(([group, of]) => ({ ...group, ...figuresOf(of, reference) })),
    groupCount: groups.length,
    errors: frequentFirst(groupsBy(failures, ({ record }) => answererOf(record)))
      .flatMap(([model, group]) =>
        groupsBy(group, ({ record }) => record.outcome?.error ?? null).map(([reason, of]) => ({
          model,
          reason,
          count: of.length
        }))
      )
      .toSorted(
        (a, b) =>
          b.count - a.count ||
          (a.model < b.model ? -1 : a.model > b.model ? 1 : (a.reason ?? "~") < (b.reason ?? "~") ? -1 : 1)
      )
      .slice(0, mostGroups)
  }
}

type Ended = Kept & { readonly outcome: Outcome }

const foldOf = ({ id, request }: Decision): number =>
  (createHash("sha256")
    .update(request.sessionId ?? id)
    .digest()[0] ?? 0) % folds

const drawn: ReadonlySet<string> = new Set(drawnReasons)

/** The sums of `Savings.ts`, as `postgres/statistics/Savings.ts` has them; there are never so many here that a sample would do. */
export const savingsOf = (kept: Iterable<Kept>, query: StatsQuery): SavingsRows => {
  const routed = selected(kept, query).flatMap((one): ReadonlyArray<Ended> => {
    const { decision, outcome } = one.record
    const isLeftOut = outcome === null || outcome.aborted || outcome.error === refusedError || !isLearned(outcome.error)
    return isLeftOut || decision.reason === "pinned" ? [] : [{ ...one, outcome }]
  })
  const perJudged = new Map(
    groupsBy(routed, ({ record }) => answererOf(record)).map(([model, group]) => {
      const answers = group.filter(({ record }) => record.outcome?.ok === true)
      const judged = answers.filter((one) => qualityOf(one) !== null).length
      return [model, answers.length === 0 ? 1 : judged === 0 ? 0 : answers.length / judged]
    })
  )
  const pairs = routed.flatMap((one) => one.record.decision.candidates.map((candidate) => ({ one, candidate })))
  const rows = pairs.map(({ candidate, one }): SavingsRow => {
    const { outcome, record } = one
    const { decision } = record
    const { weights } = decision.request
    const isRouted = candidate.eligible
    const isOwn = outcome.model === candidate.model
    const fellBack = outcome.model !== decision.chosen
    const quality = outcome.ok ? qualityOf(one) : 0
    const worth = rewardOf(one, referenceOf(query))
    const isPriced = outcome.ok && outcome.costUsd !== null && candidate.costUsd !== null
    const paid = isPriced ? (outcome.costUsd ?? 0) : 0
    const expected = isPriced ? (candidate.costUsd ?? 0) : 0
    const share = perJudged.get(outcome.model) ?? 0
    const isDrawn =
      isRouted && decision.chosen === candidate.model && drawn.has(decision.reason) && decision.propensity > 0
    const seen = fellBack || !outcome.ok ? 1 : quality === null ? 0 : share
    const weight = isDrawn ? seen / decision.propensity : 0
    const isAnswer = isDrawn && isPriced && !fellBack
    const odds = isAnswer ? 1 / decision.propensity - 1 : 0
    const realWeight = !isRouted || quality === null || share === 0 ? 0 : outcome.ok ? share : 1
    const predictedReward = expectedReward(candidate, weights, referenceOf(query))
    return {
      model: candidate.model,
      fold: foldOf(decision),
      requests: isRouted ? 1 : 0,
      priced: isRouted && isPriced ? 1 : 0,
      actual: isRouted ? paid : 0,
      own: isRouted && isOwn ? paid : 0,
      others: isRouted && !isOwn ? expected : 0,
      answers: isAnswer ? 1 : 0,
      odds,
      oddsSquared: odds ** 2,
      answersActual: odds * paid,
      answersPredicted: odds * expected,
      quality: isRouted ? candidate.quality : 0,
      reward: isRouted ? predictedReward : 0,
      judged: weight > 0 ? 1 : 0,
      weight,
      weightSquared: weight ** 2,
      qualityResidual: weight * ((fellBack ? 0 : (quality ?? 0)) - candidate.quality),
      rewardResidual: weight * ((fellBack ? 0 : (worth ?? 0)) - predictedReward),
      realWeight,
      realQuality: realWeight * (quality ?? 0),
      realReward: realWeight * (worth ?? 0),
      realUnknown: isRouted && outcome.ok && share === 0 ? 1 : 0
    }
  })
  return { sampled: 1, requests: routed.length, rows }
}
