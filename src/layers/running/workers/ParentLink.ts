import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import * as Schema from "effect/Schema"
import Cluster from "node:cluster"
import type { MetricFamily } from "../../../services/observing/MetricFamily.ts"
import type { Listen } from "../../../services/running/Lifecycle.ts"
import { type Seat, type ToParent, ToWorker, type WorkerSeatShape } from "../../../services/running/Workers.ts"
import { listenTo } from "../Signals.ts"

type Processes = ReadonlyArray<ReadonlyArray<MetricFamily>>
type Load = Omit<Extract<ToParent, { readonly type: "load" }>, "type">

const loadMillis = 100
/** Longer than the parent waits for the others. */
const metricsLimit = Duration.seconds(2)
const decode = Schema.decodeUnknownEither(ToWorker)

/** What stands in the report for the signal that nobody could send any more. */
const parentDied = "parent died"

const tell = (message: ToParent): void => {
  // A parent that dies meanwhile is told by `disconnect`.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}

/** A worker's end of the channel to its parent. Whole, because one channel carries all that is asked and told. */
export class ParentLink {
  /** What the parent gave it to do. */
  readonly seat: Deferred.Deferred<Seat> = Deferred.unsafeMake(FiberId.none)
  readonly #allReady: Deferred.Deferred<void> = Deferred.unsafeMake(FiberId.none)
  readonly #asked = new Map<number, (processes: Processes) => void>()
  #requests = 0
  #surplus = 0
  /** Signals that came before anybody listened. */
  #early: Array<string> = []
  #onSignal: ((signal: string) => void) | null = null
  #readMetrics: () => ReadonlyArray<MetricFamily> = () => []
  #countConnections: () => number = () => 0

  constructor() {
    process.on("message", (raw) => {
      const message = decode(raw)
      if (Either.isRight(message)) this.#heard(message.right)
    })
    process.on("disconnect", () => this.#signalled(parentDied))
    // Else node ends a worker whose parent has gone at once, in the middle of everything.
    if (Cluster.worker !== undefined) Cluster.worker.exitedAfterDisconnect = true
    tell({ type: "here" })
  }

  /**
   * Signals are the parent's to hear: one that a terminal or a service manager sends to every process would be counted
   * twice by each worker, and the second one cuts the drain.
   */
  readonly listen: Listen = listenTo((signal) => {
    this.#onSignal = signal
    this.#early.splice(0).forEach(signal)
    return () => {
      this.#onSignal = null
    }
  })

  seatOf(seat: Seat): WorkerSeatShape {
    return {
      ...seat,
      serves: (load) =>
        Effect.suspend(() => {
          tell({ type: "ready" })
          this.#tellLoad(load)
          return Deferred.await(this.#allReady)
        }),
      countsConnections: (count) => {
        this.#countConnections = count
      },
      givesUpConnection: () => this.#surplus > 0 && this.#surplus-- > 0,
      tellsMetrics: (read) => {
        this.#readMetrics = read
      },
      allMetrics: Effect.async<Processes>((resume) => {
        const request = this.#requests++
        this.#asked.set(request, (processes) => resume(Effect.succeed(processes)))
        tell({ type: "metrics_wanted", request })
        return Effect.sync(() => this.#asked.delete(request))
      }).pipe(
        Effect.timeoutTo({
          duration: metricsLimit,
          onSuccess: (processes) => processes,
          onTimeout: () => [this.#readMetrics()]
        })
      )
    }
  }

  #tellLoad(load: () => Pick<Load, "pending" | "inFlight">): void {
    let last: Load = { pending: 0, inFlight: 0, connections: 0 }
    const look = () => {
      const now = { ...load(), connections: this.#countConnections() }
      const isNew =
        now.pending !== last.pending || now.inFlight !== last.inFlight || now.connections !== last.connections
      // Said again while there is more than one has to have: the others may have fewer now.
      if (isNew || now.connections > 1) tell({ type: "load", ...now })
      last = now
    }
    setInterval(look, loadMillis).unref()
  }

  #signalled(signal: string): void {
    if (this.#onSignal === null) this.#early.push(signal)
    else this.#onSignal(signal)
  }

  #heard(message: ToWorker): void {
    switch (message.type) {
      case "sit":
        return Deferred.unsafeDone(this.seat, Effect.succeed(message.seat))
      case "all_ready":
        return Deferred.unsafeDone(this.#allReady, Effect.void)
      case "signal":
        return this.#signalled(message.signal)
      case "surplus":
        this.#surplus = message.connections
        return
      case "tell_metrics":
        return tell({ type: "metrics", request: message.request, families: this.#readMetrics() })
      case "all_metrics": {
        const answer = this.#asked.get(message.request)
        this.#asked.delete(message.request)
        return answer?.(message.processes)
      }
    }
  }
}
