import { noMoreRates } from "../../src/domain/routing/Cost.ts"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { ModelId } from "../../src/domain/basics/Ids.ts"
import type { Model } from "../../src/domain/routing/Model.ts"
import { simulatedModels } from "../../src/domain/simulation/SimulatedModel.ts"
import * as LanguageModelsHttp from "../../src/layers/models/LanguageModelsHttp.ts"
import * as Telemetry from "../../src/layers/observing/Telemetry.ts"
import * as UpstreamPools from "../../src/layers/models/UpstreamPools.ts"
import type { LanguageModels } from "../../src/services/models/LanguageModels.ts"
import type { Catalog, ModelCatalog } from "../../src/services/models/ModelCatalog.ts"
import { defaults, Settings } from "../../src/services/running/Settings.ts"
import { fixedCatalog } from "./catalog.ts"
import { lifecycleWith } from "./lifecycle.ts"

export const modelOf = (id: string, upstream: string): Model => ({
  id: ModelId(id),
  provider: "local",
  upstream,
  inputUsdPerMTok: 1,
  outputUsdPerMTok: 1,
  priceSource: null,
  contextWindow: null,
  moreRates: noMoreRates,
  maxOutputTokens: null,
  abilities: {},
  dialect: {},
  priorQuality: null,
  unavailable: null,
  simulated: false
})

/** A catalogue with one provider, `local`. */
export const catalogOf = (baseUrl: string, apiKey: string | null = null): Layer.Layer<ModelCatalog> =>
  fixedCatalog(catalogAt(baseUrl, apiKey))

export const catalogAt = (baseUrl: string, apiKey: string | null = null): Catalog => ({
  models: [],
  byId: new Map(),
  providers: new Map([
    [
      "local",
      {
        name: "local",
        kind: "openai-compatible" as const,
        baseUrl,
        apiKey: apiKey === null ? null : Redacted.make(apiKey),
        streamUsage: true,
        modelList: null,
        missing: []
      }
    ]
  ]),
  aliases: [],
  policy: { algorithm: "auto", preference: "balanced" },
  costReferenceUsd: 0.001,
  source: "test",
  shippedPrice: () => null,
  notices: []
})

/** A catalogue whose only provider is simulated. */
export const simulatedCatalog: Layer.Layer<ModelCatalog> = fixedCatalog({
  models: simulatedModels,
  byId: new Map(simulatedModels.map((model) => [model.id, model])),
  providers: new Map([
    [
      "simulated",
      {
        name: "simulated",
        kind: "simulated" as const,
        baseUrl: "",
        apiKey: null,
        streamUsage: true,
        modelList: null,
        missing: []
      }
    ]
  ]),
  aliases: [],
  policy: { algorithm: "auto", preference: "balanced" },
  costReferenceUsd: 0.001,
  source: "test",
  shippedPrice: () => null,
  notices: []
})

/** The real HTTP layer and its pools against a server. */
export const httpModels = (baseUrl: string, apiKey: string | null = null): Layer.Layer<LanguageModels> =>
  LanguageModelsHttp.layer.pipe(
    Layer.provide(UpstreamPools.layer),
    Layer.provide(catalogOf(baseUrl, apiKey)),
    Layer.provide(
      Layer.mergeAll(lifecycleWith({ shutdownTimeout: "1 second" }), Telemetry.layer, Layer.succeed(Settings, defaults))
    )
  )
