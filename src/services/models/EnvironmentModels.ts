import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { ModelId } from "../../domain/basics/Ids.ts"
import type { PresetName } from "../../domain/models/Presets.ts"

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
}

export class EnvironmentModels extends Context.Tag("conduit/services/EnvironmentModels")<
  EnvironmentModels,
  EnvironmentModelsShape
>() {}
