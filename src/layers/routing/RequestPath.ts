import type { Clock } from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Decision, RoutingRequest } from "../../domain/routing/Decision.ts"
import { storablePrompt } from "../../domain/basics/StorableText.ts"
import { adjustedText } from "../../domain/routing/Dialect.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { CallLimits, ChatAnswer, ChatBody, LanguageModelsShape } from "../../services/models/LanguageModels.ts"
import {
  type Answer,
  type AnswerHead,
  type Caller,
  Interrupted,
  type RouterShape,
  type StreamHead
} from "../../services/routing/Router.ts"
import type { Accounting } from "./Accounting.ts"
import type { Attempts } from "./Attempts.ts"
import type { Choosing } from "./Choosing.ts"
import * as Conversation from "./Conversation.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { Experience } from "./Experience.ts"
import { monotonicMs } from "./MonotonicTime.ts"
import { Opening } from "./Opening.ts"
import type * as Relay from "./Relay.ts"
import { answered, RoutedRequest } from "./RoutedRequest.ts"
import type { Settlement } from "./Settlement.ts"

interface Parts {
  readonly accounting: Accounting
  readonly attempts: Attempts
  readonly choosing: Choosing
  readonly clock: Clock
  readonly deadlines: Deadlines
  /** Well before the first sign of life would be due. */
  readonly earlyMs: number
  readonly experience: Experience
  readonly log: Pick<LearningLogShape, "record">
  readonly models: LanguageModelsShape
  readonly relay: ReturnType<typeof Relay.make>
  readonly settlement: Settlement
  readonly storePrompts: boolean
}

/** The request path, in the order in which it is walked: a decision, the calls, the answer, its outcome. */
export const make = (parts: Parts): Pick<RouterShape, "complete" | "stream" | "route"> => {
  const { attempts, choosing, deadlines, earlyMs, log, models, relay, settlement, storePrompts } = parts

  const complete: RouterShape["complete"] = Effect.fnUntraced(function* (request, body, caller) {
    const routed = yield* begin(request, body, caller)
    return yield* attempts
      .run(routed, (model, limits) => models.complete(model, body, named(routed, limits)))
      .pipe(
        Effect.flatMap(({ answer, model }) => answerWhole(routed, answer, model)),
        Effect.onExit((exit) => settlement.settleBroken(routed, exit))
      )
  })

  const stream: RouterShape["stream"] = Effect.fnUntraced(function* (request, body, caller, open) {
    const routed = yield* begin(request, body, caller)
    const opening = new Opening<AnswerHead>(deadlines, earlyMs, (head) =>
      open(head ?? streamHead(parts, routed, null, null))
    )
    yield* Effect.acquireUseRelease(
      Scope.make(),
      (scope) =>
        Effect.flatMap(
          attempts.run(routed, (model, limits) =>
            Scope.extend(models.stream(model, body, named(routed, limits)), scope)
          ),
          ({ answer, model }) =>
            relay(routed, answer, model, opening.answering(headOf(parts, routed, model, answer.requestId)))
        ),
      (scope, exit) => Scope.close(scope, exit)
    ).pipe(
      Effect.onExit((exit) => {
        opening.close()
        const cut = routed.isSettled || !Exit.isInterrupted(exit) ? null : opening.sink
        return Effect.zipRight(settlement.settleBroken(routed, exit), cut?.fail(new Interrupted()) ?? Effect.void)
      })
    )
  })

  /** For callers that act upon the decision themselves. */
  const route: RouterShape["route"] = Effect.fnUntraced(function* (request, caller) {
    const decision = yield* choosing.decide(choosing.meant(request), caller.owner, Conversation.none)
    yield* log.record({ decision, attempts: [], outcome: null, prompt: promptOf(request) })
    return decision
  })

  /** A decision, and what comes of it. */
  const begin = (asked: RoutingRequest, body: ChatBody, { onCall, owner }: Caller) =>
    Effect.withFiberRuntime<RoutedRequest, Effect.Effect.Error<ReturnType<Choosing["decide"]>>>(
      ({ currentSpan: span }) => {
        const startedMs = monotonicMs(parts.clock)
        const request = choosing.meant(asked)
        const conversation =
          request.sessionId === null && request.pinned === null ? Conversation.of(body) : Conversation.none
        const routed = (decision: Decision) =>
          new RoutedRequest({
            decision,
            request,
            conversation,
            startedMs,
            prompt: promptOf(request),
            span,
            body,
            onCall
          })
        return Effect.map(choosing.decide(request, owner, conversation), routed)
      }
    )

  const answerWhole = (routed: RoutedRequest, answer: ChatAnswer, model: Model): Effect.Effect<Answer> => {
    const { requestId, said, status, text } = answer
    const account = parts.accounting.of(model, routed.request, said, requestId)
    routed.told(() => ({ ...account, said, firstTokenMs: null }))
    return Effect.map(settlement.settle(routed, answered(status)), ({ costUsd, latencyMs }) => ({
      ...headOf(parts, routed, model, requestId),
      status,
      text,
      usage: account.usage,
      costUsd,
      latencyMs: latencyMs ?? 0
    }))
  }

  const promptOf = (request: RoutingRequest) => (storePrompts ? storablePrompt(request.text) : null)

  return { complete, stream, route }
}

/** An answer without an id of its own has the decision's. */
const named = ({ decision }: RoutedRequest, limits: CallLimits): CallLimits => ({ ...limits, answerId: decision.id })

/** Without a model: before one answers. */
const streamHead = (
  { clock, experience }: Pick<Parts, "clock" | "experience">,
  routed: RoutedRequest,
  model: Model | null,
  upstreamRequestId: string | null
): StreamHead => {
  const { body, decision } = routed.begun
  return {
    decisionId: decision.id,
    model: model?.id ?? null,
    reason: model === null || model.id === decision.chosen ? decision.reason : "fallback",
    propensity: decision.propensity,
    simulated: model?.simulated ?? false,
    upstreamRequestId,
    adjusted: model === null ? null : adjustedText(body, experience.limits(model, body).adjustments ?? []),
    overheadMs: routed.overheadMs(monotonicMs(clock))
  }
}

const headOf = (
  parts: Pick<Parts, "clock" | "experience">,
  routed: RoutedRequest,
  model: Model,
  requestId: string | null
): AnswerHead => ({ ...streamHead(parts, routed, model, requestId), model: model.id })
