// How many events a second one router's log carries among many replicas, in virtual time: each replica appends by group commit and
// folds what all of them append. Payloads, codec and fold are the service's own and take the time that they take here; the
// engine takes what this run measures of PostgreSQL, whose commits of one router come one after the other.
// node bench/run.mjs scale [replicas, 100] [virtual seconds, 3]
//   --rates LIST     events a second of all replicas together, 1000,10000,30000,100000 by default
//   --engine MS,US   another engine: milliseconds of a commit that no other one shares, and microseconds of an event in it
//   --network MS     there and back, 0.5 by default
import { measuredEngine, type Engine } from "./support/engine.ts"
import { machine, warnIfBusy } from "./support/machine.ts"
import { argument, option, quantile, row } from "./support/measure.ts"
import { type Carried, simulate } from "./support/simulatedLog.ts"

const replicas = argument(0, 100)
const seconds = argument(1, 3)
const rates = (option("rates") ?? "1000,10000,30000,100000").split(",").map(Number)
const networkMs = Number(option("network") ?? 0.5)

/** Reading is as with PostgreSQL. */
const engineNamed = (text: string, measured: Engine): Engine => {
  const [serialMs = measured.serialMs, eventUs = measured.serialEventMs * 1000] = text.split(",").map(Number)
  return { ...measured, name: `an engine of ${text}`, serialMs, serialEventMs: eventUs / 1000 }
}

const show = (carried: Carried) => {
  const { acknowledgedMs, commits, events, lagMs, payloadBytes, rate, virtualMs } = carried
  const second = virtualMs / 1000
  row(`${rate}`, [
    commits / second,
    events / commits,
    quantile(acknowledgedMs, 0.5),
    quantile(acknowledgedMs, 0.99),
    100 * carried.engineBusy,
    quantile(lagMs, 0.5),
    quantile(lagMs, 0.99),
    (100 * carried.followerBusyMs) / virtualMs,
    payloadBytes / second / 2 ** 20,
    carried.waiting
  ])
}

warnIfBusy()
const measured = await measuredEngine()
const engine = option("engine") === undefined ? measured : engineNamed(option("engine") ?? "", measured)
console.log(
  `${engine.name}: a commit takes ${engine.commitMs.toFixed(2)} ms and ${(engine.eventMs * 1000).toFixed(1)} us an event, ${engine.serialMs.toFixed(2)} ms and ${(engine.serialEventMs * 1000).toFixed(1)} us of it in turn; a page of commits ${engine.pageMs.toFixed(2)} ms and ${(engine.pageEventMs * 1000).toFixed(2)} us an event`
)
console.log(`${replicas} replicas, ${seconds} virtual seconds, network ${networkMs} ms`)
row("events/s", [
  "commits/s",
  "events",
  "ack p50",
  "ack p99",
  "engine %",
  "lag p50",
  "lag p99",
  "fold %",
  "MiB/s in",
  "waiting"
])
for (const rate of rates) show(simulate({ engine, networkMs, rate, replicas, virtualMs: seconds * 1000 }))
console.log(
  "ack: from a judgement to its answer, ms; lag: from a commit to its fold in another replica, ms; fold %: of one core, reading included;"
)
console.log(
  "MiB/s in: what each replica reads; waiting: events that no commit had taken at the end, which grow where they are many."
)
if (machine().isBusy) console.warn("WARNING: others work on this machine: folding looks dearer than it is")
