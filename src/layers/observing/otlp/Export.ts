import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { version } from "../../../domain/basics/Version.ts"
import type { Ids } from "../../../services/running/Ids.ts"
import { flushLimit, type SettingsShape } from "../../../services/running/Settings.ts"
import type { OtlpSignal } from "../../../services/running/settings/Otlp.ts"
import type { TracingShape } from "../../../services/observing/Tracing.ts"
import * as DropReport from "./DropReport.ts"
import * as Exporter from "./Exporter.ts"
import { metricsFormat, traceFormat } from "./Formats.ts"
import { metricsOf } from "./MetricsSnapshot.ts"
import { propagateOnly } from "./Propagation.ts"
import type { RecordedSpan } from "./RecordedSpan.ts"
import { hrTimeOf, resourceOf } from "./Resource.ts"
import * as SpanRecorder from "./SpanRecorder.ts"

/** So many spans do not wait for the interval. */
const maxBatchSpans = 512
/** Half of the phase's limit: a collector that hangs is nothing that went wrong in the shutdown, also on a busy machine. */
const lastLimit = Duration.times(flushLimit, 0.5)

/** One signal on its way: `flush` sends what has been collected. */
interface Pipeline {
  readonly flush: Effect.Effect<void>
  readonly idle: Effect.Effect<void>
  readonly interval: Duration.Duration
}

/** Exports what the settings say until the scope closes, and then what there is. */
export const make = (
  settings: SettingsShape["otlp"],
  ids: Ids["Type"]
): Effect.Effect<TracingShape, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { metrics, sampler, traces } = settings
    const clock = yield* Effect.clock
    const resource = resourceOf(settings)
    // A slow collector takes some: so long nothing may be dropped before that is over.
    const report = DropReport.make(Math.max(...[traces, metrics].map(({ timeout }) => Duration.toMillis(timeout))))
    const sending = ({ headers, timeout }: OtlpSignal) => ({
      headers: {
        ...Option.match(headers, { onNone: () => ({}), onSome: Redacted.value }),
        "user-agent": `conduit/${version}`
      },
      timeout,
      report
    })
    const pipelines: Array<Pipeline> = []
    let tracing = propagateOnly

    if (Option.isSome(traces.url)) {
      const format = traceFormat(traces.protocol, resource)
      const exporter = yield* Exporter.make({ ...sending(traces), signal: "traces", url: traces.url.value, format })
      const spans = yield* spanBatches(exporter)
      pipelines.push({ flush: spans.flush, idle: exporter.idle, interval: traces.interval })
      tracing = SpanRecorder.make({ clock, ids, onEnd: spans.add, sampler })
    }
    if (Option.isSome(metrics.url)) {
      const format = metricsFormat(metrics.protocol, resource)
      const exporter = yield* Exporter.make({ ...sending(metrics), signal: "metrics", url: metrics.url.value, format })
      const startTime = hrTimeOf(clock.unsafeCurrentTimeNanos())
      const snapshot = () => metricsOf(Metric.unsafeSnapshot(), startTime, hrTimeOf(clock.unsafeCurrentTimeNanos()))
      pipelines.push({ flush: exporter.send(1, snapshot), idle: exporter.idle, interval: metrics.interval })
    }

    // Added after the exporters and before the timers, so it runs after these have stopped.
    yield* Effect.addFinalizer(() => flushLast(pipelines))
    for (const { flush, interval } of pipelines) {
      yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.sleep(interval), flush)))
    }
    return tracing
  })

/** Collects ended spans; sends as many as one batch holds at once. */
const spanBatches = (exporter: Exporter.Exporter<RecordedSpan>) =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const runFork = Runtime.runFork(runtime)
    let waiting: Array<RecordedSpan> = []
    const flush = Effect.suspend(() => {
      const spans = waiting
      waiting = []
      return spans.length === 0 ? Effect.void : exporter.send(spans.length, () => spans)
    })
    const add = (span: RecordedSpan) => {
      waiting.push(span)
      if (waiting.length >= maxBatchSpans) runFork(flush)
    }
    return { add, flush }
  })

/** The timer starts before the encoding, which does not yield: what that takes counts against the limit. */
const flushLast = (pipelines: ReadonlyArray<Pipeline>) =>
  Effect.raceFirst(
    Effect.interruptible(Effect.sleep(lastLimit)),
    Effect.forEach(pipelines, ({ flush }) => flush, { discard: true }).pipe(
      Effect.zipRight(Effect.forEach(pipelines, ({ idle }) => idle, { concurrency: "unbounded", discard: true })),
      Effect.disconnect,
      Effect.interruptible
    )
  )
