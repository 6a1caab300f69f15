import type * as MetricPair from "effect/MetricPair"
import * as MetricKeyType from "effect/MetricKeyType"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

interface Family {
  readonly type: string
  readonly help: string
  readonly lines: Array<string>
}

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

/**
 * Prometheus text exposition format 0.0.4, for which Effect 3 has no exporter. The metrics of Effect's own fibers and gauges
 * that are NaN are left out.
 */
export const render = (pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>): string => {
  const families = new Map<string, Family>()
  const linesOf = (name: string, type: string, help: string): Array<string> => {
    const known = families.get(name)
    if (known !== undefined) return known.lines
    const lines: Array<string> = []
    families.set(name, { type, help, lines })
    return lines
  }

  for (const { metricKey, metricState } of pairs) {
    if (metricKey.name.startsWith("effect_")) continue
    const name = nameOf(metricKey.name)
    const help = Option.getOrElse(metricKey.description, () => "")
    const labels: Labels = metricKey.tags
    if (MetricState.isCounterState(metricState)) {
      const isIncremental = MetricKeyType.isCounterKey(metricKey.keyType) && metricKey.keyType.incremental
      const lines = linesOf(name, isIncremental ? "counter" : "gauge", help)
      lines.push(`${name}${labelsOf(labels)} ${number(metricState.count)}`)
    } else if (MetricState.isGaugeState(metricState)) {
      if (Number.isNaN(metricState.value)) continue
      linesOf(name, "gauge", help).push(`${name}${labelsOf(labels)} ${number(metricState.value)}`)
    } else if (MetricState.isHistogramState(metricState)) {
      const lines = linesOf(name, "histogram", help)
      const bucket = (edge: number, count: number) =>
        lines.push(`${name}_bucket${labelsOf([...labels, { key: "le", value: number(edge) }])} ${count}`)
      // The snapshot's buckets are cumulative already.
      for (const [edge, count] of metricState.buckets) if (Number.isFinite(edge)) bucket(edge, count)
      bucket(Number.POSITIVE_INFINITY, metricState.count)
      lines.push(`${name}_sum${labelsOf(labels)} ${number(metricState.sum)}`)
      lines.push(`${name}_count${labelsOf(labels)} ${metricState.count}`)
    }
  }

  const text = Array.from(families)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { help, lines, type }]) =>
      [...(help === "" ? [] : [`# HELP ${name} ${escapeHelp(help)}`]), `# TYPE ${name} ${type}`, ...lines].join("\n")
    )
  return `${text.join("\n")}\n`
}
