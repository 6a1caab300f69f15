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
import * as Lines from "./Lines.ts"
import * as Trial from "./Trial.ts"

export interface Learning {
  /** The end of a trial, told once. Offered to a bounded queue: never waits for the database. */
  readonly settle: (trial: Trial.Trial, ending: Trial.Ending) => Effect.Effect<Outcome>
  /** Whatever ends a request is an outcome: for `onExit`, of a trial that nobody settled. */
  readonly settleBroken: (trial: Trial.Trial, exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
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
}: Parts): Learning => {
  // Uninterruptible: an ended call without its outcome would be lost.
  const settle: Learning["settle"] = (trial, ending) =>
    Effect.uninterruptible(
      Effect.flatMap(attempts.end(trial, ending), () => {
        trial.settled = true
        if (ending._tag === "Aborted") accountUnanswered(trial)
        const record = Trial.recordOf(trial, ending)
        const { inputTokens, model } = record.outcome
        if (inputTokens !== null) experience.counted(model, trial.request.inputTokens, inputTokens)
        const persisting = tracing.step(trial.span, "persist")
        log.offer(
          record,
          persisting === null ? undefined : (isStored) => persisting.end({}, isStored ? null : "dropped")
        )
        tracing.annotate(trial.span, GenAi.outcomeFacts(trial.decision, record.outcome))
        telemetry.settled(trial.decision, record.outcome)
        const news = servedBy(trial, record.outcome)
        const settled = ending._tag === "Answered" ? stay(trial, record.outcome) : Effect.succeed(record.outcome)
        return news === null ? settled : Effect.zipRight(news, settled)
      })
    )

  /** Said once of each two models. */
  const said = new Set<string>()
  const servedBy = (trial: Trial.Trial, { details, model }: Outcome): Effect.Effect<void> | null => {
    const served = details?.servedModel
    const pair = `${model} ${served}`
    if (served === undefined || said.has(pair) || said.size >= mostPairs) return null
    said.add(pair)
    return Lines.servedByOther(trial, model, served)
  }

  /** What was sent is paid for, also by a client that leaves before the first token. */
  const accountUnanswered = (trial: Trial.Trial) => {
    const last = trial.attempts.at(-1)
    const model = last === undefined ? undefined : catalog.current().byId.get(last.model)
    if (model === undefined || trial.facts().said !== null) return
    const account = accounting.of(model, trial.request, null, null)
    trial.facts = () => ({ ...account, said: null, firstTokenMs: null })
  }

  /** A whole answer: the session, or the conversation, goes on with the model that gave it. */
  const stay = ({ conversation, decision, facts, request }: Trial.Trial, outcome: Outcome) => {
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
    const calls = (facts().said?.toolCallIds ?? []).flatMap((id) => Conversation.callName(id) ?? [])
    const names = conversation.name === null ? calls : [conversation.name, ...calls]
    const remembered = Effect.forEach(names, (name) => sessions.remember({ owner, sessionId: name }, session()), {
      discard: true
    })
    return Effect.as(remembered, outcome)
  }

  const settleBroken: Learning["settleBroken"] = (trial, exit) =>
    Exit.isSuccess(exit)
      ? Effect.void
      : Effect.zipRight(
          trial.settled ? Effect.void : settle(trial, endingOf(trial, exit)),
          Cause.isDie(exit.cause) ? loggedAbout(trial) : Effect.void
        )

  return { settle, settleBroken }
}

/** What is logged of a bug says which decision it broke: the fiber is the request's own. */
const loggedAbout = ({ attempts, decision }: Trial.Trial) =>
  FiberRef.update(FiberRef.currentLogAnnotations, (annotations) =>
    annotations.pipe(
      HashMap.set<string, unknown>("decision_id", decision.id),
      HashMap.set<string, unknown>("model_id", attempts.at(-1)?.model ?? decision.chosen)
    )
  )

const endingOf = (trial: Trial.Trial, exit: Exit.Exit<unknown, unknown>): Trial.Ending => {
  if (Exit.isInterrupted(exit)) return Trial.aborted("aborted")
  // No model was called, so none has failed: those of the decision had gone, or their circuits opened meanwhile.
  if (trial.attempts.length === 0 && trial.current === null) return Trial.aborted("not_called")
  return Trial.failed("unexpected", null)
}
