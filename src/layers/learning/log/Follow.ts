import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { LoggedCommit } from "../../../domain/learning/Fold.ts"
import * as LogMark from "../../../domain/learning/LogMark.ts"
import type { RouterId } from "../../../domain/basics/Ids.ts"
import type { LogRewound } from "../../../services/learning/LogReader.ts"
import type { DatabaseShape } from "../../../services/storage/Database.ts"
import type { CommitterState } from "./CommitterState.ts"
import type { LogTip } from "./LogTip.ts"
import type { Outage } from "./Outage.ts"
import { decode, type NextCommits, readLog } from "./ReadLog.ts"
import type { Signal } from "./Signal.ts"

const pageSize = 500
/** The answer to a commit of this process comes about when the hint does: it has what would be read. */
const ownAnswer = Duration.millis(50)

export interface FollowOptions {
  readonly routerId: RouterId
  readonly database: DatabaseShape
  readonly tip: LogTip
  readonly state: CommitterState
  /** Notified when a commit of this process has ended. */
  readonly settled: Signal
  readonly outage: Outage
  /** Commits that nobody told of are seen at the latest after this. */
  readonly pollInterval: Duration.Duration
}

/**
 * Passes on all commits behind the mark, waiting for those that are not there yet and for a database that is away. What this
 * process has stored itself is not read back. Fails if the log goes back, as the next poll sees.
 */
export const follow = (
  options: FollowOptions,
  from: LogMark.LogMark,
  onCommit: (commit: LoggedCommit) => Effect.Effect<void>
): Effect.Effect<never, LogRewound> =>
  Effect.suspend(() => {
    const mark = LogMark.copy(from)
    const pass = (commits: ReadonlyArray<LoggedCommit>) => {
      for (const commit of commits) LogMark.advance(mark, commit)
      return Effect.forEach(commits, onCommit, { discard: true })
    }
    // Whoever begins is told at once how far the log goes, and whether it is the one that was read before.
    const first = Effect.flatMap(read(options, mark, pageSize), (page) => pass(page?.commits ?? []))
    const rest = Effect.forever(Effect.flatMap(next(options, mark), pass))
    const poll = Effect.forever(Effect.zipRight(Effect.sleep(options.pollInterval), read(options, mark, 0)))
    return Effect.raceFirst(Effect.zipRight(first, rest), poll)
  })

/** Null while the database is away. */
const read = (
  { database, outage, routerId, tip }: FollowOptions,
  mark: LogMark.LogMark,
  limit: number
): Effect.Effect<NextCommits | null, LogRewound> =>
  outage.watched(readLog({ database, routerId, mark, limit })).pipe(
    Effect.tap(({ end }) => Effect.sync(() => tip.heard(end))),
    Effect.tapErrorTag("LogRewound", ({ end }) => Effect.sync(() => tip.rewound(end))),
    Effect.catchTag("DatabaseError", () => Effect.succeed(null))
  )

/** The commits that come next: those of this process from memory, others from the database. */
const next = (options: FollowOptions, mark: LogMark.LogMark): Effect.Effect<ReadonlyArray<LoggedCommit>, LogRewound> =>
  Effect.gen(function* () {
    const { pollInterval, settled, state, tip } = options
    while (true) {
      const seen = tip.count()
      const stored = tip.ownAfter(mark.position)
      if (stored.length > 0) return yield* Effect.forEach(stored, decode)
      if (tip.newest <= mark.position) {
        yield* tip.after(seen)
        continue
      }
      if (state.isCommitting) yield* settled.afterAtMost(settled.count(), ownAnswer)
      if (tip.ownAfter(mark.position).length > 0) continue
      const page = yield* read(options, mark, pageSize)
      if (page === null) yield* Effect.sleep(pollInterval)
      else if (page.commits.length > 0) return page.commits
      else yield* tip.afterAtMost(seen, pollInterval)
    }
  })
