import * as Layer from "effect/Layer"
import type { RoutingRequest } from "../../src/domain/routing/Decision.ts"
import { normalise, preferences } from "../../src/domain/routing/Weights.ts"
import * as FeatureExtractorLexical from "../../src/layers/routing/FeatureExtractorLexical.ts"
import * as IdsCrypto from "../../src/layers/running/IdsCrypto.ts"
import * as SessionsMemory from "../../src/layers/routing/SessionsMemory.ts"
import * as TelemetryOtlp from "../../src/layers/observing/TelemetryOtlp.ts"
import * as Telemetry from "../../src/layers/observing/Telemetry.ts"
import { defaults, Settings, type SettingsShape } from "../../src/services/running/Settings.ts"
import { lifecycleWith } from "./lifecycle.ts"

/** What bandit and router need besides the log, the models and the database. */
export const surroundings = (settings: Partial<SettingsShape> = {}) => {
  const known = Layer.succeed(Settings, { ...defaults, ...settings })
  const ids = IdsCrypto.layerWith({ seed: "test" })
  return Layer.mergeAll(
    FeatureExtractorLexical.layer,
    ids,
    SessionsMemory.layer,
    Telemetry.layer,
    lifecycleWith({ shutdownTimeout: "1 second" }),
    Layer.provide(TelemetryOtlp.layer, Layer.merge(known, ids)),
    known
  )
}

export const request = (more: Partial<RoutingRequest> = {}): RoutingRequest => ({
  text: "write a function that adds two numbers",
  inputTokens: 10,
  needs: [],
  maxTokens: null,
  stream: false,
  task: null,
  preference: "balanced",
  weights: normalise(preferences.balanced),
  constraints: {},
  userId: null,
  sessionId: null,
  pinned: null,
  fallback: false,
  isPreferenceStated: false,
  askedModel: null,
  isRetry: false,
  ...more
})
