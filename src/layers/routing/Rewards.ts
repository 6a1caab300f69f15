import { type Judged, planConstants } from "../../domain/learning/CommitPlan.ts"
import { expectedReward, reward } from "../../domain/learning/Reward.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { TelemetryShape } from "../../services/observing/Telemetry.ts"

/** Compares what a decision expected of the model that answered with what the answer was worth, once it is judged. */
export const compare =
  (catalog: ModelCatalogShape, telemetry: Pick<TelemetryShape, "judged">) =>
  ({ quality, record: { decision, outcome } }: Judged): void => {
    const candidate = decision.candidates.find(({ model }) => model === outcome?.model)
    if (outcome === null || candidate === undefined) return
    const { weights } = decision.request
    const reference = {
      costUsd: catalog.current().costReferenceUsd,
      latencySeconds: planConstants.latencyReferenceSeconds
    }
    const realised = reward(outcome, { quality }, weights, reference)
    if (realised !== null) telemetry.judged(outcome.model, expectedReward(candidate, weights, reference), realised)
  }
