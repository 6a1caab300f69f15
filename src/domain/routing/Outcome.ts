import type { FaultReason } from "./Fault.ts"
import type { ModelId } from "../basics/Ids.ts"
import type { ModelParams } from "../models/ModelParams.ts"

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

/**
 * How a decision ended, in one word. `refused`: the model, or a filter, declined to answer, which is neither success nor
 * failure. `empty`: the last model said nothing. `pending`: nobody reported on a decision of `/v1/route` yet.
 */
export const outcomeKinds = ["ok", "failed", "aborted", "refused", "empty", "pending"] as const
export type OutcomeKind = (typeof outcomeKinds)[number]

/** `error` of an answer that declines; of others it is null. */
export const refusedError = "refused"
/** `error` of an answer without text, call or refusal. */
export const emptyError = "empty" satisfies FaultReason

export const outcomeKind = (outcome: Pick<Outcome, "ok" | "aborted" | "error"> | null): OutcomeKind => {
  if (outcome === null) return "pending"
  if (outcome.ok) return outcome.error === refusedError ? "refused" : "ok"
  if (outcome.aborted) return "aborted"
  return outcome.error === emptyError ? "empty" : "failed"
}

/** More about an outcome; what is not there has its usual value. */
export interface OutcomeDetails {
  /** Tokens, and with them the cost, are a guess: nobody counted them. */
  readonly usageEstimated?: true
  readonly cachedTokens?: number
  /** To a cache, for whatever time. */
  readonly writtenTokens?: number
  readonly reasoningTokens?: number
  /** Where the price stood, if not in the configuration. */
  readonly priceSource?: string
  /** Cached tokens cost what fresh ones do, because nobody stated their price. */
  readonly cachePriceAssumed?: true
  /** In which it was served, where that is not the standard one. */
  readonly serviceTier?: string
  /** It costs what the standard tier does, because nobody stated the price of the one it was served in. */
  readonly tierPriceAssumed?: true
  /** The model that answered, as the upstream calls it, where that is another than the one asked. */
  readonly servedModel?: string
  /** By which the upstream knows the call. */
  readonly upstreamRequestId?: string
  /** What the model's entry asked of it and the caller had left open. */
  readonly params?: ModelParams
}

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
   * Decimal USD, the sum over all attempts; null where the price is unknown, or no model was called. Where `details` say
   * that usage is estimated, this and `outputTokens` are, and `inputTokens` is null.
   */
  readonly costUsd: number | null
  /** Null where a report did not say. */
  readonly latencyMs: number | null
  /** For streams: until the first token. */
  readonly firstTokenMs: number | null
  readonly error: string | null
  readonly details: OutcomeDetails | null
}
