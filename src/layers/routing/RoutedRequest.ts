import type * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type { Decision, RoutingRequest } from "../../domain/routing/Decision.ts"
import type { DecisionRecord } from "../../domain/routing/DecisionRecord.ts"
import type { FaultReason } from "../../domain/routing/Fault.ts"
import type { TokenUsage } from "../../domain/routing/Usage.ts"
import { refusedError } from "../../domain/routing/Outcome.ts"
import type { Attempt, Outcome, OutcomeDetails } from "../../domain/routing/Outcome.ts"
import { type ModelParams, parametrised } from "../../domain/models/ModelParams.ts"
import type { Said } from "../../domain/models/Said.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { ChatBody, ProviderError } from "../../services/models/LanguageModels.ts"
import type { Account } from "./Accounting.ts"
import type { Meter } from "../../services/routing/Metering.ts"
import type { Conversation } from "./Conversation.ts"
import type { Chat } from "../../services/routing/Router.ts"
import type { Step } from "../../services/observing/Tracing.ts"

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

const noFacts: Facts = {
  usage: null,
  outputTokens: null,
  costUsd: null,
  details: null,
  said: null,
  firstTokenMs: null
}

/** What an answer has said so far, and what follows for who pays. */
export const factsOf = (account: Account, said: Said, firstTokenMs: number | null): Facts => ({
  usage: account.usage,
  outputTokens: account.outputTokens,
  costUsd: account.costUsd,
  details: account.details,
  said,
  firstTokenMs
})

/** How a call ended, and with the last call the request. */
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

const statusOf = (ending: Ending): number | null =>
  ending._tag === "Answered" ? ending.status : ending._tag === "Failed" ? (ending.failure?.status ?? null) : null

/** A call that is under way. */
interface Call {
  readonly model: Model["id"]
  readonly startedMs: number
  readonly step: Step | null
}

/** What a request is when its model is chosen. Times are monotonic milliseconds. */
interface Begun {
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
  /** As its chat has them. */
  readonly protocol: Chat["protocol"]
  readonly forwarded: Chat["forwarded"]
  readonly onCall: ((model: Model["id"]) => void) | undefined
  readonly meter: Meter | undefined
  /** Logs on the request's behalf. */
  readonly log: (line: Effect.Effect<void>) => void
}

/**
 * A request from its decision to its outcome. `called` and `ended` alternate, a call at a time; `answering` says that the
 * call under way is the answer; `noteFacts` what is known of it so far, which `record` keeps; `settled` is the last. Whole, because these are the facts of one request.
 */
export class RoutedRequest {
  readonly begun: Begun
  readonly attempts: Array<Attempt> = []
  readonly errors: Array<ProviderError> = []
  private call: Call | null = null
  private waitedMs = 0
  private facts: () => Facts = () => noFacts
  private hasOutcome = false
  private answer: Attempt | null = null
  private declinedUsd = 0
  /** Of the model that was asked last, and what was added for each. */
  private asked: { readonly model: Model; readonly body: ChatBody } | null = null
  private added: Map<Model["id"], ModelParams> | null = null

  constructor(begun: Begun) {
    this.begun = begun
  }

  get decision(): Decision {
    return this.begun.decision
  }

  get request(): RoutingRequest {
    return this.begun.request
  }

  get isCalling(): boolean {
    return this.call !== null
  }

  get isSettled(): boolean {
    return this.hasOutcome
  }

  /** What is known of the answer so far. */
  get answerFacts(): Facts {
    return this.facts()
  }

  /** Milliseconds that were not spent waiting for models. */
  overheadMs(nowMs: number): number {
    return Math.max(0, nowMs - this.begun.startedMs - this.waitedMs)
  }

  /** The request as this model gets it: what its entry asks, under what the caller says. */
  bodyFor(model: Model): ChatBody {
    const { body, protocol = "chat" } = this.begun
    if (model.params === undefined || this.request.operation !== undefined) return body
    if (this.asked?.model === model) return this.asked.body
    const { added, body: merged } = parametrised(body, protocol, model.params, model)
    this.asked = { model, body: merged }
    if (added !== null) (this.added ??= new Map()).set(model.id, added)
    return merged
  }

  called(model: Model["id"], startedMs: number, step: Step | null): void {
    this.call = { model, startedMs, step }
    this.begun.onCall?.(model)
  }

  /** Since the call under way began; null if there is none. */
  callMs(nowMs: number): number | null {
    return this.call === null ? null : nowMs - this.call.startedMs
  }

  /** The model has begun to answer, and no other is asked. */
  answering(nowMs: number): void {
    this.waitedMs += this.callMs(nowMs) ?? 0
  }

  /** From here on this tells what is known of the answer. */
  noteFacts(facts: () => Facts): void {
    this.facts = facts
  }

  /** Makes an attempt of the call that is under way; null if there is none. */
  ended(nowMs: number, ending: Ending): { readonly attempt: Attempt; readonly step: Step | null } | null {
    const { call } = this
    if (call === null) return null
    this.call = null
    const attempt: Attempt = {
      model: call.model,
      latencyMs: nowMs - call.startedMs,
      ok: ending._tag === "Answered",
      error: ending._tag === "Answered" ? null : ending.reason,
      status: statusOf(ending)
    }
    this.attempts.push(attempt)
    if (ending._tag === "Failed") {
      this.waitedMs += attempt.latencyMs
      if (ending.failure !== null) this.errors.push(ending.failure)
    }
    return { attempt, step: call.step }
  }

  /** The last call has answered, and another model is asked all the same; its answer cost that much, USD. */
  declined(costUsd: number | null): Attempt | null {
    this.declinedUsd += costUsd ?? 0
    return this.attempts.at(-1) ?? null
  }

  /** What was passed on is the answer after all: no other model had one. */
  answeredBy(attempt: Attempt | null, costUsd: number | null): void {
    this.answer = attempt
    this.declinedUsd -= costUsd ?? 0
  }

  settled(): void {
    this.hasOutcome = true
  }

  /** What is learned from. Its latency is that of the last call: what came before it was another model's. */
  record(ending: Ending): DecisionRecord & { readonly outcome: Outcome } {
    const { attempts, decision } = this
    const last = this.answer ?? attempts.at(-1)
    const { costUsd, details, firstTokenMs, outputTokens, said, usage } = this.answerFacts
    const refused = ending._tag === "Answered" && said?.isRefusal === true ? refusedError : null
    const error = ending._tag === "Answered" ? refused : ending.reason
    return {
      decision,
      attempts,
      outcome: {
        model: last?.model ?? decision.chosen,
        ok: ending._tag === "Answered",
        aborted: ending._tag === "Aborted",
        finishReason: said?.finishReason ?? null,
        inputTokens: usage?.inputTokens ?? null,
        outputTokens: usage?.outputTokens ?? outputTokens,
        costUsd: costUsd === null ? null : costUsd + this.declinedUsd,
        latencyMs: last?.latencyMs ?? 0,
        firstTokenMs,
        // What the last model said is closer to the cause than how the request ended.
        error: ending._tag === "Failed" ? (last?.error ?? error) : error,
        details: last === undefined ? details : this.withAdded(last.model, details)
      },
      prompt: this.begun.prompt
    }
  }

  /** With what the call had besides. */
  private withAdded(model: Model["id"], details: OutcomeDetails | null): OutcomeDetails | null {
    const params = this.added?.get(model)
    return params === undefined ? details : { ...details, params }
  }

  /** For the client: what was tried. */
  get attemptsTold() {
    return this.attempts.map(({ error, model, status }) => ({ model, reason: error ?? "aborted", status }))
  }
}
