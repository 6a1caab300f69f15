import type { Clock } from "effect/Clock"
import * as GenAi from "../../domain/observing/GenAi.ts"
import { ranking } from "../../domain/routing/Decision.ts"
import { faults } from "../../domain/routing/Fault.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { refusedError } from "../../domain/routing/Outcome.ts"
import type { Attempt } from "../../domain/routing/Outcome.ts"
import type { NoEligibleModel } from "../../services/learning/BanditState.ts"
import { type CallLimits, type ChatBody, ProviderError } from "../../services/models/LanguageModels.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { AllModelsFailed, UpstreamRejected } from "../../services/routing/Router.ts"
import type { CallResult, TelemetryShape } from "../../services/observing/Telemetry.ts"
import type { TracingShape } from "../../services/observing/Tracing.ts"
import { monotonicMs } from "../../services/running/MonotonicTime.ts"
import type { Circuits } from "./Circuits.ts"
import type { Experience } from "./Experience.ts"
import * as Failures from "./Failures.ts"
import * as RoutingLog from "./RoutingLog.ts"
import * as RequestTrace from "./RequestTrace.ts"
import { type Ending, failed, type RoutedRequest } from "./RoutedRequest.ts"

/** A request fails on at most so many models; those that cannot serve it do not count. */
const mostCounted = 3

/** Of the time that is left, what a model may take to answer while another one could answer instead. */
const hangShare = 0.5
/** With less time than this no further model is tried: it could only be blamed for the one before. */
const leastMillis = 50

interface Parts {
  readonly catalog: ModelCatalogShape
  readonly circuits: Circuits
  readonly experience: Experience
  readonly telemetry: Pick<TelemetryShape, "called">
  readonly tracing: Pick<TracingShape, "step" | "headers">
  readonly requestTimeoutMs: number
  /** Says each call. */
  readonly isDebug: boolean
  readonly clock: Clock
}

/** The next call of a request. */
export interface NextCall {
  readonly model: Model
  readonly body: ChatBody
  readonly limits: CallLimits
  /** After which another model is tried, or none. */
  readonly limitMs: number
}

/** The models that a request may still be sent to, in their order. */
export interface Untried {
  readonly models: Array<Model>
  /** Failures so far that count. */
  counted: number
}

/** The calls that a request makes, one after another; they open and close the circuits. Whole, because each call's end decides the next. */
export class Attempts {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  remainingMs({ begun: { startedMs } }: RoutedRequest): number {
    const { clock, requestTimeoutMs } = this.#parts
    return requestTimeoutMs - (monotonicMs(clock) - startedMs)
  }

  /** The chosen one and those to fall back to. */
  untried({ decision, request }: RoutedRequest): Untried {
    const { byId } = this.#parts.catalog.current()
    const models: Array<Model> = []
    for (const id of request.pinned !== null && !request.fallback ? [decision.chosen] : ranking(decision)) {
      const model = byId.get(id)
      if (model !== undefined) models.push(model)
    }
    return { models, counted: 0 }
  }

  /** Begins the next call; null if there is none to make. */
  next(routed: RoutedRequest, untried: Untried): NextCall | null {
    const leftMs = this.remainingMs(routed)
    if (untried.counted === mostCounted || (routed.attempts.length > 0 && leftMs < leastMillis)) return null
    for (let model = untried.models.shift(); model !== undefined; model = untried.models.shift()) {
      // Barred since the decision was made; who names a model insists on it.
      if (this.#isBarred(routed, model)) continue
      const headers = this.#begin(routed, model)
      const mayFallBack =
        untried.counted + 1 < mostCounted && untried.models.some((other) => !this.#isBarred(routed, other))
      const body = routed.bodyFor(model)
      const { adjustments, dialect, streamUsage } = this.#parts.experience.limits(model, body)
      return {
        model,
        body,
        // An answer without an id of its own has the decision's.
        limits: {
          adjustments,
          dialect,
          streamUsage,
          timeoutMs: Math.max(1, leftMs),
          headers,
          protocol: routed.begun.protocol,
          forwarded: routed.begun.forwarded,
          answerId: routed.decision.id,
          inputTokens: routed.request.inputTokens
        },
        limitMs: mayFallBack ? hangShare * leftMs : leftMs
      }
    }
    return null
  }

  /** The call under way has declined, and another model may be asked instead. */
  passesOn(routed: RoutedRequest, untried: Untried): boolean {
    return (
      this.#parts.catalog.current().policy.passesOnRefusals === true &&
      untried.counted + 1 < mostCounted &&
      this.remainingMs(routed) >= leastMillis &&
      untried.models.some((model) => !this.#isBarred(routed, model))
    )
  }

  /** The call under way is the answer. */
  answers(routed: RoutedRequest, model: Model): void {
    routed.answering(monotonicMs(this.#parts.clock))
    this.#parts.experience.answered(model, routed.request, routed.errors)
  }

  /** The call under way has failed; says whether the next may be made. */
  failed(routed: RoutedRequest, untried: Untried, model: Model, error: ProviderError): boolean {
    this.end(routed, failed(error.reason, error))
    const { next } = faults[error.reason]
    if (next === "none") return false
    // Now it is known how to ask this model.
    if (this.#parts.experience.refused(model, routed.bodyFor(model), error)) untried.models.unshift(model)
    if (next === "counted") untried.counted++
    return true
  }

  /** What the client is told when no call was the answer. */
  failure(routed: RoutedRequest): AllModelsFailed | UpstreamRejected | NoEligibleModel {
    const { circuits } = this.#parts
    return routed.attempts.length === 0
      ? Failures.allCircuitsOpen(routed.decision, circuits)
      : Failures.allFailed(routed, circuits)
  }

  /** Ends the call that is under way, if there is one; its model's circuit hears of it. */
  end(routed: RoutedRequest, ending: Ending): void {
    const { catalog, clock, isDebug, telemetry } = this.#parts
    const ended = routed.ended(monotonicMs(clock), ending)
    if (ended === null) return
    const { attempt, step } = ended
    if (step !== null) RequestTrace.endAttempt(step, catalog.current(), routed, attempt, ending)
    telemetry.called(attempt.model, resultOf(routed, ending), attempt.latencyMs / 1000)
    if (isDebug) routed.begun.log(RoutingLog.called(routed, attempt))
    this.#tellCircuit(routed, attempt, ending)
  }

  #isBarred({ request }: RoutedRequest, { id }: Model): boolean {
    return id !== request.pinned && this.#parts.circuits.barrier(id) !== null
  }

  /** Answers the headers by which the call joins the request's trace. */
  #begin(routed: RoutedRequest, model: Model): CallLimits["headers"] {
    const { circuits, clock, tracing } = this.#parts
    const { span } = routed.begun
    circuits.of(model.id).enter(clock.unsafeCurrentTimeMillis())
    const step = span === undefined ? null : tracing.step(span, GenAi.spanName(model), "client")
    routed.called(model.id, monotonicMs(clock), step)
    return tracing.headers(step?.span ?? span)
  }

  /** Says what is new of the model. A refusal is an answer of the model. */
  #tellCircuit(routed: RoutedRequest, ended: Attempt, ending: Ending): void {
    const circuit = this.#parts.circuits.of(ended.model)
    if (ending._tag === "Aborted") return circuit.abandoned()
    const now = this.#parts.clock.unsafeCurrentTimeMillis()
    const heard = ending._tag === "Failed" ? faults[ending.reason].circuit : "answer"
    if (ending._tag === "Failed" && heard !== "answer") {
      const { failure } = ending
      const seconds = failure?.retryAfterSeconds ?? null
      if (seconds !== null && seconds > 0) circuit.paused(now, seconds)
      const opened = circuit.failed(now, Failures.heardBy(routed, heard === "doubt", failure))
      if (opened?.isNews === true) routed.begun.log(RoutingLog.outageBegan(routed, ended, opened.forMillis))
      return
    }
    const outage = circuit.succeeded(now)
    if (outage !== null) routed.begun.log(RoutingLog.outageEnded(routed, ended, outage, now))
  }
}

const resultOf = (routed: RoutedRequest, ending: Ending): CallResult =>
  ending._tag === "Answered"
    ? routed.answerFacts.said?.isRefusal === true
      ? refusedError
      : "ok"
    : ending._tag === "Aborted"
      ? "aborted"
      : ending.reason

/** The model, or a filter behind it, declined to answer. */
export const declined = (model: Model, status: number): ProviderError =>
  new ProviderError({
    model: model.id,
    reason: "declined",
    status,
    retryAfterSeconds: null,
    detail: "it declined to answer"
  })

/** The model did not answer within what it may take. */
export const late = (model: Model): ProviderError =>
  new ProviderError({
    model: model.id,
    reason: "timeout",
    status: null,
    retryAfterSeconds: null,
    detail: "no answer in time"
  })
