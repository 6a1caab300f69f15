import { assert, describe, it } from "@effect/vitest"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import { metricsFormat } from "../../../../src/layers/observing/otlp/Formats.ts"
import { metricsOf } from "../../../../src/layers/observing/otlp/MetricsSnapshot.ts"
import { resourceOf } from "../../../../src/layers/observing/otlp/Resource.ts"

const tagged = (name: string, value: number, key: string) =>
  MetricPair.unsafeMake(MetricKey.tagged(MetricKey.gauge(name), "of", key), MetricState.gauge(value))

/** As the collector gets them in JSON. */
const exported = (pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>) => {
  const format = metricsFormat("http/json", resourceOf({ serviceName: "conduit", resourceAttributes: {} }))
  const text = Buffer.from(format.serialize(metricsOf(pairs, [1, 5], [2, 5]))).toString("utf8")
  return JSON.parse(text).resourceMetrics[0].scopeMetrics[0].metrics
}

const times = { startTimeUnixNano: "1000000005", timeUnixNano: "2000000005" }
const of = (value: string) => [{ key: "of", value: { stringValue: value } }]

describe("MetricsSnapshot", () => {
  it("has neither the runtime's own metrics, nor what is no number, nor a unit that nobody stated", () => {
    const counter = MetricKey.counter("conduit_model_selection", { incremental: true, description: "Decisions" })
    const metrics = exported([
      tagged("effect_fiber_active", 3, "a"),
      tagged("conduit_requests_active", 0, "a"),
      tagged("some_state", 1, "a"),
      tagged("some_state", Number.NaN, "b"),
      tagged("no_state", Number.NaN, "a"),
      MetricPair.unsafeMake(counter, MetricState.counter(2))
    ])
    const gauge = (name: string, points: ReadonlyArray<object>) => ({
      name,
      description: "",
      unit: "",
      gauge: { dataPoints: points }
    })
    assert.deepStrictEqual(metrics, [
      gauge("conduit_requests_active", [{ attributes: of("a"), ...times, asDouble: 0 }]),
      gauge("some_state", [{ attributes: of("a"), ...times, asDouble: 1 }]),
      gauge("no_state", []),
      {
        name: "conduit_model_selection",
        description: "Decisions",
        unit: "",
        sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [{ attributes: [], ...times, asDouble: 2 }] }
      }
    ])
  })

  it("has the series of one name in one metric, and histograms by single buckets", () => {
    const key = MetricKey.histogram("seconds", MetricBoundaries.fromIterable([0.1, 1]))
    const buckets: ReadonlyArray<readonly [number, number]> = [
      [0.1, 2],
      [1, 5],
      [Infinity, 6]
    ]
    const state = MetricState.histogram({ buckets, count: 6, min: 0.05, max: 3, sum: 6.5 })
    const metrics = exported([tagged("up", 1, "a"), MetricPair.unsafeMake(key, state), tagged("up", 0, "b")])
    assert.deepStrictEqual(
      metrics.map(({ gauge, histogram, name }: any) => [name, (gauge ?? histogram).dataPoints.length]),
      [
        ["up", 2],
        ["seconds", 1]
      ]
    )
    assert.deepInclude(metrics[1].histogram.dataPoints[0], {
      bucketCounts: [2, 3, 1],
      explicitBounds: [0.1, 1],
      count: 6,
      sum: 6.5,
      min: 0.05,
      max: 3
    })
  })
})
