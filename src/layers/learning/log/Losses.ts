import * as Effect from "effect/Effect"
import type { DecisionId } from "../../../domain/basics/Ids.ts"
import * as EpisodeLog from "../../../services/observing/EpisodeLog.ts"
import type { DatabaseError } from "../../../services/storage/Database.ts"
import type { CommitterState } from "./CommitterState.ts"

/** Outcomes that the database refuses for ever. */
export interface Losses {
  readonly lost: (id: DecisionId, error: DatabaseError) => Effect.Effect<void>
  readonly worked: Effect.Effect<void>
}

/** They may come and go: a minute without one ends it. */
export const makeLosses = (): Losses => {
  const episode = EpisodeLog.make({
    quietMillis: 60_000,
    began: ({ error, id }: { readonly id: DecisionId; readonly error: DatabaseError }) =>
      Effect.logError("An outcome cannot be stored and is lost", { decision_id: id }, error),
    ended: ({ failures, seconds }) => Effect.logInfo(`Outcomes are stored again: ${failures} were lost in ${seconds}s`)
  })
  return {
    lost: (id, error) => episode.failed({ id, error }),
    worked: episode.worked
  }
}

/** Outcomes for which there is no room, from the first one until nothing waits any more. */
export const makeOverflow = (state: CommitterState) => {
  let before = 0
  let isOpen = false
  return {
    /** Whether `log` has something to say. */
    hasNews: () => (isOpen ? state.isEmpty : state.overflowCount > before),
    log: Effect.suspend(() => {
      const dropped = state.overflowCount - before
      if (dropped > 0 && !isOpen) {
        isOpen = true
        return Effect.logWarning("The queue of outcomes is full: the oldest are dropped and counted")
      }
      if (!isOpen || !state.isEmpty) return Effect.void
      isOpen = false
      before = state.overflowCount
      return Effect.logWarning(`The queue of outcomes has room again: ${dropped} were dropped`)
    })
  }
}
