import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Ids } from "../../services/running/Ids.ts"
import { Settings } from "../../services/running/Settings.ts"
import { Tracing } from "../../services/observing/Tracing.ts"
import { propagateOnly } from "./otlp/Propagation.ts"

/** Traces, and the export of traces and metrics by OTLP where an endpoint is set. */
export const layer: Layer.Layer<Tracing, never, Settings | Ids> = Layer.scoped(
  Tracing,
  Effect.gen(function* () {
    const { otlp } = yield* Settings
    if (Option.isNone(otlp.traces.url) && Option.isNone(otlp.metrics.url)) return propagateOnly
    const ids = yield* Ids
    // Without an export the start does not load the exporters.
    const Export = yield* Effect.promise(() => import("./otlp/Export.ts"))
    return yield* Export.make(otlp, ids)
  })
)
