import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { isBarrier } from "../../domain/routing/Constraint.ts"
import * as GenAi from "../../domain/observing/GenAi.ts"
import { type Decision, ranking } from "../../domain/routing/Decision.ts"
import { faults } from "../../domain/routing/Fault.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { refusedError } from "../../domain/routing/Outcome.ts"
import type { Attempt } from "../../domain/routing/Outcome.ts"
import { NoEligibleModel } from "../../services/learning/BanditState.ts"
import { type CallLimits, ProviderError } from "../../services/models/LanguageModels.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { AllModelsFailed, UpstreamRejected } from "../../services/routing/Router.ts"
import type { CallResult, TelemetryShape } from "../../services/observing/Telemetry.ts"
import type { TracingShape } from "../../services/observing/Tracing.ts"
import type { Circuits } from "./Circuits.ts"
import type { Experience } from "./Experience.ts"
import type { Deadlines } from "./Deadlines.ts"
import * as Failures from "./Failures.ts"
import * as Lines from "./Lines.ts"
import * as Steps from "./Steps.ts"
import * as Trial from "./Trial.ts"

/** A request fails on at most so many models; those that cannot serve it do not count. */
const mostCounted = 3

/** Of the time that is left, what a model may take to answer while another one could answer instead. */
const hangShare = 0.5
/** With less time than this no further model is tried: it could only be blamed for the one before. */
const leastMillis = 50

export interface Attempts {
  /** Down the ranking until a model answers or the time is up. The call that answers is still under way then. */
  readonly run: <A>(
    trial: Trial.Trial,
    call: (model: Model, limits: CallLimits) => Effect.Effect<A, ProviderError>
  ) => Effect.Effect<
    { readonly answer: A; readonly model: Model },
    AllModelsFailed | UpstreamRejected | NoEligibleModel
  >
  /** Ends the call that is under way, if there is one; its model's circuit hears of it. Completes at once. */
  readonly end: (trial: Trial.Trial, ending: Trial.Ending) => Effect.Effect<void>
  /** Told of each decision that had the choice: an outage counts those that its model was left out of. */
  readonly decided: (decision: Decision | NoEligibleModel) => void
  readonly remainingMs: (trial: Trial.Trial) => number
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
  readonly nowMillis: () => number
  readonly nowMs: () => number
}

/** The calls that a request makes, one after another; they open and close the circuits. */
export const make = ({
  catalog,
  circuits,
  deadlines,
  experience,
  isDebug,
  nowMillis,
  nowMs,
  requestTimeoutMs,
  telemetry,
  tracing
}: Parts): Attempts => {
  const remainingMs = (trial: Trial.Trial) => requestTimeoutMs - (nowMs() - trial.startedMs)

  const run: Attempts["run"] = Effect.fnUntraced(function* (trial, call) {
    const candidates = [...candidatesOf(trial)]
    const isBarred = ({ id }: Model) => id !== trial.request.pinned && circuits.barrier(id) !== null
    yield* circuits.watch
    let counted = 0
    for (const [index, model] of candidates.entries()) {
      const leftMs = remainingMs(trial)
      if (counted === mostCounted || (trial.attempts.length > 0 && leftMs < leastMillis)) break
      // Barred since the decision was made; who names a model insists on it.
      if (isBarred(model)) continue
      const headers = begin(trial, model)
      const mayFallBack = counted + 1 < mostCounted && candidates.slice(index + 1).some((other) => !isBarred(other))
      const limitMs = mayFallBack ? hangShare * leftMs : leftMs
      const answer = yield* Effect.either(
        deadlines.within(
          limitMs,
          () => late(model),
          call(model, { ...experience.limits(model, trial.body), timeoutMs: Math.max(1, leftMs), headers })
        )
      )
      if (Either.isRight(answer)) {
        trial.waitedMs += nowMs() - (trial.current?.startedMs ?? nowMs())
        experience.answered(model, trial.request, trial.errors)
        return { answer: answer.right, model }
      }
      const error = answer.left
      trial.errors.push(error)
      yield* end(trial, Trial.failed(error.reason, error))
      const { next } = faults[error.reason]
      if (next === "none") break
      // Now it is known how to ask this model.
      if (experience.refused(model, trial.body, error)) candidates.splice(index + 1, 0, model)
      if (next === "counted") counted++
    }
    return yield* trial.attempts.length === 0
      ? Failures.allCircuitsOpen(trial.decision, circuits)
      : Failures.allFailed(trial, circuits)
  })

  /** The chosen one and those to fall back to. */
  const candidatesOf = ({ decision, request }: Trial.Trial): ReadonlyArray<Model> => {
    const order = request.pinned !== null && !request.fallback ? [decision.chosen] : ranking(decision)
    return order.flatMap((id) => catalog.current().byId.get(id) ?? [])
  }

  /** Answers the headers by which the call joins the request's trace. */
  const begin = (trial: Trial.Trial, model: Model) => {
    circuits.of(model.id).enter(nowMillis())
    const step = tracing.step(trial.span, GenAi.spanName(model), "client")
    trial.current = { model: model.id, startedMs: nowMs(), step }
    trial.onCall?.(model.id)
    return tracing.headers(step?.span ?? trial.span)
  }

  const end: Attempts["end"] = (trial, ending) =>
    Effect.suspend(() => {
      const step = trial.current?.step ?? null
      const ended = Trial.endCurrent(trial, nowMs(), ending)
      if (ended === null) return Effect.void
      if (step !== null) Steps.endAttempt(step, catalog.current(), trial, ended, ending)
      telemetry.called(ended.model, resultOf(trial, ending), ended.latencyMs / 1000)
      if (ending._tag === "Failed") trial.waitedMs += ended.latencyMs
      const news = tellCircuit(trial, ended, ending)
      return isDebug ? Effect.zipRight(Lines.called(trial, ended), news) : news
    })

  /** Says what is new of the model. A refusal is an answer of the model. */
  const tellCircuit = (trial: Trial.Trial, ended: Attempt, ending: Trial.Ending): Effect.Effect<void> => {
    const circuit = circuits.of(ended.model)
    const now = nowMillis()
    if (ending._tag === "Aborted") {
      circuit.abandoned()
      return Effect.void
    }
    const heard = ending._tag === "Failed" ? faults[ending.reason].circuit : "answer"
    if (ending._tag === "Failed" && heard !== "answer") {
      const { failure } = ending
      const seconds = failure?.retryAfterSeconds ?? null
      if (seconds !== null && seconds > 0) circuit.paused(now, seconds)
      const opened = circuit.failed(now, Failures.heardBy(trial, heard === "doubt", failure))
      return opened?.isNews === true ? Lines.outageBegan(trial, ended, opened.forMillis) : Effect.void
    }
    const outage = circuit.succeeded(now)
    return outage === null ? Effect.void : Lines.outageEnded(trial, ended, outage, now)
  }

  const decided: Attempts["decided"] = (decision) => {
    const models = decision instanceof NoEligibleModel ? decision.excluded : decision.candidates
    for (const { excludedBy, model } of models) if (isBarrier(excludedBy)) circuits.keptAway(model)
  }

  return { run, end, decided, remainingMs }
}

const resultOf = (trial: Trial.Trial, ending: Trial.Ending): CallResult =>
  ending._tag === "Answered"
    ? trial.facts().said?.isRefusal === true
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
