import type * as MetricPair from "effect/MetricPair"
import * as MetricKeyType from "effect/MetricKeyType"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import type { MetricFamily } from "../../../services/observing/MetricFamily.ts"

interface Family {
  readonly type: string
  readonly help: string
  readonly lines: Array<string>
}

type Families = Map<string, Family>

const nameOf = (name: string) => name.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=[0-9])/, "_")
const labelNameOf = (name: string) => nameOf(name).replaceAll(":", "_")
const escapeHelp = (text: string) => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")
const escapeLabel = (text: string) => escapeHelp(text).replace(/"/g, '\\"')
const number = (value: number | bigint) =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value)

type Labels = ReadonlyArray<{ readonly key: string; readonly value: string }>

const labelsOf = (labels: Labels) =>
  labels.length === 0
    ? ""
    : `{${labels.map(({ key, value }) => `${labelNameOf(key)}="${escapeLabel(value)}"`).join(",")}}`

/** The lines of a family, in the order of their coming; the first who names it says its type and help. */
const linesIn = (families: Families, name: string, type: string, help: string): Array<string> => {
  const known = families.get(name)
  if (known !== undefined) return known.lines
  const lines: Array<string> = []
  families.set(name, { type, help, lines })
  return lines
}

/**
 * What there is to show, with `more` as labels of each series. The metrics of Effect's own fibers and gauges that are NaN
 * are left out.
 */
export const familiesOf = (
  pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>,
  more: Labels = []
): ReadonlyArray<MetricFamily> => {
  const families: Families = new Map()
  for (const { metricKey, metricState } of pairs) {
    if (metricKey.name.startsWith("effect_")) continue
    const name = nameOf(metricKey.name)
    const help = Option.getOrElse(metricKey.description, () => "")
    const labels: Labels = [...metricKey.tags, ...more]
    if (MetricState.isCounterState(metricState)) {
      const isIncremental = MetricKeyType.isCounterKey(metricKey.keyType) && metricKey.keyType.incremental
      const lines = linesIn(families, name, isIncremental ? "counter" : "gauge", help)
      lines.push(`${name}${labelsOf(labels)} ${number(metricState.count)}`)
    } else if (MetricState.isGaugeState(metricState)) {
      if (Number.isNaN(metricState.value)) continue
      linesIn(families, name, "gauge", help).push(`${name}${labelsOf(labels)} ${number(metricState.value)}`)
    } else if (MetricState.isHistogramState(metricState)) {
      const lines = linesIn(families, name, "histogram", help)
      const bucket = (edge: number, count: number) =>
        lines.push(`${name}_bucket${labelsOf([...labels, { key: "le", value: number(edge) }])} ${count}`)
      // The snapshot's buckets are cumulative already.
      for (const [edge, count] of metricState.buckets) if (Number.isFinite(edge)) bucket(edge, count)
      bucket(Number.POSITIVE_INFINITY, metricState.count)
      lines.push(`${name}_sum${labelsOf(labels)} ${number(metricState.sum)}`)
      lines.push(`${name}_count${labelsOf(labels)} ${metricState.count}`)
    }
  }
  return Array.from(families, ([name, family]) => ({ name, ...family }))
}

/** Prometheus text exposition format 0.0.4, for which Effect 3 has no exporter: each family once, whoever has series of it. */
export const textOf = (parts: ReadonlyArray<ReadonlyArray<MetricFamily>>): string => {
  const families: Families = new Map()
  for (const { help, lines, name, type } of parts.flat()) linesIn(families, name, type, help).push(...lines)
  const text = Array.from(families)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { help, lines, type }]) =>
      [...(help === "" ? [] : [`# HELP ${name} ${escapeHelp(help)}`]), `# TYPE ${name} ${type}`, ...lines].join("\n")
    )
  return `${text.join("\n")}\n`
}

/** The same of one process. */
export const render = (pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>): string => textOf([familiesOf(pairs)])
