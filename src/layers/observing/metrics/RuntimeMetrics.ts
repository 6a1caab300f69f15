import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as v8 from "node:v8"
import { version } from "../../../domain/basics/Version.ts"
import { counterReader, gauge, gaugeReader } from "./Series.ts"

/** Milliseconds between two looks at the event loop. */
const resolutionMs = 20
/** Seconds; a window is at least so long, however often somebody asks. */
const windowSeconds = 10
const percentiles = [50, 99, 100]

/** The process itself; all of it cheap to read. The loop's timer does not keep the process alive. */
export const observe: Effect.Effect<void, never, Scope.Scope> = Effect.gen(function* () {
  gauge("conduit_build_info", "Always 1", { version, node: process.versions.node }).update(1)
  gauge("process_start_time_seconds", "Unix time at which the process started").update(performance.timeOrigin / 1000)
  yield* counterReader("process_cpu_seconds_total", "CPU time, user and system", () => {
    const { system, user } = process.cpuUsage()
    return (user + system) / 1e6
  })
  yield* gaugeReader("process_resident_memory_bytes", "Memory in use", () => process.memoryUsage.rss())
  yield* gaugeReader("nodejs_heap_used_bytes", "JavaScript heap in use", () => v8.getHeapStatistics().used_heap_size)

  const delay = yield* eventLoopDelay
  for (const percentile of percentiles) {
    yield* gaugeReader(
      "conduit_event_loop_delay_seconds",
      "How late the event loop was, over the last ten seconds or more",
      () => delay(percentile),
      { percentile: String(percentile) }
    )
  }
})

/** Percentiles of the last whole window, or of what there is of the first one. */
const eventLoopDelay = Effect.gen(function* () {
  const clock = yield* Effect.clock
  const histogram = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = monitorEventLoopDelay({ resolution: resolutionMs })
      made.enable()
      return made
    }),
    (made) => Effect.sync(() => made.disable())
  )
  const nowSeconds = () => clock.unsafeCurrentTimeMillis() / 1000
  let since = nowSeconds()
  let last: ReadonlyMap<number, number> | null = null
  // The histogram has the time between two looks.
  const seconds = (nanos: number) => Math.max(0, nanos / 1e9 - resolutionMs / 1000)
  return (percentile: number): number => {
    const now = nowSeconds()
    if (now - since >= windowSeconds && histogram.max > 0) {
      last = new Map(percentiles.map((one) => [one, seconds(histogram.percentile(one))]))
      histogram.reset()
      since = now
    }
    if (last !== null) return last.get(percentile) ?? 0
    return histogram.max > 0 ? seconds(histogram.percentile(percentile)) : 0
  }
})
