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
import { encodeEvents } from "../../../domain/learning/EventCodec.ts"
import type { Feedback, FeedbackSubmission } from "../../../domain/learning/Feedback.ts"
import { type DecisionId, type Position, uuidV7Floor } from "../../../domain/basics/Ids.ts"
import { type Asker, owns } from "../../../domain/basics/Owner.ts"
import type { CommitKey } from "../../../domain/learning/LogMark.ts"
import type { DecisionRecord } from "../../../domain/routing/DecisionRecord.ts"
import type {
  AddUpOptions,
  Commit,
  Committed,
  DecisionQuery,
  LogPage,
  LogRange,
  Pruned,
  PruneLimits,
  StoredCommit,
  StoredDecision,
  StoredSnapshot
} from "../../../services/storage/Database.ts"
import { matches } from "./Filter.ts"

/** A decision as it is kept, with what was learned of it. */
export interface Kept {
  readonly record: DecisionRecord
  readonly learned: Learned | null
}

/** What the costs of decisions with this id or a later one are measured with. */
export interface CostReference {
  readonly since: string
  readonly costUsd: number
}

/** Decisions of that much later have the new one, as `postgres/statistics/Summing.ts` has it. */
const referenceDelayMillis = 30_000

/** A decision with this id is stored already. */
export class RepeatedDecision extends Error {}

/**
 * The rows of one router, together. Whole, because a commit changes all of them at once. Every method is one synchronous step,
 * so commits never interleave.
 */
export class RouterState {
  readonly seed: string
  /** Of the newest commit. */
  position: Position = 0
  readonly decisions = new Map<DecisionId, Kept>()
  /** Oldest first. */
  readonly costReferences: Array<CostReference> = []
  /** By commit id; null for a commit without a position. */
  private readonly commits = new Map<string, Position | null>()
  /** Without gaps. */
  private readonly log: Array<StoredCommit> = []
  private readonly feedback = new Map<string, StoredFeedback>()
  private readonly kept = new Map<string, ReadonlyArray<StoredSnapshot & { readonly savedAtMillis: number }>>()

  constructor(seed: string) {
    this.seed = seed
  }

  commit(commit: Commit): Committed {
    const before = this.commits.get(commit.commitId)
    if (before !== undefined) {
      const nothing = { payload: null, feedback: [], reports: [], joined: 0, judged: [] }
      return { position: before ?? this.position, duplicate: true, ...nothing }
    }
    const ids = commit.decisions.map((record) => record.decision.id)
    if (new Set(ids).size < ids.length || ids.some((id) => this.decisions.has(id))) throw new RepeatedDecision()
    const plan = planCommit(this.existingFor(commit), commit, planConstants)
    const payload = plan.events.length > 0 ? encodeEvents(plan.events) : null
    if (payload !== null) {
      this.position++
      this.log.push({ position: this.position, commitId: commit.commitId, payload })
    }
    this.apply(plan)
    this.commits.set(commit.commitId, payload === null ? null : this.position)
    const { feedback, joined, judged, reports } = plan
    return { position: this.position, duplicate: false, payload, feedback, reports, joined, judged }
  }

  readLog({ after, limit, overlap }: LogRange): LogPage {
    const from = Math.max(0, after + 1 - (this.log[0]?.position ?? 1))
    return {
      end: this.position,
      before: this.log
        .slice(Math.max(0, from - overlap), from)
        .map(({ commitId, position }) => ({ position, commitId })),
      commits: this.log.slice(from, from + limit)
    }
  }

  oldestPosition(): Position {
    return this.log[0]?.position ?? 0
  }

  decision(id: DecisionId): StoredDecision | undefined {
    const kept = this.decisions.get(id)
    return kept === undefined ? undefined : { record: kept.record, feedback: this.feedbackOn(id) }
  }

  list(query: DecisionQuery): ReadonlyArray<StoredDecision> {
    return this.newestFirst()
      .filter((record) => matches(record, query))
      .slice(0, query.limit)
      .map((record) => ({ record, feedback: this.feedbackOn(record.decision.id) }))
  }

  ofSession(session: Asker & { readonly sessionId: string }, limit: number) {
    return this.newestFirst()
      .filter(
        ({ decision, outcome }) =>
          decision.request.sessionId === session.sessionId && owns(session, decision.owner) && outcome?.ok === true
      )
      .slice(0, limit)
      .map(({ decision }) => decision.id)
  }

  feedbackByKey(idempotencyKey: string): StoredFeedback | undefined {
    return Array.from(this.feedback.values()).find((row) => row.idempotencyKey === idempotencyKey)
  }

  joinable(limit: number): ReadonlyArray<FeedbackSubmission> {
    return Array.from(this.feedback.values())
      .filter((row) => row.parked && this.decisions.has(row.decisionId))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, limit)
      .map(toSubmission)
  }

  prune(limits: PruneLimits, batch: number): Pruned {
    const prompted = oldest(this.decisions, limits.promptsBeforeMillis, batch, ({ record }) => record.prompt !== null)
    for (const [id, { learned, record }] of prompted) {
      this.decisions.set(id, { record: { ...record, prompt: null }, learned })
    }
    const old = oldest(this.decisions, limits.decisionsBeforeMillis, batch)
    for (const [id] of old) this.decisions.delete(id)
    const decisionsFloor = uuidV7Floor(limits.decisionsBeforeMillis)
    const judged = Array.from(this.feedback.values())
      .filter((row) => !row.parked && row.decisionId < decisionsFloor)
      .slice(0, batch)
    for (const { id } of judged) this.feedback.delete(id)
    const parked = oldest(this.feedback, limits.parkedBeforeMillis, batch, (row) => row.parked)
    for (const [id] of parked) this.feedback.delete(id)
    return {
      decisions: old.length,
      feedback: judged.length,
      prompts: prompted.length,
      parked: parked.length,
      commits: this.pruneLog(limits, batch)
    }
  }

  tellReference({ costReferenceUsd, isReferenceNew, nowMillis }: AddUpOptions): void {
    const newest = this.costReferences.at(-1)
    if (!isReferenceNew || newest?.costUsd === costReferenceUsd) return
    const since = uuidV7Floor(newest === undefined ? 0 : nowMillis + referenceDelayMillis)
    this.costReferences.push({ since, costUsd: costReferenceUsd })
  }

  snapshots(fingerprint: string): ReadonlyArray<StoredSnapshot> {
    return this.kept.get(fingerprint) ?? []
  }

  saveSnapshot(fingerprint: string, snapshot: StoredSnapshot, savedAtMillis: number, last?: CommitKey): boolean {
    const isStored = ({ commitId, position }: CommitKey) =>
      this.log.some((row) => row.position === position && row.commitId === commitId)
    if (last !== undefined && !isStored(last)) return false
    const others = (this.kept.get(fingerprint) ?? []).filter((one) => one.watermark !== snapshot.watermark)
    const all = [...others, { ...snapshot, savedAtMillis }].sort((a, b) => b.watermark - a.watermark)
    this.kept.set(fingerprint, all.slice(0, 2))
    return true
  }

  dropSnapshotsAfter(position: Position): number {
    let dropped = 0
    for (const [fingerprint, all] of this.kept) {
      const left = all.filter(({ watermark }) => watermark <= position)
      dropped += all.length - left.length
      this.kept.set(fingerprint, left)
    }
    return dropped
  }

  private existingFor(commit: Commit): Existing {
    const named = [...commit.reports, ...commit.feedback, ...commit.joined].map((one) => one.decisionId)
    const ids = new Set<DecisionId>(named)
    const keys = new Set(commit.feedback.map((one) => one.idempotencyKey))
    const rows = Array.from(this.feedback.values())
    return {
      decisions: new Map(Array.from(this.decisions).filter(([id]) => ids.has(id))),
      feedback: rows.filter((row) => ids.has(row.decisionId) || keys.has(row.idempotencyKey)),
      parkingRoom: commit.maxParked - rows.filter((row) => row.parked).length
    }
  }

  private apply(plan: CommitPlan): void {
    for (const { learned, record } of plan.decisions) {
      this.decisions.set(record.decision.id, {
        record,
        learned: learned === null ? null : learnedAt(null, learned, this.position)
      })
    }
    for (const { id, learned, outcome } of plan.decisionUpdates) {
      const stored = this.decisions.get(id)
      if (stored === undefined) continue
      this.decisions.set(id, {
        record: outcome === null ? stored.record : { ...stored.record, outcome },
        learned: learned === null ? stored.learned : learnedAt(stored.learned, learned, this.position)
      })
    }
    for (const row of plan.feedbackRows) this.feedback.set(row.id, row)
    for (const update of plan.feedbackUpdates) {
      const stored = this.feedback.get(update.id)
      if (stored !== undefined) this.feedback.set(update.id, { ...stored, ...update })
    }
    for (const id of plan.feedbackRemoved) this.feedback.delete(id)
  }

  private pruneLog(limits: PruneLimits, batch: number): number {
    const logFloor = uuidV7Floor(limits.logBeforeMillis)
    const covered = this.coveredBySnapshots(limits.snapshotsSinceMillis)
    const kept = this.log.findIndex(
      (row, i) => i === batch || row.position > covered || row.position === this.position || row.commitId >= logFloor
    )
    const pruned = this.log.splice(0, Math.max(0, kept))
    for (const { commitId } of pruned) this.commits.delete(commitId)
    return pruned.length
  }

  /** The position up to which both kept snapshots of every policy in use have folded; 0 if there is none. */
  private coveredBySnapshots(sinceMillis: number): Position {
    const used = Array.from(this.kept.values()).filter(([newest]) => (newest?.savedAtMillis ?? 0) >= sinceMillis)
    return used.length === 0 ? 0 : Math.min(...used.map((kept) => kept[1]?.watermark ?? 0))
  }

  private feedbackOn(id: DecisionId): ReadonlyArray<Feedback> {
    return Array.from(this.feedback.values())
      .filter((row) => row.decisionId === id)
      .sort((a, b) => a.createdAtMillis - b.createdAtMillis || (a.id < b.id ? -1 : 1))
      .map(toFeedback)
  }

  private newestFirst(): ReadonlyArray<DecisionRecord> {
    return Array.from(this.decisions.values(), ({ record }) => record).sort((a, b) =>
      a.decision.id < b.decision.id ? 1 : -1
    )
  }
}

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
