// Draws docs/learning.svg: the mean over the tables of what `conduit evaluate --json` found. The curves end where the shortest
// table does. node bench/run.mjs picture RESULT.json
import { readFileSync, writeFileSync } from "node:fs"
import { chart } from "../src/programs/evaluate/Chart.ts"
import type { Report } from "../src/programs/evaluate/Results.ts"

const [, , , file = "result.json"] = process.argv
const { seeds, tables }: Report = JSON.parse(readFileSync(file, "utf8"))

type Curve = Report["tables"][number]["curve"]

/** Between two points of a curve, on the line. */
const valueAt = (curve: Curve, at: number): number => {
  const next = curve.findIndex((point) => point.at >= at)
  const right = curve[next === -1 ? curve.length - 1 : next]
  const left = curve[Math.max(0, next - 1)]
  if (right === undefined || left === undefined) return 100
  const share = right.at === left.at ? 1 : Math.max(0, at - left.at) / (right.at - left.at)
  return left.percent_of_best_single + share * (right.percent_of_best_single - left.percent_of_best_single)
}

const shown = ["h2", "h", "linucb", "ucb1", "normal-thompson", "beta-thompson", "epsilon-greedy", "squarecb"]
const end = Math.min(...tables.map(({ requests }) => requests))
const points = Array.from({ length: 50 }, (_, i) => Math.round(((i + 1) * end) / 50)).filter((at) => at >= 100)
const names = [...new Set(tables.map(({ table }) => table))]

const series = shown
  .filter((algorithm) => tables.some((one) => one.algorithm === algorithm))
  .map((algorithm) => ({
    name: algorithm,
    points: points.map((at): [number, number] => {
      const values = tables.filter((one) => one.algorithm === algorithm).map(({ curve }) => valueAt(curve, at))
      return [at, values.reduce((sum, value) => sum + value, 0) / values.length]
    })
  }))

writeFileSync(
  "docs/learning.svg",
  `${chart({
    title: `Reward so far, percent of the best single model's: mean of ${names.length} tables, ${seeds} orders each`,
    xLabel: "requests",
    series: [...series, { name: "best single model", points: points.map((at) => [at, 100]), isDashed: true }],
    yRange: [88, 101]
  })}\n`
)
console.log("docs/learning.svg")
