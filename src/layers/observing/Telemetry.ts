import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type { Lifecycle as LifecycleService } from "../../services/running/Lifecycle.ts"
import type { ShutdownReport } from "../../services/running/ShutdownReport.ts"
import type { MetricFamily } from "../../services/observing/MetricFamily.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { WorkerSeat } from "../../services/running/Workers.ts"
import * as Learning from "./metrics/LearningMetrics.ts"
import * as Lifecycle from "./metrics/LifecycleMetrics.ts"
import { familiesOf, render, textOf } from "./metrics/PrometheusText.ts"
import * as Routing from "./metrics/RoutingMetrics.ts"
import * as Runtime from "./metrics/RuntimeMetrics.ts"
import { counterReader, gaugeReader } from "./metrics/Series.ts"
import * as Traffic from "./metrics/TrafficMetrics.ts"

/** Everything but the life of the process. */
export const layer: Layer.Layer<Telemetry> = Layer.scoped(
  Telemetry,
  Effect.gen(function* () {
    yield* Runtime.observe
    const seat = yield* WorkerSeat
    seat?.tellsMetrics(() => familiesOf(Metric.unsafeSnapshot(), workerLabel(String(seat.worker))))
    return Telemetry.of({
      ...Traffic.make(),
      ...Routing.make(),
      ...Learning.make(),
      gauge: gaugeReader,
      counter: counterReader,
      render: () => render(Metric.unsafeSnapshot()),
      renderAll:
        seat === null ? Effect.sync(() => render(Metric.unsafeSnapshot())) : Effect.map(seat.allMetrics, textOf)
    })
  })
)

/**
 * A worker's series are told apart, not added up: a sum would fall when a worker is replaced, which is for a counter as if
 * all had begun anew.
 */
const workerLabel = (worker: string) => [{ key: "worker", value: worker }]

/** The parent of workers: its process, and what it counts of them. */
export const parentLayer: Layer.Layer<never> = Layer.scopedDiscard(Runtime.observe)

/** What the parent of workers adds to theirs. */
export const parentMetrics = (): ReadonlyArray<MetricFamily> =>
  familiesOf(Metric.unsafeSnapshot(), workerLabel("parent"))

/** The life of the process, its shutdown included. */
export const lifecycleLayer: Layer.Layer<never, never, LifecycleService | ShutdownReport> = Layer.effectDiscard(
  Lifecycle.observe
)
