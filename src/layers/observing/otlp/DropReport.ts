import * as Effect from "effect/Effect"
import * as EpisodeLog from "../../../services/observing/EpisodeLog.ts"
import { counter } from "../metrics/Series.ts"

export type Signal = "traces" | "metrics"

const counterOf = (signal: Signal) =>
  counter("conduit_telemetry_dropped_total", "Spans, and exports of metrics, that did not reach the collector", {
    signal
  })

/** Counts what is dropped, and logs the beginning and the end of an episode, however long it is. */
export interface DropReport {
  /** `items`: spans, or exports of metrics. */
  readonly dropped: (signal: Signal, items: number, why: string) => Effect.Effect<void>
  readonly delivered: Effect.Effect<void>
}

/** An episode ends when something is delivered and nothing was dropped for so long: a slow collector takes some. */
export const make = (quietMillis: number): DropReport => {
  const counters = { traces: counterOf("traces"), metrics: counterOf("metrics") }
  const lost = { traces: 0, metrics: 0 }
  const episode = EpisodeLog.make({
    quietMillis,
    began: (why: string) =>
      Effect.logWarning(`Telemetry is not exported, what does not arrive is dropped and counted: ${why}`),
    ended: ({ seconds }) => {
      const { metrics, traces } = lost
      lost.traces = 0
      lost.metrics = 0
      return Effect.logInfo(
        `Telemetry is exported again after ${seconds}s: ` +
          `${traces} span(s) and ${metrics} export(s) of metrics were dropped`
      )
    }
  })
  return {
    dropped: (signal, items, why) =>
      Effect.suspend(() => {
        counters[signal].update(items)
        lost[signal] += items
        return episode.failed(why)
      }),
    delivered: episode.worked
  }
}
