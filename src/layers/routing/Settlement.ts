import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as GenAi from "../../domain/observing/GenAi.ts"
import type { Outcome } from "../../domain/routing/Outcome.ts"
import type { BanditStateShape } from "../../services/learning/BanditState.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { SessionsShape } from "../../services/routing/Sessions.ts"
import type { TelemetryShape } from "../../services/observing/Telemetry.ts"
import type { TracingShape } from "../../services/observing/Tracing.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { Accounting } from "./Accounting.ts"
import type { Attempts } from "./Attempts.ts"
import * as Conversation from "./Conversation.ts"
import type { Experience } from "./Experience.ts"
import { aborted, type Ending, failed, type RoutedRequest } from "./RoutedRequest.ts"
import * as RoutingLog from "./RoutingLog.ts"

export interface Settlement {
  /** The end of a request, told once. Offered to a bounded queue: never waits for the database. */
  readonly settle: (routed: RoutedRequest, ending: Ending) => Effect.Effect<Outcome>
  /** Whatever ends a request is an outcome: for `onExit`, of one that nobody settled. */
  readonly settleBroken: (routed: RoutedRequest, exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

interface Parts {
  readonly accounting: Accounting
  readonly attempts: Pick<Attempts, "end">
  readonly catalog: Pick<ModelCatalogShape, "current">
  readonly experience: Pick<Experience, "counted">
  readonly log: Pick<LearningLogShape, "offer">
  readonly state: Pick<BanditStateShape, "epoch">
  readonly sessions: Pick<SessionsShape, "move" | "remember">
  readonly telemetry: Pick<TelemetryShape, "settled">
  readonly tracing: Pick<TracingShape, "annotate" | "step">
}

/** An upstream may name a model anew each time. */
const mostPairs = 1000

/** What is learned of the end of a request, whichever it is. */
export const make = ({
  accounting,
  attempts,
  catalog,
  experience,
  log,
  sessions,
  state,
  telemetry,
  tracing
}: Parts): Settlement => {
  // Uninterruptible: an ended call without its outcome would be lost.
  const settle: Settlement["settle"] = (routed, ending) =>
    Effect.uninterruptible(
      Effect.flatMap(attempts.end(routed, ending), () => {
        routed.settled()
        if (ending._tag === "Aborted") accountUnanswered(routed)
        const record = routed.record(ending)
        const { inputTokens, model } = record.outcome
        if (inputTokens !== null) experience.counted(model, routed.request.inputTokens, inputTokens)
        const persisting = tracing.step(routed.begun.span, "persist")
        log.offer(
          record,
          persisting === null ? undefined : (isStored) => persisting.end({}, isStored ? null : "dropped")
        )
        tracing.annotate(routed.begun.span, GenAi.outcomeFacts(routed.decision, record.outcome))
        telemetry.settled(routed.decision, record.outcome)
        const news = servedBy(routed, record.outcome)
        const settled = ending._tag === "Answered" ? stay(routed, record.outcome) : Effect.succeed(record.outcome)
        return news === null ? settled : Effect.zipRight(news, settled)
      })
    )

  /** Said once of each two models. */
  const said = new Set<string>()
  const servedBy = (routed: RoutedRequest, { details, model }: Outcome): Effect.Effect<void> | null => {
    const served = details?.servedModel
    const pair = `${model} ${served}`
    if (served === undefined || said.has(pair) || said.size >= mostPairs) return null
    said.add(pair)
    return RoutingLog.servedByOther(routed, model, served)
  }

  /** What was sent is paid for, also by a client that leaves before the first token. */
  const accountUnanswered = (routed: RoutedRequest) => {
    const last = routed.attempts.at(-1)
    const model = last === undefined ? undefined : catalog.current().byId.get(last.model)
    if (model === undefined || routed.said.said !== null) return
    const account = accounting.of(model, routed.request, null, null)
    routed.told(() => ({ ...account, said: null, firstTokenMs: null }))
  }

  /** A whole answer: the session, or the conversation, goes on with the model that gave it. */
  const stay = ({ begun: { conversation }, decision, request, said: { said } }: RoutedRequest, outcome: Outcome) => {
    const { chosen, owner } = decision
    const { details, model } = outcome
    const { sessionId } = request
    const cachedTokens = details?.cachedTokens ?? 0
    const session = () => ({ model, epoch: state.epoch(model), ...(cachedTokens > 0 ? { cachedTokens } : {}) })
    if (sessionId !== null) {
      return model === chosen && cachedTokens === 0
        ? Effect.succeed(outcome)
        : Effect.as(sessions.move({ owner, sessionId }, session()), outcome)
    }
    if (request.pinned !== null || decision.reason === "static") return Effect.succeed(outcome)
    const calls = (said?.toolCallIds ?? []).flatMap((id) => Conversation.callName(id) ?? [])
    const names = conversation.name === null ? calls : [conversation.name, ...calls]
    const remembered = Effect.forEach(names, (name) => sessions.remember({ owner, sessionId: name }, session()), {
      discard: true
    })
    return Effect.as(remembered, outcome)
  }

  const settleBroken: Settlement["settleBroken"] = (routed, exit) =>
    Exit.isSuccess(exit)
      ? Effect.void
      : Effect.zipRight(
          routed.isSettled ? Effect.void : settle(routed, endingOf(routed, exit)),
          Cause.isDie(exit.cause) ? loggedAbout(routed) : Effect.void
        )

  return { settle, settleBroken }
}

/** What is logged of a bug says which decision it broke: the fiber is the request's own. */
const loggedAbout = ({ attempts, decision }: RoutedRequest) =>
  FiberRef.update(FiberRef.currentLogAnnotations, (annotations) =>
    annotations.pipe(
      HashMap.set<string, unknown>("decision_id", decision.id),
      HashMap.set<string, unknown>("model_id", attempts.at(-1)?.model ?? decision.chosen)
    )
  )

const endingOf = (routed: RoutedRequest, exit: Exit.Exit<unknown, unknown>): Ending => {
  if (Exit.isInterrupted(exit)) return aborted("aborted")
  // No model was called, so none has failed: those of the decision had gone, or their circuits opened meanwhile.
  if (routed.attempts.length === 0 && !routed.isCalling) return aborted("not_called")
  return failed("unexpected", null)
}
