import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { PersistFailed, PersistTimeout } from "../learning/BanditState.ts"
import { LogRewound } from "../learning/LogReader.ts"
import { PoolCloseTimeout } from "../storage/Database.ts"
import { WorkerDied, WorkerFailed, WorkerKilled } from "./Workers.ts"

/** The steps of a shutdown, in their order. */
export const phases = ["settle", "drain", "persist", "close", "flush"] as const
export type PhaseName = (typeof phases)[number]

/** Requests were still in flight at the drain's limit; they were interrupted. */
export class DrainTimeout extends Schema.TaggedError<DrainTimeout>()("DrainTimeout", {
  limitMs: Schema.Number,
  requests: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      route: Schema.String,
      model: Schema.NullOr(Schema.String),
      ageMs: Schema.Number
    })
  )
}) {
  override get message() {
    return `${this.requests.length} request(s) were still in flight after ${this.limitMs} ms`
  }
}

export class FlushTimeout extends Schema.TaggedError<FlushTimeout>()("FlushTimeout", { limitMs: Schema.Number }) {
  override get message() {
    return `telemetry or upstream pools did not close within ${this.limitMs} ms`
  }
}

/** Outcomes were lost while the process ran, long before it was stopped: the exit code would not tell of them otherwise. */
export class OutcomesDropped extends Schema.TaggedError<OutcomesDropped>()("OutcomesDropped", {
  dropped: Schema.Number
}) {
  override get message() {
    return `${this.dropped} outcome(s) were dropped while the process ran: the queue to the database was full, or it refused them for ever`
  }
}

/** A hook of an embedder failed, or a phase died of a bug. */
export class PhaseDefect extends Schema.TaggedError<PhaseDefect>()("PhaseDefect", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** A hook on shutdown start or completion did not end in time. */
export class HookTimeout extends Schema.TaggedError<HookTimeout>()("HookTimeout", { limitMs: Schema.Number }) {
  override get message() {
    return `a shutdown hook did not end within ${this.limitMs} ms`
  }
}

/** The service itself failed, at start or later. */
export class ServiceFailure extends Schema.TaggedError<ServiceFailure>()("ServiceFailure", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** Everything that can go wrong in a shutdown, typed. */
export const ShutdownError = Schema.Union(
  DrainTimeout,
  PersistFailed,
  PersistTimeout,
  PoolCloseTimeout,
  FlushTimeout,
  OutcomesDropped,
  LogRewound,
  PhaseDefect,
  HookTimeout,
  ServiceFailure,
  WorkerDied,
  WorkerKilled,
  WorkerFailed
)
export type ShutdownError = typeof ShutdownError.Type

/** How one of several workers ended; `died` and `killed` ones have told no report of their own. */
const WorkerEntry = Schema.Struct({
  worker: Schema.Number,
  pid: Schema.Number,
  outcome: Schema.Literal("clean", "failed", "dirty", "forced", "watchdog", "died", "killed"),
  exit_code: Schema.NullOr(Schema.Number),
  duration_seconds: Schema.Number
})
export type WorkerEntry = typeof WorkerEntry.Type

const PhaseEntry = Schema.Struct({
  phase: Schema.Literal(...phases),
  outcome: Schema.Literal("ok", "timeout", "failed", "skipped"),
  took_ms: Schema.Number,
  limit_ms: Schema.Number
})

/** The shutdown report: the last line that the process writes. `phase` of an error is null outside the phases. */
export const Report = Schema.Struct({
  event: Schema.Literal("shutdown_report"),
  outcome: Schema.Literal("clean", "failed", "dirty", "forced", "watchdog"),
  exit_code: Schema.Number,
  signal: Schema.NullOr(Schema.String),
  signals: Schema.Number,
  duration_seconds: Schema.Number,
  phases: Schema.Array(PhaseEntry),
  requests: Schema.Struct({
    in_flight_at_signal: Schema.Number,
    accepted_during_settle: Schema.Number,
    drained: Schema.Number,
    interrupted: Schema.Number,
    rejected: Schema.Number
  }),
  learning: Schema.Struct({
    pending: Schema.Number,
    persisted: Schema.Number,
    unpersisted: Schema.Number,
    /** Lost before the shutdown began, since the start of the process; not part of `pending`. */
    dropped: Schema.Number,
    watermark: Schema.Number
  }),
  errors: Schema.Array(
    Schema.Struct(
      { _tag: Schema.String, phase: Schema.NullOr(Schema.String), message: Schema.String },
      { key: Schema.String, value: Schema.Unknown }
    )
  ),
  /** Of several workers, whose sums the rest is; errors of one have its number as `worker`. */
  workers: Schema.optional(
    Schema.Struct({
      /** The one that the outcome comes from; of those that ended well the slowest. */
      worst: Schema.NullOr(Schema.Number),
      /** How many have died since the start and were replaced. */
      replaced: Schema.Number,
      ended: Schema.Array(WorkerEntry)
    })
  )
})
export type Report = typeof Report.Type

/** Collects what the finalizers did. The only place where a finalizer gets its time limit. */
export interface ShutdownReportShape {
  /**
   * Runs a step of the shutdown under its own limit (a second signal shortens it). Failure, defect and time-out become
   * entries of the report; it never fails itself, so a broken step cannot stop the next one. Answers whether it was ok.
   */
  readonly phase: (
    name: PhaseName,
    options: {
      readonly limit: Duration.Duration
      /** What the step itself needs after its limit to end in order, such as terminating backends. */
      readonly grace?: Duration.Duration
      readonly onTimeout: () => ShutdownError
    },
    effect: Effect.Effect<void, ShutdownError>
  ) => Effect.Effect<boolean>

  /** The phase that was entered last; null before the first. Log and probes show it. */
  readonly current: () => PhaseName | null

  /** An error outside the phases' own. */
  readonly error: (phase: PhaseName | null, error: ShutdownError) => void

  /** The counters of the report; set by the layers that know them. */
  readonly requests: { -readonly [K in keyof Report["requests"]]: Report["requests"][K] }
  readonly learning: { -readonly [K in keyof Report["learning"]]: Report["learning"][K] }

  /** How many events are not stored, and how many are lost, at this moment: for a report before `persist` has run. */
  readonly backlog: (read: () => { readonly pending: number; readonly dropped: number }) => void

  /** Of those, what is not stored at this moment. */
  readonly pending: () => number

  /** What was collected so far, phases in their order. */
  readonly entries: Effect.Effect<Pick<Report, "phases" | "errors">>

  /** A second signal: what runs now and what comes gets a short limit. */
  readonly force: () => void
  readonly forced: Effect.Effect<void>

  /** Called at every change with what was collected so far, so that others can tell it when this process cannot any more. */
  readonly onChange: (listener: (entries: Pick<Report, "phases" | "errors">) => void) => void

  /** The report as it stands. Synchronous: signal handlers use it. */
  readonly render: (facts: ShutdownFacts) => Report
}

/** What the report cannot know by itself. */
export interface ShutdownFacts {
  readonly signal: string | null
  readonly signals: number
  readonly durationSeconds: number
  /** The service failed, at start or later. */
  readonly failed: boolean
}

export class ShutdownReport extends Context.Tag("conduit/services/ShutdownReport")<
  ShutdownReport,
  ShutdownReportShape
>() {}
