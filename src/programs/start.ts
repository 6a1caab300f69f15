import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as ModelCatalogFile from "../layers/models/ModelCatalogFile.ts"
import * as Lifecycle from "../layers/running/Lifecycle.ts"
import * as LoggerStdout from "../layers/observing/LoggerStdout.ts"
import * as OutputStdio from "../layers/running/OutputStdio.ts"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import * as ShutdownReportJson from "../layers/running/ShutdownReportJson.ts"
import { Lifecycle as LifecycleService } from "../services/running/Lifecycle.ts"
import { Environment } from "../services/running/Environment.ts"
import { Output } from "../services/running/Output.ts"
import { defaults, InvalidSettings, Settings, shutdownBudget } from "../services/running/Settings.ts"
import { ServeLayer } from "./serve.ts"

/** Slack for the steps between the phases; with the default limits the sum still fits the grace of 45 s. */
const betweenPhases = Duration.millis(250)

/** The problems of the environment, and those of `conduit.yaml` beside them: nobody wants to start twice to see all. */
const withProblemsOfFile = (wrong: InvalidSettings) =>
  Effect.gen(function* () {
    const { variables } = yield* Environment
    const configFile = Option.fromNullable(variables.get("CONDUIT_CONFIG"))
    // With simulated models the file may lack usable ones: here it counts what it says, not whether it suffices.
    const settings = { ...defaults, models: { ...defaults.models, configFile, simulate: Option.some(true) } }
    const file = yield* Layer.build(Layer.provide(ModelCatalogFile.layer, Layer.succeed(Settings, settings))).pipe(
      Effect.scoped,
      Effect.either
    )
    return Either.isRight(file) ? wrong : new InvalidSettings({ problems: [...wrong.problems, ...file.left.problems] })
  })

/** With `stated` over the environment. Runs a service until a signal, writes the report as the last line, and answers the exit code. */
export const startWith = <A, E>(
  application: Layer.Layer<A, E, Layer.Layer.Context<typeof ServeLayer>>,
  stated: Readonly<Record<string, string>> = {}
): Effect.Effect<number> =>
  Effect.gen(function* () {
    const environment = Layer.map(SettingsEnv.environment, (context) => {
      const { terminal, variables } = Context.get(context, Environment)
      return Context.make(Environment, { terminal, variables: new Map([...variables, ...Object.entries(stated)]) })
    })
    const read = yield* Effect.either(Effect.provide(Settings, Layer.provide(SettingsEnv.fromEnvironment, environment)))
    const output = yield* Output
    const settings = Either.getOrElse(read, () => ({
      ...defaults,
      log: { ...defaults.log, format: output.isTerminal ? ("pretty" as const) : ("json" as const) }
    }))
    const SettingsLayer = Layer.succeed(Settings, settings)
    const service: Layer.Layer<A, E | InvalidSettings, Layer.Layer.Context<typeof ServeLayer>> = Either.isRight(read)
      ? application
      : Layer.fail(yield* withProblemsOfFile(read.left).pipe(Effect.provide(environment)))

    const serve = Effect.gen(function* () {
      for (const warning of yield* SettingsEnv.warnings) yield* Effect.logWarning(warning)
      const lifecycle = yield* LifecycleService
      const report = yield* lifecycle.run(service.pipe(Layer.provide(SettingsLayer), Layer.provide(environment)))
      output.line(JSON.stringify(report))
      return report.exit_code
    })
    return yield* serve.pipe(
      Effect.provide(
        LoggerStdout.layer.pipe(
          Layer.provideMerge(
            Lifecycle.layer({
              shutdownTimeout: Duration.sum(shutdownBudget(settings.shutdown), betweenPhases),
              installSignalHandlers: true,
              reloadOnSighup: settings.models.reloadOnSighup
            })
          ),
          Layer.provideMerge(ShutdownReportJson.layer),
          Layer.provideMerge(Layer.mergeAll(SettingsLayer, environment, Layer.succeed(Output, output)))
        )
      )
    )
  }).pipe(Effect.provide(OutputStdio.layer))

/** What `LOG_LEVEL` calls the levels of the command line. */
const logLevels: Readonly<Record<LogLevel.LogLevel["_tag"], string>> = {
  All: "DEBUG",
  Trace: "DEBUG",
  Debug: "DEBUG",
  Info: "INFO",
  Warning: "WARNING",
  Error: "ERROR",
  Fatal: "ERROR",
  None: "ERROR"
}

/** `conduit serve --log-level LEVEL`: it counts before `LOG_LEVEL`. */
export const startLoggingFrom = ({ _tag }: LogLevel.LogLevel): Effect.Effect<number> =>
  startWith(ServeLayer, { LOG_LEVEL: logLevels[_tag] })

/** `conduit serve`. */
export const start: Effect.Effect<number> = startWith(ServeLayer)
