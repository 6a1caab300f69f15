import type { Clock } from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as GenAi from "../../domain/observing/GenAi.ts"
import { ranking } from "../../domain/routing/Decision.ts"
import { faults } from "../../domain/routing/Fault.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { refusedError } from "../../domain/routing/Outcome.ts"
import type { Attempt } from "../../domain/routing/Outcome.ts"
import type { NoEligibleModel } from "../../services/learning/BanditState.ts"
import { type CallLimits, ProviderError } from "../../services/models/LanguageModels.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { AllModelsFailed, UpstreamRejected } from "../../services/routing/Router.ts"
import type { CallResult, TelemetryShape } from "../../services/observing/Telemetry.ts"
import type { TracingShape } from "../../services/observing/Tracing.ts"
import { monotonicMs } from "./MonotonicTime.ts"
import type { Circuits } from "./Circuits.ts"
import type { Experience } from "./Experience.ts"
import type { Deadlines } from "./Deadlines.ts"
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

export interface Attempts {
  /** Down the ranking until a model answers or the time is up. The call that answers is still under way then. */
  readonly run: <A>(
    routed: RoutedRequest,
    call: (model: Model, limits: CallLimits) => Effect.Effect<A, ProviderError>
  ) => Effect.Effect<
    { readonly answer: A; readonly model: Model },
    AllModelsFailed | UpstreamRejected | NoEligibleModel
  >
  /** Ends the call that is under way, if there is one; its model's circuit hears of it. Completes at once. */
  readonly end: (routed: RoutedRequest, ending: Ending) => Effect.Effect<void>
  readonly remainingMs: (routed: RoutedRequest) => number
}

interface Parts {
  readonly catalog: ModelCatalogShape
  readonly circuits: Circuits
  readonly deadlines: Deadlines
  readonly experience: Experience
  readonly telemetry: Pick<TelemetryShape, "called">
  readonly tracing: Pick<TracingShape, "step" | "headers">
  readonly requestTimeoutMs: number
  /** Says each call. */
  readonly isDebug: boolean
  readonly clock: Clock
}

/** The calls that a request makes, one after another; they open and close the circuits. */
export const make = ({
  catalog,
  circuits,
  clock,
  deadlines,
  experience,
  isDebug,
  requestTimeoutMs,
  telemetry,
  tracing
}: Parts): Attempts => {
  const remainingMs = (routed: RoutedRequest) => requestTimeoutMs - (monotonicMs(clock) - routed.begun.startedMs)

  const run: Attempts["run"] = Effect.fnUntraced(function* (routed, call) {
    const candidates = [...candidatesOf(routed)]
    const isBarred = ({ id }: Model) => id !== routed.request.pinned && circuits.barrier(id) !== null
    let counted = 0
    for (const [index, model] of candidates.entries()) {
      const leftMs = remainingMs(routed)
      if (counted === mostCounted || (routed.attempts.length > 0 && leftMs < leastMillis)) break
      // Barred since the decision was made; who names a model insists on it.
      if (isBarred(model)) continue
      const headers = begin(routed, model)
      const mayFallBack = counted + 1 < mostCounted && candidates.slice(index + 1).some((other) => !isBarred(other))
      const limitMs = mayFallBack ? hangShare * leftMs : leftMs
      const answer = yield* Effect.either(
        deadlines.within(
          limitMs,
          () => late(model),
          call(model, { ...experience.limits(model, routed.begun.body), timeoutMs: Math.max(1, leftMs), headers })
        )
      )
      if (Either.isRight(answer)) {
        routed.answering(monotonicMs(clock))
        experience.answered(model, routed.request, routed.errors)
        return { answer: answer.right, model }
      }
      const error = answer.left
      yield* end(routed, failed(error.reason, error))
      const { next } = faults[error.reason]
      if (next === "none") break
      // Now it is known how to ask this model.
      if (experience.refused(model, routed.begun.body, error)) candidates.splice(index + 1, 0, model)
      if (next === "counted") counted++
    }
    return yield* routed.attempts.length === 0
      ? Failures.allCircuitsOpen(routed.decision, circuits)
      : Failures.allFailed(routed, circuits)
  })

  /** The chosen one and those to fall back to. */
  const candidatesOf = ({ decision, request }: RoutedRequest): ReadonlyArray<Model> => {
    const order = request.pinned !== null && !request.fallback ? [decision.chosen] : ranking(decision)
    return order.flatMap((id) => catalog.current().byId.get(id) ?? [])
  }

  /** Answers the headers by which the call joins the request's trace. */
  const begin = (routed: RoutedRequest, model: Model) => {
    const { span } = routed.begun
    circuits.of(model.id).enter(clock.unsafeCurrentTimeMillis())
    const step = tracing.step(span, GenAi.spanName(model), "client")
    routed.called(model.id, monotonicMs(clock), step)
    return tracing.headers(step?.span ?? span)
  }

  const end: Attempts["end"] = (routed, ending) =>
    Effect.suspend(() => {
      const ended = routed.ended(monotonicMs(clock), ending)
      if (ended === null) return Effect.void
      const { attempt, step } = ended
      if (step !== null) RequestTrace.endAttempt(step, catalog.current(), routed, attempt, ending)
      telemetry.called(attempt.model, resultOf(routed, ending), attempt.latencyMs / 1000)
      const news = tellCircuit(routed, attempt, ending)
      return isDebug ? Effect.zipRight(RoutingLog.called(routed, attempt), news) : news
    })

  /** Says what is new of the model. A refusal is an answer of the model. */
  const tellCircuit = (routed: RoutedRequest, ended: Attempt, ending: Ending): Effect.Effect<void> => {
    const circuit = circuits.of(ended.model)
    const now = clock.unsafeCurrentTimeMillis()
    if (ending._tag === "Aborted") {
      circuit.abandoned()
      return Effect.void
    }
    const heard = ending._tag === "Failed" ? faults[ending.reason].circuit : "answer"
    if (ending._tag === "Failed" && heard !== "answer") {
      const { failure } = ending
      const seconds = failure?.retryAfterSeconds ?? null
      if (seconds !== null && seconds > 0) circuit.paused(now, seconds)
      const opened = circuit.failed(now, Failures.heardBy(routed, heard === "doubt", failure))
      return opened?.isNews === true ? RoutingLog.outageBegan(routed, ended, opened.forMillis) : Effect.void
    }
    const outage = circuit.succeeded(now)
    return outage === null ? Effect.void : RoutingLog.outageEnded(routed, ended, outage, now)
  }

  return { run, end, remainingMs }
}

const resultOf = (routed: RoutedRequest, ending: Ending): CallResult =>
  ending._tag === "Answered"
    ? routed.said.said?.isRefusal === true
      ? refusedError
      : "ok"
    : ending._tag === "Aborted"
      ? "aborted"
      : ending.reason

const late = (model: Model) =>
  new ProviderError({
    model: model.id,
    reason: "timeout",
    status: null,
    retryAfterSeconds: null,
    detail: "no answer in time"
  })
