import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Lifecycle, type LifecyclePhase } from "../../../services/running/Lifecycle.ts"
import { phases, ShutdownError, ShutdownReport } from "../../../services/running/ShutdownReport.ts"
import { byLabel, counter, gauge, gaugeReader } from "./Series.ts"

const lifecyclePhases: ReadonlyArray<LifecyclePhase> = ["starting", "running", ...phases, "stopped"]

/** Where the process is, and how its shutdown goes as each of its phases ends; until the shutdown is complete. */
export const observe: Effect.Effect<void, never, Lifecycle | ShutdownReport> = Effect.gen(function* () {
  const lifecycle = yield* Lifecycle
  const report = yield* ShutdownReport

  const scope = yield* Scope.make()
  let isStopped = false
  const now = (): LifecyclePhase => (isStopped ? "stopped" : lifecycle.phase())
  for (const phase of lifecyclePhases) {
    const help = "1 for the phase in which the process is, 0 for the others"
    yield* gaugeReader("conduit_lifecycle_phase", help, () => (now() === phase ? 1 : 0), { phase }).pipe(
      Scope.extend(scope)
    )
  }

  const errorsOf = byLabel((error: string) =>
    counter("conduit_shutdown_errors_total", "Errors in the shutdown report, by their type", { error })
  )
  for (const { identifier } of ShutdownError.members) errorsOf(identifier)
  const durationOf = byLabel((phase: string) =>
    gauge("conduit_shutdown_phase_duration_seconds", "How long a phase of the shutdown took, once it has ended", {
      phase
    })
  )
  const unpersisted = gauge("conduit_learning_unpersisted", "Events that the shutdown did not store")
  let counted = 0
  report.onChange(({ errors, phases }) => {
    for (; counted < errors.length; counted++) errorsOf(errors[counted]?._tag ?? "").update(1)
    for (const { phase, took_ms } of phases) durationOf(phase).update(took_ms / 1000)
    if (phases.some(({ phase }) => phase === "persist")) unpersisted.update(report.learning.unpersisted)
  })
  yield* lifecycle.onShutdownComplete(() =>
    Effect.suspend(() => {
      isStopped = true
      return Scope.close(scope, Exit.void)
    })
  )
})
