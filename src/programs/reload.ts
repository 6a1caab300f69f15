import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ModelCatalogFile from "../layers/models/ModelCatalogFile.ts"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import { withRouter } from "./tools/OpenRouter.ts"
import { audited } from "./tools/Operator.ts"
import { json, told } from "./tools/Told.ts"

/** The file as it is here: one that is wrong would only be refused by every replica. Where there is none, they have theirs. */
const checkedHere = Layer.build(ModelCatalogFile.layer).pipe(Effect.scoped, Effect.asVoid)

/** `conduit reload`: every replica reads its configuration file again. */
export const reload = Command.make("reload", { json }, ({ json }) =>
  Effect.gen(function* () {
    yield* checkedHere
    const position = yield* withRouter((open) =>
      Effect.tap(open.append([{ type: "reload" }]), (position) =>
        audited(open, "reload", "the configuration", { position })
      )
    )
    yield* told(
      json,
      { position },
      `every running replica reads its configuration again at position ${position} of the log; its own log says what changed, or what is wrong`
    )
  }).pipe(Effect.provide(Layer.provideMerge(SettingsEnv.fromEnvironment, SettingsEnv.environment)))
).pipe(Command.withDescription("Let every replica read its conduit.yaml again, without a restart"))
