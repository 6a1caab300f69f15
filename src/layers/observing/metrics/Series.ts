import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Metric from "effect/Metric"
import type * as MetricHook from "effect/MetricHook"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import * as MetricState from "effect/MetricState"
import type * as Scope from "effect/Scope"

// Updates go to the registry's own cells: through `Metric` and its tags each would cost ten to a hundred times as much.

const registry = Metric.globalMetricRegistry

export type Labels = Readonly<Record<string, string>>

const labelled = (labels: Labels) => Object.entries(labels).map(([key, value]) => MetricLabel.make(key, value))

/** In the registry from now on, at 0: a counter that appears with its first event has no rate before the second. */
export const counter = (name: string, help: string, labels: Labels = {}): MetricHook.MetricHook.Counter<number> =>
  registry.getCounter(
    MetricKey.taggedWithLabels(MetricKey.counter(name, { description: help, incremental: true }), labelled(labels))
  )

/** A gauge that is set; `gaugeReader` makes one that is read. */
export const gauge = (name: string, help: string, labels: Labels = {}): MetricHook.MetricHook.Gauge<number> =>
  registry.getGauge(MetricKey.taggedWithLabels(MetricKey.gauge(name, { description: help }), labelled(labels)))

/** Made once: the registry takes equal edges that were made twice for two histograms. */
export const edges: (values: ReadonlyArray<number>) => MetricBoundaries.MetricBoundaries = MetricBoundaries.fromIterable

export const histogram = (
  name: string,
  help: string,
  boundaries: MetricBoundaries.MetricBoundaries,
  labels: Labels = {}
): MetricHook.MetricHook.Histogram =>
  registry.getHistogram(MetricKey.taggedWithLabels(MetricKey.histogram(name, boundaries, help), labelled(labels)))

/** One series for each value of a label. The caller bounds the number of values. */
export const byLabel = <Value extends string, A>(make: (value: Value) => A): ((value: Value) => A) => {
  const made = new Map<Value, A>()
  return (value) => {
    const known = made.get(value)
    if (known !== undefined) return known
    const fresh = make(value)
    made.set(value, fresh)
    return fresh
  }
}

/** Makes the series at its first use: until then there is none. */
export const lazily = <A>(make: () => A): (() => A) => {
  let made: A | undefined
  return () => (made ??= make())
}

type Read = () => number

/** The readers of a series; the newest one is asked. */
const readers = new Map<MetricHook.MetricHook.Untyped, Array<Read>>()

/**
 * Makes the registry ask for the value instead of keeping one, so that it is as it is at every snapshot, whoever takes it.
 * Effect has no such metric, but its cells have a `get` of their own.
 */
const readBy = <A>(
  cell: MetricHook.MetricHook<number, A>,
  stateOf: (value: number) => A,
  read: Read
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => {
        const asked = readers.get(cell) ?? []
        if (!readers.has(cell)) {
          readers.set(cell, asked)
          let last = 0
          const get = () => {
            const newest = asked.at(-1)
            // A reader that throws must not fail the whole snapshot.
            if (newest !== undefined) last = Either.getOrElse(Either.try(newest), () => last)
            return stateOf(last)
          }
          Object.assign(cell, { get })
        }
        asked.push(read)
        return asked
      }),
      (asked) =>
        Effect.sync(() => {
          cell.get()
          asked.splice(asked.lastIndexOf(read), 1)
        })
    )
  )

export const gaugeReader = (
  name: string,
  help: string,
  read: Read,
  labels: Labels = {}
): Effect.Effect<void, never, Scope.Scope> =>
  readBy(gauge(name, help, labels), (value) => MetricState.gauge(value), read)

/** For a count that something else keeps. */
export const counterReader = (
  name: string,
  help: string,
  read: Read,
  labels: Labels = {}
): Effect.Effect<void, never, Scope.Scope> =>
  readBy(counter(name, help, labels), (value) => MetricState.counter(value), read)
