import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Decision, RoutingRequest } from "../../domain/routing/Decision.ts"
import { DecisionId, ModelId } from "../../domain/basics/Ids.ts"
import { adjustedText } from "../../domain/routing/Dialect.ts"
import { meantBy } from "../../domain/routing/ModelName.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { storablePrompt } from "../../domain/basics/StorableText.ts"
import { BanditState, type DecideInput, NoEligibleModel } from "../../services/learning/BanditState.ts"
import { Database } from "../../services/storage/Database.ts"
import { FeatureExtractor } from "../../services/routing/FeatureExtractor.ts"
import { Ids } from "../../services/running/Ids.ts"
import { type CallLimits, type ChatBody, LanguageModels } from "../../services/models/LanguageModels.ts"
import { LearningLog } from "../../services/learning/LearningLog.ts"
import { ModelCatalog } from "../../services/models/ModelCatalog.ts"
import {
  type AnswerHead,
  type Caller,
  Interrupted,
  Router,
  type RouterShape,
  type StreamHead,
  UnknownModel
} from "../../services/routing/Router.ts"
import { type Session, Sessions } from "../../services/routing/Sessions.ts"
import { Settings } from "../../services/running/Settings.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { Tracing } from "../../services/observing/Tracing.ts"
import * as Accounting from "./Accounting.ts"
import * as Afterwards from "./Afterwards.ts"
import * as Attempts from "./Attempts.ts"
import * as Circuits from "./Circuits.ts"
import * as Conversation from "./Conversation.ts"
import * as Experience from "./Experience.ts"
import * as Deadlines from "./Deadlines.ts"
import * as Learning from "./Settlement.ts"
import * as Lines from "./Lines.ts"
import { Opening } from "./Opening.ts"
import * as Relay from "./Relay.ts"
import * as Rewards from "./Rewards.ts"
import * as SessionFeedback from "./SessionFeedback.ts"
import * as Stats from "./StatsReader.ts"
import * as Steps from "./Steps.ts"
import * as Trial from "./Trial.ts"

export const layer: Layer.Layer<
  Router,
  never,
  | BanditState
  | Sessions
  | LanguageModels
  | ModelCatalog
  | FeatureExtractor
  | LearningLog
  | Database
  | Settings
  | Ids
  | Telemetry
  | Tracing
> = Layer.scoped(
  Router,
  Effect.gen(function* () {
    const state = yield* BanditState
    const sessions = yield* Sessions
    const models = yield* LanguageModels
    const catalog = yield* ModelCatalog
    const extractor = yield* FeatureExtractor
    const tracing = yield* Tracing
    const log = Steps.persisting(yield* LearningLog, tracing)
    const database = yield* Database
    const { http, learning: learningSettings, log: logSettings } = yield* Settings
    const ids = yield* Ids
    const telemetry = yield* Telemetry
    const clock = yield* Effect.clock
    const deadlines = yield* Deadlines.make(clock)

    const nowMillis = () => clock.unsafeCurrentTimeMillis()
    /** For differences, finer than a millisecond. */
    const nowMs = () => Number(clock.unsafeCurrentTimeNanos()) / 1e6

    /** Well before the first sign of life would be due. */
    const earlyMs = (2 / 3) * Duration.toMillis(http.streamKeepAlive)
    const requestTimeoutMs = Duration.toMillis(http.requestTimeout)
    const isDebug = logSettings.level === "DEBUG"
    const circuits = yield* Circuits.make({ catalog, nowMillis, telemetry })
    yield* circuits.watch
    const accounting = Accounting.make(catalog)
    const experience = Experience.make(clock, catalog)
    const attempts = Attempts.make({
      experience,
      catalog,
      circuits,
      deadlines,
      telemetry,
      tracing,
      requestTimeoutMs,
      isDebug,
      nowMillis,
      nowMs
    })
    const learning = Learning.make({
      accounting,
      attempts,
      catalog,
      experience,
      log,
      sessions,
      state,
      telemetry,
      tracing
    })
    const relay = Relay.make({ accounting, attempts, deadlines, learning, nowMs })

    // The request path, in the order in which it is walked.

    const complete: RouterShape["complete"] = Effect.fnUntraced(function* (request, body, caller) {
      const trial = yield* begin(request, body, caller)
      return yield* attempts
        .run(trial, (model, limits) => models.complete(model, body, named(trial, limits)))
        .pipe(
          Effect.flatMap(({ answer: { requestId, said, status, text }, model }) => {
            const account = accounting.of(model, trial.request, said, requestId)
            const { usage } = account
            trial.facts = () => ({ ...account, said, firstTokenMs: null })
            return Effect.map(learning.settle(trial, Trial.answered(status)), ({ costUsd, latencyMs }) => ({
              ...headOf(trial, model, requestId),
              status,
              text,
              usage,
              costUsd,
              latencyMs: latencyMs ?? 0
            }))
          }),
          Effect.onExit((exit) => learning.settleBroken(trial, exit))
        )
    })

    const stream: RouterShape["stream"] = Effect.fnUntraced(function* (request, body, caller, open) {
      const trial = yield* begin(request, body, caller)
      const opening = new Opening<AnswerHead>(deadlines, earlyMs, (head) => open(head ?? streamHead(trial, null, null)))
      yield* Effect.acquireUseRelease(
        Scope.make(),
        (scope) =>
          Effect.flatMap(
            attempts.run(trial, (model, limits) =>
              Scope.extend(models.stream(model, body, named(trial, limits)), scope)
            ),
            ({ answer, model }) =>
              relay(trial, answer, model, opening.answering(headOf(trial, model, answer.requestId)))
          ),
        (scope, exit) => Scope.close(scope, exit)
      ).pipe(
        Effect.onExit((exit) => {
          opening.close()
          const cut = trial.settled || !Exit.isInterrupted(exit) ? null : opening.sink
          return Effect.zipRight(learning.settleBroken(trial, exit), cut?.fail(new Interrupted()) ?? Effect.void)
        })
      )
    })

    /** An answer without an id of its own has the decision's. */
    const named = ({ decision }: Trial.Trial, limits: CallLimits): CallLimits => ({ ...limits, answerId: decision.id })

    /** A decision, and what comes of it. */
    const begin = (asked: RoutingRequest, body: ChatBody, caller: Caller) =>
      Effect.withFiberRuntime<Trial.Trial, NoEligibleModel | UnknownModel>(({ currentSpan: span }) => {
        const startedMs = nowMs()
        const request = meant(asked)
        const conversation =
          request.sessionId === null && request.pinned === null ? Conversation.of(body) : Conversation.none
        return Effect.map(decide(request, caller, conversation), (decision) =>
          Trial.make({
            decision,
            request,
            conversation,
            startedMs,
            prompt: promptOf(request),
            span,
            body,
            onCall: caller.onCall
          })
        )
      })

    /** With the model that the client means by the name it gave. */
    const meant = (request: RoutingRequest): RoutingRequest => {
      if (request.pinned === null) return request
      const { byId, providers } = catalog.current()
      const name = meantBy(
        request.pinned,
        (id) => ModelId.is(id) && byId.has(ModelId(id)),
        (provider) => providers.has(provider)
      )
      return name === request.pinned ? request : { ...request, pinned: name === null ? null : ModelId(name) }
    }

    /** Features, then the choice; the draw is the bandit's, the masks the request's. */
    const decide = (
      request: RoutingRequest,
      caller: Caller,
      conversation: Conversation.Conversation
    ): Effect.Effect<Decision, NoEligibleModel | UnknownModel> =>
      Effect.withFiberRuntime<Decision, NoEligibleModel | UnknownModel>(({ currentSpan: span }) => {
        if (request.pinned !== null && !catalog.current().byId.has(request.pinned)) {
          return Effect.fail(new UnknownModel({ model: request.pinned }))
        }
        const startedMs = nowMs()
        const createdAtMillis = nowMillis()
        const extracting = tracing.step(span, "features")
        const features = extractor.extract(request.text)
        extracting?.end({}, null)
        const deciding = tracing.step(span, "decide")
        const input: DecideInput = {
          id: DecisionId(ids.uuidV7(createdAtMillis)),
          createdAtMillis,
          owner: caller.owner,
          request,
          features,
          session: null,
          lacks: (model) => experience.lacks(model, request),
          inputTokens: (model) => experience.inputTokens(model, request.inputTokens),
          barrier: circuits.barrier
        }
        const made = (found: Decision | NoEligibleModel) => {
          const decision = found instanceof NoEligibleModel ? withWait(found) : found
          const tookMs = nowMs() - startedMs
          if (deciding !== null) Steps.endDecide(deciding, decision, span, tracing)
          if (request.pinned === null) attempts.decided(decision)
          if (!(decision instanceof NoEligibleModel)) telemetry.decided(decision, tookMs / 1000)
          const answer = decision instanceof NoEligibleModel ? Effect.fail(decision) : Effect.succeed(decision)
          return isDebug ? Effect.zipRight(Lines.decided(decision, tookMs), answer) : answer
        }
        const { pinned, sessionId } = request
        if (pinned !== null) return made(state.decide(input))
        if (sessionId !== null) return Effect.flatMap(decideInSession(input, sessionId), made)
        return conversation.earlier.length === 0
          ? made(state.decide(input))
          : Effect.flatMap(recalled(caller.owner, conversation), (session) => made(state.decide({ ...input, session })))
      })

    const withWait = ({ excluded, isAnyEnabled, kept }: NoEligibleModel) =>
      new NoEligibleModel({
        excluded,
        isAnyEnabled,
        retryAfterSeconds: circuits.soonestSeconds(kept.map(({ model }) => model))
      })

    /** As the session goes on: with what it has as long as that may answer, else with what is chosen now. */
    const decideInSession = (input: DecideInput, sessionId: string) =>
      Effect.map(
        sessions.choose({ owner: input.owner, sessionId }, (session) => {
          const decision = state.decide({ ...input, session })
          return { decision, session: sessionAfter(decision, session) }
        }),
        ({ decision }) => decision
      )

    /** What an earlier turn of the conversation was answered by. */
    const recalled = Effect.fnUntraced(function* (owner: string | null, { earlier }: Conversation.Conversation) {
      for (const sessionId of earlier) {
        const session = yield* sessions.recall({ owner, sessionId })
        if (session !== null) return session
      }
      return null
    })

    const sessionAfter = (decision: Decision | NoEligibleModel, before: Session | null): Session | null => {
      if (decision instanceof NoEligibleModel || decision.reason === "static") return null
      return decision.reason === "session" ? before : { model: decision.chosen, epoch: state.epoch(decision.chosen) }
    }

    const promptOf = (request: RoutingRequest) => (learningSettings.storePrompts ? storablePrompt(request.text) : null)

    /** Without a model: before one answers. */
    const streamHead = (trial: Trial.Trial, model: Model | null, requestId: string | null): StreamHead => ({
      decisionId: trial.decision.id,
      model: model?.id ?? null,
      reason: model === null || model.id === trial.decision.chosen ? trial.decision.reason : "fallback",
      propensity: trial.decision.propensity,
      simulated: model?.simulated ?? false,
      upstreamRequestId: requestId,
      adjusted:
        model === null ? null : adjustedText(trial.body, experience.limits(model, trial.body).adjustments ?? []),
      overheadMs: Math.max(0, nowMs() - trial.startedMs - trial.waitedMs)
    })
    const headOf = (trial: Trial.Trial, model: Model, requestId: string | null): AnswerHead => ({
      ...streamHead(trial, model, requestId),
      model: model.id
    })

    /** For callers that act upon the decision themselves. */
    const route: RouterShape["route"] = Effect.fnUntraced(function* (request, caller) {
      const decision = yield* decide(meant(request), caller, Conversation.none)
      yield* log.record({ decision, attempts: [], outcome: null, prompt: promptOf(request) })
      return decision
    })

    const routed: RouterShape["models"] = () =>
      catalog.current().models.map((model) => ({
        model: state.isDisabled(model.id) ? { ...model, unavailable: "disabled by an operator" } : model,
        learned: state.learned(model.id),
        circuit: circuits.state(model.id),
        abilities: experience.abilities(model),
        dialect: experience.dialect(model)
      }))

    log.onJudged(Rewards.compare(catalog, telemetry))
    const expiryMs = Duration.toMillis(learningSettings.feedbackExpiry)
    return Router.of({
      complete,
      stream,
      route,
      ...Afterwards.make({ log, database, state, telemetry, nowMillis, expiryMs }),
      sessionFeedback: SessionFeedback.make({ log, database, state, telemetry, ids, nowMillis, expiryMs }),
      stats: Stats.make({ catalog, database, log }),
      models: routed
    })
  })
)
