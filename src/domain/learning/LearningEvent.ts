import type { DecisionId, ModelId, Position } from "../basics/Ids.ts"
import type { SourceVerdict, TakenVerdict } from "./FeedbackSource.ts"

/**
 * What the fold consumes. Everything that needs a logarithm, a clock or a configuration was computed before the event
 * was written, so folding uses + - * / and sqrt only and is the same to the bit on every machine.
 */
export type LearningEvent =
  | ModelEvent
  | RunEvent
  | QualityEvent
  | ResetEvent
  | AvailabilityEvent
  | ReloadEvent
  | VerdictEvent

/** A model exists with this prior; the newest one wins. Priors are in the log so that the fold depends on nothing else. */
export interface ModelEvent {
  readonly type: "model"
  readonly model: ModelId
  /** Published or configured quality in [0, 1]; null if nothing is known. */
  readonly priorQuality: number | null
  /** Standard deviation of the model's level about it, (0, 1]; without one that of a guess. */
  readonly priorSd?: number
  /** What it shares with other models that are the same one upstream, asked with other parameters; not there alone. */
  readonly upstream?: string
}

/** A call to a model ended. */
export interface RunEvent {
  readonly type: "run"
  readonly decisionId: DecisionId
  readonly model: ModelId
  readonly task: string | null
  readonly features: Float32Array
  readonly ok: boolean
  /** ln(max(1, output tokens)); null if unknown or failed. */
  readonly logOutputTokens: number | null
  /** 1 / (1 + seconds / latency reference), (0, 1]; null if failed. */
  readonly latencyScore: number | null
}

/** A judged answer, or a revision of one. */
export interface QualityEvent {
  readonly type: "quality"
  readonly decisionId: DecisionId
  readonly model: ModelId
  readonly task: string | null
  readonly features: Float32Array
  /** Position of the state that made the decision: a first judgement older than the model's last reset is not learned. */
  readonly decidedAt: Position
  /** [0, 1]. */
  readonly quality: number
  /** [0, 1]; 0 takes the old contribution back and adds nothing. */
  readonly weight: number
  /** What was folded for this decision before, and the commit of its first judgement; null for a first one. */
  readonly previous: { readonly quality: number; readonly weight: number; readonly position: Position } | null
  /** Whose verdicts these are, as they were said and as they were taken; not there where only people judged. */
  readonly verdicts?: ReadonlyArray<TakenVerdict>
  /** What `previous` was made of, as it was said. */
  readonly before?: ReadonlyArray<SourceVerdict>
}

/** An operator, or a changed model, makes most of what was learned about the model's quality void. */
export interface ResetEvent {
  readonly type: "reset"
  readonly model: ModelId
}

/** An operator takes a model out of the choice, or back into it, in every replica. What was learned of it stays. */
export interface AvailabilityEvent {
  readonly type: "availability"
  readonly model: ModelId
  readonly enabled: boolean
}

/**
 * An operator knows better about the newest change of a model. `confirm`: it is real and lasts, so the model is not probed
 * for a return; a change that is only suspected becomes one. `dismiss`: the model is as it was, so the change, or the
 * suspicion, is taken back.
 */
export interface VerdictEvent {
  readonly type: "verdict"
  readonly model: ModelId
  readonly verdict: Verdict
  /** Who said so, for the audit. */
  readonly by: string
}

export const verdicts = ["confirm", "dismiss"] as const
export type Verdict = (typeof verdicts)[number]

/** An operator asks every replica to read its configuration file again. Changes nothing that is folded. */
export interface ReloadEvent {
  readonly type: "reload"
}
