import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { ModelId } from "../../domain/basics/Ids.ts"
import type { PresetName } from "../../domain/models/Presets.ts"
import type { Capability } from "../../domain/routing/Capability.ts"
import type { Model } from "../../domain/routing/Model.ts"

/** One entry of `models`, as `conduit.yaml` has it. */
interface ChosenModel {
  readonly id: ModelId
  readonly provider: PresetName
  readonly upstream?: string
  readonly inputUsdPerMTok?: number
  readonly outputUsdPerMTok?: number
}

/** What a configuration would say, made of the keys in the environment. */
export interface EnvironmentModelsFound {
  readonly content: {
    readonly providers: Readonly<Record<string, { readonly preset: PresetName }>>
    readonly models: ReadonlyArray<ChosenModel>
  }
  /** For each provider what was chosen, and why. */
  readonly notices: ReadonlyArray<string>
  /** Those that the environment names. */
  readonly presets: ReadonlyArray<PresetName>
}

/** Models of the providers whose keys are in the environment: what is served without a `conduit.yaml`. */
export interface EnvironmentModelsShape {
  /** Asks each of those providers for its list, for five seconds at most. */
  readonly found: Effect.Effect<EnvironmentModelsFound>
  /** The same of one provider, with all that it offers; these variables count before the environment's. */
  readonly offered: (name: PresetName, more: ReadonlyMap<string, string>) => Effect.Effect<Offer>
}

/** What a provider offers for chats. */
export interface Offer {
  /** Where its operations are. */
  readonly baseUrl: string
  /** The usual ones first. */
  readonly models: ReadonlyArray<OfferedModel>
  /** Why it could not be asked for its list; null if it could, or has none. Then the models are those that are known of it. */
  readonly problem: string | null
}

export interface OfferedModel extends Pick<
  Model,
  "upstream" | "inputUsdPerMTok" | "outputUsdPerMTok" | "contextWindow"
> {
  /** It serves where nobody chooses. */
  readonly isUsual: boolean
  /** What it is known to be able to, beyond text. */
  readonly can: ReadonlyArray<Capability>
}

export class EnvironmentModels extends Context.Tag("conduit/services/EnvironmentModels")<
  EnvironmentModels,
  EnvironmentModelsShape
>() {}
