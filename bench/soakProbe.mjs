// Loaded into the process under bench/soak.ts: at each SIGUSR2 it collects garbage and appends what is left as a line of JSON.
import { appendFileSync } from "node:fs"
import { monitorEventLoopDelay } from "node:perf_hooks"

const file = process.env.SOAK_PROBE_FILE
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()

process.on("SIGUSR2", () => {
  const milliseconds = (nanoseconds) => nanoseconds / 1e6
  const loop = {
    p50: milliseconds(delay.percentile(50)),
    p99: milliseconds(delay.percentile(99)),
    max: milliseconds(delay.max)
  }
  globalThis.gc()
  const { external, heapUsed, rss } = process.memoryUsage()
  const resources = {}
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1
  appendFileSync(file, `${JSON.stringify({ heapUsed, external, rss, loop, resources })}\n`)
  // The collection itself is this probe's, not the service's.
  setImmediate(() => delay.reset())
})
