import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import { deathsAllowed, restartDelay } from "../../../domain/basics/Restarts.ts"
import type { MetricFamily } from "../../../services/observing/MetricFamily.ts"
import { Lifecycle, type LifecycleShape } from "../../../services/running/Lifecycle.ts"
import { ShutdownReport, type ShutdownReportShape } from "../../../services/running/ShutdownReport.ts"
import { type Seat, WorkerDied, WorkerFailed } from "../../../services/running/Workers.ts"
import { Child, type ChildEnd } from "./Child.ts"
import type { Told } from "./Told.ts"

export interface SupervisorOptions {
  readonly count: number
  /** What counts for every worker before its environment. */
  readonly stated: Readonly<Record<string, string>>
  /** From the signal to the end of the last worker; then it is killed. */
  readonly limit: Duration.Duration
  /** The parent's own metrics. */
  readonly metrics: () => ReadonlyArray<MetricFamily>
  /** Where it is told how they ended. */
  readonly told: Told
}

/** Whoever has more connections than its share by so much, an eighth of it and two, gives some up; fewer are chance. */
const tolerated = (share: number) => share / 8 + 2
/** For what the kernel still has to do. */
const killLimit = Duration.seconds(1)

/** The workers of the service. */
class Workers {
  readonly children: Array<Child> = []
  readonly deaths: ReadonlyArray<Array<number>>
  readonly options: SupervisorOptions
  readonly lifecycle: LifecycleShape
  readonly #runtime: Runtime.Runtime<never>

  constructor(options: SupervisorOptions, lifecycle: LifecycleShape, runtime: Runtime.Runtime<never>) {
    this.options = options
    this.lifecycle = lifecycle
    this.#runtime = runtime
    this.deaths = Array.from({ length: options.count }, () => [])
  }

  fork(worker: number, more: Pick<Seat, "listens" | "announces">): Child {
    const child = new Child(
      { worker, stated: this.options.stated, ...more },
      {
        load: (one) => this.#balance(one),
        metricsWanted: (one, request) => this.#tellMetrics(one, request)
      }
    )
    this.children[worker] = child
    return child
  }

  /** To every worker, those included that still start. */
  signal(signal: string): void {
    for (const child of this.children) child.tell({ type: "signal", signal })
  }

  allReady(): void {
    for (const child of this.children) child.tell({ type: "all_ready" })
  }

  /** A client that keeps its connections would stay for ever with whoever was first to accept them. */
  #balance(child: Child): void {
    const ready = this.children.filter(({ isReady }) => isReady)
    const share = Math.ceil(ready.reduce((sum, { load }) => sum + load.connections, 0) / ready.length)
    const over = child.load.connections - share
    // Half of it: where they come back to the same worker, it is asked again.
    child.tell({
      type: "surplus",
      connections: over > tolerated(share) && !this.lifecycle.stopping() ? Math.ceil(over / 2) : 0
    })
  }

  #tellMetrics(child: Child, request: number): void {
    const all = Effect.forEach(this.children, ({ metrics }) => metrics, { concurrency: "unbounded" })
    Runtime.runFork(this.#runtime)(
      Effect.map(all, (processes) =>
        child.tell({ type: "all_metrics", request, processes: [this.options.metrics(), ...processes] })
      )
    )
  }
}

/** Starts the workers and replaces those that die; its release stops all of them. */
export const supervising = (options: SupervisorOptions): Layer.Layer<never, WorkerFailed, Lifecycle | ShutdownReport> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const report = yield* ShutdownReport
      const workers = new Workers(options, lifecycle, yield* Effect.runtime<never>())
      yield* Effect.acquireRelease(
        Effect.sync(() => listenFor(workers)),
        (stop) => Effect.ensuring(stopped(workers, report), Effect.sync(stop))
      )
      // One alone first: what keeps it from starting is said once, and it migrates the database.
      yield* started(workers, workers.fork(0, { listens: "at_once", announces: true }))
      const others = Array.from({ length: options.count - 1 }, (_, i) =>
        workers.fork(i + 1, { listens: "at_once", announces: false })
      )
      yield* Effect.forEach(others, (child) => started(workers, child), { concurrency: "unbounded", discard: true })
      workers.allReady()
      yield* Effect.forEach(workers.children, (child) => supervised(workers, child.worker), {
        concurrency: "unbounded",
        discard: true
      }).pipe(Effect.forkScoped)
    })
  )

/** The workers hear at once what the parent hears, and none outlives it. */
const listenFor = (workers: Workers) => {
  workers.lifecycle.onStopping(() => workers.signal("SIGTERM"))
  workers.lifecycle.onReload(() => workers.signal("SIGHUP"))
  const kill = () => workers.children.forEach((child) => child.kill())
  process.on("exit", kill)
  return () => process.off("exit", kill)
}

/** Completes when it serves; fails if it ends before. */
const started = (workers: Workers, child: Child): Effect.Effect<void, WorkerFailed> =>
  Effect.raceFirst(
    Deferred.await(child.ready),
    Effect.flatMap(Deferred.await(child.ended), (end) =>
      workers.lifecycle.stopping()
        ? Effect.never
        : Effect.fail(new WorkerFailed({ worker: child.worker, detail: `could not start: ${reasonOf(end)}` }))
    )
  )

const reasonOf = ({ code, report, signal }: ChildEnd): string =>
  report?.errors.map((error) => error.message).join("; ") || (signal ?? `exit code ${code}`)

const diedOf = ({ load, pid, worker }: Child, { code, report, signal }: ChildEnd): WorkerDied =>
  new WorkerDied({
    worker,
    pid,
    code,
    signal,
    pending: load.pending,
    inFlight: load.inFlight,
    reason: report === null ? null : reasonOf({ code, report, signal })
  })

/** Puts another in the place of a worker that dies, until it has died too often: then the service ends. */
const supervised = (workers: Workers, worker: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { children, lifecycle } = workers
    const child = children[worker]
    const deaths = workers.deaths[worker]
    if (child === undefined || deaths === undefined) return
    const end = yield* Deferred.await(child.ended)
    if (lifecycle.stopping()) return yield* Effect.never
    deaths.push(yield* Clock.currentTimeMillis)
    if (deaths.length > deathsAllowed + 1) deaths.shift()
    const died = diedOf(child, end)
    workers.options.told.replaced(died, end)
    const delay = restartDelay(deaths)
    yield* Effect.logError(died.message, { pid: child.pid })
    if (delay === null) {
      const failed = new WorkerFailed({
        worker,
        detail: `died more than ${deathsAllowed} times within a minute, the last time by ${reasonOf(end)}`
      })
      return yield* Effect.sync(() => lifecycle.fail(failed.message))
    }
    yield* Effect.sleep(Duration.millis(delay))
    const next = workers.fork(worker, { listens: "when_attached", announces: false })
    next.tell({ type: "all_ready" })
    yield* Effect.raceFirst(
      Effect.zipRight(
        Deferred.await(next.ready),
        Effect.logInfo(`Worker ${worker} was replaced and serves`, { pid: next.pid })
      ),
      Effect.asVoid(Deferred.await(next.ended))
    )
  }).pipe(Effect.forever)

/** Waits for the reports of all; a worker that is not done within the limit is killed. */
const stopped = (workers: Workers, report: ShutdownReportShape): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { children, options } = workers
    const startedAt = yield* Clock.currentTimeMillis
    const limitMs = Duration.toMillis(options.limit)
    // A second signal cuts the drain of every worker as well.
    const forced = Effect.zipRight(
      report.forced,
      Effect.zipRight(
        Effect.sync(() => workers.signal("SIGTERM")),
        Effect.never
      )
    )
    const ends = Effect.forEach(children, (child) => Deferred.await(child.ended), { concurrency: "unbounded" })
    yield* within(Effect.raceFirst(ends, forced), options.limit)
    const late = new Set<Child>()
    for (const child of children) {
      if (!(yield* Deferred.isDone(child.ended))) {
        late.add(child)
        child.kill()
      }
    }
    yield* within(ends, killLimit)
    const seconds = ((yield* Clock.currentTimeMillis) - startedAt) / 1000
    for (const child of children) {
      const end: ChildEnd = (yield* Deferred.isDone(child.ended))
        ? yield* Deferred.await(child.ended)
        : { code: null, signal: null, report: null }
      if (end.report === null) {
        options.told.silent(child, late.has(child) ? null : diedOf(child, end), limitMs, seconds)
      } else options.told.ended(child, end.report)
    }
  })

/** In a release: the order bounds every kind of hang. */
const within = <A>(effect: Effect.Effect<A>, limit: Duration.Duration) =>
  effect.pipe(Effect.disconnect, Effect.interruptible, Effect.timeoutOption(limit))
