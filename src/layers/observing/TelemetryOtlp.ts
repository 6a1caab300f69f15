import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Settings } from "../../services/running/Settings.ts"
import { Tracing } from "../../services/observing/Tracing.ts"
import { passing } from "./otlp/Passing.ts"

/** Traces, and the export of them and of the metrics by OTLP where an endpoint is set. */
export const layer: Layer.Layer<Tracing, never, Settings> = Layer.scoped(
  Tracing,
  Effect.gen(function* () {
    const { otlp } = yield* Settings
    if (Option.isNone(otlp.tracesUrl) && Option.isNone(otlp.metricsUrl)) return passing
    // Who exports nothing starts without the exporters.
    const { exporting } = yield* Effect.promise(() => import("./otlp/Exporting.ts"))
    return yield* exporting(otlp)
  })
)
