import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Lifecycle, Listen } from "../../services/running/Lifecycle.ts"
import type { Output } from "../../services/running/Output.ts"
import type { ShutdownReport } from "../../services/running/ShutdownReport.ts"
import { LogFields } from "../../services/observing/LogFields.ts"
import { type WorkerFailed, WorkerSeat } from "../../services/running/Workers.ts"
import * as OutputStdio from "./OutputStdio.ts"
import { reportDescriptor } from "./workers/Child.ts"
import { ParentLink } from "./workers/ParentLink.ts"
import * as Supervisor from "./workers/Supervisor.ts"
import * as Told from "./workers/Told.ts"

/** A parent: the workers themselves, and the report that sums theirs. */
export const layersOfParent = (): {
  readonly workers: (
    options: Omit<Supervisor.SupervisorOptions, "told">
  ) => Layer.Layer<never, WorkerFailed, Lifecycle | ShutdownReport>
  readonly report: Layer.Layer<ShutdownReport>
} => {
  const told = new Told.Told()
  return { workers: (options) => Supervisor.supervising({ ...options, told }), report: Told.summing(told) }
}

/** What a worker has of its parent instead of the system. */
export interface Placed {
  readonly seat: Layer.Layer<never>
  /** What counts before the environment. */
  readonly stated: Readonly<Record<string, string>>
  readonly signals: Listen
  readonly output: Layer.Layer<Output>
}

/** A worker's place, once its parent has given it one. */
export const placed: Effect.Effect<Placed> = Effect.gen(function* () {
  const link = new ParentLink()
  const seat = yield* link.seat
  const fields = yield* LogFields
  fields.worker = seat.worker
  return {
    seat: Layer.succeed(WorkerSeat, link.seatOf(seat)),
    stated: seat.stated,
    signals: link.listen,
    output: OutputStdio.layerReportingTo(reportDescriptor)
  }
})
