import type { ModelId } from "../basics/Ids.ts"

/** One call to a model. */
export interface Attempt {
  readonly model: ModelId
  readonly ok: boolean
  /** HTTP status of the upstream; null if none arrived. */
  readonly status: number | null
  readonly latencyMs: number
  /** Short reason, never text of a prompt or an answer. */
  readonly error: string | null
}

/** How a decision ended, in one word. `pending`: nobody reported on a decision of `/v1/route` yet. */
export const outcomeKinds = ["ok", "failed", "aborted", "pending"] as const
export type OutcomeKind = (typeof outcomeKinds)[number]

export const outcomeKind = (outcome: Pick<Outcome, "ok" | "aborted"> | null): OutcomeKind =>
  outcome === null ? "pending" : outcome.ok ? "ok" : outcome.aborted ? "aborted" : "failed"

/** What happened when the chosen model was called, or what the caller of `/v1/route` reported. */
export interface Outcome {
  /** The model that answered, or the last one tried. */
  readonly model: ModelId
  readonly ok: boolean
  /** The client left, or the shutdown cut it: says nothing about the model. */
  readonly aborted: boolean
  readonly finishReason: string | null
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  /**
   * Decimal USD, the sum over all attempts; null where the price or the usage is unknown. Of a stream without usage, and
   * so without `inputTokens`, this and `outputTokens` are estimates.
   */
  readonly costUsd: number | null
  /** Null where a report did not say. */
  readonly latencyMs: number | null
  /** For streams: until the first token. */
  readonly firstTokenMs: number | null
  readonly error: string | null
}
