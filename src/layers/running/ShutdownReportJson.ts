import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import {
  PhaseDefect,
  type PhaseName,
  phases,
  type Report,
  ShutdownError,
  type ShutdownFacts,
  ShutdownReport
} from "../../services/running/ShutdownReport.ts"

type PhaseEntry = Report["phases"][number]

/** After a second signal every step that is left has this long. */
const forcedLimit = Duration.seconds(2)

const encodeError = Schema.encodeSync(ShutdownError)

export const layer: Layer.Layer<ShutdownReport> = Layer.effect(
  ShutdownReport,
  Effect.gen(function* () {
    const entries: Array<PhaseEntry> = []
    const errors: Array<Report["errors"][number]> = []
    const requests = { in_flight_at_signal: 0, accepted_during_settle: 0, drained: 0, interrupted: 0, rejected: 0 }
    const learning = { pending: 0, persisted: 0, unpersisted: 0, dropped: 0, watermark: 0 }
    const forced = yield* Deferred.make<void>()
    const listeners: Array<(entries: Pick<Report, "phases" | "errors">) => void> = []
    let running: PhaseEntry | undefined
    let current: PhaseName | null = null
    let backlog = () => ({ pending: 0, dropped: 0 })

    const changed = () => listeners.forEach((listener) => listener({ phases: entries, errors }))

    const error = (phase: PhaseName | null, failure: ShutdownError) => {
      errors.push({ ...encodeError(failure), phase, message: failure.message })
      changed()
    }

    // The order is what makes the limit hold (a finalizer runs uninterruptibly, in an interrupted fiber): do not wait for
    // what ignores interruption, give interruption back, then race with the limit. No other order bounds every hang.
    const bounded = <E>(effect: Effect.Effect<void, E>, limit: Duration.Duration, onTimeout: () => E) =>
      effect.pipe(
        Effect.disconnect,
        Effect.interruptible,
        Effect.timeoutFail({ duration: limit, onTimeout }),
        Effect.disconnect,
        Effect.interruptible,
        Effect.raceFirst(
          Deferred.await(forced).pipe(
            Effect.zipRight(Effect.sleep(forcedLimit)),
            Effect.zipRight(Effect.failSync(onTimeout)),
            Effect.interruptible
          )
        )
      )

    return ShutdownReport.of({
      phase: (name, { grace, limit, onTimeout }, effect) =>
        Effect.gen(function* () {
          current = name
          const startedAt = yield* Clock.currentTimeMillis
          const limitMs = Duration.toMillis(limit)
          running = { phase: name, outcome: "timeout", took_ms: 0, limit_ms: limitMs }
          changed()
          const exit = yield* Effect.exit(
            bounded(effect, grace === undefined ? limit : Duration.sum(limit, grace), onTimeout)
          )
          const tookMs = (yield* Clock.currentTimeMillis) - startedAt
          running = undefined
          const failures: ReadonlyArray<ShutdownError> = Exit.isSuccess(exit)
            ? []
            : Cause.isFailure(exit.cause)
              ? Array.from(Cause.failures(exit.cause))
              : [new PhaseDefect({ detail: Cause.pretty(exit.cause) })]
          const outcome = Exit.isSuccess(exit)
            ? "ok"
            : failures.some((failure) => failure._tag.endsWith("Timeout"))
              ? "timeout"
              : "failed"
          entries.push({ phase: name, outcome, took_ms: tookMs, limit_ms: limitMs })
          for (const failure of failures) error(name, failure)
          changed()
          return Exit.isSuccess(exit)
        }),
      current: () => current,
      error,
      requests,
      learning,
      backlog: (read) => {
        backlog = read
      },
      entries: Effect.sync(() => ({ phases: entries, errors })),
      force: () => Deferred.unsafeDone(forced, Effect.void),
      forced: Deferred.await(forced),
      onChange: (listener) => {
        listeners.push(listener)
      },
      render: (facts) => {
        const persistRan = entries.some((entry) => entry.phase === "persist")
        const now = backlog()
        const left = persistRan ? learning.unpersisted : now.pending
        const dropped = persistRan ? learning.dropped : now.dropped
        const total = requests.in_flight_at_signal + requests.accepted_during_settle
        const isRewound = errors.some(({ _tag }) => _tag === "LogRewound")
        const { outcome, exitCode } = verdict(facts, errors.length > 0, isRewound || left + dropped > 0)
        return {
          event: "shutdown_report",
          outcome,
          exit_code: exitCode,
          signal: facts.signal,
          signals: facts.signals,
          duration_seconds: Math.round(facts.durationSeconds * 1000) / 1000,
          phases: phases.map(
            (phase) =>
              entries.find((entry) => entry.phase === phase) ??
              (running?.phase === phase ? running : { phase, outcome: "skipped", took_ms: 0, limit_ms: 0 })
          ),
          requests: { ...requests, interrupted: total - requests.drained },
          learning: persistRan
            ? { ...learning }
            : { ...learning, pending: left, persisted: 0, unpersisted: left, dropped },
          errors: [...errors]
        }
      }
    })
  })
)

/** The table of outcomes and exit codes. */
const verdict = (
  facts: ShutdownFacts,
  hasErrors: boolean,
  isUnsaved: boolean
): { readonly outcome: Report["outcome"]; readonly exitCode: number } => {
  if (facts.failed) return { outcome: "failed", exitCode: 1 }
  if (facts.signals > 1) return { outcome: "forced", exitCode: isUnsaved ? 3 : 2 }
  if (isUnsaved) return { outcome: "dirty", exitCode: 3 }
  return hasErrors ? { outcome: "dirty", exitCode: 2 } : { outcome: "clean", exitCode: 0 }
}
