import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type { Lifecycle as LifecycleService } from "../services/Lifecycle.ts"
import type { ShutdownReport } from "../services/ShutdownReport.ts"
import { Telemetry } from "../services/Telemetry.ts"
import * as Learning from "./telemetry/learning.ts"
import * as Lifecycle from "./telemetry/lifecycle.ts"
import { render } from "./telemetry/prometheus.ts"
import * as Routing from "./telemetry/routing.ts"
import * as Runtime from "./telemetry/runtime.ts"
import { counterReader, gaugeReader } from "./telemetry/series.ts"
import * as Traffic from "./telemetry/traffic.ts"

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
