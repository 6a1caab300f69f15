import { columns } from "../tools/Columns.ts"
import type { Report } from "./Results.ts"

type TableReport = Report["tables"][number]
type ScenarioReport = Report["scenarios"][number]

const withHalf = (low: number, mean: number, high: number): string => {
  const half = (high - low) / 2
  return half > 0 ? `${mean.toFixed(1)} ± ${half.toFixed(1)}` : mean.toFixed(1)
}

const percentText = ({ high, low, mean }: { readonly low: number; readonly mean: number; readonly high: number }) =>
  withHalf(low, mean, high)

const groupsOf = <A>(
  items: ReadonlyArray<A>,
  keyOf: (item: A) => string
): ReadonlyArray<[string, ReadonlyArray<A>]> => {
  const groups = new Map<string, Array<A>>()
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item])
  return [...groups]
}

const tableText = (title: string, rows: ReadonlyArray<TableReport>): string => {
  const marks = rows[0]?.checkpoints.map(({ at }) => at) ?? []
  const last = marks.length - 1
  const head = [
    "algorithm",
    ...marks.map((at, i) => (i === last ? `end (${at})` : `${at}`)),
    "oracle",
    "bill",
    "difference",
    ...(rows.some(({ budget }) => budget !== null) ? ["quality", "spent", "worst 500"] : [])
  ]
  const body = rows.map(({ algorithm, budget, checkpoints }) => {
    const end = checkpoints[last]
    const difference = end?.difference
    return [
      algorithm,
      ...checkpoints.map(({ high, low, percent_of_best_single }) => withHalf(low, percent_of_best_single, high)),
      end === undefined ? "" : `${end.percent_of_oracle.mean.toFixed(1)} %`,
      end === undefined ? "" : `${end.cost_percent_of_best_single.mean.toFixed(0)} %`,
      difference === null || difference === undefined
        ? ""
        : `${difference.mean.toFixed(1)} (${difference.low.toFixed(1)} to ${difference.high.toFixed(1)})`,
      ...(budget === null || end === undefined
        ? []
        : [
            percentText(end.quality_percent_of_best_single),
            percentText(budget.spent_percent),
            `${percentText(budget.worst_window_percent)}, most ${budget.worst_window_percent_of_all_orders.toFixed(0)}`
          ])
    ]
  })
  return `${title}\n${columns([head, ...body])}`
}

const scenarioText = (title: string, rows: ReadonlyArray<ScenarioReport>): string => {
  const head = ["algorithm", ...(rows[0]?.phases.map(({ name }) => name) ?? []), "reported", "after", "without cause"]
  const body = rows.map(({ algorithm, changes, phases }) => [
    algorithm,
    ...phases.map(({ percent_of_oracle: { high, low, mean } }) => withHalf(low, mean, high)),
    `${changes.noticed} of ${changes.noticed + changes.missed}`,
    changes.median_judged_answers === null ? "" : `${changes.median_judged_answers} answers`,
    String(changes.without_cause)
  ])
  return `${title}\n${columns([head, ...body])}`
}

/** For people. */
export const terminal = (report: Report): string => {
  const { labels, seeds } = report
  const suffix = `${labels ? ", with labels" : ""}, ${seeds} order${seeds === 1 ? "" : "s"}`
  const tables = groupsOf(report.tables, ({ reward, table }) => `${table}, reward ${reward}`).map(([key, rows]) =>
    tableText(`${key}${suffix}: percent of the best single model's reward`, rows)
  )
  const scenarios = groupsOf(
    report.scenarios,
    ({ reward, scenario, table }) => `${table}, reward ${reward}, ${scenario}`
  ).map(([key, rows]) => scenarioText(`${key}${suffix}: percent of the oracle's reward`, rows))
  const legend =
    tables.length === 0
      ? []
      : [
          `"oracle" is the share of the best model's reward for each request, which nothing can reach; "bill" is against the best single model's, both at the end; "difference" in points to ${report.tables[0]?.algorithm ?? "the first"} on the same orders. Intervals are 95 % over the orders.${
            report.budget === null
              ? ""
              : ` "quality" is percent of the best single model's, "spent" and "worst 500" (requests in a row) of the budget.`
          }`
        ]
  return [...tables, ...scenarios, ...legend].join("\n\n")
}
