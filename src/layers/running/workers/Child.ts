import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import * as Schema from "effect/Schema"
import Cluster, { type Worker } from "node:cluster"
import { createInterface } from "node:readline"
import { Readable } from "node:stream"
import type { MetricFamily } from "../../../services/observing/MetricFamily.ts"
import { Report } from "../../../services/running/ShutdownReport.ts"
import { type Seat, ToParent, type ToWorker } from "../../../services/running/Workers.ts"

/** A worker that is busy for longer is left out of a scrape. */
const metricsLimit = Duration.seconds(1)
/** Where a worker writes its report, as its own descriptor. */
export const reportDescriptor = 3

const decode = Schema.decodeUnknownEither(ToParent)
const decodeReport = Schema.decodeUnknownEither(Schema.parseJson(Report))

export interface ChildEnd {
  readonly code: number | null
  readonly signal: string | null
  /** The last word of the worker; null where it had no time for it. */
  readonly report: Report | null
}

/** One worker, from its fork to its end. Whole, because each message changes what it is known to be. */
export class Child {
  readonly worker: number
  readonly pid: number
  /** It serves. */
  readonly ready: Deferred.Deferred<void> = Deferred.unsafeMake(FiberId.none)
  readonly ended: Deferred.Deferred<ChildEnd> = Deferred.unsafeMake(FiberId.none)
  /** What it said last. */
  load = { pending: 0, inFlight: 0, connections: 0 }
  isReady = false
  /** What it is to be told once it hears; null from then on. */
  #untold: Array<ToWorker> | null = []
  readonly #forked: Worker
  readonly #asked = new Map<number, (families: ReadonlyArray<MetricFamily>) => void>()
  #requests = 0
  #report: Report | null = null

  /** `onLoad` and `onMetricsWanted` are told what it says. */
  constructor(
    seat: Seat,
    on: { readonly load: (child: Child) => void; readonly metricsWanted: (child: Child, request: number) => void }
  ) {
    // It shares the address: with a parent that hands connections over, the one that it is handing to a worker at the
    // moment of its death stays open for ever.
    Cluster.schedulingPolicy = Cluster.SCHED_NONE
    Cluster.setupPrimary({ args: ["worker"], stdio: ["ignore", "inherit", "inherit", "pipe", "ipc"] })
    this.#forked = Cluster.fork()
    this.worker = seat.worker
    this.pid = this.#forked.process.pid ?? 0
    const told = this.#forked.process.stdio[reportDescriptor]
    if (told instanceof Readable) createInterface({ input: told }).on("line", (line) => this.#reported(line))
    this.#forked.on("message", (raw) => {
      const message = decode(raw)
      if (Either.isRight(message)) this.#heard(message.right, on)
    })
    this.#forked.on("error", (error) => {
      if (this.pid === 0) {
        Deferred.unsafeDone(this.ended, Effect.succeed({ code: null, signal: error.message, report: null }))
      }
    })
    // After the exit, and after all that it wrote has been read.
    this.#forked.process.on("close", (code, signal) =>
      Deferred.unsafeDone(this.ended, Effect.succeed({ code, signal, report: this.#report }))
    )
    this.tell({ type: "sit", seat })
  }

  tell(message: ToWorker): void {
    if (this.#untold !== null) this.#untold.push(message)
    else if (this.#forked.isConnected()) this.#forked.process.send?.(message, undefined, undefined, () => undefined)
  }

  kill(): void {
    this.#forked.process.kill("SIGKILL")
  }

  /** Its own; none where it does not answer in time. */
  readonly metrics: Effect.Effect<ReadonlyArray<MetricFamily>> = Effect.async<ReadonlyArray<MetricFamily>>((resume) => {
    const request = this.#requests++
    this.#asked.set(request, (families) => resume(Effect.succeed(families)))
    this.tell({ type: "tell_metrics", request })
    return Effect.sync(() => this.#asked.delete(request))
  }).pipe(Effect.timeoutTo({ duration: metricsLimit, onSuccess: (families) => families, onTimeout: () => [] }))

  #reported(line: string): void {
    const report = decodeReport(line)
    if (Either.isRight(report)) this.#report = report.right
  }

  #heard(
    message: ToParent,
    on: { readonly load: (child: Child) => void; readonly metricsWanted: (child: Child, request: number) => void }
  ): void {
    switch (message.type) {
      case "here": {
        const untold = this.#untold ?? []
        this.#untold = null
        return untold.forEach((one) => this.tell(one))
      }
      case "ready":
        this.isReady = true
        return Deferred.unsafeDone(this.ready, Effect.void)
      case "load":
        this.load = { pending: message.pending, inFlight: message.inFlight, connections: message.connections }
        return on.load(this)
      case "metrics_wanted":
        return on.metricsWanted(this, message.request)
      case "metrics": {
        const answer = this.#asked.get(message.request)
        this.#asked.delete(message.request)
        return answer?.(message.families)
      }
    }
  }
}
