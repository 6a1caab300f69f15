import * as Command from "@effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import { withRouter } from "./tools/OpenRouter.ts"

/** `conduit reload`: every replica reads its configuration file again. */
export const reload = Command.make("reload", {}, () =>
  Effect.gen(function* () {
    const position = yield* withRouter((open) => open.append([{ type: "reload" }]))
    yield* Console.log(
      `every running replica reads its configuration again at position ${position} of the log; its own log says what changed, or what is wrong`
    )
  }).pipe(Effect.provide(SettingsEnv.layer))
).pipe(Command.withDescription("Let every replica read its conduit.yaml again, without a restart"))
