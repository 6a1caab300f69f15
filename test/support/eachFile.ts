import { it, makeMethods } from "@effect/vitest"
import * as Metric from "effect/Metric"
import * as MutableHashMap from "effect/MutableHashMap"

// Before each file, because the files of a worker share its modules.

// `layer` puts the methods of its own runtime on the one `it`.
makeMethods(it)

// Effect has one registry of metrics a process, and no way to empty it: a file would see what another one counted.
const registry = Metric.globalMetricRegistry as unknown as {
  readonly map?: MutableHashMap.MutableHashMap<unknown, unknown>
}
if (registry.map === undefined) throw new Error("Effect keeps its metrics elsewhere now")
MutableHashMap.clear(registry.map)
