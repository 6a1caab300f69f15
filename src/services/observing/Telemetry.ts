import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Change } from "../../domain/learning/bandit/Hierarchical.ts"
import type { Decision } from "../../domain/routing/Decision.ts"
import type { ModelId } from "../../domain/basics/Ids.ts"
import type { Signal } from "../../domain/learning/Signals.ts"
import type { Outcome } from "../../domain/routing/Outcome.ts"
import type { ProviderError } from "../models/LanguageModels.ts"
import type { StoredStatus } from "../../domain/learning/Feedback.ts"

/**
 * Metrics, in Effect's own registry: what `/metrics` shows is what any exporter of `Metric.unsafeSnapshot` sends. Updates
 * are synchronous and cost well under a microsecond; label values are bounded by their types and by the catalogue.
 */
export interface TelemetryShape {
  /** `route` is a pattern. */
  readonly requestEnded: (route: string, method: string, status: number, seconds: number) => void
  /** Answered 503 without being served. */
  readonly requestRefused: (method: string, reason: RefusalReason) => void

  /** `seconds` from the parsed request to the choice. */
  readonly decided: (decision: Decision, seconds: number) => void
  /** A call to a model has ended. */
  readonly called: (model: ModelId, result: CallResult, seconds: number) => void
  /** What came of a decision whose model Conduit called itself. */
  readonly settled: (decision: Decision, outcome: Outcome) => void

  /** A provider was asked for its list of models. */
  readonly modelListRead: (provider: string, result: ModelListResult) => void

  readonly folded: (events: number) => void
  /** A model's answers are no longer what they were. */
  readonly modelChanged: (change: Change) => void
  readonly dropped: (records: number) => void
  /** The learning log went back: so many commits that were folded from it are not there any more. */
  readonly logRewound: (commits: number) => void
  readonly fallbackToStatic: () => void
  readonly feedbackAnswered: (answer: FeedbackAnswer) => void
  /** New feedback is stored, and has its decision unless it is parked. */
  readonly feedbackStored: (isParked: boolean) => void
  /** So much parked feedback was deleted, whose decision has never appeared: it was never learned. */
  readonly feedbackExpired: (count: number) => void
  /** So much parked feedback has found its decision. */
  readonly feedbackJoined: (count: number) => void
  /** Something was seen of an answer that counts as a judgement. */
  readonly signalled: (signal: Signal) => void
  /** What the service itself had to say of an answer, and could not. */
  readonly verdictDropped: () => void
  /** What came of an answer that the judge was to judge, and what that cost. */
  readonly judgeTold: (result: JudgeResult, costUsd: number) => void
  /** An answer of the model was judged for the first time: the reward that was expected of it, and what it was worth. */
  readonly judged: (model: ModelId, predicted: number, realised: number) => void

  /**
   * A value that is read whenever somebody takes a snapshot of the metrics, until the scope closes; then its last value
   * stays. While it is NaN there is no such series. Of two services in one process the one that came last is read.
   */
  readonly gauge: (
    name: string,
    help: string,
    read: () => number,
    labels?: Readonly<Record<string, string>>
  ) => Effect.Effect<void, never, Scope.Scope>

  /** The same for something that only grows. */
  readonly counter: (
    name: string,
    help: string,
    read: () => number,
    labels?: Readonly<Record<string, string>>
  ) => Effect.Effect<void, never, Scope.Scope>

  /** The Prometheus text exposition format, version 0.0.4, of this process. */
  readonly render: () => string
  /** The same of all workers, where there are several. */
  readonly renderAll: Effect.Effect<string>
}

export class Telemetry extends Context.Tag("conduit/services/Telemetry")<Telemetry, TelemetryShape>() {}

/**
 * Why a request was not served: it would have waited too long for the processor, all places were taken, or all that one key
 * may have, or the service is draining.
 */
export const refusalReasons = ["late", "full", "share", "draining"] as const
export type RefusalReason = (typeof refusalReasons)[number]

/**
 * How a call to a model ended: answered, declined by the model or a filter, cut by the client or the shutdown, or why it
 * failed; `unexpected` is a bug.
 */
export type CallResult = "ok" | "refused" | "aborted" | ProviderError["reason"]

/**
 * `unreadable`: what the judge said is no verdict. `budget`, `queue_full`: there was no room for it. `unpriced`: nobody states
 * what the judge costs, so no budget can be kept. `stopped`: the drain.
 */
export const judgeResults = ["judged", "unreadable", "failed", "budget", "queue_full", "unpriced", "stopped"] as const
export type JudgeResult = (typeof judgeResults)[number]

/** `none`: the provider has no list. */
export type ModelListResult = "ok" | "none" | "failed"

/** `refused`: the database is away, or too much is parked. */
export type FeedbackAnswer = StoredStatus | "conflict" | "not_found" | "refused"
