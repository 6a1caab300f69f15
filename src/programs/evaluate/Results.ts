import type { Run } from "../../domain/learning/evaluation/Replay.ts"
import { phaseMarks, phasesOf } from "../../domain/learning/evaluation/Phases.ts"
import type { Scenario } from "../../domain/learning/evaluation/Scenario.ts"
import { alarmsOf, checkpointOf, curveOf, type Estimate, estimate } from "../../domain/learning/evaluation/Summary.ts"
import type { RewardName } from "../../domain/learning/evaluation/Table.ts"
import type { Job } from "./Work.ts"

/** What is to be replayed, as the command's options say it. */
export interface Plan {
  readonly tables: ReadonlyArray<{
    readonly file: string
    readonly name: string
    readonly rows: number
    readonly models: ReadonlyArray<string>
    readonly priors: ReadonlyArray<number | null>
    readonly fixed: number
  }>
  readonly rewards: ReadonlyArray<RewardName>
  readonly algorithms: ReadonlyArray<string>
  readonly scenarios: ReadonlyArray<Scenario>
  readonly isLabelled: boolean
  readonly seeds: number
  readonly requests: number
  readonly priorSd: number | null
  readonly delay: number
  readonly judged: number
  readonly budget: number | null
}

const fixedMarks = [500, 1000, 2000]

/** One algorithm on one table by one reward in one scenario, with a job for each seed. */
export interface Cell {
  readonly table: Plan["tables"][number]
  readonly reward: RewardName
  readonly algorithm: string
  readonly scenario: Scenario
  readonly length: number
  readonly jobs: ReadonlyArray<Job>
}

export const cellsOf = (plan: Plan): ReadonlyArray<Cell> =>
  plan.tables.flatMap((table) =>
    plan.rewards.flatMap((reward) =>
      plan.scenarios.flatMap((scenario) =>
        plan.algorithms.map((algorithm): Cell => {
          const length = Math.min(plan.requests, table.rows)
          const conditions = {
            isLabelled: plan.isLabelled,
            priors: table.priors,
            priorSd: plan.priorSd,
            scenario,
            requests: length,
            delay: plan.delay,
            judged: plan.judged,
            budget: plan.budget,
            fixed: table.fixed
          }
          const checkpoints = [...fixedMarks, ...phaseMarks(scenario, length)]
          const jobs = Array.from({ length: plan.seeds }, (_, seed) => ({
            file: table.file,
            reward,
            algorithm,
            conditions,
            seed: `${seed + 1}`,
            checkpoints
          }))
          return { table, reward, algorithm, scenario, length, jobs }
        })
      )
    )
  )

export type Evaluated = Cell & { readonly runs: ReadonlyArray<Run> }

/** The runs of the jobs, in their order, back to the cells. */
export const withRuns = (cells: ReadonlyArray<Cell>, runs: ReadonlyArray<Run>): ReadonlyArray<Evaluated> => {
  let next = 0
  return cells.map((cell) => ({ ...cell, runs: runs.slice(next, (next += cell.jobs.length)) }))
}

const rounded = (value: number) => Number(value.toFixed(3))

const interval = ({ high, low, mean }: Estimate) => ({ mean: rounded(mean), low: rounded(low), high: rounded(high) })

/** The one that others are compared with: the same table, reward and scenario, and the first algorithm. */
const referenceOf = (cell: Evaluated, all: ReadonlyArray<Evaluated>, first: string): Evaluated | undefined =>
  cell.algorithm === first
    ? undefined
    : all.find(
        (one) =>
          one.algorithm === first &&
          one.table === cell.table &&
          one.reward === cell.reward &&
          one.scenario === cell.scenario
      )

/** Percent of the budget that was spent, and in the dearest 500 requests in a row of each order. */
const budgetOf = (runs: ReadonlyArray<Run>) => {
  const spent = runs.flatMap((run) => run.spent ?? [])
  if (spent.length === 0) return null
  const windows = spent.map(({ worstWindow }) => 100 * worstWindow)
  return {
    spent_percent: interval(estimate(spent.map(({ all }) => 100 * all))),
    worst_window_percent: interval(estimate(windows)),
    worst_window_percent_of_all_orders: rounded(Math.max(...windows))
  }
}

/** One algorithm on one table whose world stays as it is. */
const tableReport = (plan: Plan, cell: Evaluated, against: Evaluated | undefined) => {
  const [first = ""] = plan.algorithms
  const at = [...fixedMarks.filter((mark) => mark < cell.length), cell.length]
  return {
    table: cell.table.name,
    reward: cell.reward,
    algorithm: cell.algorithm,
    labels: plan.isLabelled,
    requests: cell.length,
    checkpoints: at.map((mark) => {
      const { cost, difference, ofBestSingle, ofOracle, quality } = checkpointOf(cell.runs, mark, against?.runs ?? null)
      const { high, low, mean } = interval(ofBestSingle)
      return {
        at: mark,
        percent_of_best_single: mean,
        low,
        high,
        percent_of_oracle: interval(ofOracle),
        quality_percent_of_best_single: interval(quality),
        cost_percent_of_best_single: interval(cost),
        difference: difference === null ? null : { against: first, ...interval(difference) }
      }
    }),
    reported_changes: alarmsOf(cell.runs).falseAlarms,
    budget: budgetOf(cell.runs),
    curve: curveOf(cell.runs).map(({ at, oracle, percent }) => ({
      at,
      percent_of_best_single: rounded(percent),
      oracle_percent_of_best_single: rounded(oracle)
    }))
  }
}

/** One algorithm on one table in whose world something happens. */
const scenarioReport = (plan: Plan, cell: Evaluated) => {
  const { falseAlarms, medianJudgements, missed, noticed } = alarmsOf(cell.runs)
  return {
    table: cell.table.name,
    reward: cell.reward,
    algorithm: cell.algorithm,
    labels: plan.isLabelled,
    scenario: cell.scenario,
    phases: phasesOf(cell.runs, cell.scenario).map(({ from, name, ofOracle, to }) => ({
      name,
      from,
      to,
      percent_of_oracle: interval(ofOracle)
    })),
    changes: { noticed, missed, median_judged_answers: medianJudgements, without_cause: falseAlarms }
  }
}

/** What was found, as `--json` prints it. Percentages; intervals are 95 % over the seeds. */
export const report = (plan: Plan, cells: ReadonlyArray<Evaluated>) => {
  const [first = ""] = plan.algorithms
  return {
    seeds: plan.seeds,
    labels: plan.isLabelled,
    prior_sd: plan.priorSd,
    delay: plan.delay,
    judged: plan.judged,
    budget: plan.budget,
    models: Object.fromEntries(
      plan.tables.map(({ models, name, priors }) => [name, models.map((model, k) => ({ model, prior: priors[k] }))])
    ),
    tables: cells
      .filter(({ scenario }) => scenario === "none")
      .map((cell) => tableReport(plan, cell, referenceOf(cell, cells, first))),
    scenarios: cells.filter(({ scenario }) => scenario !== "none").map((cell) => scenarioReport(plan, cell))
  }
}

export type Report = ReturnType<typeof report>
