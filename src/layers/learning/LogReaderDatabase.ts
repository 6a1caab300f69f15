import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Hierarchical from "../../domain/learning/bandit/Hierarchical.ts"
import * as Fold from "../../domain/learning/Fold.ts"
import * as LearnedState from "../../domain/learning/LearnedState.ts"
import type { Position } from "../../domain/basics/Ids.ts"
import { FeatureExtractor } from "../../services/routing/FeatureExtractor.ts"
import type { LoggedCommit } from "../../domain/learning/Fold.ts"
import {
  FoldStopped,
  LogReader,
  type LogReaderShape,
  type ReadSnapshot,
  type Restored
} from "../../services/learning/LogReader.ts"
import { Database } from "../../services/storage/Database.ts"
import { logMissing, readLog } from "./log/ReadLog.ts"

const pageSize = 500
/** Of large commits, progress is reported within a page too. */
const eventsPerReport = 20_000

/** Over `Database`, whichever it is. */
export const layer: Layer.Layer<LogReader, never, Database | FeatureExtractor> = Layer.effect(
  LogReader,
  Effect.gen(function* () {
    const database = yield* Database
    const { dimension, version: featuresVersion } = yield* FeatureExtractor
    const parameters = Hierarchical.defaultParameters
    const fingerprint = Hierarchical.fingerprint(parameters, featuresVersion)

    const beginning = () => Fold.make(LearnedState.make(parameters, dimension), 0)

    const extent: LogReaderShape["extent"] = (routerId) =>
      Effect.all({ end: database.position(routerId), oldest: database.oldestPosition(routerId) })

    const snapshots: LogReaderShape["snapshots"] = (routerId) =>
      Effect.map(database.snapshots(routerId, fingerprint), (stored) =>
        stored.map(({ state, watermark }) => ({
          watermark,
          state: LearnedState.decode(state, parameters, dimension)
        }))
      )

    const restore: LogReaderShape["restore"] = Effect.fnUntraced(function* (routerId, upTo = Infinity) {
      // In this order: a snapshot that another replica stores meanwhile is not ahead of the log.
      const stored = yield* snapshots(routerId)
      return yield* restoreFrom({ stored, ...(yield* extent(routerId)), upTo, empty: beginning().learned })
    })

    const foldUntil: LogReaderShape["foldUntil"] = (routerId, fold, until, onFolded = () => Effect.void) =>
      Effect.gen(function* () {
        // Read once though nothing is missing: the log may have gone back.
        do {
          const limit = Math.max(0, Math.min(pageSize, until - Fold.position(fold)))
          const { commits } = yield* readLog({ database, routerId, mark: fold.mark, limit })
          if (commits.length === 0) break
          for (const part of inParts(commits)) {
            const changes: Array<Hierarchical.Change> = []
            const commits = part.filter((commit) => {
              const shown = Fold.apply(fold, commit)
              if (shown !== null) changes.push(...shown)
              return shown !== null
            })
            if (fold.stopped !== null) return yield* new FoldStopped(fold.stopped)
            yield* onFolded({ commits, changes })
          }
          yield* Effect.yieldNow()
        } while (Fold.position(fold) < until)
        if (Fold.position(fold) < until) yield* logMissing(Fold.position(fold), until)
      })

    const newest: LogReaderShape["newest"] = Effect.fnUntraced(function* (routerId) {
      const restored = yield* restore(routerId)
      yield* foldUntil(routerId, restored.fold, yield* database.position(routerId))
      return restored
    })

    return LogReader.of({
      policy: { parameters, dimension, featuresVersion, fingerprint },
      beginning,
      extent,
      snapshots,
      restore,
      foldUntil,
      newest
    })
  })
)

/** The newest of the snapshots that can be used; or the state before the first commit that is left. */
const restoreFrom = Effect.fnUntraced(function* (from: {
  readonly stored: ReadonlyArray<ReadSnapshot>
  readonly end: Position
  readonly oldest: Position
  readonly upTo: Position
  readonly empty: LearnedState.Learning
}) {
  const { empty, end, oldest, stored, upTo } = from
  const meetsLog = (watermark: Position) => watermark === end || (oldest > 0 && watermark >= oldest - 1)
  const isAhead = stored.some(({ watermark }) => watermark > Math.min(end, upTo))
  for (const { state, watermark } of stored) {
    if (watermark > end) {
      yield* Effect.logWarning(
        `the snapshot at position ${watermark} is ahead of the log, which ends at ${end}: the one before it is tried`
      )
    } else if (watermark > upTo) {
      yield* Effect.logWarning(
        `the snapshot at position ${watermark} may hold what the log has lost beyond ${upTo}: the one before it is tried`
      )
    } else if (!meetsLog(watermark)) {
      yield* Effect.logWarning(
        `the snapshot at position ${watermark} does not meet the log, ${oldest === 0 ? `of which nothing is left before ${end}` : `which begins at ${oldest}`}: the one before it is tried`
      )
    } else if (Either.isLeft(state)) {
      yield* Effect.logWarning(
        `the snapshot at position ${watermark} is damaged, the one before it is tried: ${state.left.message}`
      )
    } else {
      return { fold: Fold.make(state.right, watermark), isIncomplete: false, end, isAhead } satisfies Restored
    }
  }
  const isCut = end > 0 && oldest !== 1
  const isIncomplete = isCut && stored.length > 0
  if (isCut) yield* logCut(end, oldest, isIncomplete)
  // Of an empty log nothing comes before its end, where whoever waits for what is before would wait for ever.
  return { fold: Fold.make(empty, oldest === 0 ? end : 0), isIncomplete, end, isAhead } satisfies Restored
})

/** Each has so many events, or is the last one. */
const inParts = (commits: ReadonlyArray<LoggedCommit>): ReadonlyArray<ReadonlyArray<LoggedCommit>> => {
  const parts: Array<Array<LoggedCommit>> = []
  let events = eventsPerReport
  for (const commit of commits) {
    if (events >= eventsPerReport) {
      parts.push([])
      events = 0
    }
    parts.at(-1)?.push(commit)
    events += commit.events.length
  }
  return parts
}

/** The snapshots that are stored do not reach what is left of the log. */
const logCut = (end: Position, oldest: Position, isIncomplete: boolean): Effect.Effect<void> => {
  const what = `no snapshot of this policy can be used, and the learning log ${oldest === 0 ? "is empty" : `begins at position ${oldest}`} of ${end}: what was learned before is not known to it`
  return isIncomplete
    ? Effect.logError(
        `${what}; the snapshots stay as they are: give the router an exported state of position ${end} by \`conduit state import FILE --yes\`, or accept the loss by \`conduit state reset --all --yes\``
      )
    : Effect.logWarning(what)
}
