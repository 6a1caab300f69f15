import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { MetricFamily } from "../observing/MetricFamily.ts"

/**
 * One service of several processes: a parent, which serves nobody, and its workers, each a service of its own on the one
 * address. What they tell each other is checked on arrival: the program on the disk may have been replaced meanwhile.
 */
export const Seat = Schema.Struct({
  /** From 0; a worker that replaces another has its number. */
  worker: Schema.Number,
  /** The first ones listen at once, and answer 503 until they serve; who comes later, when it serves. */
  listens: Schema.Literal("at_once", "when_attached"),
  /** This one says for all where the service is. */
  announces: Schema.Boolean,
  /** What counts before the environment. */
  stated: Schema.Record({ key: Schema.String, value: Schema.String })
})
export type Seat = typeof Seat.Type

export const ToWorker = Schema.Union(
  Schema.Struct({ type: Schema.Literal("sit"), seat: Seat }),
  /** Every worker serves. */
  Schema.Struct({ type: Schema.Literal("all_ready") }),
  Schema.Struct({ type: Schema.Literal("signal"), signal: Schema.String }),
  /** So many of its connections would be better with others. */
  Schema.Struct({ type: Schema.Literal("surplus"), connections: Schema.Number }),
  /** What are your metrics? */
  Schema.Struct({ type: Schema.Literal("tell_metrics"), request: Schema.Number }),
  /** Those of all, each process's apart. */
  Schema.Struct({
    type: Schema.Literal("all_metrics"),
    request: Schema.Number,
    processes: Schema.Array(Schema.Array(MetricFamily))
  })
)
export type ToWorker = typeof ToWorker.Type

export const ToParent = Schema.Union(
  /** It hears: what is sent to a process before it listens is lost. */
  Schema.Struct({ type: Schema.Literal("here") }),
  Schema.Struct({ type: Schema.Literal("ready") }),
  /** What would be lost and cut if it died now, and how many connections it has. */
  Schema.Struct({
    type: Schema.Literal("load"),
    pending: Schema.Number,
    inFlight: Schema.Number,
    connections: Schema.Number
  }),
  Schema.Struct({ type: Schema.Literal("metrics_wanted"), request: Schema.Number }),
  Schema.Struct({
    type: Schema.Literal("metrics"),
    request: Schema.Number,
    families: Schema.Array(MetricFamily)
  })
)
export type ToParent = typeof ToParent.Type

/** What a worker has of its parent. */
export interface WorkerSeatShape extends Seat {
  /** From now on it serves, and says how much it has to do; completes when every worker serves. */
  readonly serves: (load: () => { readonly pending: number; readonly inFlight: number }) => Effect.Effect<void>
  /** How this worker counts its connections. */
  readonly countsConnections: (count: () => number) => void
  /** Whether the connection of this request is one too many: its client connects again, and gets another worker perhaps. */
  readonly givesUpConnection: () => boolean
  /** Of every process of the service, each labelled with its `worker`; those that answer in time. */
  readonly allMetrics: Effect.Effect<ReadonlyArray<ReadonlyArray<MetricFamily>>>
  /** How this worker answers for its own. */
  readonly tellsMetrics: (read: () => ReadonlyArray<MetricFamily>) => void
}

/** Null where the service is one process. */
export class WorkerSeat extends Context.Reference<WorkerSeat>()("conduit/services/WorkerSeat", {
  defaultValue: (): WorkerSeatShape | null => null
}) {}

/** A worker ended that nobody had asked to. */
export class WorkerDied extends Schema.TaggedError<WorkerDied>()("WorkerDied", {
  worker: Schema.Number,
  pid: Schema.Number,
  /** Of the process; null where a signal ended it. */
  code: Schema.NullOr(Schema.Number),
  signal: Schema.NullOr(Schema.String),
  /** Outcomes that it had not stored, and requests that it was serving, as it said last, a tenth of a second before. */
  pending: Schema.Number,
  inFlight: Schema.Number,
  /** What its own report gave as the reason. */
  reason: Schema.NullOr(Schema.String)
}) {
  override get message() {
    const how = this.signal === null ? `exit code ${this.code}` : this.signal
    const why = this.reason === null ? "" : `: ${this.reason}`
    return `worker ${this.worker} (process ${this.pid}) died (${how})${why}; it was serving ${this.inFlight} request(s), and ${this.pending} outcome(s) were not stored`
  }
}

/** A worker did not end within the limit of the whole shutdown, and was killed. */
export class WorkerKilled extends Schema.TaggedError<WorkerKilled>()("WorkerKilled", {
  worker: Schema.Number,
  pid: Schema.Number,
  limitMs: Schema.Number
}) {
  override get message() {
    return `worker ${this.worker} (process ${this.pid}) did not end within ${this.limitMs} ms and was killed`
  }
}

/** A worker could not start, or died too often: the service cannot go on. */
export class WorkerFailed extends Schema.TaggedError<WorkerFailed>()("WorkerFailed", {
  worker: Schema.Number,
  detail: Schema.String
}) {
  override get message() {
    return `worker ${this.worker} ${this.detail}`
  }
}
