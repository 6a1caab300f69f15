import type { DecisionEntry } from "../../services/api/Responses.ts"
import type { StatsAnswer } from "../../services/api/StatsResponse.ts"
import { columns } from "./Columns.ts"
import { percent, usd } from "./Service.ts"

// Figures of a service as tables for a terminal.

type Figures = StatsAnswer["totals"]

const nothing = "-"
const ms = (value: number | null | undefined) =>
  value === null || value === undefined
    ? nothing
    : value < 1000
      ? `${Math.round(value)} ms`
      : `${(value / 1000).toFixed(2)} s`

const quality = ({ quality: mean }: Figures): string => {
  if (mean === null) return nothing
  const { high, low } = mean
  return `${mean.mean.toFixed(2)}${low === null || high === null ? "" : ` (${low.toFixed(2)} to ${high.toFixed(2)})`}`
}

/** Task by model, then all together. */
export const statsTable = ({ by_task: byTask, groups, totals }: StatsAnswer): string => {
  const rowOf = (task: string, model: string, share: number, of: Figures) => [
    task,
    model,
    String(of.requests),
    percent(share),
    quality(of),
    String(of.judged),
    String(of.failed),
    usd(of.cost_known === 0 ? null : of.cost_usd),
    ms(of.latency_ms?.p50),
    ms(of.latency_ms?.p95)
  ]
  return columns([
    ["task", "model", "requests", "share", "quality", "judged", "failed", "cost", "median", "95 % within"],
    ...(groups ?? []).map((group) => {
      const all = byTask.find(({ task }) => task === group.task)?.requests ?? group.requests
      return rowOf(group.task ?? nothing, group.model ?? nothing, group.requests / all, group)
    }),
    rowOf("all", "", 1, totals)
  ])
}

export const decisionsTable = (decisions: ReadonlyArray<DecisionEntry>): string =>
  columns([
    ["time", "decision", "task", "model", "why", "chance", "outcome", "cost", "time taken", "feedback"],
    ...decisions.map((one) => [
      one.created_at,
      one.id,
      one.request.task ?? nothing,
      one.chosen,
      one.reason,
      percent(one.propensity),
      one.outcome?.kind ?? "pending",
      usd(one.outcome?.cost_usd ?? null),
      ms(one.outcome?.latency_ms),
      one.feedback.map(({ kind, value }) => `${kind} ${String(value)}`).join(", ") || nothing
    ])
  ])

export const candidatesTable = (decision: Pick<DecisionEntry, "candidates" | "chosen">): string =>
  columns([
    ["", "model", "chance", "expected score", "of quality", "of cost", "of time", "quality", "cost", "time", ""],
    ...decision.candidates.map(({ parts, ...one }) => [
      one.model === decision.chosen ? "*" : "",
      one.model,
      percent(one.propensity),
      (parts.quality + parts.cost + parts.latency).toFixed(3),
      parts.quality.toFixed(3),
      parts.cost.toFixed(3),
      parts.latency.toFixed(3),
      `${one.quality.toFixed(2)} ± ${one.quality_sd.toFixed(2)}`,
      usd(one.cost_usd),
      ms(1000 * one.latency_seconds),
      one.excluded_by === null ? "" : `excluded by ${one.excluded_by}`
    ])
  ])
