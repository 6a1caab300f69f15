import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import { stripVTControlCharacters } from "node:util"
import { version } from "../domain/basics/Version.ts"
import { EndedWith, ending } from "./tools/Ending.ts"
import { helpText } from "./tools/HelpText.ts"

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
    Effect.flatMap(
      Effect.promise(() => import("./start.ts")),
      ({ startStating }) =>
        ending(
          startStating({
            ...(level === unstated ? {} : { logLevel: level }),
            ...(Option.isNone(workers) ? {} : { workers: workers.value })
          })
        )
    )
  )
).pipe(
  Command.withDescription("Run the service until a signal; settings come from the environment (docs/operations.md)")
)

const health = Command.make("healthcheck", {}, () =>
  Effect.flatMap(
    Effect.promise(() => import("./healthcheck.ts")),
    ({ healthcheck }) => ending(healthcheck)
  )
).pipe(
  Command.withDescription(
    "Exit with 0 if the service of this environment is healthy, else with 1: for an image's HEALTHCHECK"
  )
)

/** In the order of the help. A command loads its own part of the program only. */
const subcommands = {
  serve: async () => serve,
  init: async () => (await import("./init.ts")).init,
  import: async () => (await import("./import.ts")).importing,
  migrate: async () => (await import("./migrate.ts")).migrate,
  route: async () => (await import("./route.ts")).route,
  stats: async () => (await import("./stats.ts")).stats,
  decisions: async () => (await import("./decisions.ts")).decisions,
  top: async () => (await import("./top.ts")).top,
  models: async () => (await import("./models.ts")).models,
  keys: async () => (await import("./keys.ts")).keys,
  reload: async () => (await import("./reload.ts")).reload,
  state: async () => (await import("./state.ts")).state,
  replay: async () => (await import("./replay.ts")).replay,
  evaluate: async () => (await import("./evaluate.ts")).evaluate,
  judge: async () => (await import("./judge.ts")).judge,
  doctor: async () => (await import("./doctor.ts")).doctor,
  "mock-llm": async () => (await import("./mock-llm.ts")).mockLlm,
  healthcheck: async () => health
}

const isSubcommand = (name: string | undefined): name is keyof typeof subcommands =>
  name !== undefined && Object.hasOwn(subcommands, name)

/** With the one subcommand that is named first, or with all, which the help and a misspelled name need. */
const commandFor = (name: string | undefined) =>
  Effect.map(
    Effect.promise(() =>
      Promise.all(
        isSubcommand(name) ? [subcommands[name]()] : Struct.keys(subcommands).map((each) => subcommands[each]())
      )
    ),
    ([first = serve, ...others]) =>
      Command.make("conduit").pipe(
        Command.withDescription("An LLM router that learns which model suits which request"),
        Command.withSubcommands([first, ...others])
      )
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
  commandFor(argv[2]).pipe(
    Effect.flatMap((conduit) => Command.run(conduit, { name: "conduit", version })(argv)),
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
