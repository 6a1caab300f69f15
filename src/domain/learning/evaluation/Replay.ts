import { uniform } from "../../basics/Rng.ts"
import type { Price } from "../../routing/Cost.ts"
import type { Algorithm, Answer, Arm, Asked } from "../algorithms/Algorithm.ts"
import { referenceLatencySeconds } from "../../routing/Reference.ts"
import { changesAt, orderOf, type Scenario, twistAt } from "./Scenario.ts"
import { costReferenceUsd, type RewardName, type Row, rewardOf, rewards, type Table } from "./Table.ts"

/** How a table is replayed. */
export interface Conditions {
  /** Whether the algorithm sees the row's task as a caller's label. */
  readonly isLabelled: boolean
  /** What the algorithm believes of the models beforehand, and how firmly; null is a guess. */
  readonly priors: ReadonlyArray<number | null>
  readonly priorSd: number | null
  readonly scenario: Scenario
  /** At most so many requests. */
  readonly requests: number
  /** A judgement arrives so many requests later. */
  readonly delay: number
  /** So much of the answers is judged, (0, 1]. */
  readonly judged: number
  /** USD a request on average, as a share of what the best single model costs; null without a budget. */
  readonly budget: number | null
  /** Of `fixed`. */
  readonly fixed: number
}

/** Sums over the requests so far. */
export interface Mark {
  /** Number of requests. */
  readonly at: number
  readonly reward: number
  readonly quality: number
  readonly costUsd: number
  /** Of the best single model, on the same requests: as it is now where a scenario changes it. */
  readonly best: number
  readonly bestQuality: number
  readonly bestCostUsd: number
  /** Of the best model of each request. */
  readonly oracle: number
}

/** One run of an algorithm over a table in one order. */
export interface Run {
  readonly marks: ReadonlyArray<Mark>
  /** Changes that were reported of the model that changes, once it had, and without cause. */
  readonly noticed: number
  readonly falseAlarms: number
  /** Judged answers of the changed model from the change to the report; null if none came. */
  readonly noticedAfter: number | null
  /** With a budget: what was spent, and what in the dearest stretch of 500 requests, as shares of it. */
  readonly spent: { readonly all: number; readonly worstWindow: number } | null
}

/** So many marks beside those that are asked for: the points of a curve. */
const curvePoints = 60

/** What the whole table says by one reward. */
export interface Subject {
  readonly table: Table
  readonly reward: RewardName
  readonly reference: { readonly costUsd: number; readonly latencySeconds: number }
  /** The model with the largest mean reward. */
  readonly best: number
  /** What that one costs on average, USD a request. */
  readonly bestCostUsd: number
  readonly frequentTask: string
}

export const subjectOf = (table: Table, reward: RewardName): Subject => {
  const reference = { costUsd: costReferenceUsd(table), latencySeconds: referenceLatencySeconds }
  const sums = table.models.map((_, k) =>
    table.rows.reduce((sum, row) => sum + rewardOf(rewards[reward], reference, cellOf(row, k)), 0)
  )
  const best = sums.indexOf(Math.max(...sums))
  const bestCostUsd =
    table.rows.reduce((sum, row) => sum + cellOf(row, best).costUsd, 0) / Math.max(1, table.rows.length)
  return { table, reward, reference, best, bestCostUsd, frequentTask: frequentTask(table) }
}

const cellOf = ({ costUsd, latencySeconds, quality }: Row, k: number) => ({
  quality: quality[k] ?? 0,
  costUsd: costUsd[k] ?? 0,
  latencySeconds: latencySeconds[k] ?? 0
})

const frequentTask = (table: Table): string => {
  const counts = new Map<string, number>()
  for (const { task } of table.rows) counts.set(task, (counts.get(task) ?? 0) + 1)
  return [...counts].reduce((most, one) => (one[1] > most[1] ? one : most), ["", 0])[0]
}

const outputTokensOf = (price: Price | undefined, costUsd: number, inputTokens: number): number => {
  const output = price?.outputUsdPerMTok ?? 0
  return output > 0 ? Math.max(0, (costUsd * 1e6 - inputTokens * (price?.inputUsdPerMTok ?? 0)) / output) : 0
}

const repriced = (price: Price, times: number): Price =>
  times === 1
    ? price
    : {
        inputUsdPerMTok: price.inputUsdPerMTok === null ? null : price.inputUsdPerMTok * times,
        outputUsdPerMTok: price.outputUsdPerMTok === null ? null : price.outputUsdPerMTok * times
      }

/** One request as it happens: what each arm would do, and which can be chosen. */
interface Moment {
  readonly asked: Asked
  readonly answers: ReadonlyArray<Answer>
}

/** What the table says of each request of one order. */
const momentsOf = (subject: Subject, algorithm: Algorithm, conditions: Conditions, seed: string) => {
  const { best, frequentTask, reference, reward, table } = subject
  const { isLabelled, scenario } = conditions
  const order = orderOf(scenario, table.rows, seed).slice(0, conditions.requests)
  const every = table.models.map((_, arm) => arm)

  const momentAt = (at: number): Moment | null => {
    const row = table.rows[order[at] ?? -1]
    if (row === undefined) return null
    const { isAvailable, plus, priceTimes, times } = twistAt(scenario, at, order.length, row.task, frequentTask)
    const answers = every.map((arm) => {
      const cell = cellOf(row, arm)
      const isTwisted = arm === best
      const quality = isTwisted ? Math.min(1, Math.max(0, cell.quality * times + plus)) : cell.quality
      const costUsd = isTwisted ? cell.costUsd * priceTimes : cell.costUsd
      const outputTokens = outputTokensOf(table.prices[arm], cell.costUsd, row.inputTokens)
      const { latencySeconds } = cell
      const worth = rewardOf(rewards[reward], reference, { quality, costUsd, latencySeconds })
      return { arm, outputTokens, latencySeconds, quality, costUsd, reward: worth }
    })
    const asked: Asked = {
      key: `${at}`,
      features: row.features,
      task: isLabelled ? row.task : null,
      inputTokens: row.inputTokens,
      eligible: isAvailable ? every : every.filter((arm) => arm !== best),
      prices: table.prices.map((price, arm) => (arm === best ? repriced(price, priceTimes) : price)),
      ...(algorithm.seesEverything === true ? { rewards: answers.map(({ reward }) => reward) } : {})
    }
    return { asked, answers }
  }
  return { length: order.length, momentAt }
}

/** Reveals to the algorithm, request by request, the outcome of the model that it chose, and adds up what that was worth. */
export const replay = (
  subject: Subject,
  algorithm: Algorithm,
  conditions: Conditions,
  seed: string,
  checkpoints: ReadonlyArray<number>
): Run => {
  const { best, reference, reward, table } = subject
  const { length, momentAt } = momentsOf(subject, algorithm, conditions, seed)
  const { delay, judged, priorSd, priors, scenario } = conditions
  const arms = table.models.map((model, k): Arm => ({
    model,
    priorQuality: priors[k] ?? null,
    ...(priorSd === null || priors[k] === null || priors[k] === undefined ? {} : { priorSd })
  }))
  const budgetUsd = conditions.budget === null ? null : conditions.budget * subject.bestCostUsd
  const learner = algorithm.make({
    arms,
    dimension: table.rows[0]?.features.length ?? 1,
    weights: rewards[reward],
    costReferenceUsd: reference.costUsd,
    latencyReferenceSeconds: reference.latencySeconds,
    seed,
    budgetUsd,
    fixed: conditions.fixed
  })

  const wanted = marksAt(length, checkpoints)
  const sum = { reward: 0, quality: 0, costUsd: 0, best: 0, bestQuality: 0, bestCostUsd: 0, oracle: 0 }
  const marks: Array<Mark> = []
  const alarms = makeAlarms(scenario, length, best)
  const costs: Array<number> = []
  const late: Array<{ readonly asked: Asked; readonly answer: Answer }> = []
  for (let at = 0; at < length; at++) {
    const moment = momentAt(at)
    if (moment === null) break
    const { answers, asked } = moment
    const answer = answers[learner.choose(asked)]
    const single = answers[best]
    if (answer === undefined || single === undefined) break
    learner.ran(asked, answer)
    if (uniform(`${seed}|judged|${at}`) < judged) late.push({ asked, answer })
    const due = late.length > 0 && at - Number(late[0]?.asked.key) >= delay ? late.shift() : undefined
    if (due !== undefined) {
      learner.judged(due.asked, due.answer)
      alarms.after(at, due.answer.arm, learner.changes())
    }
    sum.reward += answer.reward
    sum.quality += answer.quality
    sum.costUsd += answer.costUsd
    costs.push(answer.costUsd)
    sum.best += single.reward
    sum.bestQuality += single.quality
    sum.bestCostUsd += single.costUsd
    sum.oracle += Math.max(...asked.eligible.map((arm) => answers[arm]?.reward ?? 0))
    if (wanted.has(at + 1)) marks.push({ at: at + 1, ...sum })
  }
  return { marks, ...alarms.found(), spent: budgetUsd === null ? null : spentOf(costs, budgetUsd) }
}

/** A stretch in which a budget is watched. */
const windowRequests = 500

const spentOf = (costs: ReadonlyArray<number>, budgetUsd: number): NonNullable<Run["spent"]> => {
  const total = costs.reduce((sum, cost) => sum + cost, 0)
  const length = Math.min(windowRequests, costs.length)
  let window = 0
  let worst = 0
  for (const [i, cost] of costs.entries()) {
    window += cost - (costs[i - length] ?? 0)
    if (i + 1 >= length) worst = Math.max(worst, window)
  }
  return { all: total / (budgetUsd * costs.length), worstWindow: worst / (budgetUsd * length) }
}

const marksAt = (length: number, checkpoints: ReadonlyArray<number>): ReadonlySet<number> =>
  new Set([
    ...checkpoints.filter((at) => at <= length),
    ...Array.from({ length: curvePoints }, (_, i) => Math.ceil(((i + 1) * length) / curvePoints)),
    length
  ])

/** Counts what was reported, with and without cause. Whole, because they are the counters of one tally. */
const makeAlarms = (scenario: Scenario, length: number, best: number) => {
  // Only these change the answers; prices and new models are known.
  const isReal = scenario === "halved" || scenario === "lower" || scenario === "one-task" || scenario === "recovery"
  const begins = isReal ? (changesAt(scenario, length)[0] ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY
  let before: ReadonlyArray<number> = []
  let noticed = 0
  let falseAlarms = 0
  let judgedSince = 0
  let noticedAfter: number | null = null
  return {
    after: (at: number, arm: number, changes: ReadonlyArray<number>): void => {
      const isCaused = at >= begins && arm === best
      if (isCaused) judgedSince += 1
      if ((changes[arm] ?? 0) > (before[arm] ?? 0)) {
        if (isCaused) {
          noticed += 1
          noticedAfter ??= judgedSince
        } else falseAlarms += 1
      }
      before = [...changes]
    },
    found: () => ({ noticed, falseAlarms, noticedAfter })
  }
}
