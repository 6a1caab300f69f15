import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Position, RouterId } from "../../../domain/basics/Ids.ts"
import type { Standings } from "../../../domain/learning/FeedbackSource.ts"
import { monotonicMs } from "../../../services/running/MonotonicTime.ts"
import { type Committed, DatabaseError, type DatabaseShape } from "../../../services/storage/Database.ts"
import type { Parts } from "./CommitQueue.ts"
import type { Batch } from "./CommitterState.ts"
import type { LogTip } from "./LogTip.ts"

/** Where commits go, and who hears of those that are stored. */
export interface StoreOptions {
  readonly replica: string
  readonly routerId: RouterId
  readonly database: DatabaseShape
  readonly tip: LogTip
  readonly maxParked: number
  readonly standings: () => Standings
  readonly onCommitted: (committed: Committed) => void
  /** Logs each commit. */
  readonly isDebug: boolean
}

/** Stores a batch as one commit. What cannot even be encoded fails as what the database refuses: to try again would not help. */
export const storeBatch = (options: StoreOptions, batch: Batch): Effect.Effect<Committed, DatabaseError> =>
  Effect.flatMap(Effect.clock, (clock) => {
    const { database, isDebug, maxParked, replica, routerId, standings, tip } = options
    const parts = partsOf(batch)
    const startedMillis = monotonicMs(clock)
    const { commitId } = batch
    return Effect.tap(
      database.commit({ ...parts, commitId, replica, routerId, maxParked, standings: standings() }),
      (committed) => {
        const { payload, position } = committed
        if (payload === null) tip.heard(position)
        else tip.stored({ position, commitId, payload })
        const told = tell(options, committed)
        return isDebug ? Effect.zipRight(told, logStored(position, parts, monotonicMs(clock) - startedMillis)) : told
      }
    )
  }).pipe(
    Effect.catchAllDefect((defect) =>
      Effect.fail(
        new DatabaseError({ operation: "commit", reason: "constraint", detail: Cause.pretty(Cause.die(defect)) })
      )
    )
  )

/** It is stored, whatever becomes of those who hear of it. */
const tell = ({ onCommitted }: StoreOptions, committed: Committed): Effect.Effect<void> => {
  try {
    onCommitted(committed)
    return Effect.void
  } catch (bug) {
    return Effect.logError("a commit is stored, and who was told of it failed", Cause.die(bug))
  }
}

const partsOf = ({ outcomes, submissions }: Batch): Parts => {
  const decisions = outcomes.map(({ record }) => record)
  if (submissions.length === 0) return { decisions, reports: [], feedback: [], events: [], joined: [] }
  const all = submissions.map(({ parts }) => parts)
  return {
    decisions: [...decisions, ...all.flatMap((parts) => parts.decisions)],
    reports: all.flatMap((parts) => parts.reports),
    feedback: all.flatMap((parts) => parts.feedback),
    events: all.flatMap((parts) => parts.events),
    joined: all.flatMap((parts) => parts.joined)
  }
}

const logStored = (position: Position, parts: Parts, tookMillis: number) =>
  Effect.logDebug("stored", {
    latency_ms: Math.round(tookMillis * 1000) / 1000,
    position,
    decisions: parts.decisions.length,
    reports: parts.reports.length,
    feedback: parts.feedback.length + parts.joined.length,
    events: parts.events.length
  })
