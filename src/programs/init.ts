import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { presetNames, presetOf } from "../domain/models/Presets.ts"
import * as EnvironmentKeys from "../layers/models/EnvironmentModels.ts"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import { EnvironmentModels } from "../services/models/EnvironmentModels.ts"
import { Refused } from "./tools/OpenRouter.ts"
import { writeConfiguration } from "./tools/WriteConfiguration.ts"

const out = Options.text("out").pipe(
  Options.withDefault("conduit.yaml"),
  Options.withDescription("the file that is written, and never written over; - prints it")
)

const variablesText = presetNames
  .map((name) => {
    const { address, keys, title } = presetOf(name)
    return `  ${title}: ${[...keys.slice(0, 1), ...(address.byDefault === null ? [address.variable] : [])].join(", ")}`
  })
  .join("\n")

/** `conduit init`: the models that the service would serve by the keys in the environment, as a file to change. */
export const init = Command.make("init", { out }, ({ out }) =>
  Effect.gen(function* () {
    const { found } = yield* EnvironmentModels
    const { content, notices } = yield* found
    if (content.models.length === 0) {
      return yield* new Refused({
        detail: `no provider is known by the environment; these variables name one:\n${[variablesText, ...notices].join("\n")}`
      })
    }
    yield* writeConfiguration(out, notices, content)
  }).pipe(
    Effect.provide(EnvironmentKeys.layer.pipe(Layer.provide(SettingsEnv.layer), Layer.provide(SettingsEnv.environment)))
  )
).pipe(
  Command.withDescription("Write a conduit.yaml of the providers whose keys are in the environment, with their models")
)
