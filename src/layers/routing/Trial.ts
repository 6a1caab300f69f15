import type * as Tracer from "effect/Tracer"
import type { Decision, RoutingRequest } from "../../domain/routing/Decision.ts"
import type { DecisionRecord } from "../../domain/routing/DecisionRecord.ts"
import type { FaultReason } from "../../domain/routing/Fault.ts"
import type { TokenUsage } from "../../domain/routing/Usage.ts"
import { refusedError } from "../../domain/routing/Outcome.ts"
import type { Attempt, Outcome, OutcomeDetails } from "../../domain/routing/Outcome.ts"
import type { Said } from "../../domain/models/Said.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { ChatBody, ProviderError } from "../../services/models/LanguageModels.ts"
import type { Conversation } from "./Conversation.ts"
import type { Step } from "../../services/observing/Tracing.ts"

/** What has come of one decision so far. Times are monotonic milliseconds. */
export interface Trial {
  readonly decision: Decision
  readonly request: RoutingRequest
  /** That it is a turn of, where no session is named. */
  readonly conversation: Conversation
  readonly startedMs: number
  /** What is stored of the prompt. */
  readonly prompt: string | null
  /** The request's own span, if it belongs to a trace. */
  readonly span: Tracer.AnySpan | undefined
  readonly body: ChatBody
  readonly onCall: ((model: Model["id"]) => void) | undefined
  readonly attempts: Array<Attempt>
  readonly errors: Array<ProviderError>
  /** The call that is under way. */
  current: { readonly model: Model["id"]; readonly startedMs: number; readonly step: Step | null } | null
  /** Spent waiting for models. */
  waitedMs: number
  /** What the answer has said of itself so far. */
  facts: () => Facts
  /** Its outcome is told. */
  settled: boolean
}

export interface Facts {
  readonly usage: TokenUsage | null
  /** Estimated, for an answer without usage. */
  readonly outputTokens: number | null
  readonly costUsd: number | null
  readonly details: OutcomeDetails | null
  /** Null before there is an answer. */
  readonly said: Said | null
  /** Null for an answer that is not a stream. */
  readonly firstTokenMs: number | null
}

export const nothingSaid: Facts = {
  usage: null,
  outputTokens: null,
  costUsd: null,
  details: null,
  said: null,
  firstTokenMs: null
}

export const make = (
  begun: Pick<Trial, "decision" | "request" | "conversation" | "startedMs" | "prompt" | "span" | "body" | "onCall">
): Trial => ({
  ...begun,
  attempts: [],
  errors: [],
  current: null,
  waitedMs: 0,
  facts: () => nothingSaid,
  settled: false
})

/** How a call ended, and with the last call the trial. */
export type Ending =
  | { readonly _tag: "Answered"; readonly status: number }
  | { readonly _tag: "Failed"; readonly reason: FaultReason; readonly failure: ProviderError | null }
  /** The client left or does not read, or the shutdown cut it: says nothing about the model. */
  | { readonly _tag: "Aborted"; readonly reason: string }

export const answered = (status: number): Ending => ({ _tag: "Answered", status })
export const failed = (reason: FaultReason, failure: ProviderError | null): Ending => ({
  _tag: "Failed",
  reason,
  failure
})
export const aborted = (reason: string): Ending => ({ _tag: "Aborted", reason })

/** Makes an attempt of the call that is under way; null if there is none. */
export const endCurrent = (trial: Trial, nowMs: number, ending: Ending): Attempt | null => {
  const { current } = trial
  if (current === null) return null
  trial.current = null
  const attempt = { model: current.model, latencyMs: nowMs - current.startedMs, ...resultOf(ending) }
  trial.attempts.push(attempt)
  return attempt
}

const resultOf = (ending: Ending): Pick<Attempt, "ok" | "error" | "status"> => {
  switch (ending._tag) {
    case "Answered":
      return { ok: true, error: null, status: ending.status }
    case "Failed":
      return { ok: false, error: ending.reason, status: ending.failure?.status ?? null }
    case "Aborted":
      return { ok: false, error: ending.reason, status: null }
  }
}

/** What is learned from. Its latency is that of the last call: what came before it was another model's. */
export const recordOf = (trial: Trial, ending: Ending): DecisionRecord & { readonly outcome: Outcome } => {
  const last = trial.attempts.at(-1)
  const { costUsd, details, firstTokenMs, outputTokens, said, usage } = trial.facts()
  const { error, ok } = resultOf(ending)
  const refused = ending._tag === "Answered" && said?.isRefusal === true ? refusedError : null
  return {
    decision: trial.decision,
    attempts: trial.attempts,
    outcome: {
      model: last?.model ?? trial.decision.chosen,
      ok,
      aborted: ending._tag === "Aborted",
      finishReason: said?.finishReason ?? null,
      inputTokens: usage?.inputTokens ?? null,
      outputTokens: usage?.outputTokens ?? outputTokens,
      costUsd,
      latencyMs: last?.latencyMs ?? 0,
      firstTokenMs,
      // What the last model said is closer to the cause than how the request ended.
      error: ending._tag === "Failed" ? (last?.error ?? error) : (refused ?? error),
      details
    },
    prompt: trial.prompt
  }
}

/** For the client: what was tried. */
export const attemptsOf = ({ attempts }: Trial) =>
  attempts.map(({ error, model, status }) => ({ model, reason: error ?? "aborted", status }))
