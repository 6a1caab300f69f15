import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type { Decision } from "../../domain/routing/Decision.ts"
import * as GenAi from "../../domain/observing/GenAi.ts"
import type { Attempt } from "../../domain/routing/Outcome.ts"
import { NoEligibleModel } from "../../services/learning/BanditState.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { Catalog, Provider } from "../../services/models/ModelCatalog.ts"
import type { Step, TracingShape } from "../../services/observing/Tracing.ts"
import type { Ending, RoutedRequest } from "./RoutedRequest.ts"

// What the steps of a request's trace say.

/** What a request waits for until it is stored is a step of its trace. */
export const persisting = (log: LearningLogShape, { annotate, link, within }: TracingShape): LearningLogShape => {
  /** What is said of decisions links to the requests that made them. */
  const about = <A, E extends { readonly _tag: string }>(
    decisionIds: ReadonlyArray<string>,
    effect: Effect.Effect<A, E>
  ) =>
    Effect.withFiberRuntime<A, E>(({ currentSpan }) => {
      link(currentSpan, decisionIds)
      annotate(currentSpan, { "conduit.decision_id": decisionIds.length === 1 ? decisionIds[0] : null })
      return within("persist", effect)
    })
  return {
    ...log,
    record: (record) => within("persist", log.record(record)),
    report: (report) => about([report.decisionId], log.report(report)),
    feedback: (submission) => about([submission.decisionId], log.feedback(submission)),
    feedbackAll: (submissions) =>
      about(
        submissions.map(({ decisionId }) => decisionId),
        log.feedbackAll(submissions)
      )
  }
}

/** The request itself says too how its model was chosen. */
export const endDecide = (
  step: Step,
  decision: Decision | NoEligibleModel,
  span: Tracer.AnySpan | undefined,
  { annotate, decided }: TracingShape
): void => {
  if (decision instanceof NoEligibleModel) return step.end({}, decision._tag)
  const facts = GenAi.decisionFacts(decision)
  annotate(span, facts)
  decided(span, decision.id)
  step.end(facts, null)
}

/** Parsing an address takes longer than all the rest. */
const factsByProvider = new WeakMap<Provider, ReturnType<typeof GenAi.providerFacts>>()
const providerFacts = (provider: Provider) => {
  const known = factsByProvider.get(provider)
  if (known !== undefined) return known
  const facts = GenAi.providerFacts(provider.name, provider.baseUrl)
  factsByProvider.set(provider, facts)
  return facts
}

/** That the client left says nothing about the model. */
export const endAttempt = (
  step: Step,
  { byId, providers }: Catalog,
  { begun: { body }, request, answerFacts }: RoutedRequest,
  { error, model: id, status }: Attempt,
  ending: Ending
): void => {
  const model = byId.get(id)
  const provider = providers.get(model?.provider ?? "")
  step.end(
    {
      ...(model === undefined ? {} : GenAi.modelFacts(model)),
      ...(provider === undefined ? {} : providerFacts(provider)),
      ...GenAi.requestFacts(body, request),
      ...GenAi.responseFacts(answerFacts),
      "http.response.status_code": status,
      "error.type": error
    },
    ending._tag === "Failed" ? error : null
  )
}
