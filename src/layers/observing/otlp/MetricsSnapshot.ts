import { type Attributes, type HrTime, ValueType } from "@opentelemetry/api"
import type { DataPoint, Histogram, MetricData, MetricDescriptor } from "@opentelemetry/sdk-metrics"
import { AggregationTemporality, DataPointType } from "@opentelemetry/sdk-metrics"
import * as Arr from "effect/Array"
import type * as MetricKey from "effect/MetricKey"
import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

/**
 * The registry as the SDK's serializers take it, one metric a name. The runtime's own metrics of its fibers are left out, and
 * values that are not finite: in JSON they would be null, for which a collector refuses the whole export. Units are not
 * stated: collectors make names of them.
 */
export const metricsOf = (
  pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>,
  startTime: HrTime,
  endTime: HrTime
): ReadonlyArray<MetricData> => {
  const series = pairs.filter(({ metricKey }) => !metricKey.name.startsWith("effect_"))
  return Object.values(Arr.groupBy(series, ({ metricKey }) => metricKey.name)).flatMap(
    (family) => metricOf(family, startTime, endTime) ?? []
  )
}

/** A metric of all the series of one name, which are of one kind. */
const metricOf = (
  family: Arr.NonEmptyArray<MetricPair.MetricPair.Untyped>,
  startTime: HrTime,
  endTime: HrTime
): MetricData | null => {
  const [{ metricKey, metricState }] = family
  const common = { descriptor: descriptorOf(metricKey), aggregationTemporality: AggregationTemporality.CUMULATIVE }
  const pointsOf = <Value>(
    valueOf: (state: MetricState.MetricState.Untyped) => Value | null
  ): Array<DataPoint<Value>> =>
    family.flatMap(({ metricKey, metricState }) => {
      const value = valueOf(metricState)
      return value === null ? [] : [{ startTime, endTime, attributes: attributesOf(metricKey), value }]
    })
  if (MetricState.isCounterState(metricState)) {
    const isMonotonic = MetricKeyType.isCounterKey(metricKey.keyType) && metricKey.keyType.incremental
    return { ...common, dataPointType: DataPointType.SUM, isMonotonic, dataPoints: pointsOf(numberOf) }
  }
  if (MetricState.isGaugeState(metricState)) {
    return { ...common, dataPointType: DataPointType.GAUGE, dataPoints: pointsOf(numberOf) }
  }
  if (MetricState.isHistogramState(metricState)) {
    return { ...common, dataPointType: DataPointType.HISTOGRAM, dataPoints: pointsOf(histogramOf) }
  }
  return null
}

const numberOf = (state: MetricState.MetricState.Untyped): number | null => {
  if (MetricState.isCounterState(state)) return Number(state.count)
  return MetricState.isGaugeState(state) && Number.isFinite(Number(state.value)) ? Number(state.value) : null
}

const descriptorOf = ({ description, name }: MetricKey.MetricKey.Untyped): MetricDescriptor => ({
  name,
  description: Option.getOrElse(description, () => ""),
  unit: "",
  valueType: ValueType.DOUBLE
})

const attributesOf = ({ tags }: MetricKey.MetricKey.Untyped): Attributes =>
  Object.fromEntries(tags.map(({ key, value }) => [key, value]))

/** The registry's buckets are cumulative, those of OTLP are not; its last one has no bound. */
const histogramOf = (state: MetricState.MetricState.Untyped): Histogram | null => {
  if (!MetricState.isHistogramState(state)) return null
  const { buckets, count, max, min, sum } = state
  const boundaries: Array<number> = []
  const counts: Array<number> = []
  let before = 0
  for (const [bound, cumulative] of buckets) {
    if (!Number.isFinite(bound)) continue
    boundaries.push(bound)
    counts.push(cumulative - before)
    before = cumulative
  }
  counts.push(count - before)
  return { buckets: { boundaries, counts }, count, sum, ...(count > 0 ? { min, max } : {}) }
}
