import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

export type Signal = "traces" | "metrics"

const dropped = Metric.counter("conduit_telemetry_dropped_total", {
  description: "Spans, and exports of metrics, that did not reach the collector",
  incremental: true
})
const counters = {
  traces: Metric.tagged(dropped, "signal", "traces"),
  metrics: Metric.tagged(dropped, "signal", "metrics")
}

/** What is dropped is counted; the log has the start and the end of an episode, however long. */
export interface Trouble {
  readonly dropped: (signal: Signal, items: number, why: string) => Effect.Effect<void>
  readonly delivered: Effect.Effect<void>
}

/** An episode has ended when something is delivered and nothing was dropped for so long: a slow collector takes some. */
export const makeTrouble = (quietMillis: number, clock: Clock.Clock): Trouble => {
  for (const counter of Object.values(counters)) counter.unsafeUpdate(0, [])
  let episode: { readonly sinceMillis: number; lastMillis: number; traces: number; metrics: number } | null = null
  return {
    dropped: (signal, items, why) =>
      Effect.suspend(() => {
        counters[signal].unsafeUpdate(items, [])
        const now = clock.unsafeCurrentTimeMillis()
        const isNew = episode === null
        episode ??= { sinceMillis: now, lastMillis: now, traces: 0, metrics: 0 }
        episode.lastMillis = now
        episode[signal] += items
        return isNew
          ? Effect.logWarning(`Telemetry is not exported, what does not arrive is dropped and counted: ${why}`)
          : Effect.void
      }),
    delivered: Effect.suspend(() => {
      const now = clock.unsafeCurrentTimeMillis()
      if (episode === null || now - episode.lastMillis < quietMillis) return Effect.void
      const { metrics, sinceMillis, traces } = episode
      episode = null
      return Effect.logInfo(
        `Telemetry is exported again after ${((now - sinceMillis) / 1000).toFixed(1)}s: ` +
          `${traces} span(s) and ${metrics} export(s) of metrics were dropped`
      )
    })
  }
}
