import type * as MetricPair from "effect/MetricPair"
import * as MetricKeyType from "effect/MetricKeyType"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

/** A value that is read when the metrics are asked for. */
export interface Gauge {
  readonly name: string
  readonly help: string
  readonly read: () => number
}

interface Family {
  readonly type: string
  readonly help: string
  readonly lines: Array<string>
}

const nameOf = (name: string) => name.replace(/[^a-zA-Z0-9_:]/g, "_")
const escapeHelp = (text: string) => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")
const escapeLabel = (text: string) => escapeHelp(text).replace(/"/g, '\\"')
const number = (value: number | bigint) =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value)

const labelsOf = (labels: ReadonlyArray<readonly [string, string]>) =>
  labels.length === 0 ? "" : `{${labels.map(([key, value]) => `${nameOf(key)}="${escapeLabel(value)}"`).join(",")}}`

/** Prometheus text exposition format 0.0.4. Effect 3 has no exporter of its own; fibers' metrics are its, not ours. */
export const render = (pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>, gauges: ReadonlyArray<Gauge>): string => {
  const families = new Map<string, Family>()
  const family = (name: string, type: string, help: string): Family => {
    const known = families.get(name)
    if (known !== undefined) return known
    const fresh = { type, help, lines: [] }
    families.set(name, fresh)
    return fresh
  }

  for (const { metricKey, metricState } of pairs) {
    if (metricKey.name.startsWith("effect_")) continue
    const name = nameOf(metricKey.name)
    const help = Option.getOrElse(metricKey.description, () => "")
    const labels = metricKey.tags.map((tag) => [tag.key, tag.value] as const)
    if (MetricState.isCounterState(metricState)) {
      const isIncremental = MetricKeyType.isCounterKey(metricKey.keyType) && metricKey.keyType.incremental
      family(name, isIncremental ? "counter" : "gauge", help).lines.push(
        `${name}${labelsOf(labels)} ${number(metricState.count)}`
      )
    } else if (MetricState.isGaugeState(metricState)) {
      family(name, "gauge", help).lines.push(`${name}${labelsOf(labels)} ${number(metricState.value)}`)
    } else if (MetricState.isHistogramState(metricState)) {
      const { lines } = family(name, "histogram", help)
      // The snapshot's buckets are cumulative already; the last one is +Inf.
      for (const [le, count] of metricState.buckets) {
        const edge = le === Number.MAX_VALUE ? Number.POSITIVE_INFINITY : le
        lines.push(`${name}_bucket${labelsOf([...labels, ["le", number(edge)]])} ${count}`)
      }
      if (!lines.some((line) => line.includes('le="+Inf"'))) {
        lines.push(`${name}_bucket${labelsOf([...labels, ["le", "+Inf"]])} ${metricState.count}`)
      }
      lines.push(`${name}_sum${labelsOf(labels)} ${number(metricState.sum)}`)
      lines.push(`${name}_count${labelsOf(labels)} ${metricState.count}`)
    }
  }
  for (const gauge of gauges) {
    family(gauge.name, "gauge", gauge.help).lines.push(`${gauge.name} ${number(gauge.read())}`)
  }

  const text = Array.from(families, ([name, { help, lines, type }]) =>
    [...(help === "" ? [] : [`# HELP ${name} ${escapeHelp(help)}`]), `# TYPE ${name} ${type}`, ...lines].join("\n")
  )
  return `${text.join("\n")}\n`
}
