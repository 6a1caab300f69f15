import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { JudgeSettings } from "../../domain/learning/Judging.ts"
import type { SignalWeights } from "../../domain/learning/Signals.ts"
import type { Alias } from "../../domain/routing/Alias.ts"
import type { ModelId } from "../../domain/basics/Ids.ts"
import type { ProviderKind } from "../../domain/models/ProviderKind.ts"
import type { ModelList } from "../../domain/models/ModelList.ts"
import type { MoreRates, Price } from "../../domain/routing/Cost.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import type { InvalidSettings } from "../running/Settings.ts"
import type { PolicyAlgorithm } from "../../domain/routing/Policy.ts"

/** By which Amazon knows who calls: of the environment. */
export interface AmazonCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Redacted.Redacted
  readonly sessionToken: Redacted.Redacted | null
  readonly region: string
}

/** Where a provider is reached. */
export interface Provider {
  readonly name: string
  readonly kind: ProviderKind | "simulated"
  /** Without a trailing slash; the operation is appended. Empty for simulated models. */
  readonly baseUrl: string
  /** The address by which the catalogue of prices knows it, where that is another one. */
  readonly pricedAt?: string
  readonly apiKey: Redacted.Redacted | null
  /** Of a provider of Amazon's that has no key: its calls are signed. */
  readonly amazon?: AmazonCredentials
  /** It takes `stream_options`, by which streams say what they used. */
  readonly streamUsage: boolean
  /** Under the address, where it lists its models; null if it is not asked. */
  readonly modelList: string | null
  /** Variables that its entry names and that are not set; while there are any, none of its models can be chosen. */
  readonly missing: ReadonlyArray<string>
}

/** A price of the catalogue that ships. */
export interface ShippedPrice extends Price {
  readonly moreRates: MoreRates
  /** With the version and the entry, for people. */
  readonly source: string
  readonly contextWindow: number | null
}

/** The models of the configuration, in its order, and what the configuration says about choosing. */
export interface Catalog {
  readonly models: ReadonlyArray<Model>
  readonly byId: ReadonlyMap<ModelId, Model>
  readonly providers: ReadonlyMap<string, Provider>
  /** Names that stand for a model or a choice; none is a model's own. */
  readonly aliases: ReadonlyArray<Alias>
  readonly policy: {
    readonly algorithm: PolicyAlgorithm
    readonly preference: Preference
    /** The model that serves while choices are only made and logged; none where they are followed. */
    readonly observing?: ModelId
    /** Another model is asked where one declines to answer; not there: its answer is passed on. */
    readonly passesOnRefusals?: boolean
    /**
     * By how much of the bill of never switching a session may cost more, 0.1 is a tenth: each turn is weighed by what the
     * conversation costs. Not there: a session keeps its model.
     */
    readonly switchBudget?: number
    /** What is seen of answers and counts as a judgement, by weight; not there: nothing. */
    readonly signals?: SignalWeights
    /** Who judges a share of the answers; not there: nobody. */
    readonly judge?: JudgeSettings
  }
  /** Geometric mean of the models' expected cost of one request at set-up, USD: what a cost is compared with. */
  readonly costReferenceUsd: number
  /** Name of the configuration's file, as prices name it. */
  readonly source: string
  /** The price that ships with the program; null where it states none, or was not needed and therefore not loaded. */
  readonly shippedPrice: (provider: Pick<Provider, "baseUrl" | "pricedAt">, upstream: string) => ShippedPrice | null
  /** What was left out and why, for the start-up log. */
  readonly notices: ReadonlyArray<string>
}

/** The catalogue can change while the service runs. */
export interface ModelCatalogShape {
  readonly current: () => Catalog
  /** What depends on the catalogue is made of the current one, and again of each new one before it is answered. */
  readonly onChange: (made: (catalog: Catalog) => Effect.Effect<void>) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Reads the configuration again and logs what changed. A configuration with problems changes nothing, and all of them
   * are logged. Between configured and simulated models it does not switch: that takes a restart.
   */
  readonly reload: Effect.Effect<Catalog, InvalidSettings>
  /**
   * The newest list of a provider, in place of the one before: what it says of a model counts where `conduit.yaml` says
   * nothing. Logs what changed, and each end of a model that is announced.
   */
  readonly listed: (provider: string, list: ModelList) => Effect.Effect<void>
}

export class ModelCatalog extends Context.Tag("conduit/services/ModelCatalog")<ModelCatalog, ModelCatalogShape>() {}
