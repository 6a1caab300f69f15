import { byName } from "../../domain/learning/algorithms/Algorithms.ts"
import { descriptions } from "../../domain/learning/evaluation/Scenario.ts"
import { chart, type Series } from "./Chart.ts"
import type { Report } from "./Results.ts"

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}svg{max-width:100%;height:auto}small{color:#666}`

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const line = (tag: string, cells: ReadonlyArray<string>) =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join("")}</tr>`
  return `<table>${line("th", head)}${rows.map((row) => line("td", row)).join("")}</table>`
}

const half = (low: number, mean: number, high: number) => `${mean.toFixed(1)} ± ${((high - low) / 2).toFixed(1)}`

/** The curves of one table by one reward; the oracle's too, where it fits. */
export const curves = (title: string, rows: ReadonlyArray<Report["tables"][number]>): string => {
  const series: Array<Series> = rows.map(({ algorithm, curve }) => ({
    name: algorithm,
    points: curve.map(({ at, percent_of_best_single }) => [at, percent_of_best_single])
  }))
  series.push({
    name: "best single model",
    points: (rows[0]?.curve ?? []).map(({ at }) => [at, 100]),
    isDashed: true
  })
  const values = series.flatMap(({ points }) => points.map(([, y]) => y)).sort((a, b) => a - b)
  const low = Math.max(60, Math.floor((values[Math.floor(values.length / 20)] ?? 80) / 5) * 5)
  const high = Math.min(130, Math.ceil(((values.at(-1) ?? 100) + 0.5) / 2) * 2)
  return chart({ title, xLabel: "requests", series, yRange: [low, Math.max(high, low + 5)] })
}

const section = (key: string, rows: ReadonlyArray<Report["tables"][number]>): string => {
  const marks = rows[0]?.checkpoints.map(({ at }) => at) ?? []
  return [
    `<h2>${escaped(key)}</h2>`,
    curves("reward so far, percent of the best single model's", rows),
    table(
      ["algorithm", ...marks.map((at) => at.toLocaleString("en")), "of the oracle", "quality", "bill"],
      rows.map(({ algorithm, checkpoints }) => {
        const end = checkpoints.at(-1)
        return [
          algorithm,
          ...checkpoints.map(({ high, low, percent_of_best_single }) => half(low, percent_of_best_single, high)),
          ...(end === undefined
            ? []
            : [
                `${end.percent_of_oracle.mean.toFixed(1)} %`,
                `${end.quality_percent_of_best_single.mean.toFixed(1)} %`,
                `${end.cost_percent_of_best_single.mean.toFixed(0)} %`
              ])
        ]
      })
    )
  ].join("\n")
}

const scenarioSection = (key: string, rows: ReadonlyArray<Report["scenarios"][number]>): string =>
  [
    `<h2>${escaped(key)}</h2>`,
    `<p>${escaped(rows[0] === undefined ? "" : descriptions[rows[0].scenario])}. Percent of the oracle's reward.</p>`,
    table(
      ["algorithm", ...(rows[0]?.phases.map(({ name }) => name) ?? []), "reported", "after", "without cause"],
      rows.map(({ algorithm, changes, phases }) => [
        algorithm,
        ...phases.map(({ percent_of_oracle: { high, low, mean } }) => half(low, mean, high)),
        `${changes.noticed} of ${changes.noticed + changes.missed}`,
        changes.median_judged_answers === null ? "" : `${changes.median_judged_answers} answers`,
        String(changes.without_cause)
      ])
    )
  ].join("\n")

const groups = <A>(items: ReadonlyArray<A>, keyOf: (item: A) => string): ReadonlyMap<string, ReadonlyArray<A>> => {
  const found = new Map<string, ReadonlyArray<A>>()
  for (const item of items) found.set(keyOf(item), [...(found.get(keyOf(item)) ?? []), item])
  return found
}

/** A page of its own: nothing is loaded from anywhere. */
export const html = (report: Report, command: string): string => {
  const names = [...new Set([...report.tables, ...report.scenarios].map(({ algorithm }) => algorithm))]
  return [
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>conduit evaluate</title><style>${style}</style>`,
    "<h1>conduit evaluate</h1>",
    `<p><code>${escaped(command)}</code></p>`,
    `<p>${report.seeds} random orders of each table${report.labels ? ", with its tasks as labels" : ""}. Only the outcome of the chosen model is revealed. 95 % intervals over the orders.</p>`,
    ...[...groups(report.tables, ({ reward, table }) => `${table}, reward ${reward}`)].map(([key, rows]) =>
      section(key, rows)
    ),
    ...[...groups(report.scenarios, ({ reward, scenario, table }) => `${table}, reward ${reward}: ${scenario}`)].map(
      ([key, rows]) => scenarioSection(key, rows)
    ),
    `<h2>Algorithms</h2>`,
    table(
      ["algorithm", "what it does"],
      names.map((name) => [name, byName.get(name)?.description ?? ""])
    ),
    "</html>\n"
  ].join("\n")
}
