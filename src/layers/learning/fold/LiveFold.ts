import * as Effect from "effect/Effect"
import type { Change } from "../../../domain/learning/bandit/Hierarchical.ts"
import type { Position } from "../../../domain/basics/Ids.ts"
import * as Fold from "../../../domain/learning/Fold.ts"
import type { Learning } from "../../../domain/learning/LearnedState.ts"
import type { LogMark } from "../../../domain/learning/LogMark.ts"
import type { FoldedCommits, Restored } from "../../../services/learning/LogReader.ts"
import type { TelemetryShape } from "../../../services/observing/Telemetry.ts"
import * as PositionWaiters from "./PositionWaiters.ts"

/** The fold of a service that runs: decided with, waited for, and replaced where the log went back. */
export interface LiveFold {
  readonly fold: () => Fold.Fold
  readonly learned: () => Learning
  readonly position: () => Position
  readonly mark: () => LogMark
  /** False where a bug stopped it: what is in memory is neither used nor stored. */
  readonly isUsable: () => boolean
  /** Less is known than the stored snapshots hold, so they are not replaced. */
  readonly isIncomplete: () => boolean
  readonly apply: (commit: Fold.LoggedCommit) => Effect.Effect<void>
  /** Told of what was folded by other means than `apply`. */
  readonly folded: (folded: FoldedCommits) => Effect.Effect<void>
  readonly replace: (restored: Restored) => void
  /** Called with the number of events of what is folded. */
  readonly onFolded: (listener: (events: number) => void) => void
  /** Completes when that position is folded, or after a second. */
  readonly caughtUp: (target: Position) => Effect.Effect<void>
}

export const make = (options: {
  readonly restored: Restored
  readonly telemetry: TelemetryShape
  readonly isDebug: boolean
}): LiveFold => {
  const { isDebug, telemetry } = options
  let { fold, isIncomplete } = options.restored
  const waiters = PositionWaiters.make()
  const listeners: Array<(events: number) => void> = []
  const position = () => Fold.position(fold)

  const folded = ({ changes, commits }: FoldedCommits) => {
    const events = commits.reduce((sum, commit) => sum + commit.events.length, 0)
    telemetry.folded(events)
    for (const listener of listeners) listener(events)
    waiters.reached(position())
    for (const change of changes) telemetry.modelChanged(change)
    return Effect.all([...changes.map(logChanged), ...(isDebug ? commits.map(logFolded) : [])], { discard: true })
  }

  return {
    fold: () => fold,
    learned: () => fold.learned,
    position,
    mark: () => fold.mark,
    isUsable: () => fold.stopped === null,
    isIncomplete: () => isIncomplete,
    apply: (commit) =>
      Effect.suspend(() => {
        // Two readers may overlap for a moment at shutdown; each commit is folded once.
        const changes = Fold.apply(fold, commit)
        if (changes === null) return Effect.void
        const told = folded({ commits: [commit], changes })
        return fold.stopped === null ? told : Effect.zipRight(logStopped(fold.stopped), told)
      }),
    folded,
    replace: (restored) => {
      fold = restored.fold
      isIncomplete = restored.isIncomplete
      waiters.reached(position())
    },
    onFolded: (listener) => {
      listeners.push(listener)
    },
    caughtUp: (target) => waiters.until(target, position)
  }
}

export const logStopped = ({ cause, position }: { readonly position: Position; readonly cause: unknown }) =>
  Effect.logError(`learning stopped at position ${position}: the order of the configuration decides`, cause)

/** How many events of which kind, about which models. */
const logFolded = (commit: Fold.LoggedCommit): Effect.Effect<void> => {
  const kinds: Record<string, number> = {}
  const models = new Set<string>()
  for (const event of commit.events) {
    kinds[event.type] = (kinds[event.type] ?? 0) + 1
    if (event.type !== "reload") models.add(event.model)
  }
  return Effect.logDebug("folded", {
    position: commit.position,
    events: commit.events.length,
    kinds,
    models: [...models]
  })
}

/** A model's answers are no longer what they were: every replica says so, at the same position of the log. */
const logChanged = (change: Change): Effect.Effect<void> => {
  if (change.source !== undefined) {
    return Effect.logWarning(
      `the verdicts of ${change.source} have changed (${change.direction}), and not the models: several models seemed to change at once by them, which is taken back`,
      { source: change.source, direction: change.direction, position: change.position }
    )
  }
  const { after, answers, before, direction, evidence, model, position, scope, since, task } = change
  const what = scope === "task" ? ` on task ${task}` : scope === "unlabelled" ? " on requests without a task" : ""
  const numbers =
    before === null || after === null
      ? "its answers are again as good as before it fell"
      : `${Math.round(answers ?? 0)} judged answers have mean ${after.toFixed(2)} where ${before.toFixed(2)} was expected`
  return Effect.logWarning(`model ${model} has changed (${direction})${what}: ${numbers}`, {
    model_id: model,
    scope,
    task,
    direction,
    position,
    since,
    evidence: Math.round(evidence)
  })
}
