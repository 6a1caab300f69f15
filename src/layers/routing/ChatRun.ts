import type { Clock } from "effect/Clock"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { Deadline, Deadlines } from "../../domain/basics/Deadlines.ts"
import { storablePrompt } from "../../domain/basics/StorableText.ts"
import type { Decision } from "../../domain/routing/Decision.ts"
import type { StreamedText } from "../../domain/models/AnswerText.ts"
import { adjustedText } from "../../domain/routing/Dialect.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { NoEligibleModel } from "../../services/learning/BanditState.ts"
import {
  type CallLimits,
  type ChatAnswer,
  type ChatBody,
  type ChatStream,
  type LanguageModelsShape,
  ProviderError
} from "../../services/models/LanguageModels.ts"
import {
  type Answer,
  type AnswerHead,
  type Chat,
  type ChatRun as ChatRunShape,
  Interrupted,
  type RouterError,
  type StreamHead,
  UnknownModel
} from "../../services/routing/Router.ts"
import type { Accounting } from "./Accounting.ts"
import type { Attempt } from "../../domain/routing/Outcome.ts"
import { type Attempts, declined, late, type Untried } from "./Attempts.ts"
import type { Choosing } from "./Choosing.ts"
import * as Conversation from "./Conversation.ts"
import type { Experience } from "./Experience.ts"
import * as Failures from "./Failures.ts"
import type { Judge } from "./Judge.ts"
import { monotonicMs } from "../../services/running/MonotonicTime.ts"
import { Opening } from "./Opening.ts"
import { type Broken, StreamForwarder } from "./StreamForwarder.ts"
import { aborted, answered, type Ending, factsOf, failed, RoutedRequest } from "./RoutedRequest.ts"
import type { Settlement } from "./Settlement.ts"

/** What every chat runs with. */
export interface Parts {
  readonly accounting: Accounting
  readonly attempts: Attempts
  readonly choosing: Choosing
  readonly clock: Clock
  readonly deadlines: Deadlines
  /** Well before the first sign of life would be due. */
  readonly earlyMs: number
  readonly experience: Experience
  readonly judge: Pick<Judge, "answered" | "listener" | "textOf">
  readonly models: LanguageModelsShape
  readonly settlement: Settlement
  readonly storePrompts: boolean
}

/**
 * One chat from its decision to its outcome, in the order in which it is walked: choose, call, fall back, answer or forward,
 * settle, tell whoever asked. Each event from outside (a model, a deadline, the client, the drain) enters by one method,
 * which does nothing once the chat is over. Whole, because these are the moves of one machine.
 */
export class ChatRun implements ChatRunShape {
  readonly #parts: Parts
  readonly #chat: Chat
  readonly #startedMs: number
  #state: "deciding" | "calling" | "relaying" | "settling" | "over" = "deciding"
  #routed: RoutedRequest | null = null
  #untried: Untried = { models: [], counted: 0 }
  /** Of the call under way. */
  #deadline: Deadline | null = null
  #release: (() => void) | null = null
  #calls = 0
  #opening: Opening<AnswerHead> | null = null
  #forwarder: StreamForwarder | null = null
  /** What the stream says, where it is judged. */
  #heard: StreamedText | null = null
  /** The first answer that declined, while other models are asked. */
  #declined: Declined | null = null
  /** What is left when it is settled. */
  #finish: (() => void) | null = null

  constructor(parts: Parts, chat: Chat) {
    this.#parts = parts
    this.#chat = chat
    this.#startedMs = monotonicMs(parts.clock)
  }

  start(): void {
    this.#guarded(() => {
      const { caller, request } = this.#chat
      if (caller.meter === undefined) return this.#choose()
      caller.meter.enter(request.inputTokens, (bounded) =>
        this.#guarded(() => {
          if (this.#state !== "deciding") return
          if (bounded === null) this.#choose()
          else this.#end(Exit.fail(bounded))
        })
      )
    })
  }

  #choose(): void {
    this.#guarded(() => {
      const { choosing } = this.#parts
      const { body, caller, form = body, log, request: asked, span } = this.#chat
      const request = choosing.meant(asked, caller)
      const isNamed = request.sessionId !== null || request.pinned !== null
      const conversation = isNamed ? Conversation.named(form) : Conversation.of(form)
      const charge = caller.meter?.charge() ?? null
      choosing.decide({ request, owner: caller.owner, conversation, charge, span, log }, (found, tookMs) =>
        this.#guarded(() => this.#decided(found, tookMs, request, conversation))
      )
    })
  }

  interrupt(): void {
    this.#guarded(() => {
      if (this.#state === "over") return
      // What is settled has been answered: nothing but the note of its session is left.
      if (this.#state === "settling") return this.#finish?.()
      const sink = this.#opening?.sink ?? null
      this.#stop()
      if (this.#routed !== null) this.#parts.settlement.settle(this.#routed, aborted("aborted"))
      sink?.fail(new Interrupted())
      this.#end(Exit.interrupt(FiberId.none))
    })
  }

  #decided(
    found: Decision | NoEligibleModel | UnknownModel,
    tookMs: number,
    request: RoutedRequest["request"],
    conversation: Conversation.Conversation
  ): void {
    if (this.#state !== "deciding") return
    if (found instanceof NoEligibleModel || found instanceof UnknownModel) return this.#end(Exit.fail(found))
    const { accounting, choosing } = this.#parts
    const { caller, log } = this.#chat
    const begin = () => {
      choosing.stands(found, tookMs, log)
      this.#begin(found, request, conversation)
    }
    if (caller.meter === undefined) return begin()
    caller.meter.reserve(accounting.expected(found, request), (bounded) =>
      this.#guarded(() => {
        if (this.#state !== "deciding") return
        if (bounded === null) begin()
        else this.#end(Exit.fail(bounded))
      })
    )
  }

  #begin(found: Decision, request: RoutedRequest["request"], conversation: Conversation.Conversation): void {
    const { attempts, deadlines, earlyMs, storePrompts } = this.#parts
    const { body, log, onCall, open, span } = this.#chat
    const routed = new RoutedRequest({
      decision: found,
      request,
      conversation,
      startedMs: this.#startedMs,
      prompt: storePrompts ? storablePrompt(request.text) : null,
      span,
      body,
      onCall,
      meter: this.#chat.caller.meter,
      protocol: this.#chat.protocol,
      forwarded: this.#chat.forwarded,
      log
    })
    this.#routed = routed
    if (open !== null) {
      this.#opening = new Opening<AnswerHead>(deadlines, earlyMs, (head) => open(head ?? this.#silentHead(routed)))
    }
    this.#untried = attempts.untried(routed)
    this.#call(routed)
  }

  /** Calls the next model. */
  #call(routed: RoutedRequest): void {
    const { attempts, deadlines, models } = this.#parts
    const { open } = this.#chat
    const next = attempts.next(routed, this.#untried)
    if (next === null) return this.#fail(routed, attempts.failure(routed))
    const { body, limitMs, model } = next
    const { operation } = routed.request
    const limits = operation === undefined ? next.limits : { ...next.limits, operation }
    this.#state = "calling"
    this.#deadline = deadlines.after(limitMs, () => this.#guarded(() => this.#callFailed(routed, model, late(model))))
    const call = ++this.#calls
    const release =
      open === null
        ? models.complete(model, body, limits, (answer) => this.#guarded(() => this.#answered(routed, model, answer)))
        : models.stream(model, body, limits, (answer) => this.#guarded(() => this.#opened(routed, model, answer)))
    // It may have called back, and have been followed by another call, or by the end.
    const isUnderWay = call === this.#calls && (this.#state === "calling" || this.#state === "relaying")
    if (isUnderWay) this.#release = release
    else release()
  }

  #callFailed(routed: RoutedRequest, model: Model, error: ProviderError): void {
    if (this.#state !== "calling") return
    this.#stop()
    const { attempts } = this.#parts
    if (attempts.failed(routed, this.#untried, model, error)) this.#call(routed)
    else this.#fail(routed, attempts.failure(routed))
  }

  #answered(routed: RoutedRequest, model: Model, answer: ChatAnswer | ProviderError): void {
    if (answer instanceof ProviderError) return this.#callFailed(routed, model, answer)
    if (this.#state !== "calling") return
    if (answer.said.isRefusal && this.#parts.attempts.passesOn(routed, this.#untried)) {
      return this.#passedOn(routed, model, answer)
    }
    this.#stop()
    this.#parts.attempts.answers(routed, model)
    this.#deliver(routed, model, answer)
  }

  /** Keeps an answer that declined, and asks the next model. */
  #passedOn(routed: RoutedRequest, model: Model, answer: ChatAnswer): void {
    const { costUsd } = this.#parts.accounting.of(model, routed.request, answer.said, answer.requestId)
    this.#stop()
    this.#parts.attempts.failed(routed, this.#untried, model, declined(model, answer.status))
    const attempt = routed.declined(costUsd)
    this.#declined ??= { model, answer, attempt, costUsd }
    this.#call(routed)
  }

  #deliver(routed: RoutedRequest, model: Model, answer: ChatAnswer): void {
    const { accounting, judge, settlement } = this.#parts
    const { requestId, said, status, text } = answer
    const account = accounting.of(model, routed.request, said, requestId)
    const facts = factsOf(account, said, null)
    routed.noteFacts(() => facts)
    const outcome = settlement.settle(routed, answered(status))
    const { costUsd, latencyMs } = outcome
    const judged = judge.textOf(routed, text)
    if (judged !== null) judge.answered(routed, outcome, judged)
    this.#settled(routed, outcome, () => {
      const head = this.#headOf(routed, model, answer)
      this.#end(
        Exit.succeed<Answer>({
          decisionId: head.decisionId,
          model: head.model,
          reason: head.reason,
          propensity: head.propensity,
          simulated: head.simulated,
          upstreamRequestId: head.upstreamRequestId,
          adjusted: head.adjusted,
          overheadMs: head.overheadMs,
          status,
          text,
          usage: account.usage,
          costUsd,
          latencyMs: latencyMs ?? 0
        })
      )
    })
  }

  #opened(routed: RoutedRequest, model: Model, answer: ChatStream | ProviderError): void {
    if (answer instanceof ProviderError) return this.#callFailed(routed, model, answer)
    if (this.#state !== "calling" || this.#opening === null) return
    if (answer.said().isRefusal && this.#parts.attempts.passesOn(routed, this.#untried)) {
      return this.#callFailed(routed, model, declined(model, answer.status))
    }
    const { accounting, attempts, clock, deadlines, judge } = this.#parts
    this.#deadline?.cancel()
    this.#state = "relaying"
    attempts.answers(routed, model)
    const sink = this.#opening.answering(this.#headOf(routed, model, answer))
    const heard = judge.listener(routed)
    this.#heard = heard
    const options = {
      accounting,
      heard,
      firstTokenMs: routed.callMs(monotonicMs(clock)),
      onBug: (bug: unknown) => this.#bug(bug),
      timeLimit: (run: () => void) => deadlines.after(attempts.remainingMs(routed), () => this.#guarded(run))
    }
    const forwarder = new StreamForwarder(options, routed, answer, model, sink, (broken) =>
      this.#forwarded(routed, answer.status, broken)
    )
    this.#forwarder = forwarder
    forwarder.start()
  }

  #forwarded(routed: RoutedRequest, status: number, broken: Broken | null): void {
    const sink = this.#opening?.sink
    const isLate = broken === "timeout" || broken?.reason === "timeout"
    const clientReads = this.#forwarder?.clientReads !== false
    this.#stop()
    const { judge, settlement } = this.#parts
    if (broken === null) {
      const outcome = settlement.settle(routed, answered(status))
      if (this.#heard !== null) judge.answered(routed, outcome, this.#heard.text)
      return this.#settled(routed, outcome, () => {
        sink?.end()
        this.#end(Exit.succeed(null))
      })
    }
    const error = broken === "timeout" ? null : broken
    settlement.settle(
      routed,
      isLate && !clientReads ? aborted("client_slow") : failed(error?.reason ?? "timeout", error)
    )
    sink?.fail(Failures.brokenOff(routed, error, isLate))
    this.#end(Exit.succeed(null))
  }

  #settled(routed: RoutedRequest, outcome: Parameters<Settlement["stay"]>[1], finish: () => void): void {
    this.#state = "settling"
    this.#finish = finish
    this.#parts.settlement.stay(routed, outcome, () =>
      this.#guarded(() => {
        if (this.#state === "settling") finish()
      })
    )
  }

  #fail(routed: RoutedRequest, error: RouterError): void {
    this.#stop()
    if (this.#declined !== null) {
      const { attempt, costUsd, model, answer } = this.#declined
      routed.answeredBy(attempt, costUsd)
      return this.#deliver(routed, model, answer)
    }
    this.#parts.settlement.settle(routed, endingOf(routed))
    this.#end(Exit.fail(error))
  }

  /** Nothing of what is under way is heard of any more. */
  #stop(): void {
    this.#deadline?.cancel()
    this.#forwarder?.stop()
    this.#release?.()
    this.#release = null
  }

  #end(...ended: Parameters<Chat["onEnd"]>): void {
    this.#state = "over"
    this.#opening?.close()
    this.#chat.caller.meter?.leave()
    this.#chat.onEnd(...ended)
  }

  #guarded(move: () => void): void {
    try {
      move()
    } catch (bug) {
      this.#bug(bug)
    }
  }

  /** A bug ends the chat; what it has come to is an outcome all the same. */
  #bug(bug: unknown): void {
    const routed = this.#routed
    if (this.#state === "over") return this.#chat.log(Effect.logError("request failed", Cause.die(bug)))
    this.#state = "over"
    this.#stop()
    try {
      if (routed !== null && !routed.isSettled) this.#parts.settlement.settle(routed, endingOf(routed))
    } finally {
      this.#end(Exit.die(bug), routed === null ? {} : aboutOf(routed))
    }
  }

  /** Before a model answers. */
  #silentHead(routed: RoutedRequest): StreamHead {
    const { decision } = routed.begun
    return {
      decisionId: decision.id,
      model: null,
      reason: decision.reason,
      propensity: decision.propensity,
      simulated: false,
      upstreamRequestId: null,
      adjusted: null,
      overheadMs: routed.overheadMs(monotonicMs(this.#parts.clock))
    }
  }

  #headOf(routed: RoutedRequest, model: Model, answer: AnswerOrigin): AnswerHead {
    const { clock, experience } = this.#parts
    const { decision } = routed.begun
    const body = routed.bodyFor(model)
    return {
      decisionId: decision.id,
      model: model.id,
      reason: model.id === decision.chosen ? decision.reason : "fallback",
      propensity: decision.propensity,
      simulated: model.simulated,
      upstreamRequestId: answer.requestId,
      adjusted: adjustedIn(answer, body, experience.limits(model, body)),
      overheadMs: routed.overheadMs(monotonicMs(clock))
    }
  }
}

/** What an upstream's answer has for the head of the client's. */
type AnswerOrigin = Pick<ChatAnswer, "requestId" | "adjusted">

/** Of a translated request the translation knows. */
const adjustedIn = (
  { adjusted }: AnswerOrigin,
  body: ChatBody,
  { adjustments = [] }: Pick<CallLimits, "adjustments">
) => (adjusted === undefined ? adjustedText(body, adjustments) : adjusted)

/** An answer that declined, and the call that it was. */
interface Declined {
  readonly model: Model
  readonly answer: ChatAnswer
  readonly attempt: Attempt | null
  readonly costUsd: number | null
}

/** What is logged of a bug says which decision it broke. */
const aboutOf = ({ attempts, decision }: RoutedRequest) => ({
  decision_id: decision.id,
  model_id: attempts.at(-1)?.model ?? decision.chosen
})

/** Of a chat that no model answered. */
const endingOf = (routed: RoutedRequest): Ending =>
  // No model was called, so none has failed: those of the decision had gone, or their circuits opened meanwhile.
  routed.attempts.length === 0 && !routed.isCalling ? aborted("not_called") : failed("unexpected", null)
