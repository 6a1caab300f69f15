import type { Clock } from "effect/Clock"
import type * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type { Decision, RoutingRequest } from "../../domain/routing/Decision.ts"
import type { Charge } from "../../domain/learning/BudgetPacing.ts"
import { decisionIdMade, ModelId } from "../../domain/basics/Ids.ts"
import { aliasMeantBy, throughAlias } from "../../domain/routing/Alias.ts"
import { meantBy } from "../../domain/routing/ModelName.ts"
import { type BanditStateShape, type DecideInput, NoEligibleModel } from "../../services/learning/BanditState.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { TelemetryShape } from "../../services/observing/Telemetry.ts"
import type { TracingShape } from "../../services/observing/Tracing.ts"
import type { FeatureExtractorShape } from "../../services/routing/FeatureExtractor.ts"
import { type Caller, UnknownModel } from "../../services/routing/Router.ts"
import type { Session, SessionsShape } from "../../services/routing/Sessions.ts"
import type { IdsShape } from "../../services/running/Ids.ts"
import type { Circuits } from "./Circuits.ts"
import type { Conversation } from "./Conversation.ts"
import type { Experience } from "./Experience.ts"
import { monotonicMs } from "../../services/running/MonotonicTime.ts"
import * as RequestTrace from "./RequestTrace.ts"
import * as RoutingLog from "./RoutingLog.ts"

export interface Choosing {
  /** The request with the model that the client means by the name it gave, and what its key allows. */
  readonly meant: (request: RoutingRequest, caller: Pick<Caller, "allowedModels">) => RoutingRequest
  /**
   * Features, then the choice; the draw is the bandit's, the masks the request's. Calls back once, perhaps before it
   * returns: a session may have to be asked for.
   */
  readonly decide: (
    asked: Asked,
    decided: (found: Decision | NoEligibleModel | UnknownModel, tookMs: number) => void
  ) => void
  /** The choice stands: a budget has not refused what it may cost. Tells metrics and the log. */
  readonly stands: (decision: Decision, tookMs: number, log: Asked["log"]) => void
}

/** A request as `meant` has it, and whose it is. */
export interface Asked {
  readonly request: RoutingRequest
  readonly owner: string | null
  readonly conversation: Conversation
  /** For money, by budgets that are paced; null or not there where none is. */
  readonly charge?: Charge | null
  readonly span: Tracer.AnySpan | undefined
  readonly log: (line: Effect.Effect<void>) => void
}

interface Parts {
  readonly catalog: Pick<ModelCatalogShape, "current">
  readonly circuits: Circuits
  readonly clock: Clock
  readonly experience: Experience
  readonly extractor: FeatureExtractorShape
  readonly ids: IdsShape
  /** Says each choice. */
  readonly isDebug: boolean
  readonly sessions: SessionsShape
  readonly state: BanditStateShape
  readonly telemetry: Pick<TelemetryShape, "decided">
  readonly tracing: TracingShape
}

/** Chooses the model of a request: by the session, or the conversation, as it goes on, else by the bandit. */
export const make = (parts: Parts): Choosing => {
  const { catalog, clock, extractor, sessions, state, tracing } = parts

  const decide: Choosing["decide"] = (asked, done) => {
    const { conversation, owner, request, span } = asked
    const { pinned, sessionId } = request
    if (pinned !== null && !catalog.current().byId.has(pinned)) return done(new UnknownModel({ model: pinned }), 0)
    const startedMs = monotonicMs(clock)
    const extracting = tracing.step(span, "features")
    const features = extractor.extract(request.text)
    extracting?.end({}, null)
    const deciding = tracing.step(span, "decide")
    const input = inputOf(parts, asked, features)
    const finish = (found: Decision | NoEligibleModel) => {
      const decision = found instanceof NoEligibleModel ? withWait(parts, found) : found
      if (deciding !== null) RequestTrace.endDecide(deciding, decision, span, tracing)
      const tookMs = monotonicMs(clock) - startedMs
      if (pinned === null) parts.circuits.decided(decision)
      if (decision instanceof NoEligibleModel && parts.isDebug) asked.log(RoutingLog.decided(decision, tookMs))
      done(decision, tookMs)
    }
    if (pinned !== null) return finish(state.decide(input))
    if (sessionId !== null) return inSession(input, sessionId, finish)
    if (conversation.earlier.length === 0) return finish(state.decide(input))
    recall(owner, conversation, 0, (session) => finish(state.decide({ ...input, session })))
  }

  /** As the session goes on: with what it has as long as that may answer, else with what is chosen now. */
  const inSession = (input: DecideInput, sessionId: string, finish: (found: Decision | NoEligibleModel) => void) =>
    sessions.choose(
      { owner: input.owner, sessionId },
      (session) => {
        const decision = state.decide({ ...input, session })
        return { decision, session: sessionAfter(decision, session) }
      },
      ({ decision }) => finish(decision)
    )

  const sessionAfter = (decision: Decision | NoEligibleModel, before: Session | null): Session | null => {
    if (decision instanceof NoEligibleModel || decision.reason === "static") return null
    return decision.reason === "session" ? before : { model: decision.chosen, epoch: state.epoch(decision.chosen) }
  }

  /** What an earlier turn of the conversation was answered by. */
  const recall = (
    owner: string | null,
    conversation: Conversation,
    rank: number,
    recalled: (session: Session | null) => void
  ): void => {
    const sessionId = conversation.earlier[rank]
    if (sessionId === undefined) return recalled(null)
    sessions.recall({ owner, sessionId }, (session) =>
      session === null ? recall(owner, conversation, rank + 1, recalled) : recalled(session)
    )
  }

  return {
    meant: (request, caller) => allowed(meant(catalog, request), caller),
    decide,
    stands: (decision, tookMs, log) => {
      parts.telemetry.decided(decision, tookMs / 1000)
      if (parts.isDebug) log(RoutingLog.decided(decision, tookMs))
    }
  }
}

const inputOf = (
  { circuits, clock, experience, ids }: Parts,
  { charge = null, conversation, owner, request }: Asked,
  features: Float32Array
): DecideInput => {
  const createdAtMillis = clock.unsafeCurrentTimeMillis()
  const input = {
    id: decisionIdMade(ids.uuidV7(createdAtMillis)),
    createdAtMillis,
    owner,
    request,
    features,
    session: null,
    isToolResult: conversation.isToolResult,
    cacheHits: experience.cacheHits,
    lacks: (model: Model) => experience.lacks(model, request),
    inputTokens: (model: Model) => experience.inputTokens(model, request.inputTokens),
    barrier: circuits.barrier
  }
  return charge === null ? input : { ...input, charge }
}

const withWait = ({ circuits }: Parts, { excluded, isAnyEnabled, kept }: NoEligibleModel) =>
  new NoEligibleModel({
    excluded,
    isAnyEnabled,
    retryAfterSeconds: circuits.soonestSeconds(kept.map(({ model }) => model))
  })

/** Whatever the request allows, its key allows these. */
const allowed = (request: RoutingRequest, { allowedModels }: Pick<Caller, "allowedModels">): RoutingRequest => {
  if (allowedModels === undefined) return request
  const { allowed_models: asked } = request.constraints
  const both = asked === undefined ? allowedModels : asked.filter((model) => allowedModels.includes(model))
  return { ...request, constraints: { ...request.constraints, allowed_models: both } }
}

const meant = (catalog: Parts["catalog"], request: RoutingRequest): RoutingRequest => {
  if (request.pinned === null) return request
  const { aliases, byId, providers } = catalog.current()
  const isProvider = (provider: string) => providers.has(provider)
  const alias = byId.has(request.pinned) ? null : aliasMeantBy(aliases, request.pinned, isProvider)
  if (alias !== null) return throughAlias(request, alias)
  const name = meantBy(request.pinned, (id) => ModelId.is(id) && byId.has(ModelId(id)), isProvider)
  return name === request.pinned ? request : { ...request, pinned: name === null ? null : ModelId(name) }
}
