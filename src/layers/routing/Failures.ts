import { createHash } from "node:crypto"
import { isBarrier } from "../../domain/routing/Constraint.ts"
import { type ClientFault, clientFault, type FailedCall } from "../../domain/routing/Fault.ts"
import type { Decision } from "../../domain/routing/Decision.ts"
import { NoEligibleModel } from "../../services/learning/BanditState.ts"
import type { ProviderError } from "../../services/models/LanguageModels.ts"
import { AllModelsFailed, UpstreamRejected } from "../../services/routing/Router.ts"
import type { Failure } from "./Circuit.ts"
import type { Circuits } from "./Circuits.ts"
import { type RoutedRequest } from "./RoutedRequest.ts"

// What circuits and clients are told of calls that failed.

const hashOf = (parts: ReadonlyArray<string | null>) =>
  createHash("sha256").update(JSON.stringify(parts)).digest("base64url")

/** The text, whose owner and whose model: what a client sends again when it retries. */
const requestOf = ({ decision: { owner }, request }: RoutedRequest) => hashOf([owner, request.pinned, request.text])

/** Who may be at fault itself. Without keys and users, each conversation that did not name the model is a caller. */
const callerOf = ({ decision: { owner }, request }: RoutedRequest) =>
  hashOf([owner, request.userId, request.pinned === null ? (request.sessionId ?? request.text) : null])

/** What the model's circuit hears of it. */
export const heardBy = (routed: RoutedRequest, isDoubt: boolean, error: ProviderError | null): Failure => ({
  retryAfterSeconds: error?.retryAfterSeconds ?? null,
  request: requestOf(routed),
  isRetry: routed.request.isRetry,
  onlyOf: isDoubt ? callerOf(routed) : null
})

const callOf = (error: ProviderError): FailedCall => ({
  reason: error.reason,
  status: error.status,
  said: error.said,
  retryAfterSeconds: error.retryAfterSeconds
})

/** Models that could answer and were not asked, because a barrier was in the way. */
const notAsked = ({ attempts, decision }: RoutedRequest, circuits: Pick<Circuits, "barrier">): ReadonlyArray<string> =>
  decision.candidates
    .filter(({ excludedBy, eligible, model }) =>
      eligible
        ? circuits.barrier(model) !== null && !attempts.some((attempt) => attempt.model === model)
        : isBarrier(excludedBy)
    )
    .map(({ model }) => model)

/** What the client is told when the models that were asked did not answer. */
export const allFailed = (
  routed: RoutedRequest,
  circuits: Pick<Circuits, "barrier" | "soonestSeconds">
): AllModelsFailed | UpstreamRejected => {
  const { decision, errors, request } = routed
  const last = errors.at(-1)
  const isPinned = errors.every(({ model }) => model === request.pinned)
  const others = isPinned ? [] : notAsked(routed, circuits)
  const fault = clientFault(errors.map(callOf), isPinned, others.length > 0)
  const common = {
    decisionId: decision.id,
    attempts: routed.attemptsTold,
    fault: withWait(fault, circuits.soonestSeconds(others))
  }
  return fault.message === null || last === undefined
    ? new AllModelsFailed({
        ...common,
        timedOut: last?.reason === "timeout",
        limit: last?.reason === "timeout" && last.said === null ? last.detail : null,
        retryAfterSeconds: fault.retryAfterSeconds
      })
    : new UpstreamRejected({ ...common, model: last.model, status: fault.status, detail: fault.message })
}

/** What the client is told of an answer that had begun: the upstream's own words, or else what happened to it. */
export const brokenOff = (routed: RoutedRequest, error: ProviderError | null, timedOut: boolean): AllModelsFailed => {
  const said = error?.said ?? null
  const fault = {
    status: timedOut ? 504 : 502,
    type: said?.type ?? "server_error",
    code: said?.code ?? (timedOut ? "upstream_timeout" : "all_models_failed"),
    param: said?.param ?? null,
    message: said?.message ?? error?.message ?? null,
    shouldRetry: null,
    retryAfterSeconds: null
  }
  const attempts = routed.attemptsTold
  return new AllModelsFailed({ decisionId: routed.decision.id, timedOut, retryAfterSeconds: null, attempts, fault })
}

const withWait = (fault: ClientFault, seconds: number | null): ClientFault =>
  fault.code === "circuits_open" ? { ...fault, retryAfterSeconds: seconds ?? fault.retryAfterSeconds } : fault

/** The circuits of all models opened after the decision was made. */
export const allCircuitsOpen = (decision: Decision, circuits: Pick<Circuits, "soonestSeconds">) =>
  new NoEligibleModel({
    excluded: decision.candidates.map(({ excludedBy, model }) => ({ model, excludedBy: excludedBy ?? "circuit" })),
    retryAfterSeconds: circuits.soonestSeconds(decision.candidates.map(({ model }) => model))
  })
