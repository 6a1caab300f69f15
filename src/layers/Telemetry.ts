import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import { Telemetry } from "../services/Telemetry.ts"
import { type Gauge, render } from "./telemetry/prometheus.ts"

/** Seconds; from 50 microseconds, because a decision takes about a tenth of a millisecond. */
const routingBoundaries = MetricBoundaries.fromIterable([
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1
])

const requestsTotal = Metric.counter("conduit_requests_total", {
  description: "Requests answered, by route pattern, method and status",
  incremental: true
})
const requestsActive = Metric.gauge("conduit_requests_active", { description: "Requests being served" })
const routingLatency = Metric.histogram(
  "conduit_routing_latency_seconds",
  routingBoundaries,
  "Time from the parsed request to the choice of a model"
)
const modelSelection = Metric.counter("conduit_model_selection", {
  description: "Decisions by chosen model and algorithm",
  incremental: true
})
const eventsFolded = Metric.counter("conduit_learning_events_folded_total", {
  description: "Events of the learning log folded into the state",
  incremental: true
})
const recordsDropped = Metric.counter("conduit_learning_records_dropped_total", {
  description: "Outcomes dropped because the queue to the database was full",
  incremental: true
})
const staticFallbacks = Metric.counter("conduit_static_fallback_total", {
  description: "Decisions made in the order of the configuration because learning failed",
  incremental: true
})

/** Methods that become label values; anything else is `other`, so that no client can make new series. */
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

/** A tagged metric is looked up once and then updated in tens of nanoseconds; tagging anew costs microseconds. */
const memoised = <A>(make: (...labels: ReadonlyArray<string>) => A) => {
  const made = new Map<string, A>()
  return (...labels: ReadonlyArray<string>): A => {
    const key = labels.join("\u0000")
    const known = made.get(key)
    if (known !== undefined) return known
    const fresh = make(...labels)
    made.set(key, fresh)
    return fresh
  }
}

const requestCounter = memoised((route, method, status) =>
  requestsTotal.pipe(
    Metric.tagged("route", route ?? ""),
    Metric.tagged("method", method ?? ""),
    Metric.tagged("status", status ?? "")
  )
)
const selectionCounter = memoised((model, algorithm) =>
  modelSelection.pipe(Metric.tagged("model", model ?? ""), Metric.tagged("algorithm", algorithm ?? ""))
)

export const layer: Layer.Layer<Telemetry> = Layer.sync(Telemetry, () => {
  const gauges: Array<Gauge> = []
  let active = 0
  return Telemetry.of({
    requestStarted: () => requestsActive.unsafeUpdate(++active, []),
    requestEnded: (route, method, status) => {
      requestsActive.unsafeUpdate(--active, [])
      requestCounter(route, methods.has(method) ? method : "other", String(status)).unsafeUpdate(1, [])
    },
    routed: (seconds) => routingLatency.unsafeUpdate(seconds, []),
    modelSelected: (model, algorithm) => selectionCounter(model, algorithm).unsafeUpdate(1, []),
    folded: (events) => eventsFolded.unsafeUpdate(events, []),
    dropped: (records) => recordsDropped.unsafeUpdate(records, []),
    fallbackToStatic: () => staticFallbacks.unsafeUpdate(1, []),
    gauge: (name, help, read) => {
      gauges.push({ name, help, read })
    },
    render: () => render(Metric.unsafeSnapshot(), gauges)
  })
})
