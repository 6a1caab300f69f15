import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import {
  type CommitPlan,
  type Existing,
  type Learned,
  learnedAt,
  planCommit,
  planConstants,
  type StoredFeedback,
  toFeedback,
  toSubmission
} from "../../../domain/learning/CommitPlan.ts"
import type { DecisionRecord } from "../../../domain/routing/DecisionRecord.ts"
import { encodeEvents } from "../../../domain/learning/EventCodec.ts"
import { type DecisionId, type Position, RouterId, uuidV7Floor, uuidV7Millis } from "../../../domain/basics/Ids.ts"
import {
  type Commit,
  type Committed,
  Database,
  DatabaseError,
  type DecisionQuery,
  type StoredSnapshot
} from "../../../services/storage/Database.ts"
import { savingsOf, statsOf } from "./MemoryStats.ts"

interface RouterState {
  readonly seed: string
  /** Of the newest commit. */
  position: Position
  /** Without gaps. */
  readonly log: Array<{ readonly position: Position; readonly commitId: string; readonly payload: Uint8Array }>
  readonly decisions: Map<DecisionId, { readonly record: DecisionRecord; readonly learned: Learned | null }>
  readonly feedback: Map<string, StoredFeedback>
  readonly snapshots: Map<string, ReadonlyArray<StoredSnapshot & { readonly savedAtMillis: number }>>
}

const remembered = RouterId("router-memory")

const feedbackOn = (router: RouterState, id: DecisionId) =>
  Array.from(router.feedback.values())
    .filter((row) => row.decisionId === id)
    .sort((a, b) => a.createdAtMillis - b.createdAtMillis || (a.id < b.id ? -1 : 1))
    .map(toFeedback)

const newestFirst = (router: RouterState): ReadonlyArray<DecisionRecord> =>
  Array.from(router.decisions.values(), ({ record }) => record).sort((a, b) => (a.decision.id < b.decision.id ? 1 : -1))

/** The first ones of before that instant, by the time in their ids. */
const oldest = <K extends string, A>(
  rows: ReadonlyMap<K, A>,
  beforeMillis: number,
  limit: number,
  keep: (row: A) => boolean = () => true
): ReadonlyArray<readonly [K, A]> => {
  const floor = uuidV7Floor(beforeMillis)
  return Array.from(rows)
    .filter(([id, row]) => id < floor && keep(row))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, limit)
}

/** The position up to which both kept snapshots of every policy in use have folded; 0 if there is none. */
const coveredBySnapshots = (router: RouterState, sinceMillis: number): Position => {
  const used = Array.from(router.snapshots.values()).filter(([newest]) => (newest?.savedAtMillis ?? 0) >= sinceMillis)
  return used.length === 0 ? 0 : Math.min(...used.map((kept) => kept[1]?.watermark ?? 0))
}

const outcomeName = ({ outcome }: DecisionRecord): DecisionQuery["outcome"] =>
  outcome === null ? "pending" : outcome.ok ? "ok" : outcome.aborted ? "aborted" : "failed"

const matches = (record: DecisionRecord, query: DecisionQuery): boolean => {
  const { decision, outcome } = record
  const answeredBy = outcome?.model ?? decision.chosen
  const reason = answeredBy === decision.chosen ? decision.reason : "fallback"
  const millis = uuidV7Millis(decision.id)
  return (
    decision.owner === query.owner &&
    (query.model === null || answeredBy === query.model) &&
    (query.fromMillis === null || millis >= query.fromMillis) &&
    (query.untilMillis === null || millis < query.untilMillis) &&
    (query.userId === null || decision.request.userId === query.userId) &&
    (query.task === null || decision.request.task === query.task) &&
    (query.algorithm === null || decision.policy.algorithm === query.algorithm) &&
    (query.reason === null || reason === query.reason) &&
    (query.outcome === null || outcomeName(record) === query.outcome) &&
    (query.before === null || decision.id < query.before)
  )
}

/** Everything a database does, until the process ends. Every method is one synchronous step, so commits never interleave. */
export const layer: Layer.Layer<Database> = Layer.sync(Database, () => {
  const routers = new Map<RouterId, RouterState>()
  const commits = new Map<string, Position | null>()

  const at = <A>(operation: string, routerId: RouterId, use: (router: RouterState) => A) =>
    Effect.suspend(() => {
      const router = routers.get(routerId)
      return router === undefined
        ? Effect.fail(new DatabaseError({ operation, reason: "unexpected", detail: `there is no router ${routerId}` }))
        : Effect.succeed(use(router))
    })

  const existingFor = (router: RouterState, commit: Commit): Existing => {
    const ids = new Set<DecisionId>(
      [...commit.reports, ...commit.feedback, ...commit.joined].map((one) => one.decisionId)
    )
    const keys = new Set(commit.feedback.map((one) => one.idempotencyKey))
    return {
      decisions: new Map(Array.from(router.decisions).filter(([id]) => ids.has(id))),
      feedback: Array.from(router.feedback.values()).filter(
        (row) => ids.has(row.decisionId) || keys.has(row.idempotencyKey)
      ),
      parkingRoom: commit.maxParked - Array.from(router.feedback.values()).filter((row) => row.parked).length
    }
  }

  const apply = (router: RouterState, plan: CommitPlan, position: Position) => {
    for (const { learned, record } of plan.decisions) {
      router.decisions.set(record.decision.id, {
        record,
        learned: learned === null ? null : learnedAt(null, learned, position)
      })
    }
    for (const { id, learned, outcome } of plan.decisionUpdates) {
      const stored = router.decisions.get(id)
      if (stored === undefined) continue
      router.decisions.set(id, {
        record: outcome === null ? stored.record : { ...stored.record, outcome },
        learned: learned === null ? stored.learned : learnedAt(stored.learned, learned, position)
      })
    }
    for (const row of plan.feedbackRows) router.feedback.set(row.id, row)
    for (const update of plan.feedbackUpdates) {
      const stored = router.feedback.get(update.id)
      if (stored !== undefined) router.feedback.set(update.id, { ...stored, ...update })
    }
    for (const id of plan.feedbackRemoved) router.feedback.delete(id)
  }

  const repeated = (operation: string) =>
    new DatabaseError({ operation, reason: "constraint", detail: "a decision with this id is stored already" })

  return Database.of({
    router: (id) =>
      Effect.sync(() => {
        const routerId = Option.getOrElse(id, () => remembered)
        const stored = routers.get(routerId)
        const router = stored ?? {
          seed: `seed of ${routerId}`,
          position: 0,
          log: [],
          decisions: new Map(),
          feedback: new Map(),
          snapshots: new Map()
        }
        routers.set(routerId, router)
        return { id: routerId, seed: router.seed, position: router.position }
      }),

    commit: (commit) =>
      Effect.flatten(
        at("commit", commit.routerId, (router): Effect.Effect<Committed, DatabaseError> => {
          const before = commits.get(commit.commitId)
          if (before !== undefined) {
            return Effect.succeed({
              position: before ?? router.position,
              duplicate: true,
              feedback: [],
              reports: [],
              joined: 0,
              judged: []
            })
          }
          const ids = commit.decisions.map((record) => record.decision.id)
          if (new Set(ids).size < ids.length || ids.some((id) => router.decisions.has(id)))
            return Effect.fail(repeated("commit"))
          const plan = planCommit(existingFor(router, commit), commit, planConstants)
          const takesPosition = plan.events.length > 0
          if (takesPosition) router.position++
          const { position } = router
          if (takesPosition) {
            router.log.push({ position, commitId: commit.commitId, payload: encodeEvents(plan.events) })
          }
          apply(router, plan, position)
          commits.set(commit.commitId, takesPosition ? position : null)
          const { feedback, joined, judged, reports } = plan
          return Effect.succeed({ position, duplicate: false, feedback, reports, joined, judged })
        })
      ),

    commitsAfter: (routerId, position, limit) =>
      Effect.sync(() => {
        const log = routers.get(routerId)?.log ?? []
        const from = Math.max(0, position + 1 - (log[0]?.position ?? 1))
        return log.slice(from, from + limit)
      }),

    changes: () => Stream.empty,

    position: (routerId) => at("position", routerId, (router) => router.position),

    oldestPosition: (routerId) => Effect.sync(() => routers.get(routerId)?.log[0]?.position ?? 0),

    prune: (routerId, limits, batch) =>
      at("prune", routerId, (router) => {
        const prompted = oldest(
          router.decisions,
          limits.promptsBeforeMillis,
          batch,
          ({ record }) => record.prompt !== null
        )
        for (const [id, { learned, record }] of prompted) {
          router.decisions.set(id, { record: { ...record, prompt: null }, learned })
        }
        const old = oldest(router.decisions, limits.decisionsBeforeMillis, batch)
        for (const [id] of old) router.decisions.delete(id)
        const decisionsFloor = uuidV7Floor(limits.decisionsBeforeMillis)
        const judged = Array.from(router.feedback.values())
          .filter((row) => !row.parked && row.decisionId < decisionsFloor)
          .slice(0, batch)
        for (const { id } of judged) router.feedback.delete(id)
        const parked = oldest(router.feedback, limits.parkedBeforeMillis, batch, (row) => row.parked)
        for (const [id] of parked) router.feedback.delete(id)
        const logFloor = uuidV7Floor(limits.logBeforeMillis)
        const covered = coveredBySnapshots(router, limits.snapshotsSinceMillis)
        const kept = router.log.findIndex(
          (row, i) =>
            i === batch || row.position > covered || row.position === router.position || row.commitId >= logFloor
        )
        const logged = router.log.splice(0, Math.max(0, kept))
        for (const { commitId } of logged) commits.delete(commitId)
        return {
          decisions: old.length,
          feedback: judged.length,
          prompts: prompted.length,
          parked: parked.length,
          commits: logged.length
        }
      }),

    decision: (routerId, id) =>
      Effect.sync(() => {
        const router = routers.get(routerId)
        const stored = router?.decisions.get(id)
        if (router === undefined || stored === undefined) return Option.none()
        return Option.some({ record: stored.record, feedback: feedbackOn(router, id) })
      }),

    decisions: (routerId, query) =>
      Effect.sync(() => {
        const router = routers.get(routerId)
        if (router === undefined) return []
        return newestFirst(router)
          .filter((record) => matches(record, query))
          .slice(0, query.limit)
          .map((record) => ({ record, feedback: feedbackOn(router, record.decision.id) }))
      }),

    stats: (routerId, query) => Effect.sync(() => statsOf(routers.get(routerId)?.decisions.values() ?? [], query)),

    savings: (routerId, query) => Effect.sync(() => savingsOf(routers.get(routerId)?.decisions.values() ?? [], query)),

    sessionDecisions: (routerId, { owner, sessionId }, limit) =>
      Effect.sync(() => {
        const router = routers.get(routerId)
        if (router === undefined) return []
        return newestFirst(router)
          .filter(
            ({ decision, outcome }) =>
              decision.request.sessionId === sessionId && decision.owner === owner && outcome?.ok === true
          )
          .slice(0, limit)
          .map(({ decision }) => decision.id)
      }),

    feedbackByKey: (routerId, idempotencyKey) =>
      Effect.sync(() =>
        Option.fromNullable(
          Array.from(routers.get(routerId)?.feedback.values() ?? []).find(
            (row) => row.idempotencyKey === idempotencyKey
          )
        )
      ),

    joinable: (routerId, limit) =>
      Effect.sync(() => {
        const router = routers.get(routerId)
        if (router === undefined) return []
        return Array.from(router.feedback.values())
          .filter((row) => row.parked && router.decisions.has(row.decisionId))
          .sort((a, b) => (a.id < b.id ? -1 : 1))
          .slice(0, limit)
          .map(toSubmission)
      }),

    snapshots: (routerId, fingerprint) => Effect.sync(() => routers.get(routerId)?.snapshots.get(fingerprint) ?? []),

    saveSnapshot: (routerId, fingerprint, snapshot) =>
      Effect.flatMap(Clock.currentTimeMillis, (savedAtMillis) =>
        at("saveSnapshot", routerId, (router) => {
          const others = (router.snapshots.get(fingerprint) ?? []).filter((one) => one.watermark !== snapshot.watermark)
          const all = [...others, { ...snapshot, savedAtMillis }].sort((a, b) => b.watermark - a.watermark)
          router.snapshots.set(fingerprint, all.slice(0, 2))
        })
      )
  })
})
