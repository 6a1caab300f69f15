import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type { Lifecycle as LifecycleService } from "../../services/running/Lifecycle.ts"
import type { ShutdownReport } from "../../services/running/ShutdownReport.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import * as Learning from "./metrics/LearningMetrics.ts"
import * as Lifecycle from "./metrics/LifecycleMetrics.ts"
import { render } from "./metrics/PrometheusText.ts"
import * as Routing from "./metrics/RoutingMetrics.ts"
import * as Runtime from "./metrics/RuntimeMetrics.ts"
import { counterReader, gaugeReader } from "./metrics/Series.ts"
import * as Traffic from "./metrics/TrafficMetrics.ts"

/** Everything but the life of the process. */
export const layer: Layer.Layer<Telemetry> = Layer.scoped(
  Telemetry,
  Effect.map(Runtime.observe, () =>
    Telemetry.of({
      ...Traffic.make(),
      ...Routing.make(),
      ...Learning.make(),
      gauge: gaugeReader,
      counter: counterReader,
      render: () => render(Metric.unsafeSnapshot())
    })
  )
)

/** The life of the process, its shutdown included. */
export const lifecycleLayer: Layer.Layer<never, never, LifecycleService | ShutdownReport> = Layer.effectDiscard(
  Lifecycle.observe
)
