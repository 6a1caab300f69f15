import * as Command from "@effect/cli/Command"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { version } from "../domain/Version.ts"
import { migrate } from "./migrate.ts"
import { mockLlm } from "./mock-llm.ts"
import { route } from "./route.ts"
import { start } from "./start.ts"

const serve = Command.make("serve", {}, () => Effect.asVoid(start)).pipe(
  Command.withDescription("Run the service until a signal; settings come from the environment (see README.md)")
)

const conduit = Command.make("conduit").pipe(
  Command.withDescription("An LLM router that learns which model suits which request"),
  Command.withSubcommands([serve, migrate, route, mockLlm])
)

/** Everything but `serve` and `healthcheck`, which do without the command line library. Answers the exit code. */
export const cli = (argv: ReadonlyArray<string>): Effect.Effect<number> =>
  Command.run(conduit, { name: "conduit", version })(argv).pipe(
    Effect.as(0),
    // What is wrong with the arguments was said already, with the help.
    Effect.catchAll((error) =>
      Effect.as(ValidationError.isValidationError(error) ? Effect.void : Console.error(error.message), 1)
    ),
    Effect.provide(NodeContext.layer)
  )
