import { makeBudgetStore } from "../../src/layers/storage/memory/BudgetStoreMemory.ts"
import { makeKeyStore } from "../../src/layers/storage/memory/KeyStoreMemory.ts"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { DecisionRecord } from "../../src/domain/routing/DecisionRecord.ts"
import { encodeEvents } from "../../src/domain/learning/EventCodec.ts"
import { type Position, RouterId } from "../../src/domain/basics/Ids.ts"
import type { LearningEvent } from "../../src/domain/learning/LearningEvent.ts"
import * as LogReaderDatabase from "../../src/layers/learning/LogReaderDatabase.ts"
import * as FeatureExtractorLexical from "../../src/layers/routing/FeatureExtractorLexical.ts"
import { Database, type DatabaseError, type StoredSnapshot } from "../../src/services/storage/Database.ts"
import { LearningLog } from "../../src/services/learning/LearningLog.ts"

/**
 * A learning log that survives the layers which use it, as a database does. What is offered stays pending until `flush`;
 * faults are set from outside.
 */
export const memoryLog = () => {
  const commits: Array<{ readonly position: Position; readonly events: ReadonlyArray<LearningEvent> }> = []
  const snapshots: Array<StoredSnapshot> = []
  const offered: Array<DecisionRecord> = []
  const listeners = new Set<() => void>()
  const faults: { error: DatabaseError | null; hangs: boolean; snapshotError: DatabaseError | null; dropped: number } =
    {
      error: null,
      hangs: false,
      snapshotError: null,
      /** Lost before, as of a queue that was full. */
      dropped: 0
    }
  let pending = 0
  let prunedTo: Position = 0

  const newest = () => commits.at(-1)?.position ?? prunedTo
  const append = (events: ReadonlyArray<LearningEvent>): Position => {
    const position = newest() + 1
    commits.push({ position, events })
    for (const listener of listeners) listener()
    return position
  }
  const more = (position: Position) =>
    Effect.async<void>((resume) => {
      if (newest() > position) return resume(Effect.void)
      const listener = () => {
        listeners.delete(listener)
        resume(Effect.void)
      }
      listeners.add(listener)
      return Effect.sync(() => void listeners.delete(listener))
    })

  const log = Layer.succeed(
    LearningLog,
    LearningLog.of({
      replica: "this one",
      router: { id: RouterId("test"), seed: "seed" },
      offer: (record) => {
        offered.push(record)
        pending += 1
      },
      record: (record) =>
        Effect.sync(() => {
          offered.push(record)
          return commits.length
        }),
      feedback: ({ id }) => Effect.sync(() => ({ id, status: "recorded" as const, position: commits.length })),
      feedbackAll: (submissions) =>
        Effect.sync(() => ({
          results: submissions.map(({ id }) => ({ id, status: "recorded" as const })),
          position: commits.length
        })),
      report: () => Effect.sync(() => ({ status: "recorded" as const, position: commits.length })),
      append: (events) => Effect.sync(() => append(events)),
      pendingDecision: (id) => offered.find((record) => record.decision.id === id),
      onJudged: () => undefined,
      weighBy: () => undefined,
      pendingOfSession: ({ owner, sessionId }) =>
        offered.flatMap(({ decision, outcome }) =>
          decision.request.sessionId === sessionId && decision.owner === owner && outcome?.ok === true
            ? [decision.id]
            : []
        ),
      follow: (from, onCommit) => {
        let at = typeof from === "number" ? from : from.position
        const next = Effect.suspend(() => {
          const commit = commits.find(({ position }) => position > at)!
          at = commit.position
          return onCommit({ ...commit, commitId: `${commit.position}` })
        })
        return Effect.forever(
          Effect.zipRight(
            Effect.suspend(() => more(at)),
            next
          )
        )
      },
      position: Effect.sync(newest),
      newestKnown: newest,
      flush: Effect.suspend(() => {
        if (faults.hangs || faults.error !== null) return Effect.never
        pending = 0
        return Effect.void
      }),
      backlog: () => ({ pending, dropped: faults.dropped, oldestPendingMillis: null, lastError: faults.error }),
      saveSnapshot: (_, snapshot) =>
        Effect.suspend(() => {
          if (faults.snapshotError !== null) return faults.snapshotError
          snapshots.push(snapshot)
          return Effect.succeed(true)
        }),
      dropSnapshotsAfter: () => Effect.succeed(0)
    })
  )
  const stored = Layer.mock(Database, {
    keys: makeKeyStore(),
    budgets: makeBudgetStore(new Map()),
    position: () => Effect.sync(newest),
    oldestPosition: () => Effect.sync(() => commits[0]?.position ?? 0),
    snapshots: () => Effect.sync(() => snapshots.toReversed()),
    readLog: (_, { after, limit, overlap }) =>
      Effect.sync(() => {
        const keyed = commits.map((commit) => ({ ...commit, commitId: `${commit.position}` }))
        return {
          end: newest(),
          before: keyed.filter(({ position }) => position <= after).slice(-overlap),
          commits: keyed
            .filter(({ position }) => position > after)
            .slice(0, limit)
            .map(({ commitId, events, position }) => ({ position, commitId, payload: encodeEvents(events) }))
        }
      })
  })
  const reader = LogReaderDatabase.layer.pipe(Layer.provide(stored), Layer.provide(FeatureExtractorLexical.layer))
  const layer = Layer.mergeAll(log, reader, stored)
  /** Where a log of which nothing is left ends. */
  const end = (position: Position) => void (prunedTo = position)
  return { layer, commits, snapshots, offered, faults, append, end }
}
