import type { Decision } from "../../domain/Decision.ts"
import type { DecisionRecord } from "../../domain/DecisionRecord.ts"
import type { ModelId } from "../../domain/Ids.ts"
import type { Attempt, Outcome } from "../../domain/Outcome.ts"
import type { ProviderError, Usage } from "../../services/LanguageModels.ts"

/** What has come of one decision so far. Times are monotonic milliseconds. */
export interface Trial {
  readonly decision: Decision
  readonly startedMs: number
  /** What is stored of the prompt. */
  readonly prompt: string | null
  readonly attempts: Array<Attempt>
  readonly errors: Array<ProviderError>
  /** The call that is under way. */
  current: { readonly model: ModelId; readonly startedMs: number } | null
  /** Spent waiting for models. */
  waitedMs: number
  /** Its outcome is told. */
  settled: boolean
}

export const make = (decision: Decision, startedMs: number, prompt: string | null): Trial => ({
  decision,
  startedMs,
  prompt,
  attempts: [],
  errors: [],
  current: null,
  waitedMs: 0,
  settled: false
})

/** Makes an attempt of the call that is under way; null if there is none. */
export const endCurrent = (trial: Trial, nowMs: number, how: Pick<Attempt, "error" | "status">): Attempt | null => {
  const { current } = trial
  if (current === null) return null
  trial.current = null
  const attempt = { model: current.model, ok: how.error === null, latencyMs: nowMs - current.startedMs, ...how }
  trial.attempts.push(attempt)
  return attempt
}

/** How a trial ended. */
export interface Ending {
  readonly ok: boolean
  readonly aborted: boolean
  readonly error: string | null
  readonly usage: Usage | null
  /** Estimated, for an answer without usage. */
  readonly outputTokens: number | null
  readonly costUsd: number | null
  readonly finishReason: string | null
  /** Null for an answer that is not a stream. */
  readonly firstTokenMs: number | null
}

const nothingKnown = { usage: null, outputTokens: null, costUsd: null, finishReason: null, firstTokenMs: null }

export const failed = (error: string): Ending => ({ ok: false, aborted: false, error, ...nothingKnown })

export const answered = (facts: Partial<Ending>): Ending => ({
  ok: true,
  aborted: false,
  error: null,
  ...nothingKnown,
  ...facts
})

/** What is learned from. Its latency is that of the last call: what came before it was another model's. */
export const recordOf = (trial: Trial, ending: Ending): DecisionRecord & { readonly outcome: Outcome } => {
  const last = trial.attempts.at(-1)
  return {
    decision: trial.decision,
    attempts: trial.attempts,
    outcome: {
      model: last?.model ?? trial.decision.chosen,
      ok: ending.ok,
      aborted: ending.aborted,
      finishReason: ending.finishReason,
      inputTokens: ending.usage?.inputTokens ?? null,
      outputTokens: ending.usage?.outputTokens ?? ending.outputTokens,
      costUsd: ending.costUsd,
      latencyMs: last?.latencyMs ?? 0,
      firstTokenMs: ending.firstTokenMs,
      error: ending.error
    },
    prompt: trial.prompt
  }
}
