import * as Cause from "effect/Cause"
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
type Collected = Pick<Report, "phases" | "errors">

/** After a second signal every step that is left has this long. */
const forcedLimit = Duration.seconds(2)

const encodeError = Schema.encodeSync(ShutdownError)

export const layer: Layer.Layer<ShutdownReport> = Layer.effect(
  ShutdownReport,
  Effect.map(Deferred.make<void>(), (forced) => {
    const collecting = new Collecting()
    return ShutdownReport.of({
      phase: (name, { grace, limit, onTimeout }, effect) =>
        Effect.gen(function* () {
          const clock = yield* Effect.clock
          const startedAt = clock.unsafeCurrentTimeMillis()
          const limitMs = Duration.toMillis(limit)
          collecting.entered(name, limitMs)
          const exit = yield* Effect.exit(
            bounded(effect, grace === undefined ? limit : Duration.sum(limit, grace), onTimeout, forced)
          )
          collecting.left(name, exit, clock.unsafeCurrentTimeMillis() - startedAt, limitMs)
          return Exit.isSuccess(exit)
        }),
      current: () => collecting.current,
      error: (phase, failure) => collecting.error(phase, failure),
      requests: collecting.requests,
      learning: collecting.learning,
      backlog: (read) => {
        collecting.backlog = read
      },
      pending: () => collecting.backlog().pending,
      entries: Effect.sync(() => collecting.all),
      force: () => Deferred.unsafeDone(forced, Effect.void),
      forced: Deferred.await(forced),
      onChange: (listener) => {
        collecting.listeners.push(listener)
      },
      render: (facts) => collecting.render(facts)
    })
  })
)

/**
 * The order is what makes the limit hold (a finalizer runs uninterruptibly, in an interrupted fiber): do not wait for
 * what ignores interruption, give interruption back, then race with the limit. No other order bounds every hang.
 */
const bounded = <E>(
  effect: Effect.Effect<void, E>,
  limit: Duration.Duration,
  onTimeout: () => E,
  forced: Deferred.Deferred<void>
): Effect.Effect<void, E> =>
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

/** What the steps of the shutdown have told so far. Every change is synchronous, and the listeners are told of it. */
class Collecting {
  readonly requests = { in_flight_at_signal: 0, accepted_during_settle: 0, drained: 0, interrupted: 0, rejected: 0 }
  readonly learning = { pending: 0, persisted: 0, unpersisted: 0, dropped: 0, watermark: 0 }
  readonly listeners: Array<(collected: Collected) => void> = []
  backlog = () => ({ pending: 0, dropped: 0 })
  current: PhaseName | null = null
  readonly #phases: Array<PhaseEntry> = []
  readonly #errors: Array<Report["errors"][number]> = []
  #running: PhaseEntry | undefined

  get all(): Collected {
    return { phases: this.#phases, errors: this.#errors }
  }

  entered(phase: PhaseName, limitMs: number): void {
    this.current = phase
    this.#running = { phase, outcome: "timeout", took_ms: 0, limit_ms: limitMs }
    this.#changed()
  }

  left(phase: PhaseName, exit: Exit.Exit<void, ShutdownError>, tookMs: number, limitMs: number): void {
    const failures = failuresOf(exit)
    this.#running = undefined
    this.#phases.push({ phase, outcome: outcomeOf(failures), took_ms: tookMs, limit_ms: limitMs })
    for (const failure of failures) this.error(phase, failure)
    this.#changed()
  }

  error(phase: PhaseName | null, failure: ShutdownError): void {
    this.#errors.push({ ...encodeError(failure), phase, message: failure.message })
    this.#changed()
  }

  render(facts: ShutdownFacts): Report {
    const learning = this.#learningNow()
    const total = this.requests.in_flight_at_signal + this.requests.accepted_during_settle
    const errors = [...this.#errors]
    const { outcome, exitCode } = verdict(facts, errors.length > 0, isUnsaved({ errors, learning }))
    return {
      event: "shutdown_report",
      outcome,
      exit_code: exitCode,
      signal: facts.signal,
      signals: facts.signals,
      duration_seconds: Math.round(facts.durationSeconds * 1000) / 1000,
      phases: phases.map((phase) => this.#entryOf(phase)),
      requests: { ...this.requests, interrupted: total - this.requests.drained },
      learning,
      errors
    }
  }

  /** Until `persist` has run, what is pending counts as not persisted. */
  #learningNow(): Report["learning"] {
    if (this.#phases.some(({ phase }) => phase === "persist")) return { ...this.learning }
    const { dropped, pending } = this.backlog()
    return { ...this.learning, pending, persisted: 0, unpersisted: pending, dropped }
  }

  #entryOf(phase: PhaseName): PhaseEntry {
    const entry = this.#phases.find((one) => one.phase === phase)
    const running = this.#running?.phase === phase ? this.#running : undefined
    return entry ?? running ?? { phase, outcome: "skipped", took_ms: 0, limit_ms: 0 }
  }

  #changed(): void {
    for (const listener of this.listeners) listener(this.all)
  }
}

const failuresOf = (exit: Exit.Exit<void, ShutdownError>): ReadonlyArray<ShutdownError> => {
  if (Exit.isSuccess(exit)) return []
  return Cause.isFailure(exit.cause)
    ? Array.from(Cause.failures(exit.cause))
    : [new PhaseDefect({ detail: Cause.pretty(exit.cause) })]
}

const outcomeOf = (failures: ReadonlyArray<ShutdownError>): PhaseEntry["outcome"] => {
  if (failures.length === 0) return "ok"
  return failures.some(({ _tag }) => _tag.endsWith("Timeout")) ? "timeout" : "failed"
}

/** Something learned is lost, as the report tells it. */
export const isUnsaved = ({ errors, learning }: Pick<Report, "errors" | "learning">): boolean =>
  errors.some(({ _tag }) => _tag === "LogRewound") || learning.unpersisted + learning.dropped > 0

/** The table of outcomes and exit codes. */
export const verdict = (
  facts: Pick<ShutdownFacts, "failed" | "signals">,
  hasErrors: boolean,
  hasLost: boolean
): { readonly outcome: Report["outcome"]; readonly exitCode: number } => {
  if (facts.failed) return { outcome: "failed", exitCode: 1 }
  if (facts.signals > 1) return { outcome: "forced", exitCode: hasLost ? 3 : 2 }
  if (hasLost) return { outcome: "dirty", exitCode: 3 }
  return hasErrors ? { outcome: "dirty", exitCode: 2 } : { outcome: "clean", exitCode: 0 }
}
