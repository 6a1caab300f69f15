import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import { stripVTControlCharacters } from "node:util"
import { version } from "../domain/basics/Version.ts"
import { decisions } from "./decisions.ts"
import { doctor } from "./doctor.ts"
import { evaluate } from "./evaluate.ts"
import { healthcheck } from "./healthcheck.ts"
import { importing } from "./import.ts"
import { init } from "./init.ts"
import { judge } from "./judge.ts"
import { keys } from "./keys.ts"
import { migrate } from "./migrate.ts"
import { mockLlm } from "./mock-llm.ts"
import { models } from "./models.ts"
import { reload } from "./reload.ts"
import { replay } from "./replay.ts"
import { route } from "./route.ts"
import { startStating } from "./start.ts"
import { state } from "./state.ts"
import { stats } from "./stats.ts"
import { EndedWith, ending } from "./tools/Ending.ts"
import { helpText } from "./tools/HelpText.ts"
import { top } from "./top.ts"

/** What a log level is where `--log-level` does not say: equal to INFO, and not the same. */
const unstated: LogLevel.LogLevel = { ...LogLevel.Info }

const workers = Options.text("workers").pipe(
  Options.withDescription(
    "Processes that share the address, each with a core of its own, or `auto`; before CONDUIT_WORKERS"
  ),
  Options.optional
)

const serve = Command.make("serve", { workers }, ({ workers }) =>
  Effect.flatMap(FiberRef.get(FiberRef.currentMinimumLogLevel), (level) =>
    ending(
      startStating({
        ...(level === unstated ? {} : { logLevel: level }),
        ...(Option.isNone(workers) ? {} : { workers: workers.value })
      })
    )
  )
).pipe(
  Command.withDescription("Run the service until a signal; settings come from the environment (docs/operations.md)")
)

const health = Command.make("healthcheck", {}, () => ending(healthcheck)).pipe(
  Command.withDescription(
    "Exit with 0 if the service of this environment is healthy, else with 1: for an image's HEALTHCHECK"
  )
)

const conduit = Command.make("conduit").pipe(
  Command.withDescription("An LLM router that learns which model suits which request"),
  Command.withSubcommands([
    serve,
    init,
    importing,
    migrate,
    route,
    stats,
    decisions,
    top,
    models,
    keys,
    reload,
    state,
    replay,
    evaluate,
    judge,
    doctor,
    mockLlm,
    health
  ])
)

/** The library writes colours whatever it writes to, and calls a command by the last of its names only. */
const toldText =
  (words: ReadonlyArray<string>, isTerminal: boolean) =>
  (part: unknown): unknown => {
    if (typeof part !== "string") return part
    const text = helpText(words, part)
    return isTerminal ? text : stripVTControlCharacters(text)
  }

const withOwnTexts =
  (words: ReadonlyArray<string>) =>
  <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Console.consoleWith((console) =>
      Effect.withConsole(program, {
        ...console,
        log: (...parts) => console.log(...parts.map(toldText(words, process.stdout.isTTY))),
        error: (...parts) => console.error(...parts.map(toldText(words, process.stderr.isTTY)))
      })
    )

/** Every command; `serve` and `healthcheck` without arguments come here only in tests. Answers the exit code. */
export const cli = (argv: ReadonlyArray<string>): Effect.Effect<number> =>
  Command.run(conduit, { name: "conduit", version })(argv).pipe(
    Effect.as(0),
    // What is wrong with the arguments was said already, with the help.
    Effect.catchAll((error) =>
      error instanceof EndedWith
        ? Effect.succeed(error.code)
        : Effect.as(ValidationError.isValidationError(error) ? Effect.void : Console.error(error.message), 1)
    ),
    withOwnTexts(argv.slice(2)),
    Effect.locally(FiberRef.currentMinimumLogLevel, unstated),
    Effect.provide(NodeContext.layer)
  )
