import type { DecisionRecord, OutcomeReport } from "../routing/DecisionRecord.ts"
import { type Feedback, type FeedbackSubmission, type StoredStatus } from "./Feedback.ts"
import {
  feedbackSource,
  human,
  isOfPeople,
  joined,
  type SourceVerdict,
  type Standings,
  taken,
  verdictsOf
} from "./FeedbackSource.ts"
import type { DecisionId, Position } from "../basics/Ids.ts"
import { owns } from "../basics/Owner.ts"
import type { LearningEvent, QualityEvent, RunEvent } from "./LearningEvent.ts"
import { isLearned } from "../routing/Fault.ts"
import { outcomeKind } from "../routing/Outcome.ts"
import type { Attempt, Outcome } from "../routing/Outcome.ts"
import { referenceLatencySeconds } from "../routing/Reference.ts"
import { latencyScore, logOutputTokens } from "../routing/Score.ts"

/** What was folded of a decision's feedback. */
export interface Learned {
  readonly quality: number
  readonly weight: number
  /** Of the commit that first judged the decision: all that was forgotten since then was forgotten of its share too. */
  readonly position: Position
}

/** What the first submission with an idempotency key was answered. */
export type Answered = StoredStatus

/** A feedback as it is stored, with its answer. */
export interface StoredFeedback extends Feedback {
  readonly answered: Answered
}

/** Without what only the store knows, and what only its commit needed. */
export const toSubmission = (row: FeedbackSubmission): FeedbackSubmission => ({
  id: row.id,
  decisionId: row.decisionId,
  kind: row.kind,
  value: row.value,
  confidence: row.confidence,
  comment: row.comment,
  source: row.source,
  idempotencyKey: row.idempotencyKey,
  createdAtMillis: row.createdAtMillis,
  owner: row.owner
})

/** As it is shown. */
export const toFeedback = (row: StoredFeedback): Feedback => ({
  ...toSubmission(row),
  supersededBy: row.supersededBy,
  parked: row.parked
})

/** What is stored already and touches a commit. */
export interface Existing {
  /** The stored ones among the decisions that reports, feedback and joined feedback name. */
  readonly decisions: ReadonlyMap<DecisionId, { readonly record: DecisionRecord; readonly learned: Learned | null }>
  /** All feedback of those decisions, and all that has one of the commit's idempotency keys. */
  readonly feedback: ReadonlyArray<StoredFeedback>
  /** How many more may be parked. */
  readonly parkingRoom: number
}

/** The parts of a commit that the plan is made of. */
export interface Planned {
  readonly decisions: ReadonlyArray<DecisionRecord>
  readonly reports: ReadonlyArray<OutcomeReport>
  readonly feedback: ReadonlyArray<FeedbackSubmission>
  readonly events: ReadonlyArray<LearningEvent>
  readonly joined: ReadonlyArray<FeedbackSubmission>
  /** How the verdicts of those are taken who are not people; as they say where it does not. */
  readonly standings?: Standings
}

/** The part of what is learned that does not know its position: a revision keeps the first one, a first one gets the commit's. */
export type NewlyLearned = Pick<Learned, "quality" | "weight">

/** What is stored of a decision after the commit at `position` learned this. */
export const learnedAt = (stored: Learned | null, newly: NewlyLearned, position: Position): Learned => ({
  ...newly,
  position: stored?.position ?? position
})

/** An answer that nobody had judged before; its record has an outcome. */
export interface Judged {
  readonly record: DecisionRecord
  /** [0, 1]. */
  readonly quality: number
}

/** What a commit writes and answers. */
export interface CommitPlan {
  /** Rows to insert. */
  readonly decisions: ReadonlyArray<{ readonly record: DecisionRecord; readonly learned: NewlyLearned | null }>
  /** Stored decisions that change; null keeps what is there. */
  readonly decisionUpdates: ReadonlyArray<{
    readonly id: DecisionId
    readonly outcome: Outcome | null
    readonly learned: NewlyLearned | null
  }>
  /** Rows to insert. */
  readonly feedbackRows: ReadonlyArray<StoredFeedback>
  /** Stored feedback that changes. */
  readonly feedbackUpdates: ReadonlyArray<Pick<Feedback, "id" | "supersededBy" | "parked">>
  /** Parked feedback that turned out to be for another key's decision. */
  readonly feedbackRemoved: ReadonlyArray<string>
  readonly events: ReadonlyArray<LearningEvent>
  readonly feedback: ReadonlyArray<{
    readonly id: string
    readonly status: Answered | "conflict" | "not_yours" | "parking_full"
  }>
  readonly reports: ReadonlyArray<{ readonly status: "recorded" | "unknown" | "conflict" }>
  /** How much parked feedback found its decision. */
  readonly joined: number
  readonly judged: ReadonlyArray<Judged>
}

/** What the events are computed with; the same for every replica of a router. */
export interface PlanConstants {
  /** The latency whose score is 1/2, seconds. */
  readonly latencyReferenceSeconds: number
}

export const planConstants: PlanConstants = { latencyReferenceSeconds: referenceLatencySeconds }

/**
 * Turns a commit into rows, answers and learning events. Decisions come before reports, reports before joined feedback,
 * that before new feedback; all feedback of one decision makes one quality event, a revision of what was folded before.
 */
export const planCommit = (existing: Existing, commit: Planned, constants: PlanConstants): CommitPlan => {
  const planning = new Planning(existing, commit, constants)
  const reports = commit.reports.map((report) => planning.report(report))
  for (const { id } of commit.joined) planning.join(id)
  const feedback = commit.feedback.map((submission) => planning.feedback(submission))
  return { ...planning.result(commit.events), reports, feedback }
}

/**
 * A plan while it is made, part by part. Whole, because each part sees what those before it have changed.
 */
class Planning {
  private readonly entries = new Map<DecisionId, Entry>()
  private readonly runs: Array<RunEvent>
  private readonly book: FeedbackBook
  private readonly constants: PlanConstants
  /** Decisions whose feedback changes, and what was said of them before. */
  private readonly touched = new Map<DecisionId, ReadonlyArray<SourceVerdict>>()
  private readonly standings: Standings
  private readonly added = new Set<string>()
  private parkingRoom: number
  private joined = 0

  constructor(existing: Existing, { decisions, standings = new Map() }: Planned, constants: PlanConstants) {
    for (const [id, { learned, record }] of existing.decisions) {
      this.entries.set(id, { record, learned, isNew: false, reported: false, newlyLearned: null })
    }
    for (const record of decisions) {
      this.entries.set(record.decision.id, { record, learned: null, isNew: true, reported: false, newlyLearned: null })
    }
    this.runs = decisions.flatMap((record) => runEvents(record, constants))
    this.book = new FeedbackBook(existing.feedback)
    this.constants = constants
    this.standings = standings
    this.parkingRoom = existing.parkingRoom
  }

  report(report: OutcomeReport): CommitPlan["reports"][number] {
    const entry = this.entries.get(report.decisionId)
    if (entry === undefined || !owns(report, entry.record.decision.owner)) return { status: "unknown" }
    const outcome = reportedOutcome(entry.record, report)
    if (entry.record.outcome !== null) {
      return { status: sameOutcome(entry.record.outcome, outcome) ? "recorded" : "conflict" }
    }
    entry.record = { ...entry.record, outcome }
    entry.reported = true
    this.runs.push(runEvent(entry.record, outcome.model, outcome, report.latencyMs, this.constants))
    return { status: "recorded" }
  }

  /** Parked feedback, if it has found its decision. */
  join(id: string): void {
    const parked = this.book.byId(id)
    const entry = parked?.parked === true ? this.entries.get(parked.decisionId) : undefined
    if (parked === undefined || entry === undefined) return
    if (!owns(parked, entry.record.decision.owner)) return this.book.remove(id)
    this.touch(parked.decisionId)
    this.book.join(parked)
    this.joined++
  }

  feedback(submission: FeedbackSubmission): CommitPlan["feedback"][number] {
    const { decisionId, id } = submission
    const entry = this.entries.get(decisionId)
    if (entry !== undefined && !owns(submission, entry.record.decision.owner)) return { id, status: "not_yours" }
    const first = this.book.byKey(submission.idempotencyKey)
    if (first !== undefined) {
      return sameContent(first, submission) ? { id: first.id, status: first.answered } : { id, status: "conflict" }
    }
    if (submission.follows !== undefined && !this.added.has(submission.follows)) return { id, status: "conflict" }
    if (entry === undefined && this.parkingRoom <= 0) return { id, status: "parking_full" }
    this.added.add(id)
    if (entry === undefined) this.parkingRoom--
    else this.touch(decisionId)
    return { id, status: this.book.add(submission, entry === undefined) }
  }

  result(events: ReadonlyArray<LearningEvent>): Omit<CommitPlan, "reports" | "feedback"> {
    const { judged, qualities } = this.judge()
    const all = Array.from(this.entries.values())
    return {
      decisions: all.filter((e) => e.isNew).map((e) => ({ record: e.record, learned: e.newlyLearned })),
      decisionUpdates: all
        .filter((e) => !e.isNew && (e.reported || e.newlyLearned !== null))
        .map((e) => ({
          id: e.record.decision.id,
          outcome: e.reported ? e.record.outcome : null,
          learned: e.newlyLearned
        })),
      ...this.book.changes(),
      events: [...events, ...this.runs, ...qualities],
      joined: this.joined,
      judged
    }
  }

  /** Before its feedback changes. */
  private touch(id: DecisionId): void {
    if (!this.touched.has(id)) this.touched.set(id, verdictsOf(this.book.activeOn(id)))
  }

  private judge() {
    const qualities: Array<QualityEvent> = []
    const judged: Array<Judged> = []
    for (const [id, before] of this.touched) {
      const entry = this.entries.get(id)
      const event = entry === undefined ? null : qualityEvent(entry, this.book.activeOn(id), before, this.standings)
      if (entry === undefined || event === null) continue
      qualities.push(event)
      if (event.previous === null && entry.record.outcome !== null) {
        judged.push({ record: entry.record, quality: event.quality })
      }
      entry.newlyLearned = { quality: event.quality, weight: event.weight }
    }
    return { qualities, judged }
  }
}

interface Entry {
  record: DecisionRecord
  readonly learned: Learned | null
  readonly isNew: boolean
  reported: boolean
  newlyLearned: NewlyLearned | null
}

/** The stored feedback as it changes while a plan is made. */
class FeedbackBook {
  private readonly rows: Map<string, StoredFeedback>
  private readonly stored: ReadonlyMap<string, StoredFeedback>
  private readonly removed = new Set<string>()

  constructor(stored: ReadonlyArray<StoredFeedback>) {
    this.stored = new Map(stored.map((row) => [row.id, row]))
    this.rows = new Map(this.stored)
  }

  byId(id: string): StoredFeedback | undefined {
    return this.rows.get(id)
  }

  byKey(idempotencyKey: string): StoredFeedback | undefined {
    for (const row of this.rows.values()) if (row.idempotencyKey === idempotencyKey) return row
    return undefined
  }

  activeOn(id: DecisionId): ReadonlyArray<StoredFeedback> {
    return Array.from(this.rows.values()).filter(
      (row) => row.decisionId === id && !row.parked && row.supersededBy === null
    )
  }

  add(submission: FeedbackSubmission, parked: boolean): Answered {
    const before = parked ? undefined : this.rival(submission)
    if (before !== undefined) this.rows.set(before.id, { ...before, supersededBy: submission.id })
    const answered = parked ? "parked" : before === undefined ? "recorded" : "superseded"
    this.rows.set(submission.id, { ...toSubmission(submission), supersededBy: null, parked, answered })
    return answered
  }

  /** What was parked may be older than what was recorded directly since: then it is superseded itself. */
  join(parked: StoredFeedback): void {
    const rival = this.rival(parked)
    const isOlder = rival !== undefined && rival.createdAtMillis > parked.createdAtMillis
    this.rows.set(parked.id, { ...parked, parked: false, supersededBy: isOlder ? rival.id : null })
    if (rival !== undefined && !isOlder) this.rows.set(rival.id, { ...rival, supersededBy: parked.id })
  }

  remove(id: string): void {
    this.rows.delete(id)
    this.removed.add(id)
  }

  changes(): Pick<CommitPlan, "feedbackRows" | "feedbackUpdates" | "feedbackRemoved"> {
    const rows = Array.from(this.rows.values())
    return {
      feedbackRows: rows.filter((row) => !this.stored.has(row.id)),
      feedbackUpdates: rows
        .filter((row) => this.stored.has(row.id) && this.stored.get(row.id) !== row)
        .map(({ id, parked, supersededBy }) => ({ id, supersededBy, parked })),
      feedbackRemoved: Array.from(this.removed)
    }
  }

  private rival(submission: FeedbackSubmission): StoredFeedback | undefined {
    return this.activeOn(submission.decisionId).find(
      (row) => row.kind === submission.kind && row.source === submission.source && row.id !== submission.id
    )
  }
}

/** Whether a submission repeats another one, as its idempotency key says. */
export const sameContent = (a: FeedbackSubmission, b: FeedbackSubmission): boolean =>
  a.decisionId === b.decisionId &&
  a.kind === b.kind &&
  a.value === b.value &&
  a.confidence === b.confidence &&
  a.comment === b.comment &&
  a.source === b.source &&
  a.owner === b.owner

const reportedOutcome = ({ decision }: DecisionRecord, report: OutcomeReport): Outcome => ({
  model: decision.chosen,
  ok: report.ok,
  aborted: false,
  finishReason: null,
  inputTokens: report.inputTokens,
  outputTokens: report.outputTokens,
  costUsd: null,
  latencyMs: report.latencyMs,
  firstTokenMs: null,
  error: report.error,
  details: null
})

const sameOutcome = (a: Outcome, b: Outcome): boolean =>
  a.ok === b.ok &&
  a.inputTokens === b.inputTokens &&
  a.outputTokens === b.outputTokens &&
  a.latencyMs === b.latencyMs &&
  a.error === b.error

/**
 * Every failed attempt and the answer are observations. An abort is none, nor the attempt that it cut; and a request
 * that the model refused says nothing about the model.
 */
const runEvents = (record: DecisionRecord, constants: PlanConstants): ReadonlyArray<RunEvent> => {
  const { attempts, outcome } = record
  if (outcome === null) return []
  const observed: ReadonlyArray<Attempt> = outcome.aborted ? attempts.slice(0, -1) : attempts
  const failures = observed
    .filter((attempt) => !attempt.ok && isLearned(attempt.error))
    .map((attempt) => runEvent(record, attempt.model, null, null, constants))
  if (outcome.aborted || (!outcome.ok && !isLearned(outcome.error))) return failures
  // Declined: the model did answer, and did not.
  if (outcomeKind(outcome) === "refused") return failures
  if (outcome.ok) {
    return [...failures, runEvent(record, outcome.model, outcome, outcome.firstTokenMs ?? outcome.latencyMs, constants)]
  }
  return failures.length > 0 ? failures : [runEvent(record, outcome.model, null, null, constants)]
}

/** `answer` is null for a failed run; `waitedMs` is null where nobody measured it. */
const runEvent = (
  { decision }: DecisionRecord,
  model: RunEvent["model"],
  answer: Outcome | null,
  waitedMs: number | null,
  { latencyReferenceSeconds }: PlanConstants
): RunEvent => {
  const ok = answer?.ok === true
  const outputTokens = ok ? answer.outputTokens : null
  return {
    type: "run",
    decisionId: decision.id,
    model,
    task: decision.request.task,
    features: decision.features,
    ok,
    logOutputTokens: outputTokens === null ? null : logOutputTokens(outputTokens),
    latencyScore: ok && waitedMs !== null ? latencyScore(waitedMs / 1000, latencyReferenceSeconds) : null
  }
}

/** Null if no model answered, or if the judgements together say what was folded before. */
const qualityEvent = (
  entry: Entry,
  active: ReadonlyArray<StoredFeedback>,
  before: ReadonlyArray<SourceVerdict>,
  standings: Standings
): QualityEvent | null => {
  const { decision, outcome } = entry.record
  // Without an outcome the caller of /v1/route called the chosen model itself, and judges its answer.
  const hasFailed = outcome !== null && !outcome.ok
  // Of what is no answer only the service itself says something.
  const said = verdictsOf(hasFailed ? active.filter(({ source }) => feedbackSource(source) !== human) : active)
  const verdicts = taken(said, standings)
  const judged = joined(verdicts)
  const { learned } = entry
  if (judged === null && (learned === null || learned.weight === 0)) return null
  const next = judged ?? { quality: learned?.quality ?? 0, weight: 0 }
  if (learned !== null && learned.quality === next.quality && learned.weight === next.weight) return null
  const event: QualityEvent = {
    type: "quality",
    decisionId: decision.id,
    model: outcome?.model ?? decision.chosen,
    task: decision.request.task,
    features: decision.features,
    decidedAt: decision.policy.position,
    quality: next.quality,
    weight: next.weight,
    previous: learned
  }
  const earlier = learned === null ? [] : before
  return isOfPeople(verdicts) && isOfPeople(earlier) ? event : { ...event, verdicts, before: earlier }
}
