import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import {
  phases,
  type Report,
  ShutdownError,
  type ShutdownFacts,
  ShutdownReport,
  type WorkerEntry
} from "../../../services/running/ShutdownReport.ts"
import { type WorkerDied, WorkerKilled } from "../../../services/running/Workers.ts"
import * as ShutdownReportJson from "../ShutdownReportJson.ts"
import type { Child, ChildEnd } from "./Child.ts"

type ReportedError = Report["errors"][number]
type Phase = Report["phases"][number]

interface Ended {
  readonly entry: WorkerEntry
  readonly report: Report | null
}

/** Of the workers that died and were replaced, so many are told of; the rest are counted. */
const toldDeaths = 20
const encodeError = Schema.encodeSync(ShutdownError)

const reported = (error: ShutdownError): ReportedError => ({
  ...encodeError(error),
  phase: null,
  message: error.message
})

/** What the parent knows of its workers, for the one report of the service. */
export class Told {
  readonly #deaths: Array<ReportedError> = []
  #replaced = 0
  /** Outcomes that died with workers. */
  #lost = 0
  readonly #ended: Array<Ended> = []
  readonly #errors: Array<ReportedError> = []

  /** One died, and is replaced. */
  replaced(died: WorkerDied, { report }: ChildEnd): void {
    this.#replaced++
    this.#lost += lostOf(died, report)
    this.#deaths.push(reported(died))
    if (this.#deaths.length > toldDeaths) this.#deaths.shift()
  }

  /** One ended in the shutdown, and said how. */
  ended({ pid, worker }: Child, report: Report): void {
    const { duration_seconds, exit_code, outcome } = report
    this.#ended.push({ entry: { worker, pid, outcome, exit_code, duration_seconds }, report })
    this.#errors.push(...report.errors.map((error) => ({ ...error, worker })))
  }

  /** One ended in the shutdown without a word; null where it was the parent that ended it. */
  silent({ load, pid, worker }: Child, died: WorkerDied | null, limitMs: number, seconds: number): void {
    const outcome = died === null ? "killed" : "died"
    this.#ended.push({ entry: { worker, pid, outcome, exit_code: null, duration_seconds: seconds }, report: null })
    this.#lost += load.pending
    this.#errors.push(reported(died ?? new WorkerKilled({ worker, pid, limitMs })))
  }

  /** The report of the whole: the parent's own, and the sums of the workers'. */
  summed(own: Report, facts: Pick<ShutdownFacts, "failed" | "signals">): Report {
    const all = this.#ended.flatMap(({ report }) => (report === null ? [] : [report]))
    const sumOf = <Key extends "requests" | "learning">(key: Key): Report[Key] =>
      all.reduce((sum, report) => added(sum, report[key]), own[key])
    const learning = sumOf("learning")
    const errors = [...own.errors, ...this.#deaths, ...this.#errors]
    const total = {
      errors,
      learning: {
        ...learning,
        dropped: learning.dropped + this.#lost,
        watermark: Math.max(own.learning.watermark, ...all.map((report) => report.learning.watermark))
      }
    }
    const entries = this.#ended.map(({ entry }) => entry)
    const isCut = entries.some(({ outcome }) => outcome === "watchdog" || outcome === "killed")
    const { exitCode, outcome } = ShutdownReportJson.verdict(
      facts,
      errors.length > 0,
      ShutdownReportJson.isUnsaved(total)
    )
    return {
      ...own,
      ...total,
      outcome: isCut ? "watchdog" : outcome,
      exit_code: isCut ? 137 : exitCode,
      requests: sumOf("requests"),
      phases: phases.map((phase) =>
        worstOf([own, ...all].flatMap((one) => one.phases.filter((p) => p.phase === phase)))
      ),
      workers: {
        worst: this.#ended.toSorted(byBadness)[0]?.entry.worker ?? null,
        replaced: this.#replaced,
        ended: entries.toSorted((a, b) => a.worker - b.worker)
      }
    }
  }
}

/** What the worker said that it could not store; where it had no time for a report, what was pending when it said so last. */
const lostOf = ({ pending }: WorkerDied, report: Report | null): number =>
  report === null ? pending : report.learning.unpersisted + report.learning.dropped

/** Sums of the fields of both. */
const added = <Counts extends Readonly<Record<string, number>>>(a: Counts, b: Counts): Counts => {
  const sum = { ...a }
  for (const key in sum) Object.assign(sum, { [key]: (a[key] ?? 0) + (b[key] ?? 0) })
  return sum
}

const phaseOrder: ReadonlyArray<Phase["outcome"]> = ["skipped", "ok", "failed", "timeout"]

/** The phase of all: it went as badly, and took as long, as that of the worst. */
const worstOf = (entries: ReadonlyArray<Phase>): Phase =>
  entries.reduce((worst, entry) => ({
    phase: worst.phase,
    outcome: phaseOrder.indexOf(entry.outcome) > phaseOrder.indexOf(worst.outcome) ? entry.outcome : worst.outcome,
    took_ms: Math.max(worst.took_ms, entry.took_ms),
    limit_ms: Math.max(worst.limit_ms, entry.limit_ms)
  }))

const badness: ReadonlyArray<WorkerEntry["outcome"]> = [
  "killed",
  "died",
  "watchdog",
  "failed",
  "forced",
  "dirty",
  "clean"
]

const byBadness = (a: Ended, b: Ended): number =>
  badness.indexOf(a.entry.outcome) - badness.indexOf(b.entry.outcome) ||
  (b.entry.exit_code ?? 0) - (a.entry.exit_code ?? 0) ||
  (b.report?.errors.length ?? 0) - (a.report?.errors.length ?? 0) ||
  b.entry.duration_seconds - a.entry.duration_seconds

/** The report of a parent: whoever renders it gets the sums. */
export const summing = (told: Told): Layer.Layer<ShutdownReport> =>
  Layer.effect(
    ShutdownReport,
    Effect.map(ShutdownReport, (own) => ({ ...own, render: (facts) => told.summed(own.render(facts), facts) }))
  ).pipe(Layer.provide(ShutdownReportJson.layer))
