import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { Output } from "../../services/running/Output.ts"
import {
  HookTimeout,
  PhaseDefect,
  type Report,
  ServiceFailure,
  ShutdownReport
} from "../../services/running/ShutdownReport.ts"
import * as Watchdog from "./Watchdog.ts"

export interface LifecycleOptions {
  /** The whole shutdown, all phases together: what has not ended by then is given up. */
  readonly shutdownTimeout: Duration.DurationInput
  /**
   * Listen to SIGTERM, SIGINT, SIGHUP and to unhandled rejections, and keep a thread that ends the process when the
   * event loop is blocked. For programs; an embedder's host owns its own signals.
   */
  readonly installSignalHandlers: boolean
  /** SIGHUP asks for a reload of the configuration; otherwise it stops the service as SIGTERM does. */
  readonly reloadOnSighup?: boolean
}

const publishInterval = Duration.millis(100)
const hookLimit = Duration.seconds(1)
/** What persist, close and flush may take together after a second signal. */
const forcedBudgetMillis = 6_000
/**
 * One Ctrl-C can arrive twice: the terminal signals the whole group, and npm passes it on besides. Within this time it
 * counts once. Other signals always count: a second SIGTERM, however soon, cuts the drain.
 */
const echoMillis = 200

export const layer = (options: LifecycleOptions): Layer.Layer<Lifecycle, never, Output | ShutdownReport> =>
  Layer.scoped(
    Lifecycle,
    Effect.gen(function* () {
      const output = yield* Output
      const report = yield* ShutdownReport
      const clock = yield* Effect.clock
      const timeoutMillis = Duration.toMillis(options.shutdownTimeout)
      const requested = yield* Deferred.make<void>()
      const finished = yield* Deferred.make<Report>()
      const ready = yield* Deferred.make<void>()
      const listeners: Array<() => void> = []
      const reloadListeners: Array<() => void> = []
      const startHooks: Array<Effect.Effect<void>> = []
      const completeHooks: Array<(report: Report) => Effect.Effect<void>> = []
      const watchdog = options.installSignalHandlers ? Watchdog.start(output.descriptor()) : undefined

      /** Without the phases of the shutdown, which the report knows. */
      let phase: "starting" | "running" | "stopped" = "starting"
      let stoppingSince: number | undefined
      let signals = 0
      let firstSignal: string | null = null
      let isFailed = false
      /** Failures of which the log does not know yet. */
      const unsaid: Array<string> = []
      let isReloadAwaited = false

      const render = () =>
        report.render({
          signal: firstSignal,
          signals,
          failed: isFailed,
          durationSeconds: (clock.unsafeCurrentTimeMillis() - (stoppingSince ?? clock.unsafeCurrentTimeMillis())) / 1000
        })
      report.onChange(() => watchdog?.publish(render()))

      const requestShutdown = () => {
        if (stoppingSince !== undefined) return
        stoppingSince = clock.unsafeCurrentTimeMillis()
        for (const listener of listeners) listener()
        watchdog?.publish(render())
        watchdog?.armNoLater(Date.now() + timeoutMillis)
        Deferred.unsafeDone(requested, Effect.void)
      }

      const fail = (detail: string) => {
        isFailed = true
        unsaid.push(detail)
        report.error(null, new ServiceFailure({ detail }))
      }

      const sayFailures = Effect.suspend(() =>
        Effect.forEach(unsaid.splice(0), (one) => Effect.logError(one), { discard: true })
      )

      const requestReload = () => {
        if (stoppingSince !== undefined) return
        isReloadAwaited = reloadListeners.length === 0
        for (const listener of reloadListeners) listener()
      }

      const onSignal = (signal: string) => {
        if (signal === "SIGHUP" && options.reloadOnSighup === true) return requestReload()
        signals++
        firstSignal ??= signal
        if (signals === 1) return requestShutdown()
        watchdog?.publish(render())
        if (signals === 2) {
          watchdog?.armNoLater(Date.now() + forcedBudgetMillis)
          return report.force()
        }
        const last = render()
        output.line(JSON.stringify(last))
        process.exit(last.exit_code)
      }
      if (options.installSignalHandlers) yield* listen(onSignal, fail, requestShutdown)

      const bounded = (hook: Effect.Effect<void>) =>
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
              report.error(
                null,
                failure._tag === "Some" ? failure.value : new PhaseDefect({ detail: Cause.pretty(cause) })
              )
            )
          })
        )

      const seconds = Effect.map(
        Clock.currentTimeMillis,
        (now) => `${((now - (stoppingSince ?? now)) / 1000).toFixed(1)}s`
      )

      const isRunning = Effect.sync(() => {
        if (stoppingSince === undefined) phase = "running"
        Deferred.unsafeDone(ready, Effect.void)
      })

      /** What precedes the release, whether a signal or a failure asked for it. */
      const beforeRelease = (exit: Exit.Exit<unknown, unknown>) =>
        Effect.gen(function* () {
          if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
            const error = Cause.squash(exit.cause)
            fail(error instanceof Error ? error.message : String(error))
            yield* Effect.logDebug(Cause.pretty(exit.cause))
          }
          yield* sayFailures
          requestShutdown()
          yield* Effect.logInfo("Starting graceful shutdown sequence")
          yield* Effect.forEach(startHooks, bounded, { discard: true })
        })

      /** Holds the layer until it is interrupted, or cannot be built: then releases it, built or half built. */
      const held = <A, E, R>(service: Layer.Layer<A, E, R>) =>
        Effect.acquireUseRelease(
          Scope.make(),
          (scope) => Effect.zipRight(Effect.zipRight(Layer.buildWithScope(service, scope), isRunning), Effect.never),
          (scope, exit) => Effect.zipRight(beforeRelease(exit), released(scope, exit))
        )

      /** Our own steps never fail; a finalizer of somebody else's may, and the report says so. */
      const released = (scope: Scope.CloseableScope, exit: Exit.Exit<unknown, unknown>) =>
        Effect.catchAllCause(Scope.close(scope, exit), (cause) =>
          Effect.sync(() => report.error(null, new PhaseDefect({ detail: Cause.pretty(cause) })))
        )

      /** What the other thread would write stays true while this one only waits. */
      const publishing =
        watchdog === undefined
          ? Effect.void
          : Effect.sync(() => watchdog.publish(render())).pipe(
              Effect.zipRight(Effect.sleep(publishInterval)),
              Effect.forever
            )

      const run = <A, E, R>(service: Layer.Layer<A, E, R>): Effect.Effect<Report, never, R> =>
        Effect.gen(function* () {
          const serving = yield* Effect.forkDaemon(held(service))
          yield* Deferred.await(requested)
          yield* Effect.fork(publishing)
          yield* Fiber.interrupt(serving).pipe(
            Effect.disconnect,
            Effect.timeoutFail({
              // The watchdog, where there is one, comes first.
              duration: Duration.millis(timeoutMillis + 1_000),
              onTimeout: () => new PhaseDefect({ detail: `a finalizer did not end within ${timeoutMillis} ms` })
            }),
            Effect.catchAll((error) => Effect.sync(() => report.error(null, error)))
          )
          yield* sayFailures
          const { errors } = yield* report.entries
          const took = yield* seconds
          yield* errors.length === 0 && render().outcome === "clean"
            ? Effect.logInfo(`Graceful shutdown completed in ${took}`)
            : Effect.logWarning(`Shutdown completed with ${errors.length} errors in ${took}`)
          const last = render()
          yield* Effect.forEach(completeHooks, (hook) => bounded(hook(last)), { discard: true })
          phase = "stopped"
          watchdog?.disarm()
          const final = { ...render(), duration_seconds: last.duration_seconds }
          yield* Deferred.succeed(finished, final)
          return final
        })

      return Lifecycle.of({
        phase: () => (phase === "stopped" ? phase : (report.current() ?? phase)),
        stopping: () => stoppingSince !== undefined,
        run,
        ready: Deferred.await(ready),
        shutdown: Effect.zipRight(Effect.sync(requestShutdown), Deferred.await(finished)),
        onStopping: (listener) => {
          listeners.push(listener)
        },
        onReload: (listener) => {
          reloadListeners.push(listener)
          if (isReloadAwaited) requestReload()
        },
        onShutdownStart: (hook) => Effect.sync(() => void startHooks.push(hook)),
        onShutdownComplete: (hook) => Effect.sync(() => void completeHooks.push(hook))
      })
    })
  )

/** The signals and the failures that end a program; the listeners leave with the scope. */
const listen = (onSignal: (signal: string) => void, fail: (detail: string) => void, requestShutdown: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let last = { signal: "", millis: 0 }
      const signals = (["SIGTERM", "SIGINT", "SIGHUP"] as const).map((signal) => {
        const listener = () => {
          const millis = Date.now()
          const isEcho = signal === "SIGINT" && last.signal === signal && millis - last.millis < echoMillis
          last = { signal, millis }
          if (!isEcho) onSignal(signal)
        }
        process.on(signal, listener)
        return () => process.off(signal, listener)
      })
      const failures = (["unhandledRejection", "uncaughtException"] as const).map((event) => {
        const listener = (cause: unknown) => {
          fail(`${event}: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`)
          requestShutdown()
        }
        process.on(event, listener)
        return () => process.off(event, listener)
      })
      return [...signals, ...failures]
    }),
    (remove) => Effect.sync(() => remove.forEach((off) => off()))
  )
