import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Lifecycle, type Listen } from "../../services/running/Lifecycle.ts"
import { Output } from "../../services/running/Output.ts"
import {
  HookTimeout,
  PhaseDefect,
  type Report,
  ShutdownReport,
  type ShutdownReportShape
} from "../../services/running/ShutdownReport.ts"
import { RunState } from "./RunState.ts"
import * as Signals from "./Signals.ts"
import * as Watchdog from "./Watchdog.ts"

export interface LifecycleOptions {
  /** The whole shutdown, all phases together: what has not ended by then is given up. */
  readonly shutdownTimeout: Duration.DurationInput
  /**
   * Listen to SIGTERM, SIGINT, SIGHUP and to unhandled rejections, and keep a thread that ends the process when the
   * event loop is blocked. For programs; an embedder's host owns its own signals.
   */
  readonly installSignalHandlers: boolean
  /** Where the signals come from, if not from the system: a worker has them from its parent. */
  readonly signals?: Listen
  /** SIGHUP asks for a reload of the configuration; otherwise it stops the service as SIGTERM does. */
  readonly reloadOnSighup?: boolean
}

const publishInterval = Duration.millis(100)
const hookLimit = Duration.seconds(1)

/** What is run at the borders of a shutdown. */
interface Hooks {
  readonly start: Array<Effect.Effect<void>>
  readonly complete: Array<(report: Report) => Effect.Effect<void>>
}

/** One run of the service, and what its parts share. */
interface Run {
  readonly state: RunState
  readonly report: ShutdownReportShape
  readonly hooks: Hooks
  readonly timeoutMillis: number
  /** Another thread tells of the shutdown, should this one hang. */
  readonly isWatched: boolean
  /** Completes when the service is built. */
  readonly ready: Deferred.Deferred<void>
}

export const layer = (options: LifecycleOptions): Layer.Layer<Lifecycle, never, Output | ShutdownReport> =>
  Layer.scoped(
    Lifecycle,
    Effect.gen(function* () {
      const output = yield* Output
      const report = yield* ShutdownReport
      const clock = yield* Effect.clock
      const ready = yield* Deferred.make<void>()
      const finished = yield* Deferred.make<Report>()
      const hooks: Hooks = { start: [], complete: [] }
      const timeoutMillis = Duration.toMillis(options.shutdownTimeout)
      const isWatched = options.installSignalHandlers
      const watchdog = isWatched ? Watchdog.start(output.descriptor()) : undefined
      const state = new RunState({ clock, report, timeoutMillis, watchdog })
      const run: Run = { state, report, hooks, timeoutMillis, isWatched, ready }
      if (options.installSignalHandlers) {
        yield* (options.signals ?? Signals.listen)({
          signal: (signal) => {
            if (signal === "SIGHUP" && options.reloadOnSighup === true) return state.requestReload()
            if (state.signalled(signal) !== "exit") return
            const last = state.render()
            output.report(JSON.stringify(last))
            process.exit(last.exit_code)
          },
          failure: (detail) => {
            state.fail(detail)
            state.requestShutdown()
          }
        })
      }
      return Lifecycle.of({
        phase: () => state.phase(),
        stopping: () => state.isStopping(),
        run: (service) => Effect.tap(started(run, service), (last) => Deferred.succeed(finished, last)),
        ready: Deferred.await(ready),
        fail: (detail) => {
          state.fail(detail)
          state.requestShutdown()
        },
        shutdown: Effect.zipRight(
          Effect.sync(() => state.requestShutdown()),
          Deferred.await(finished)
        ),
        onStopping: (listener) => state.onStopping(listener),
        onReload: (listener) => state.onReload(listener),
        onShutdownStart: (hook) => Effect.sync(() => void hooks.start.push(hook)),
        onShutdownComplete: (hook) => Effect.sync(() => void hooks.complete.push(hook))
      })
    })
  )

/** Runs the service until a shutdown is requested, then stops it; the report is final. */
const started = <A, E, R>(run: Run, service: Layer.Layer<A, E, R>): Effect.Effect<Report, never, R> =>
  Effect.gen(function* () {
    const { hooks, report, state, timeoutMillis } = run
    const serving = yield* Effect.forkDaemon(held(run, service))
    yield* Deferred.await(state.requested)
    if (run.isWatched) yield* Effect.fork(publishing(state))
    yield* Fiber.interrupt(serving).pipe(
      Effect.disconnect,
      Effect.timeoutFail({
        // The watchdog, where there is one, comes first.
        duration: Duration.millis(timeoutMillis + 1_000),
        onTimeout: () => new PhaseDefect({ detail: `a finalizer did not end within ${timeoutMillis} ms` })
      }),
      Effect.catchAll((error) => Effect.sync(() => report.error(null, error)))
    )
    yield* sayFailures(state)
    const { errors, outcome } = state.render()
    const took = `${state.stoppingSeconds().toFixed(1)}s`
    yield* errors.length === 0 && outcome === "clean"
      ? Effect.logInfo(`Graceful shutdown completed in ${took}`)
      : Effect.logWarning(`Shutdown completed with ${errors.length} errors in ${took}`)
    const last = state.render()
    yield* Effect.forEach(hooks.complete, (hook) => bounded(report, hook(last)), { discard: true })
    state.ended()
    return { ...state.render(), duration_seconds: last.duration_seconds }
  })

/** Holds the service until it is interrupted, or cannot be built: then releases it, built or half built. */
const held = <A, E, R>({ hooks, ready, report, state }: Run, service: Layer.Layer<A, E, R>) => {
  const isRunning = Effect.sync(() => {
    state.built()
    Deferred.unsafeDone(ready, Effect.void)
  })
  /** What precedes the release, whether a signal or a failure asked for it. */
  const beforeRelease = (exit: Exit.Exit<unknown, unknown>) =>
    Effect.gen(function* () {
      if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
        const error = Cause.squash(exit.cause)
        state.fail(error instanceof Error ? error.message : String(error))
        yield* Effect.logDebug(Cause.pretty(exit.cause))
      }
      yield* sayFailures(state)
      state.requestShutdown()
      yield* Effect.logInfo("Starting graceful shutdown sequence")
      yield* Effect.forEach(hooks.start, (hook) => bounded(report, hook), { discard: true })
    })
  /** Our own steps never fail; a finalizer of somebody else's may, and the report says so. */
  const released = (scope: Scope.CloseableScope, exit: Exit.Exit<unknown, unknown>) =>
    Effect.catchAllCause(Scope.close(scope, exit), (cause) =>
      Effect.sync(() => report.error(null, new PhaseDefect({ detail: Cause.pretty(cause) })))
    )
  return Effect.acquireUseRelease(
    Scope.make(),
    (scope) => Effect.zipRight(Effect.zipRight(Layer.buildWithScope(service, scope), isRunning), Effect.never),
    (scope, exit) => Effect.zipRight(beforeRelease(exit), released(scope, exit))
  )
}

/** A hook of somebody else's, which may fail or hang: the report says so. */
const bounded = (report: ShutdownReportShape, hook: Effect.Effect<void>) =>
  hook.pipe(
    Effect.disconnect,
    Effect.interruptible,
    Effect.timeoutFail({
      duration: hookLimit,
      onTimeout: () => new HookTimeout({ limitMs: Duration.toMillis(hookLimit) })
    }),
    Effect.catchAllCause((cause) => {
      const failure = Cause.failureOption(cause)
      return Effect.sync(() =>
        report.error(null, failure._tag === "Some" ? failure.value : new PhaseDefect({ detail: Cause.pretty(cause) }))
      )
    })
  )

const sayFailures = (state: RunState) =>
  Effect.suspend(() => Effect.forEach(state.takeUnsaid(), (one) => Effect.logError(one), { discard: true }))

/** What the other thread would write stays true while this one only waits. */
const publishing = (state: RunState) =>
  Effect.sync(() => state.publish()).pipe(Effect.zipRight(Effect.sleep(publishInterval)), Effect.forever)
