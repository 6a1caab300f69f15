import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Duration from "effect/Duration"
import { costUsd } from "../domain/Cost.ts"
import { type Decision, ranking, type RoutingRequest } from "../domain/Decision.ts"
import { DecisionId, type ModelId, uuidV7Millis } from "../domain/Ids.ts"
import type { Model } from "../domain/Model.ts"
import { storablePrompt } from "../domain/StorableText.ts"
import { BanditState, NoEligibleModel } from "../services/BanditState.ts"
import { Database } from "../services/Database.ts"
import { FeatureExtractor } from "../services/FeatureExtractor.ts"
import { Ids } from "../services/Ids.ts"
import {
  type CallLimits,
  type ChatStream,
  LanguageModels,
  ProviderError,
  type Usage
} from "../services/LanguageModels.ts"
import { LearningLog } from "../services/LearningLog.ts"
import { ModelCatalog } from "../services/ModelCatalog.ts"
import {
  AllModelsFailed,
  type AnswerHead,
  type Caller,
  DecisionNotFound,
  IdempotencyConflict,
  Interrupted,
  OutcomeConflict,
  ParkingFull,
  Router,
  type StreamSink,
  UnknownModel,
  UpstreamRejected
} from "../services/Router.ts"
import { Settings } from "../services/Settings.ts"
import { Telemetry } from "../services/Telemetry.ts"
import * as Circuit from "./router/Circuit.ts"
import * as Deadlines from "./router/Deadlines.ts"
import * as SessionFeedback from "./router/SessionFeedback.ts"
import * as StreamRelay from "./router/StreamRelay.ts"
import * as Trial from "./router/Trial.ts"

/** A request is tried on at most so many models. */
const mostAttempts = 3

/** Of the time that is left, what a model may take to answer while another one could answer instead. */
const hangShare = 0.5
/** With less time than this no further model is tried: it could only be blamed for the one before. */
const leastMillis = 50

/** An id may be ahead of this clock by as much: the clocks of two replicas differ. */
const clockSkewMillis = 60_000

export const layer: Layer.Layer<
  Router,
  never,
  BanditState | LanguageModels | ModelCatalog | FeatureExtractor | LearningLog | Database | Settings | Ids | Telemetry
> = Layer.scoped(
  Router,
  Effect.gen(function* () {
    const state = yield* BanditState
    const models = yield* LanguageModels
    const catalog = yield* ModelCatalog
    const extractor = yield* FeatureExtractor
    const log = yield* LearningLog
    const database = yield* Database
    const { http, learning } = yield* Settings
    const ids = yield* Ids
    const telemetry = yield* Telemetry
    const clock = yield* Effect.clock
    const deadlines = yield* Deadlines.make(clock)

    const nowMillis = () => clock.unsafeCurrentTimeMillis()
    /** For differences, finer than a millisecond. */
    const nowMs = () => Number(clock.unsafeCurrentTimeNanos()) / 1e6
    const requestTimeoutMs = Duration.toMillis(http.requestTimeout)
    const feedbackExpiryMs = Duration.toMillis(learning.feedbackExpiry)

    const circuits = new Map<ModelId, Circuit.Circuit>()
    const circuitOf = (model: ModelId) => {
      const known = circuits.get(model)
      if (known !== undefined) return known
      const made = Circuit.make()
      circuits.set(model, made)
      return made
    }
    const isCircuitOpen = (model: ModelId) => circuits.get(model)?.isOpen(nowMillis()) ?? false

    const promptOf = (request: RoutingRequest) => (learning.storePrompts ? storablePrompt(request.text) : null)

    // The request path, in the order in which it is walked.

    const complete: Router["Type"]["complete"] = Effect.fnUntraced(function* (request, body, caller) {
      const startedMs = nowMs()
      const decision = yield* decide(request, caller)
      const trial = Trial.make(decision, startedMs, promptOf(request))
      return yield* attempt(trial, request, (model, limits) => models.complete(model, body, limits)).pipe(
        Effect.map(({ answer, model }) => {
          const { usage } = answer
          succeeded(trial, answer.status)
          const { costUsd, latencyMs } = learn(
            trial,
            Trial.answered({ usage, finishReason: answer.finishReason, costUsd: costOf(model, usage) })
          )
          return {
            ...headOf(trial, model),
            status: answer.status,
            body: { ...answer.body, model: model.id },
            usage,
            costUsd,
            latencyMs
          }
        }),
        Effect.onExit((exit) => learnIfBroken(trial, exit))
      )
    })

    const stream: Router["Type"]["stream"] = Effect.fnUntraced(function* (request, body, caller, open) {
      const startedMs = nowMs()
      const decision = yield* decide(request, caller)
      const trial = Trial.make(decision, startedMs, promptOf(request))
      const includeUsage = StreamRelay.asksForUsage(body)
      let sink: StreamSink | null = null
      yield* Effect.acquireUseRelease(
        Scope.make(),
        (scope) =>
          Effect.flatMap(
            attempt(trial, request, (model, limits) => Scope.extend(models.stream(model, body, limits), scope)),
            ({ answer, model }) => {
              sink = open(headOf(trial, model))
              return relay(trial, answer, model, includeUsage, sink)
            }
          ),
        (scope, exit) => Scope.close(scope, exit)
      ).pipe(
        Effect.onExit((exit) =>
          Effect.suspend(() => {
            const cut = !trial.settled && sink !== null && Exit.isInterrupted(exit)
            return Effect.zipRight(
              learnIfBroken(trial, exit),
              cut && sink !== null ? sink.fail(new Interrupted()) : Effect.void
            )
          })
        )
      )
    })

    /** Features, then the choice; the draw is the bandit's, the masks the request's. */
    const decide = (request: RoutingRequest, caller: Caller): Effect.Effect<Decision, NoEligibleModel | UnknownModel> =>
      Effect.suspend((): Effect.Effect<Decision, NoEligibleModel | UnknownModel> => {
        if (request.pinned !== null && !catalog.current().byId.has(request.pinned)) {
          return Effect.fail(new UnknownModel({ model: request.pinned }))
        }
        const startedMs = nowMs()
        const createdAtMillis = nowMillis()
        const features = extractor.extract(request.text)
        const decision = state.decide({
          id: DecisionId(ids.uuidV7(createdAtMillis)),
          createdAtMillis,
          owner: caller.owner,
          request,
          features,
          isCircuitOpen
        })
        if (decision instanceof NoEligibleModel) return Effect.fail(decision)
        telemetry.routed((nowMs() - startedMs) / 1000)
        telemetry.modelSelected(decision.chosen, decision.policy.algorithm)
        return Effect.succeed(decision)
      })

    const remainingMs = (trial: Trial.Trial) => requestTimeoutMs - (nowMs() - trial.startedMs)

    /** Down the ranking until a model answers or the time is up. */
    const attempt = Effect.fnUntraced(function* <A>(
      trial: Trial.Trial,
      request: RoutingRequest,
      call: (model: Model, limits: CallLimits) => Effect.Effect<A, ProviderError>
    ) {
      const candidates = candidatesOf(trial.decision, request)
      for (const [index, model] of candidates.entries()) {
        const leftMs = remainingMs(trial)
        if (trial.attempts.length === mostAttempts || (trial.attempts.length > 0 && leftMs < leastMillis)) break
        // Open since the decision was made; who names a model insists on it.
        if (model.id !== request.pinned && isCircuitOpen(model.id)) continue
        begin(trial, model)
        const others = trial.attempts.length + 1 < mostAttempts ? candidates.slice(index + 1) : []
        const limitMs = others.some(({ id }) => !isCircuitOpen(id)) ? hangShare * leftMs : leftMs
        const answer = yield* Effect.either(
          deadlines.within(limitMs, () => late(model), call(model, { timeoutMs: Math.max(1, leftMs) }))
        )
        if (Either.isRight(answer)) {
          trial.waitedMs += nowMs() - (trial.current?.startedMs ?? nowMs())
          return { answer: answer.right, model }
        }
        const error = answer.left
        trial.errors.push(error)
        const openedForMs = end(trial, error.reason, error)
        if (openedForMs !== null) yield* sayCircuitOpened(error, openedForMs)
        if (error.reason === "rejected") {
          return yield* new UpstreamRejected({ model: model.id, status: error.status ?? 400, detail: error.detail })
        }
      }
      return yield* trial.attempts.length === 0 ? allCircuitsOpen(trial.decision) : allFailed(trial)
    })

    /** The chosen one and those to fall back to. */
    const candidatesOf = (decision: Decision, request: RoutingRequest): ReadonlyArray<Model> => {
      const order = request.pinned !== null && !request.fallback ? [decision.chosen] : ranking(decision)
      return order.flatMap((id) => catalog.current().byId.get(id) ?? [])
    }

    const begin = (trial: Trial.Trial, model: Model) => {
      circuitOf(model.id).enter(nowMillis())
      trial.current = { model: model.id, startedMs: nowMs() }
    }

    /** The call that is under way failed; answers for how long that opened the circuit, in milliseconds, or null. */
    const end = (trial: Trial.Trial, reason: string, failure: ProviderError | null): number | null => {
      const ended = Trial.endCurrent(trial, nowMs(), { error: reason, status: failure?.status ?? null })
      const circuit = ended === null ? undefined : circuits.get(ended.model)
      if (ended === null || circuit === undefined) return null
      trial.waitedMs += ended.latencyMs
      if (reason !== "rejected") return circuit.failed(nowMillis(), failure?.retryAfterSeconds ?? null)
      circuit.succeeded()
      return null
    }

    const sayCircuitOpened = (error: ProviderError, millis: number) =>
      Effect.logWarning(
        `model ${error.model} failed again and again (${error.reason}): no request for ${millis / 1000} s`,
        {
          model_id: error.model
        }
      )

    /** A whole answer: the session goes on with the model that gave it. */
    const succeeded = (trial: Trial.Trial, status: number) => {
      const ended = Trial.endCurrent(trial, nowMs(), { error: null, status })
      if (ended === null) return
      circuits.get(ended.model)?.succeeded()
      const { chosen, owner, request } = trial.decision
      if (request.sessionId !== null && ended.model !== chosen) state.moveSession(owner, request.sessionId, ended.model)
    }

    /** Offered to a bounded queue: never waits for the database. */
    const learn = (trial: Trial.Trial, ending: Trial.Ending) => {
      trial.settled = true
      const record = Trial.recordOf(trial, ending)
      log.offer(record)
      return record.outcome
    }

    /** Whatever ends a request is an outcome. */
    const learnIfBroken = (trial: Trial.Trial, exit: Exit.Exit<unknown, unknown>) =>
      Effect.sync(() => {
        if (trial.settled || Exit.isSuccess(exit)) return
        if (Exit.isInterrupted(exit)) return learnAborted(trial, "aborted")
        end(trial, "unexpected", null)
        learn(trial, Trial.failed(trial.attempts.at(-1)?.error ?? "unexpected"))
      })

    /** The client left, does not read, or the shutdown cut it: nothing about the model. */
    const learnAborted = (trial: Trial.Trial, error: string) => {
      const ended = Trial.endCurrent(trial, nowMs(), { error, status: null })
      if (ended !== null) circuits.get(ended.model)?.abandoned()
      learn(trial, { ...Trial.failed(error), aborted: true })
    }

    const headOf = (trial: Trial.Trial, model: Model): AnswerHead => ({
      decisionId: trial.decision.id,
      model: model.id,
      reason: model.id === trial.decision.chosen ? trial.decision.reason : "fallback",
      propensity: trial.decision.propensity,
      simulated: model.simulated,
      overheadMs: Math.max(0, nowMs() - trial.startedMs - trial.waitedMs)
    })

    /** Event by event to the client. The sink hears of every end, and every end is an outcome. */
    const relay = (
      trial: Trial.Trial,
      source: ChatStream,
      model: Model,
      includeUsage: boolean,
      sink: StreamSink
    ): Effect.Effect<void> => {
      const firstTokenMs = trial.current === null ? null : nowMs() - trial.current.startedMs
      const chunks = StreamRelay.make({ model: model.id, includeUsage, costUsd: (usage) => costOf(model, usage) })
      let clientReads = true

      const pump = Effect.gen(function* () {
        while (true) {
          const payloads = yield* source.next
          if (payloads.length === 0) return
          for (const payload of payloads) {
            const relayed = chunks.relay(payload)
            if (relayed === null) continue
            clientReads = false
            yield* sink.event(relayed)
            clientReads = true
          }
        }
      })

      const facts = () => ({
        usage: chunks.usage(),
        outputTokens: Math.ceil(chunks.characters() / 4),
        costUsd: costOf(model, chunks.usage()),
        finishReason: chunks.finishReason(),
        firstTokenMs
      })

      const broken = (reason: string, error: ProviderError | null) => {
        if (reason === "timeout" && !clientReads) learnAborted(trial, "client_slow")
        else {
          end(trial, reason, error)
          learn(trial, { ...Trial.failed(reason), ...facts() })
        }
        return sink.fail(
          new AllModelsFailed({ timedOut: reason === "timeout", retryAfterSeconds: null, attempts: attemptsOf(trial) })
        )
      }

      return deadlines
        .within(remainingMs(trial), () => "timeout" as const, Effect.either(pump))
        .pipe(
          Effect.matchEffect({
            onFailure: (reason) => broken(reason, null),
            onSuccess: Either.match({
              onLeft: (error) => broken(error.reason, error),
              onRight: () => {
                succeeded(trial, source.status)
                learn(trial, Trial.answered(facts()))
                return sink.end
              }
            })
          })
        )
    }

    // Decisions that callers act upon themselves, and what is said later.

    const route: Router["Type"]["route"] = Effect.fnUntraced(function* (request, caller) {
      const decision = yield* decide(request, caller)
      yield* log.record({ decision, attempts: [], outcome: null, prompt: promptOf(request) })
      return decision
    })

    /** Fails unless the id is of an age at which its decision can still be judged. */
    const plausible = (id: DecisionId) =>
      Effect.suspend(() => {
        const ageMillis = nowMillis() - uuidV7Millis(id)
        return ageMillis > feedbackExpiryMs || ageMillis < -clockSkewMillis
          ? Effect.fail(new DecisionNotFound({ decisionId: id }))
          : Effect.void
      })

    const report: Router["Type"]["report"] = Effect.fnUntraced(function* (report) {
      yield* plausible(report.decisionId)
      const { position, status } = yield* log.report(report)
      if (status === "unknown") return yield* new DecisionNotFound({ decisionId: report.decisionId })
      if (status === "conflict") return yield* new OutcomeConflict({ decisionId: report.decisionId })
      yield* state.caughtUp(position)
    })

    const feedback: Router["Type"]["feedback"] = Effect.fnUntraced(function* (submission) {
      yield* plausible(submission.decisionId)
      const { id, position, status } = yield* log.feedback(submission)
      if (status === "not_yours") return yield* new DecisionNotFound({ decisionId: submission.decisionId })
      if (status === "conflict") return yield* new IdempotencyConflict()
      if (status === "parking_full") return yield* new ParkingFull()
      if (status !== "parked") yield* state.caughtUp(position)
      return { id, status }
    })

    const sessionFeedback = SessionFeedback.make({ log, database, state, ids, nowMillis, expiryMs: feedbackExpiryMs })

    const decisions: Router["Type"]["decisions"] = (query) => database.decisions(log.router.id, query)

    const decision: Router["Type"]["decision"] = Effect.fnUntraced(function* (id, caller) {
      const pending = log.pendingDecision(id)
      const found =
        pending === undefined
          ? yield* database.decision(log.router.id, id)
          : Option.some({ record: pending, feedback: [] })
      if (Option.isNone(found) || found.value.record.decision.owner !== caller.owner) {
        return yield* new DecisionNotFound({ decisionId: id })
      }
      return found.value
    })

    const routed: Router["Type"]["models"] = () =>
      catalog.current().models.map((model) => ({
        model: state.isDisabled(model.id) ? { ...model, unavailable: "disabled by an operator" } : model,
        learned: state.learned(model.id),
        circuit: circuits.get(model.id)?.state(nowMillis()) ?? "closed"
      }))

    return Router.of({
      complete,
      stream,
      route,
      report,
      feedback,
      sessionFeedback,
      decisions,
      decision,
      models: routed
    })
  })
)

const costOf = (model: Model, usage: Usage | null) =>
  usage === null ? null : costUsd(model, usage.inputTokens, usage.outputTokens)

const late = (model: Model) =>
  new ProviderError({
    model: model.id,
    reason: "timeout",
    status: null,
    retryAfterSeconds: null,
    detail: "no answer in time"
  })

const attemptsOf = ({ attempts }: Trial.Trial) =>
  attempts.map(({ error, model, status }) => ({ model, reason: error ?? "aborted", status }))

const allFailed = (trial: Trial.Trial) => {
  const limited = trial.errors.every((error) => error.reason === "rate_limited")
  return new AllModelsFailed({
    timedOut: trial.errors.at(-1)?.reason === "timeout",
    retryAfterSeconds: limited ? Math.min(...trial.errors.map((error) => error.retryAfterSeconds ?? 1)) : null,
    attempts: attemptsOf(trial)
  })
}

const allCircuitsOpen = (decision: Decision) =>
  new NoEligibleModel({
    excluded: decision.candidates.map(({ excludedBy, model }) => ({ model, excludedBy: excludedBy ?? "circuit" }))
  })
