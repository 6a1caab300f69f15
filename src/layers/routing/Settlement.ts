import * as GenAi from "../../domain/observing/GenAi.ts"
import type { Decision } from "../../domain/routing/Decision.ts"
import type { Outcome } from "../../domain/routing/Outcome.ts"
import type { BanditStateShape } from "../../services/learning/BanditState.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { TelemetryShape } from "../../services/observing/Telemetry.ts"
import type { TracingShape } from "../../services/observing/Tracing.ts"
import type { Session, SessionsShape, SessionTurn } from "../../services/routing/Sessions.ts"
import type { Accounting } from "./Accounting.ts"
import type { Attempts } from "./Attempts.ts"
import * as Conversation from "./Conversation.ts"
import type { Experience } from "./Experience.ts"
import type { Ending, RoutedRequest } from "./RoutedRequest.ts"
import * as RoutingLog from "./RoutingLog.ts"
import type { Signals } from "./Signals.ts"

interface Parts {
  readonly accounting: Accounting
  readonly attempts: Pick<Attempts, "end">
  readonly catalog: Pick<ModelCatalogShape, "current">
  readonly experience: Pick<Experience, "counted" | "couldRead">
  readonly log: Pick<LearningLogShape, "offer">
  readonly state: Pick<BanditStateShape, "epoch">
  readonly nowMillis: () => number
  readonly signals: Signals
  readonly sessions: Pick<SessionsShape, "move" | "remember">
  readonly telemetry: Pick<TelemetryShape, "settled">
  readonly tracing: Pick<TracingShape, "annotate" | "step">
}

/** An upstream may name a model anew each time. */
const mostPairs = 1000

/** What is learned of the end of a request, whichever it is. Whole, because every end is told in the same order. */
export class Settlement {
  readonly #parts: Parts
  /** Of models that others answered for; logged once of each two. */
  readonly #loggedPairs = new Set<string>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** The end of a request, told once. Offered to a bounded queue: never waits for the database. */
  settle(routed: RoutedRequest, ending: Ending): Outcome {
    const { attempts, experience, telemetry } = this.#parts
    attempts.end(routed, ending)
    routed.settled()
    if (ending._tag === "Aborted") this.#accountUnanswered(routed)
    const record = routed.record(ending)
    const { outcome } = record
    if (outcome.inputTokens !== null) {
      experience.counted(outcome.model, routed.request.inputTokens, outcome.inputTokens)
    }
    const { meter } = routed.begun
    if (meter !== undefined) {
      const { costUsd, inputTokens, outputTokens } = outcome
      meter.used((inputTokens ?? routed.request.inputTokens) + (outputTokens ?? 0), costUsd, outputTokens)
    }
    this.#offer(routed, record)
    this.#parts.signals.settled(routed, outcome, this.#parts.nowMillis())
    telemetry.settled(routed.decision, outcome)
    this.#noteServed(routed, outcome)
    return outcome
  }

  /** After a whole answer the session, or the conversation, goes on with the model that gave it; calls back then. */
  stay(
    { begun: { conversation }, decision, request, answerFacts: { said } }: RoutedRequest,
    outcome: Outcome,
    done: () => void
  ) {
    const { experience, sessions, state } = this.#parts
    const { chosen, owner } = decision
    const { details, model } = outcome
    const { sessionId } = request
    const cachedTokens = details?.cachedTokens ?? 0
    if (decision.turn?.isWarm === true && model === chosen) experience.couldRead(model, cachedTokens > 0)
    const turn = turnAfter(decision, outcome)
    if (sessionId !== null) {
      if (model === chosen && cachedTokens === 0 && turn === null) return done()
      return sessions.move({ owner, sessionId }, sessionOf(model, state.epoch(model), cachedTokens, turn), done)
    }
    if (request.pinned === null && decision.reason !== "static") {
      const session = sessionOf(model, state.epoch(model), cachedTokens, turn)
      if (conversation.name !== null) sessions.remember({ owner, sessionId: conversation.name }, session)
      for (const id of said?.toolCallIds ?? noIds) {
        const name = Conversation.callName(id)
        if (name !== null) sessions.remember({ owner, sessionId: name }, session)
      }
    }
    done()
  }

  #offer(routed: RoutedRequest, record: ReturnType<RoutedRequest["record"]>): void {
    const { log, tracing } = this.#parts
    const { meter, span } = routed.begun
    const persisting = tracing.step(span, "persist")
    const onSettled =
      persisting === null && meter === undefined
        ? undefined
        : (isStored: boolean) => {
            persisting?.end({}, isStored ? null : "dropped")
            meter?.stored(isStored)
          }
    log.offer(record, onSettled)
    if (span !== undefined) tracing.annotate(span, GenAi.outcomeFacts(routed.decision, record.outcome))
  }

  #noteServed(routed: RoutedRequest, { details, model }: Outcome): void {
    const served = details?.servedModel
    if (served === undefined) return
    const pair = `${model} ${served}`
    if (this.#loggedPairs.has(pair) || this.#loggedPairs.size >= mostPairs) return
    this.#loggedPairs.add(pair)
    routed.begun.log(RoutingLog.servedByOther(routed, model, served))
  }

  /** What was sent is paid for, also by a client that leaves before the first token. */
  #accountUnanswered(routed: RoutedRequest): void {
    const { accounting, catalog } = this.#parts
    const last = routed.attempts.at(-1)
    const model = last === undefined ? undefined : catalog.current().byId.get(last.model)
    if (model === undefined || routed.answerFacts.said !== null) return
    const account = accounting.of(model, routed.request, null, null)
    routed.noteFacts(() => ({ ...account, said: null, firstTokenMs: null }))
  }
}

const noIds: ReadonlyArray<string> = []

const sessionOf = (model: Session["model"], epoch: number, cachedTokens: number, turn: SessionTurn | null): Session => {
  if (turn !== null) return { model, epoch, cachedTokens, turn }
  return cachedTokens > 0 ? { model, epoch, cachedTokens } : { model, epoch }
}

/** Null where turns are not weighed, or nobody knows how long this one was. */
const turnAfter = (
  { createdAtMillis, turn }: Decision,
  { inputTokens, latencyMs, outputTokens }: Outcome
): SessionTurn | null =>
  turn === undefined || inputTokens === null
    ? null
    : {
        prefixTokens: inputTokens + Math.round(outputTokens ?? 0),
        atMillis: createdAtMillis + Math.round(latencyMs ?? 0),
        first: turn.first,
        bill: turn.bill
      }
